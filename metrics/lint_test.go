package metrics

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestOwnMetricsAreClean(t *testing.T) {
	if found := Lint(New(Build{Version: "1"})); len(found) != 0 {
		t.Errorf("%d breaches:\n%s", len(found), strings.Join(found, "\n"))
	}
}

const goodHelp = "Things that were counted; a high value means many."

// TestLintFinds shows every rule at work: a linter that finds nothing would
// pass all other tests.
func TestLintFinds(t *testing.T) {
	counter := func(name, help string, labels prometheus.Labels) prometheus.Collector {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	gauge := func(name string) prometheus.Collector {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: goodHelp})
	}
	for says, collector := range map[string]prometheus.Collector{
		"must begin with sidegate_":         counter("gateway_things_total", goodHelp, nil),
		"must be a sentence":                counter("sidegate_things_total", "Things.", nil),
		"with its full stop":                counter("sidegate_things_total", "Things that were counted somewhere", nil),
		"_total":                            counter("sidegate_things", goodHelp, nil),
		"not percent":                       gauge("sidegate_used_percent"),
		"not its age":                       gauge("sidegate_event_age_seconds"),
		"use base unit":                     gauge("sidegate_wait_milliseconds"),
		"label \"type\" is refused":         counter("sidegate_things_total", goodHelp, prometheus.Labels{"type": "a"}),
		"label \"owner\" is refused":        counter("sidegate_things_total", goodHelp, prometheus.Labels{"owner": "bob"}),
		"label \"path\" is refused":         counter("sidegate_things_total", goodHelp, prometheus.Labels{"path": "/"}),
		"two counters, not by a label":      counter("sidegate_things_total", goodHelp, prometheus.Labels{"result": "miss"}),
		"label is not from a closed set":    manySeries(maxSeries + 1),
		"things_total: label \"user\" is r": counter("sidegate_things_total", goodHelp, prometheus.Labels{"user": "bob"}),
	} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(collector)
		found := strings.Join(Lint(registry), "\n")
		if !strings.Contains(found, says) {
			t.Errorf("nothing says %q; found:\n%s", says, found)
		}
	}
}

func manySeries(n int) prometheus.Collector {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sidegate_things_total", Help: goodHelp}, []string{"kind"})
	for i := range n {
		vec.WithLabelValues(fmt.Sprint(i)).Inc()
	}
	return vec
}

func TestLintAcceptsWhatIsRight(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		manySeries(maxSeries),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "sidegate_seen_timestamp_seconds", Help: goodHelp}),
		prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sidegate_wait_seconds", Help: goodHelp}),
	)
	if found := Lint(registry); len(found) != 0 {
		t.Errorf("found %q", found)
	}
}

func TestLintReportsEachBreachOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sidegate_things_total", Help: goodHelp}, []string{"user"})
	registry.MustRegister(vec)
	vec.WithLabelValues("a").Inc()
	vec.WithLabelValues("b").Inc()
	if found := Lint(registry); len(found) != 1 {
		t.Errorf("found %q, want one line", found)
	}
}

func TestLintReportsAFailedGather(t *testing.T) {
	broken := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("collector is broken") })
	if found := Lint(broken); len(found) != 1 || !strings.Contains(found[0], "collector is broken") {
		t.Errorf("found %q", found)
	}
}
