package cache

import (
	"fmt"
	"math/bits"

	"github.com/dgraph-io/ristretto/v2"
)

// ristrettoPolicy is ristretto as the accountant's policy. Its values are
// empty: it keeps no page alive, so what it evicts is gone as soon as the slot
// is cleared and the last reader has moved on.
//
// Read in v2.4.2, and the reason for the accountant: a Set on an absent key is
// queued, may be dropped or refused, and keeps the older of two; a Set on a
// present key never evicts, so the budget can be overdrawn; OnReject may follow
// evictions made for the refused key all the same; callbacks run on ristretto's
// one worker, in order, and everything queued before Wait has run when Wait
// returns; Del and Wait block on a full queue, so no callback may take a lock
// that their caller holds; Clear is not atomic, so a serving cache is never
// cleared.
type ristrettoPolicy struct {
	cache *ristretto.Cache[uint64, struct{}]
}

func openRistretto(maxCost, counters int64, gone func(pageKey)) (policy, error) {
	leave := func(i *ristretto.Item[struct{}]) { gone(pageKey(i.Key)) }
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, struct{}]{
		NumCounters: counters,
		MaxCost:     maxCost,
		BufferItems: 64,
		OnEvict:     leave,
		OnReject:    leave,
		// The cost says what an entry weighs, ristretto's own part included.
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("new ristretto cache: %w", err)
	}
	return &ristrettoPolicy{cache}, nil
}

// countersFor returns how many counters of uses a budget in bytes deserves: two to
// four for each page that can be in, at the weight of a page with one small list.
// Ristretto's documentation advises ten for an entry, but pages are seldom that
// small. Four rows of half a byte each and a Bloom filter of 9.6 bits are rounded
// up to powers of two; five sixths of a power of two waste least.
func countersFor(budget int64) int64 {
	return countersUnit(budget) * 5 / 6
}

// countersBytes is what these counters take, all of it from the start.
func countersBytes(budget int64) int64 { return 3 * countersUnit(budget) }

func countersUnit(budget int64) int64 {
	const least, each = 1 << 7, 4
	pages := budget / (pageBytes + recordBytes + ristrettoBytes)
	return 1 << (bits.Len64(uint64(max(least, each*pages))) - 1)
}

func (r *ristrettoPolicy) touch(k pageKey) { r.cache.Get(uint64(k)) }

func (r *ristrettoPolicy) set(k pageKey, cost int64) bool {
	return r.cache.Set(uint64(k), struct{}{}, cost)
}

func (r *ristrettoPolicy) del(k pageKey) { r.cache.Del(uint64(k)) }

func (r *ristrettoPolicy) wait() { r.cache.Wait() }

// has uses GetTTL because, unlike Get, it does not count as a use.
func (r *ristrettoPolicy) has(k pageKey) bool {
	_, ok := r.cache.GetTTL(uint64(k))
	return ok
}

func (r *ristrettoPolicy) limit(maxCost int64) { r.cache.UpdateMaxCost(maxCost) }

func (r *ristrettoPolicy) remaining() int64 { return r.cache.RemainingCost() }

func (r *ristrettoPolicy) close() { r.cache.Close() }
