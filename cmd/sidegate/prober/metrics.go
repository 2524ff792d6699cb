package prober

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are a prober's figures. One value serves one prober.
type Metrics struct {
	writes                         *prometheus.CounterVec
	acknowledged, refused, unknown prometheus.Counter

	reads, unanswered, violations *prometheus.CounterVec
	windows                       *prometheus.HistogramVec
}

// NewMetrics registers a prober's figures; nil counts where nobody looks.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sidegate", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		writes: counter("probe_writes_total", "Writes of the prober, by what became of them.", "outcome"),
		reads:  counter("probe_reads_total", "Questions that the prober asked a sidecar.", "sidecar"),
		unanswered: counter("probe_unanswered_total",
			"Those of them that had no answer, or one that knew nothing. Rising: the sidecar is away, or has no list to answer from.", "sidecar"),
		violations: counter("probe_violations_total",
			"Answers of a sidecar that contradict an acknowledged write: too_old, older than they say; at_least, without the write whose revision was asked with; "+
				"fell_back, after the sidecar had shown it. Any is a bug, a database that lost what it had acknowledged, or two processes behind one address.", "sidecar", "kind"),
		windows: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "sidegate", Name: "probe_window_seconds",
			Help:                        "From the acknowledgement of a write until a sidecar answered with it. About a poll interval is normal.",
			Buckets:                     prometheus.ExponentialBuckets(0.001, 2, 14),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"sidecar"}),
	}
	m.acknowledged, m.refused, m.unknown = m.writes.WithLabelValues("acknowledged"), m.writes.WithLabelValues("refused"), m.writes.WithLabelValues("unknown")
	if reg != nil {
		reg.MustRegister(m.writes, m.reads, m.unanswered, m.violations, m.windows)
	}
	return m
}

// Announce shows the series of a target before anything is asked: a counter that
// appears with its first violation would not be seen to rise.
func (m *Metrics) Announce(target string) { m.of(target) }

// counters are the series of one target.
type counters struct {
	reads, unanswered prometheus.Counter
	violations        map[Kind]prometheus.Counter
	window            prometheus.Observer
}

func (m *Metrics) of(target string) counters {
	c := counters{
		reads: m.reads.WithLabelValues(target), unanswered: m.unanswered.WithLabelValues(target),
		violations: map[Kind]prometheus.Counter{}, window: m.windows.WithLabelValues(target),
	}
	for _, k := range kinds {
		c.violations[k] = m.violations.WithLabelValues(target, string(k))
	}
	return c
}
