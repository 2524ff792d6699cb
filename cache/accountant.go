package cache

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
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
	// limit changes the budget.
	limit(maxCost int64)
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
	open  func(maxCost, counters int64, gone func(pageKey)) (policy, error)

	mu      sync.Mutex
	retired []pageKey         // keys that no directory has any more; looked at first
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
	// ristrettoBytes is what ristretto spends on an entry, in its store and in its
	// policy. Measured of v2.4.2: 85 to 155 while its maps only fill, 140 to 213
	// once pages have come and gone for a while, by how full the maps are. Pages
	// are small only when they come and go, and there it matters.
	ristrettoBytes = 180
	// slotBytes is what a place for a page costs, taken or not.
	slotBytes = int64(unsafe.Sizeof(slot{}))
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
	budget := a.cache.opts.MaxBytes
	return a.unpaid(bytes, budget/unpaidShare, budget/(unpaidShare/2))
}

// extend is reserve for a page in memory that is about to grow: its list would
// have to be read again if it had to go, so there is twice as much for it.
func (a *accountant) extend(bytes int64) bool {
	most := a.cache.opts.MaxBytes / (unpaidShare / 2)
	return bytes == 0 || a.unpaid(bytes, most, most)
}

// unpaid adds to pending, which must not exceed most by that, or alone if there
// was nothing pending before.
func (a *accountant) unpaid(bytes, most, alone int64) bool {
	for {
		pending := a.pending.Load()
		if pending+bytes > most && (pending > 0 || bytes > alone) {
			return false
		}
		if a.pending.CompareAndSwap(pending, pending+bytes) {
			return true
		}
	}
}

// owe books bytes that became reachable unasked: a page that was read again has
// grown; or gives back, if negative, what was reserved in vain.
func (a *accountant) owe(bytes int64) { a.pending.Add(bytes) }

// mark asks for a look at a key whose slot changed; unpaid is what was reserved
// or is owed for it. It is called with a shard's lock held.
func (a *accountant) mark(key pageKey, unpaid int64) {
	a.mu.Lock()
	a.dirty[key] += unpaid
	a.mu.Unlock()
	a.poke()
}

// poke asks the accountant to look.
func (a *accountant) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// retire says that keys can never be found again, because their directory has
// another number of pages now. They are looked at before all others, so that
// what they paid is there for the pages that took their place.
func (a *accountant) retire(keys []pageKey) {
	a.mu.Lock()
	a.retired = append(a.retired, keys...)
	a.mu.Unlock()
}

// take removes up to accountBatch keys from those to look at.
func (a *accountant) take() (keys []pageKey, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := min(accountBatch, len(a.retired)); n > 0 {
		keys, a.retired = slices.Clone(a.retired[:n]), a.retired[n:]
		a.inHand = n
		return keys, 0
	}
	a.retired = nil
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
	return len(a.retired) == 0 && len(a.dirty) == 0 && a.inHand == 0
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
	slots := a.cache.slots.Load()
	p, err := a.open(a.share(slots), countersFor(a.cache.opts.MaxBytes), a.gone)
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
		if n := a.cache.slots.Load(); n != slots {
			slots = n
			p.limit(a.share(slots))
		}
		for a.settle(p) && ctx.Err() == nil {
		}
	}
}

// share is what ristretto may spend on pages. What may be reachable and unpaid
// comes out of the budget, not on top, and so do the slots of all pages that there
// could be, and ristretto's counters.
func (a *accountant) share(slots int64) int64 {
	budget := a.cache.opts.MaxBytes
	return max(1, budget-budget/unpaidShare-countersBytes(budget)-slots*slotBytes)
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
	// Its slot is taken off the budget as it is; see share.
	if !p.set(k, bytes-slotBytes+ristrettoBytes) {
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
