package postgres

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// AuditMetrics shows what the audit of the database finds. The counters are of the
// pieces that this process did; the times are the same in all processes.
type AuditMetrics struct {
	lists, mismatches, repaired prometheus.Counter
	oversize, period            prometheus.Gauge
	lastRound, roundStarted     prometheus.Gauge

	began time.Time // when this process did
}

// NewAuditMetrics makes the metrics and registers them; nil registers nothing.
func NewAuditMetrics(reg prometheus.Registerer) *AuditMetrics {
	name := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "sidegate", Subsystem: "db_audit", Name: name, Help: help}
	}
	counter := func(o prometheus.Opts) prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts(o)) }
	gauge := func(o prometheus.Opts) prometheus.Gauge { return prometheus.NewGauge(prometheus.GaugeOpts(o)) }
	m := &AuditMetrics{
		lists:        counter(name("lists_total", "Lists whose entries were compared with what the database says of them.")),
		mismatches:   counter(name("mismatches_total", "Lists that differed: somebody wrote to our tables past their triggers. Any is worth a look.")),
		repaired:     counter(name("repaired_total", "Lists that were counted again because they differed. Less than the mismatches: audit.repair is off, or somebody held them.")),
		oversize:     gauge(name("oversize_lists", "Lists with more entries than any may have, in the last complete round. All entries count; only their owner can take some away.")),
		period:       gauge(name("period_seconds", "audit.period: how often everything is compared; 0 = never.")),
		lastRound:    gauge(name("last_round_timestamp_seconds", "When everything had last been compared, by whatever process, or when this process began, if that is later.")),
		roundStarted: gauge(name("round_started_timestamp_seconds", "When the round under way began, or the last one if there is none.")),
	}
	if reg != nil {
		reg.MustRegister(m.lists, m.mismatches, m.repaired, m.oversize, m.period, m.lastRound, m.roundStarted)
	}
	return m
}

// begin counts the absence of a round from here on: that nobody audited while nobody
// ran is no news.
func (m *AuditMetrics) begin() time.Time {
	m.began = time.Now()
	m.lastRound.Set(float64(m.began.UnixMicro()) / 1e6)
	return m.began
}

func (m *AuditMetrics) count(turn *AuditTurn) {
	m.lists.Add(float64(turn.Lists))
	for _, d := range turn.Damage {
		if d.Reason != DamageLimit {
			m.mismatches.Inc()
		}
		if d.Repaired {
			m.repaired.Inc()
		}
	}
	r := turn.Round
	if r == nil {
		return
	}
	m.oversize.Set(float64(r.Oversize))
	if !r.Began.IsZero() {
		m.roundStarted.Set(float64(r.Began.UnixMicro()) / 1e6)
	}
	if r.Ended.After(m.began) {
		m.lastRound.Set(float64(r.Ended.UnixMicro()) / 1e6)
	}
}
