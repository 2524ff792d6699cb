package cache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// policy is what the accountant needs of ristretto: who stays, by bytes and by
// use. It stores no page. A callback passed at construction is called, from any
// goroutine, with the key of a page that has to go.
type policy interface {
	// touch counts a use. It may be called from any goroutine.
	touch(key pageKey)
	// set books the cost of a key, new or changed; false = not taken.
	set(key pageKey, cost int64) bool
	del(key pageKey)
	// wait returns when everything asked before has been done, callbacks
	// included.
	wait()
	has(key pageKey) bool
	// remaining is the unspent budget; negative if updates outgrew it.
	remaining() int64
	close()
}

// accountant pays for what is reachable: it is the only caller of ristretto's
// Set, Del and Wait, and holds no lock while calling, because ristretto's
// worker and ours would wait for each other. Between a publish and the
// accountant's turn a page is reachable and unpaid; reserve bounds that.
//
// Ristretto drops, delays, refuses and evicts as it likes: that decides what
// stays, never what is true (Invariant 3).
type accountant struct {
	cache *Cache
	open  func(maxCost int64, gone func(pageKey)) (policy, error)

	mu      sync.Mutex
	dirty   map[pageKey]int64 // keys to look at, with the unpaid bytes of each
	inHand  int               // keys taken out of dirty and not yet settled
	pending atomic.Int64      // bytes reachable and not yet accounted for
	full    atomic.Bool       // little is left of the budget: what is used matters
	wake    chan struct{}

	guard   sync.RWMutex // keeps policy open while touch uses it
	policy  policy       // nil before run and after
	closing atomic.Bool  // ristretto reports everything as evicted when it closes
}

const (
	// ristrettoBytes is what ristretto spends on an entry of its own.
	ristrettoBytes = 200
	// accountBatch is how many keys are settled between two waits.
	accountBatch = 256
	// unpaidShare of the budget may be reachable and not yet accounted for.
	unpaidShare = 20
)

func newAccountant(c *Cache) *accountant {
	return &accountant{cache: c, open: openRistretto, dirty: make(map[pageKey]int64), wake: make(chan struct{}, 1)}
}

// reserve takes room for a new page that is about to become reachable out of the
// allowance of unpaid bytes; false means that there is none now. A page that is
// larger than the whole allowance gets it if it is alone. What was reserved is
// given back by the accountant, after the mark that follows.
func (a *accountant) reserve(bytes int64) bool {
	maxCost := a.cache.opts.MaxBytes
	for {
		pending := a.pending.Load()
		alone := pending == 0 && bytes <= maxCost/(unpaidShare/2)
		if pending+bytes > maxCost/unpaidShare && !alone {
			return false
		}
		if a.pending.CompareAndSwap(pending, pending+bytes) {
			return true
		}
	}
}

// owe books bytes that became reachable unasked: a page in memory has grown.
func (a *accountant) owe(bytes int64) { a.pending.Add(bytes) }

// mark asks for a look at a key whose slot changed; unpaid is what was reserved
// or is owed for it. It is called with a shard's lock held.
func (a *accountant) mark(key pageKey, unpaid int64) {
	a.mu.Lock()
	a.dirty[key] += unpaid
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take removes up to accountBatch keys from the dirty set.
func (a *accountant) take() (keys []pageKey, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, grown := range a.dirty {
		delete(a.dirty, k)
		keys = append(keys, k)
		bytes += grown
		if len(keys) == accountBatch {
			break
		}
	}
	a.inHand = len(keys)
	return keys, bytes
}

// idle reports whether everything marked has been settled: then slots and
// ristretto agree (Invariant D6).
func (a *accountant) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.dirty) == 0 && a.inHand == 0
}

// touch counts a use of a page. Uses before run and after are lost, which
// costs nothing but a little of the hit ratio.
func (a *accountant) touch(key pageKey) {
	if !a.guard.TryRLock() {
		return
	}
	if a.policy != nil {
		a.policy.touch(key)
	}
	a.guard.RUnlock()
}

// gone is ristretto's callback: one atomic store and two counts, no lock, no
// call back. The slot is cleared whatever page is in it by now; the accountant
// has the last word on that.
func (a *accountant) gone(key pageKey) {
	if at := a.cache.slotOf(key); at != nil && !a.closing.Load() && at.Swap(nil) != nil {
		a.cache.metrics.evictions.Inc()
	}
}

func (a *accountant) run(ctx context.Context) error {
	// What may be reachable and unpaid comes out of the budget, not on top.
	budget := a.cache.opts.MaxBytes
	p, err := a.open(max(1, budget-budget/unpaidShare), a.gone)
	if err != nil {
		return fmt.Errorf("cache: open ristretto: %w", err)
	}
	a.swapPolicy(p)
	defer func() {
		a.swapPolicy(nil)     // no touch is under way after this
		a.closing.Store(true) // what is in memory stays, for reads that still come
		p.close()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		}
		for a.settle(p) && ctx.Err() == nil {
		}
	}
}

func (a *accountant) swapPolicy(p policy) {
	a.guard.Lock()
	a.policy = p
	a.guard.Unlock()
}

// settle accounts for one batch; false means there was nothing to do.
func (a *accountant) settle(p policy) bool {
	keys, bytes := a.take()
	if len(keys) == 0 {
		return false
	}
	for _, k := range keys {
		a.book(p, k)
	}
	p.wait()
	// Changed costs never evict; a new key does. So, while over budget, the
	// batch asks again as new.
	for _, k := range keys {
		if p.remaining() >= 0 {
			break
		}
		p.del(k)
		a.book(p, k)
		p.wait()
	}
	const roomy = 4 // the share of the budget that has to be free
	if full := p.remaining() < a.cache.opts.MaxBytes/roomy; full != a.full.Load() {
		a.full.Store(full) // readers look at it: written only where it changes
	}
	a.pending.Add(-bytes) // not before the overdraft is repaid
	if !a.cache.off.has(guardReconcile) {
		a.reconcile(p, keys)
	}
	return true
}

// book tells ristretto what the slot of a key holds. Look and booking are two
// steps: what comes between them is found by reconcile.
func (a *accountant) book(p policy, k pageKey) { a.bookAs(p, k, a.cache.bytesAt(k)) }

func (a *accountant) bookAs(p policy, k pageKey, bytes int64) {
	if bytes == 0 {
		if p.has(k) {
			p.del(k)
		}
		return
	}
	if !p.set(k, bytes+ristrettoBytes) {
		a.cache.metrics.rejectedSets.Inc()
		a.mark(k, 0)
	}
}

// reconcile looks for keys of the batch that were evicted and published, or
// published and evicted, in an order that left slot and ristretto apart.
func (a *accountant) reconcile(p policy, keys []pageKey) {
	for _, k := range keys {
		a.compare(p, k)
	}
}

func (a *accountant) compare(p policy, k pageKey) {
	if (a.cache.bytesAt(k) > 0) != p.has(k) {
		a.cache.metrics.reconciled.Inc()
		a.mark(k, 0)
	}
}

// bytesAt is what the slot of a key holds, 0 if it is empty or gone.
func (c *Cache) bytesAt(k pageKey) int64 {
	if at := c.slotOf(k); at != nil {
		if p := at.Load(); p != nil {
			return p.bytes
		}
	}
	return 0
}

// drained waits until half of the allowance of unaccounted bytes is free; false
// means that ctx ended first.
func (a *accountant) drained(ctx context.Context) bool {
	const look = 200 * time.Microsecond // the accountant settles a batch in about a millisecond
	for a.pending.Load() > a.cache.opts.MaxBytes/(2*unpaidShare) {
		if !pause(ctx, look) {
			return false
		}
	}
	return true
}
