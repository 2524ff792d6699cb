package blocksync

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
)

// Why following started over, and why a poll failed: the closed sets of the
// label cause.
const (
	causeStart    = "start"
	causeIdentity = "identity"
	causeRewound  = "rewound"
	causeTrimmed  = "trimmed"
	causeOverflow = "overflow"
	causeAudit    = "audit"

	causeConnection = "connection"
	causeTimeout    = "timeout"
	causeRefused    = "refused"
)

// Metrics are the follower's figures. One value serves one follower.
type Metrics struct {
	lastEvent   prometheus.Gauge
	lastSuccess prometheus.Gauge
	started     prometheus.Gauge
	applyDelay  prometheus.Histogram
	clockOffset prometheus.Gauge
	reconnects  prometheus.Counter
	schema      prometheus.Gauge
	needed      prometheus.Gauge
	epochs      map[string]prometheus.Counter
	errors      map[string]prometheus.Counter
	state       *stateCollector
}

// NewMetrics registers the follower's figures.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sidegate", Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	byCause := func(name, help string, causes ...string) map[string]prometheus.Counter {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sidegate", Name: name, Help: help}, []string{"cause"})
		reg.MustRegister(v)
		children := make(map[string]prometheus.Counter, len(causes))
		for _, c := range causes {
			children[c] = v.WithLabelValues(c)
		}
		return children
	}
	m := &Metrics{
		lastEvent:   gauge("sync_last_event_timestamp_seconds", "When the database recorded the newest change that was applied."),
		lastSuccess: gauge("sync_last_success_timestamp_seconds", "When the last poll was complete. Standing still: answers age."),
		started:     gauge("sync_started_timestamp_seconds", "When following began."),
		clockOffset: gauge("clock_offset_seconds", "How far the database's clock is ahead of ours; expiries are corrected by it."),
		schema:      gauge("schema_version", "Version of the schema that the database has, as it was seen last; 0 = none, or not seen yet."),
		needed:      gauge("schema_version_needed", "Version of the schema that this program needs. An older one is not followed, a newer one only if it serves this program."),
		applyDelay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "sidegate", Name: "sync_apply_delay_seconds",
			Help:                        "From the moment the database recorded a change until it was in memory, by the database's clock.",
			Buckets:                     prometheus.ExponentialBuckets(0.001, 2, 14),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
			NativeHistogramMinResetDuration: time.Hour,
		}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "sidegate", Name: "sync_reconnects_total",
			Help: "Times that following succeeded again after a failure.",
		}),
		epochs: byCause("sync_epochs_total",
			"Times that following started over and every list was read again. Rising: the server changes or the log is trimmed too early.",
			causeStart, causeIdentity, causeRewound, causeTrimmed, causeOverflow, causeAudit),
		errors: byCause("sync_errors_total",
			"Polls that failed, by cause. Answers come from memory and age until one succeeds.", causeConnection, causeTimeout, causeRefused),
		state: &stateCollector{},
	}
	m.started.SetToCurrentTime()
	reg.MustRegister(m.applyDelay, m.reconnects, m.state)
	return m
}

func (m *Metrics) observe(f *Follower) {
	m.state.follower = f
	m.needed.Set(float64(f.opts.MaxSchema))
}

// observeDelays measures, by the server's clock alone, how long changes took.
func (m *Metrics) observeDelays(changes []cache.Change, now time.Time) {
	for i := range changes {
		if at := changes[i].At; !at.IsZero() {
			m.applyDelay.Observe(max(0, now.Sub(at).Seconds()))
			m.lastEvent.Set(float64(at.UnixMicro()) / 1e6)
		}
	}
}

// stateCollector shows where following stands when it is asked: 1 for the present
// state, and how far it has come on which server.
type stateCollector struct{ follower *Follower }

var (
	stateDesc = prometheus.NewDesc("sidegate_sync_state",
		"1 for the state that following is in. Anything but synced for a minute needs a look.", []string{"state"}, nil)
	positionDesc = prometheus.NewDesc("sidegate_sync_position",
		"The transaction id up to which the database's changes are in memory; 0 = nothing yet. "+
			"Between processes that follow the same server, whoever stays behind the others misses changes.", nil, nil)
	serverDesc = prometheus.NewDesc("sidegate_sync_server_info",
		"1; the labels name the schema and the life of the server that is followed, both as hashes. "+
			"Processes on one database with different servers do not see the same writes. 0 = none yet.", []string{"database", "server"}, nil)
)

// Describe implements prometheus.Collector.
func (s *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- stateDesc
	ch <- positionDesc
	ch <- serverDesc
}

// Collect implements prometheus.Collector.
func (s *stateCollector) Collect(ch chan<- prometheus.Metric) {
	if s.follower == nil {
		return
	}
	now := s.follower.Status().State
	for i := range State(states) {
		v := 0.0
		if i == now {
			v = 1
		}
		ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, v, i.String())
	}
	// One load: a position says nothing without the server that it is of.
	r := s.follower.reached.Load()
	if r == nil {
		ch <- prometheus.MustNewConstMetric(positionDesc, prometheus.GaugeValue, 0)
		ch <- prometheus.MustNewConstMetric(serverDesc, prometheus.GaugeValue, 0, "", "")
		return
	}
	ch <- prometheus.MustNewConstMetric(positionDesc, prometheus.GaugeValue, float64(r.position.Xmax))
	ch <- prometheus.MustNewConstMetric(serverDesc, prometheus.GaugeValue, 1, name(r.server.Salt), name(r.server))
}

// name is a short name for a value that is nobody's business: eight digits in
// which two of a handful do not meet.
func name(v any) string {
	sum := sha256.Sum256(fmt.Append(nil, v))
	return hex.EncodeToString(sum[:4])
}
