package cache

import (
	"fmt"

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

func openRistretto(maxCost int64, gone func(pageKey)) (policy, error) {
	leave := func(i *ristretto.Item[struct{}]) { gone(pageKey(i.Key)) }
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, struct{}]{
		NumCounters: countersFor(maxCost),
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

// countersFor returns four counters for each page that can be in, at the weight
// of a page with one small list; ristretto spends about three bytes on each. Its
// documentation advises ten for an entry, but pages are seldom that small.
func countersFor(maxCost int64) int64 {
	const least, each = 1 << 10, 4
	return max(least, each*(maxCost/(pageBytes+recordBytes+ristrettoBytes)))
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

func (r *ristrettoPolicy) remaining() int64 { return r.cache.RemainingCost() }

func (r *ristrettoPolicy) close() { r.cache.Close() }
