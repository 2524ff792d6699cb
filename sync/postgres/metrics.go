package postgres

import (
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics shows the connections of a store's pools, read when it is scraped. The
// label pool is writes, loads, reads, exports or sync. Safe for concurrent use.
type Metrics struct {
	mu    sync.Mutex
	pools map[string]*pgxpool.Pool

	connections, max                 *prometheus.Desc
	acquires, waits, canceled, opens *prometheus.Desc
}

// NewMetrics makes and registers the metrics of one store, to be passed to
// [Open]. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sidegate_db_pool_"+name, help, append([]string{"pool"}, labels...), nil)
	}
	m := &Metrics{
		connections: desc("connections", "Connections to Postgres by state; if acquired stays at the maximum, callers wait.", "state"),
		max:         desc("max_connections", "Connections to Postgres that the pool may open."),
		acquires:    desc("acquires_total", "Connections handed out."),
		waits:       desc("acquire_wait_seconds_total", "Time that callers waited because no connection was free."),
		canceled:    desc("canceled_acquires_total", "Callers who gave up waiting for a connection: the pool is too small or Postgres is away."),
		opens:       desc("opened_connections_total", "Attempts to open a connection; a steady rise means that connections break."),
	}
	reg.MustRegister(m)
	return m
}

// attach starts showing pools. A nil receiver does nothing.
func (m *Metrics) attach(pools map[string]*pgxpool.Pool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pools = pools
}

func (m *Metrics) detach() { m.attach(nil) }

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.connections, m.max, m.acquires, m.waits, m.canceled, m.opens} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, pool := range m.pools {
		stat := pool.Stat()
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{name}, labels...)...)
		}
		count := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, name)
		}
		gauge(m.connections, float64(stat.IdleConns()), "idle")
		gauge(m.connections, float64(stat.AcquiredConns()), "acquired")
		gauge(m.connections, float64(stat.ConstructingConns()), "constructing")
		gauge(m.max, float64(stat.MaxConns()))
		count(m.acquires, float64(stat.AcquireCount()))
		count(m.waits, stat.EmptyAcquireWaitTime().Seconds())
		count(m.canceled, float64(stat.CanceledAcquireCount()))
		count(m.opens, float64(stat.NewConnsCount()))
	}
}
