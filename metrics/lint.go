package metrics

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// prefix begins every name of ours: one word, as Prometheus's own guide to
// naming wants it.
const prefix = "sidegate_"

// maxSeries is the most series one family may have. The largest closed set of
// labels that is planned makes 150; a family beyond this has a label whose
// values come from requests.
const maxSeries = 400

// refusedLabels are the names that labels must not have.
var refusedLabels = map[string]string{
	"type":      "the name says nothing and collides with other exporters",
	"user":      "user ids are personal data and have no end",
	"user_id":   "user ids are personal data and have no end",
	"owner":     "user ids are personal data and have no end",
	"target":    "user ids are personal data and have no end",
	"sender":    "user ids are personal data and have no end",
	"recipient": "user ids are personal data and have no end",
	"room_id":   "room ids have no end",
	"path":      "paths hold user ids; use the template of the route",
}

// rules are ours, on top of those of promlint: docs/practices/naming and
// instrumenting/writing_exporters of prometheus/docs.
var rules = []promlint.Validation{
	lintPrefix, lintHelp, lintName, lintLabels, lintSeries,
}

// Lint gathers all metrics and returns what breaks the naming rules, as one
// line for each breach, or nothing. The families of the client library itself
// (go_, process_) are not ours to name and are left out.
func Lint(g prometheus.Gatherer) []string {
	families, err := g.Gather()
	var found []string
	if err != nil {
		found = append(found, "gather: "+err.Error())
	}
	families = slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
		return strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_")
	})
	linter := promlint.NewWithMetricFamilies(families)
	linter.AddCustomValidations(rules...)
	problems, err := linter.Lint()
	if err != nil {
		found = append(found, "lint: "+err.Error())
	}
	for _, p := range problems {
		found = append(found, p.Metric+": "+p.Text)
	}
	return found
}

func lintPrefix(f *dto.MetricFamily) []error {
	if strings.HasPrefix(f.GetName(), prefix) {
		return nil
	}
	return []error{errors.New("the name must begin with " + prefix)}
}

// lintHelp wants a sentence: the help is all that an operator has at three in
// the morning.
func lintHelp(f *dto.MetricFamily) []error {
	if help := f.GetHelp(); len(help) < 20 || !strings.HasSuffix(help, ".") {
		return []error{errors.New("the help must be a sentence, with its full stop")}
	}
	return nil
}

func lintName(f *dto.MetricFamily) []error {
	var errs []error
	name := f.GetName()
	if strings.Contains(name, "percent") {
		errs = append(errs, errors.New("use a ratio from 0 to 1, not percent"))
	}
	if strings.Contains(name, "_age_") || strings.HasSuffix(name, "_age") {
		errs = append(errs, errors.New("expose the time of the event (…_timestamp_seconds), not its age"))
	}
	return errs
}

func lintLabels(f *dto.MetricFamily) []error {
	var errs []error
	seen := make(map[string]bool)
	report := func(key, format string, args ...any) {
		if !seen[key] {
			seen[key] = true
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if why, refused := refusedLabels[l.GetName()]; refused {
				report(l.GetName(), "label %q is refused: %s", l.GetName(), why)
			}
			if l.GetValue() == "hit" || l.GetValue() == "miss" {
				report("hit", "count the total and the hits as two counters, not by a label")
			}
		}
	}
	return errs
}

func lintSeries(f *dto.MetricFamily) []error {
	if n := len(f.GetMetric()); n > maxSeries {
		return []error{fmt.Errorf("%d series, more than %d: a label is not from a closed set", n, maxSeries)}
	}
	return nil
}
