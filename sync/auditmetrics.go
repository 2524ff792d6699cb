package blocksync

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
)

// Who starts over: the closed set of the label scope.
const (
	scopeProcess = "process"
	scopeFleet   = "fleet"
)

// AuditMetrics are the auditor's figures. One value serves one auditor.
type AuditMetrics struct {
	samples     prometheus.Counter
	errors      prometheus.Counter
	mismatches  [cache.Mismatches]prometheus.Counter
	suspects    map[string]prometheus.Counter
	lastSuccess prometheus.Gauge
}

// NewAuditMetrics registers the auditor's figures.
func NewAuditMetrics(reg prometheus.Registerer) *AuditMetrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sidegate", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	by := func(label, name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sidegate", Name: name, Help: help}, []string{label})
		reg.MustRegister(v)
		return v
	}
	m := &AuditMetrics{
		samples: counter("audit_samples_total",
			"Pages of memory that were compared with the database, chosen at random."),
		errors: counter("audit_errors_total",
			"Samples that could not be read, and pages found wrong that could not be read again. The database is slow or away."),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "sidegate", Name: "audit_last_success_timestamp_seconds",
			Help: "When a page of memory was last compared with the database; 0 = not yet, or audit.samples is 0.",
		}),
		suspects: make(map[string]prometheus.Counter, 2),
	}
	reg.MustRegister(m.lastSuccess)
	mismatches := by("cause", "audit_mismatches_total",
		"Pages of memory that differed from the database although nothing was on its way, by how their lists differed. "+
			"Any means that answers were wrong; each such page was read again.")
	for how := range m.mismatches {
		m.mismatches[how] = mismatches.WithLabelValues(cache.Mismatch(how).String())
	}
	suspects := by("scope", "audit_suspects_total",
		"Times that so many pages differed that all of memory was called suspect and read again, by this process or by the fleet.")
	for _, scope := range []string{scopeProcess, scopeFleet} {
		m.suspects[scope] = suspects.WithLabelValues(scope)
	}
	return m
}
