package main

import "github.com/dgraph-io/ristretto/v2"

// plain is ristretto with one entry an owner, as its documentation advises: ten
// counters an entry, each access told to it.
type plain struct {
	cache *ristretto.Cache[uint64, []uint64]
}

// entryBytes is a first guess of what an entry takes beside its words.
const entryBytes = 160

func openRistretto(capacity int64) (keeper, error) {
	c, err := ristretto.NewCache(&ristretto.Config[uint64, []uint64]{
		NumCounters: max(1000, 10*capacity/(entryBytes+40)),
		MaxCost:     capacity, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	return plain{c}, nil
}

func (p plain) get(owner uint64) bool {
	_, ok := p.cache.Get(owner)
	return ok
}

func (p plain) set(owner uint64, list []uint64, bytes int64) {
	p.cache.Set(owner, list, entryBytes+bytes)
}

func (p plain) settle() { p.cache.Wait() }
func (p plain) close()  { p.cache.Close() }

func (p plain) kept() (n int64) {
	p.cache.IterValues(func([]uint64) bool { n++; return false })
	return n
}
