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

// add counts reads. It comes after the reads themselves: the processor takes up
// nothing behind an atomic addition before all loads in front of it are done.
func (c *counter) add(dice uint32, hits, misses uint64) {
	cell := &c.cells[dice>>28]
	if hits > 0 {
		cell.hits.Add(hits)
	}
	if misses > 0 {
		cell.misses.Add(misses)
	}
}

// sum returns the totals; they may be a few reads behind.
func (c *counter) sum() (hits, misses uint64) {
	for i := range c.cells {
		hits += c.cells[i].hits.Load()
		misses += c.cells[i].misses.Load()
	}
	return hits, misses
}
