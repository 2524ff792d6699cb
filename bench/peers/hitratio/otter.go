package main

import "github.com/maypok86/otter/v2"

// adaptive is otter, W-TinyLFU with an adaptive window.
type adaptive struct {
	cache *otter.Cache[uint64, []uint64]
}

func openOtter(capacity int64) (keeper, error) {
	c, err := otter.New(&otter.Options[uint64, []uint64]{
		MaximumWeight: uint64(capacity),
		Weigher:       func(_ uint64, list []uint64) uint32 { return entryBytes + uint32(8*len(list)) },
	})
	if err != nil {
		return nil, err
	}
	return adaptive{c}, nil
}

func (a adaptive) get(owner uint64) bool {
	_, ok := a.cache.GetIfPresent(owner)
	return ok
}

func (a adaptive) set(owner uint64, list []uint64, _ int64) { a.cache.Set(owner, list) }
func (a adaptive) settle()                                  { a.cache.CleanUp() }
func (a adaptive) kept() int64                              { return int64(a.cache.EstimatedSize()) }
func (a adaptive) close()                                   { a.cache.StopAllGoroutines() }
