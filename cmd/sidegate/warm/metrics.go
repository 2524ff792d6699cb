package warm

import (
	"context"
	"errors"
	"io/fs"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sidegate/sidegate/cache"
)

// Why a file was not used, beside the causes for which following starts over.
const (
	causeDamaged    = "damaged"
	causeFormat     = "format"
	causeUnreadable = "unreadable"
	causeSlow       = "slow"
	causeLocked     = "locked"
)

// causes are all of them, with those of the follower.
var causes = []string{
	causeDamaged, causeFormat, causeUnreadable, causeSlow, causeLocked,
	"identity", "rewound", "trimmed", "overflow", "audit",
}

// causeOf sorts the error of reading a file into the causes.
func causeOf(err error) string {
	switch {
	case errors.Is(err, cache.ErrWarmDamaged):
		return causeDamaged
	case errors.Is(err, cache.ErrWarmFormat):
		return causeFormat
	case errors.Is(err, context.DeadlineExceeded):
		return causeSlow
	case errors.Is(err, errLocked):
		return causeLocked
	}
	return causeUnreadable
}

// isMissing tells a first start from one that something is wrong with.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// Metrics are what is told of the warm file. They are safe for concurrent use.
type Metrics struct {
	pages   prometheus.Counter
	bytes   prometheus.Gauge
	saved   prometheus.Gauge
	errors  prometheus.Counter
	refused map[string]prometheus.Counter
}

// NewMetrics makes the metrics and registers them. It panics if they are registered
// already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	m := &Metrics{
		pages: factory.NewCounter(prometheus.CounterOpts{
			Name: "sidegate_cache_warm_pages_total",
			Help: "Pages that the process took over from the warm file at its start; 0 = it started cold.",
		}),
		bytes: factory.NewGauge(prometheus.GaugeOpts{
			Name: "sidegate_cache_warm_file_bytes",
			Help: "Size of the warm file that the process wrote last; 0 = none yet, or cache.warm_file is not set.",
		}),
		saved: factory.NewGauge(prometheus.GaugeOpts{
			Name: "sidegate_cache_warm_saved_timestamp_seconds",
			Help: "When the process wrote the warm file last; 0 = not yet. Standing still: the next start reads again what has changed since, or everything.",
		}),
		errors: factory.NewCounter(prometheus.CounterOpts{
			Name: "sidegate_cache_warm_errors_total",
			Help: "Attempts to write the warm file that failed, each run of them with one line of the log at its beginning. The file before it stays. A full disk is the usual reason.",
		}),
		refused: make(map[string]prometheus.Counter, len(causes)),
	}
	refused := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "sidegate_cache_warm_refused_total",
		Help: "Warm files that were not used, so that the process started cold, by cause: damaged, format (of another version), unreadable, slow to read, locked by another process, " +
			"identity (the database is not the one that it was), rewound (it has lost transactions), trimmed (its log does not reach back), overflow (too much has changed), audit (memory was found to be wrong).",
	}, []string{"cause"})
	for _, cause := range causes {
		m.refused[cause] = refused.WithLabelValues(cause)
	}
	return m
}
