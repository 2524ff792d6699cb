package cache

import (
	"sync/atomic"
	"unsafe"
)

// counter counts reads without a line that two cores write over and over: each
// goroutine keeps to one of several padded cells, which it finds by where its stack
// is. A cell chosen by lot would have been written last, nearly every time, by
// another core.
type counter struct {
	cells [64]counterCell
}

type counterCell struct {
	hits, misses atomic.Uint64
	_            [112]byte // two cache lines: the prefetcher fetches pairs
}

// golden is 2⁶⁴ divided by the golden ratio: multiples of it are spread evenly.
const golden = 0x9e3779b97f4a7c15

// own returns the cell of the goroutine that calls.
func (c *counter) own() *counterCell {
	var here byte
	const stack = 11 // bits of the size of the smallest stack
	return &c.cells[uint64(uintptr(unsafe.Pointer(&here))>>stack)*golden>>58]
}

// add counts reads and returns the number of the last hit in its cell. It comes
// after the reads themselves: the processor takes up nothing behind an atomic
// addition before all loads in front of it are done.
func (c *counter) add(hits, misses uint64) (last uint64) {
	cell := c.own()
	if hits > 0 {
		last = cell.hits.Add(hits)
	}
	if misses > 0 {
		cell.misses.Add(misses)
	}
	return last
}

// sampled reports whether hit number n is one that ristretto is told of: one in
// sampleHits, but not at an even distance, so that of owners who are asked for in
// turn each has its turn.
func sampled(n uint64) bool { return n*golden < 1<<63/sampleHits*2 }

// sum returns the totals; they may be a few reads behind.
func (c *counter) sum() (hits, misses uint64) {
	for i := range c.cells {
		hits += c.cells[i].hits.Load()
		misses += c.cells[i].misses.Load()
	}
	return hits, misses
}
