package decisionlog

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// drop is why a record was not written.
type drop uint8

const (
	dropRate  drop = iota // more came than the rate allows
	dropQueue             // the writer is behind, and the queue full
	dropWrite             // the file would not take it
	drops                 // their number
)

var dropNames = [drops]string{"rate", "queue", "write"}

// Metrics count records. It is safe for concurrent use.
type Metrics struct {
	written prometheus.Counter
	errors  prometheus.Counter
	dropped [drops]prometheus.Counter
}

// NewMetrics makes the metrics and registers them; a nil registerer keeps them to
// themselves. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	m := &Metrics{
		written: factory.NewCounter(prometheus.CounterOpts{
			Name: "sidegate_decision_log_written_total",
			Help: "Records of decisions that were handed to the operating system.",
		}),
		errors: factory.NewCounter(prometheus.CounterOpts{
			Name: "sidegate_decision_log_errors_total",
			Help: "Attempts to write or to open the decision log that failed, each with one line of the log at its beginning. A full disk is the usual reason.",
		}),
	}
	dropped := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "sidegate_decision_log_dropped_total",
		Help: "Records of decisions that were given up, by cause: rate = more than decision_log.rate allows, queue = the disk or the reader of the pipe " +
			"is too slow, write = it refused. The decisions themselves were answered. Sampled deliveries are dropped first; while the figure stands still, no denial is missing.",
	}, []string{"cause"})
	for cause, name := range dropNames {
		m.dropped[cause] = dropped.WithLabelValues(name)
	}
	return m
}
