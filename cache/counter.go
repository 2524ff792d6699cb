package cache

import "sync/atomic"

// counter counts reads without a line that two cores write: each reader picks
// one of several padded cells by the dice it has thrown anyway.
type counter struct {
	cells [16]struct {
		hits, misses atomic.Uint64
		_            [112]byte // two cache lines: the prefetcher fetches pairs
	}
}

func (c *counter) hit(dice uint32)  { c.cells[dice>>28].hits.Add(1) }
func (c *counter) miss(dice uint32) { c.cells[dice>>28].misses.Add(1) }

// sum returns the totals; they may be a few reads behind.
func (c *counter) sum() (hits, misses uint64) {
	for i := range c.cells {
		hits += c.cells[i].hits.Load()
		misses += c.cells[i].misses.Load()
	}
	return hits, misses
}
