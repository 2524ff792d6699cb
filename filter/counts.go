package filter

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Counts are the decisions of one asker, such as a connection, counted where
// nobody else writes: a counter that all share would move from core to core with
// every check. They are put together when somebody asks for the metrics. One
// goroutine at a time may ask with them; any number more is only slower.
type Counts struct {
	native [Open + 1][outcomes]count
	// A line of the cache that the next object begins on would be shared with
	// it, and lines are fetched in pairs.
	_ [countsSize - counters*8]byte
}

const (
	counters   = (int(Open) + 1) * int(outcomes)
	countsSize = 256 // a size class of Go, so that they begin at a multiple of it
)

// count is one number of Counts.
type count struct{ n atomic.Uint64 }

// shown is what a reader of the metrics has seen of Counts.
type shown [Open + 1][outcomes]uint64

// askers are those who count for themselves.
type askers struct {
	mu   sync.Mutex
	open map[*Counts]*shown
}

// NewCounts returns counts for [Check.Counts]. They must be given back to
// [Filter.CloseCounts] when nobody asks with them any more.
func (f *Filter) NewCounts() *Counts {
	c := new(Counts)
	a := &f.metrics.askers
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = make(map[*Counts]*shown)
	}
	a.open[c] = new(shown)
	return c
}

// CloseCounts takes counts back. What they say is kept. It may be called with nil.
func (f *Filter) CloseCounts(c *Counts) {
	m := f.metrics
	m.askers.mu.Lock()
	defer m.askers.mu.Unlock()
	if seen := m.askers.open[c]; seen != nil {
		m.collect(c, seen)
		delete(m.askers.open, c)
	}
}

// collect adds what has been counted since the last time. The caller holds the
// lock of the askers.
func (m *Metrics) collect(c *Counts, seen *shown) {
	for room := Direct; room <= Open; room++ {
		for o := range seen[room] {
			n := c.native[room][o].n.Load()
			if n != seen[room][o] {
				m.decisions[APINative][room][o].Add(float64(n - seen[room][o]))
				seen[room][o] = n
			}
		}
	}
}

// collector shows decisions after it has put together what the askers count.
type collector struct {
	*prometheus.CounterVec
	metrics *Metrics
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(to chan<- prometheus.Metric) {
	a := &c.metrics.askers
	a.mu.Lock()
	for counts, seen := range a.open {
		c.metrics.collect(counts, seen)
	}
	a.mu.Unlock()
	c.CounterVec.Collect(to)
}
