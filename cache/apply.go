package cache

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// feed is one epoch: the server that is followed, and up to when. Pages of an
// older epoch are suspect; they are answered from by the age of their own.
type feed struct {
	epoch    uint64
	identity Identity
	asOf     atomic.Int64         // Instant: every change committed before it is applied
	older    atomic.Pointer[feed] // epochs that pages may still be of
}

// Instant is a reading of the monotonic clock, in nanoseconds since the cache
// was made. Time for which the machine was suspended is in it, on Linux, within
// 100 ms of waking up.
type Instant int64

// Now returns the present Instant.
func (c *Cache) Now() Instant { return Instant(c.elapsed()) }

// Identity returns the identity of the followed server, the zero Identity if
// none is followed yet.
func (c *Cache) Identity() Identity {
	if f := c.feed.Load(); f != nil {
		return f.identity
	}
	return Identity{}
}

// Epoch returns the number of times that following had to start over, 0 if no
// server is followed yet.
func (c *Cache) Epoch() uint64 { return c.epochNow() }

func (c *Cache) epochNow() uint64 {
	if f := c.feed.Load(); f != nil {
		return f.epoch
	}
	return 0
}

// Synced reports whether a server is followed: a first poll is complete.
func (c *Cache) Synced() bool { return c.feed.Load() != nil }

// Age returns how long ago everything committed was in memory: an upper bound,
// measured on the monotonic clock. It means nothing until [Cache.Synced].
func (c *Cache) Age() time.Duration {
	f := c.feed.Load()
	if f == nil {
		return c.elapsed()
	}
	return max(0, time.Duration(int64(c.Now())-f.asOf.Load()))
}

// Reset starts an epoch, whose poll began at asOf: from now on changes and rows of the server with this
// identity count, and every page in memory is suspect until it is read again.
// If the new server hashes owners with another salt, the pages cannot even be
// found and are dropped. Reset, Fresh and the Apply of the feed are called by
// one goroutine, the follower.
func (c *Cache) Reset(identity Identity, asOf Instant) {
	rehash := c.beginEpoch(identity, asOf)
	for _, d := range c.spaces() {
		for i := range d.shards {
			c.passBarrier(&d.shards[i], rehash)
		}
	}
	c.keeper.poke()
}

// beginEpoch is the first step of Reset: whoever looks from now on sees the new
// epoch. It reports whether owners are hashed another way from now on.
func (c *Cache) beginEpoch(identity Identity, asOf Instant) (rehash bool) {
	next := &feed{epoch: 1, identity: identity}
	next.asOf.Store(int64(asOf))
	if old := c.feed.Load(); old != nil {
		next.epoch = old.epoch + 1
		next.older.Store(old)
		rehash = old.identity.Salt != identity.Salt
	}
	c.feed.Store(next)
	return rehash
}

// passBarrier is the second step of Reset, for each shard: a publish has either
// seen the new epoch, or is over when the lock has been had, and so is seen by
// the keeper's walk.
func (c *Cache) passBarrier(s *shard, rehash bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rehash {
		c.clearShard(s)
	}
}

func (c *Cache) clearShard(s *shard) {
	t := s.table.Load()
	for i := range t.slots {
		if p := t.slots[i].Swap(nil); p != nil {
			c.acct.mark(p.key, 0)
		}
	}
}

// Fresh says that every change committed before asOf has been applied. It does
// nothing before the first Reset.
func (c *Cache) Fresh(asOf Instant) {
	if f := c.feed.Load(); f != nil {
		f.asOf.Store(int64(asOf))
	}
}

// Apply brings changes to memory: those of the feed, and those of a write of
// this process before it is acknowledged. They are ignored unless epoch and
// identity are the present ones: versions of two servers cannot be compared.
// Changes of one list come in ascending version; applying one twice is
// harmless. Changes of apps that are not configured are ignored.
func (c *Cache) Apply(epoch uint64, identity Identity, changes []Change) {
	f := c.feed.Load()
	if f == nil || f.epoch != epoch || f.identity != identity {
		return
	}
	c.bring(epoch, identity, changes)
}

// bring is Apply of changes that belong to the epoch.
func (c *Cache) bring(epoch uint64, identity Identity, changes []Change) {
	type placed struct {
		dir  *Directory
		hash uint64
		c    *Change
	}
	batch := make([]placed, 0, len(changes))
	for i := range changes {
		if d := c.Directory(changes[i].App, changes[i].Kind); d != nil {
			batch = append(batch, placed{d, HashOwner(changes[i].Owner, identity.Salt), &changes[i]})
		}
	}
	// All changes of a page together cost one copy that readers see; of one
	// list, they keep their order.
	slices.SortStableFunc(batch, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.dir.space, b.dir.space), cmp.Compare(a.hash, b.hash))
	})
	for len(batch) > 0 {
		d, n := batch[0].dir, 1
		r := rangeOf(batch[0].hash, d.shardOf(batch[0].hash).table.Load().bits)
		for n < len(batch) && batch[n].dir == d && r.holds(batch[n].hash) {
			n++
		}
		group := make([]*Change, n)
		for i := range group {
			group[i] = batch[i].c
		}
		d.apply(epoch, batch[0].hash, group)
		batch = batch[n:]
	}
	c.metrics.applied.Add(float64(len(changes)))
}

// apply brings changes of owners near each other to their page and to the
// flights that are reading it.
func (d *Directory) apply(epoch, near uint64, changes []*Change) {
	s := d.shardOf(near)
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(changes) > 0 {
		one, n, ok := s.prepare(d, epoch, changes)
		if !ok {
			return
		}
		s.swap(d.cache, one)
		changes = changes[n:]
	}
}

// swapping is a page on its way from one content to the next.
type swapping struct {
	at       *slot
	from, to *page
	verdict  verdict
}

// prepare is the first step of apply, under the shard's lock: it hands as many
// changes as belong to one page to the flights that read it, and steps the
// page. False means that the changes are of an epoch that has ended.
func (s *shard) prepare(d *Directory, epoch uint64, changes []*Change) (one swapping, n int, ok bool) {
	if d.cache.epochNow() != epoch {
		return one, 0, false
	}
	// The number of pages may have grown since the changes were grouped.
	t := s.table.Load()
	hash := d.hashOf(changes[0])
	r := rangeOf(hash, t.bits)
	for n = 1; n < len(changes) && r.holds(d.hashOf(changes[n])); {
		n++
	}
	s.late(d, changes[:n])
	s.record(d, epoch, changes[:n])
	one.at = t.at(hash)
	one.from = one.at.Load()
	one.to, one.verdict = d.cache.stepAll(one.from, changes[:n])
	return one, n, true
}

func (d *Directory) hashOf(c *Change) uint64 { return HashOwner(c.Owner, d.cache.salt()) }

// salt is that of the server that is followed or, while changes are applied to what
// is staged, will be.
func (c *Cache) salt() int64 {
	if f := c.feed.Load(); f != nil {
		return f.identity.Salt
	}
	return c.staged.place.Identity.Salt
}

// erasure is a list that was emptied by a change that does not say how, and up to
// which version: its header may be gone with it.
type erasure struct {
	hash    uint64
	version int64
}

// erasuresKept is how many a shard remembers: far more than come while a write of
// this process is on its way back.
const erasuresKept = 16

// late turns a first change of a list that has been erased since into one that has
// the page read again. It is that of a write of this process whose answer came after
// the feed had passed the erasure. The list is unknown in a page that was read
// since, version 0, so that the change would fit and bring back what was erased.
func (s *shard) late(d *Directory, changes []*Change) {
	for i, c := range changes {
		switch {
		case c.Op == OpReload && c.Size == 0:
			e := erasure{d.hashOf(c), c.Version}
			if len(s.erased) < erasuresKept {
				s.erased = append(s.erased, e)
			} else {
				s.erased[s.erasures%erasuresKept] = e
			}
			s.erasures++
		case c.Prev == 0 && c.Op != OpReload && s.isErased(d.hashOf(c), c.Version):
			again := *c
			again.Op = OpReload
			changes[i] = &again
		}
	}
}

func (s *shard) isErased(hash uint64, version int64) bool {
	return slices.ContainsFunc(s.erased, func(e erasure) bool { return e.hash == hash && version < e.version })
}

// record hands the changes to the flights that cover them.
func (s *shard) record(d *Directory, epoch uint64, changes []*Change) {
	for _, f := range s.flights {
		for _, c := range changes {
			if f.reach.holds(d.hashOf(c)) {
				f.changes = append(f.changes, flightChange{Change: *c, epoch: epoch})
			}
		}
	}
}

// stepAll steps a page through changes; it stops at the first one that kills
// it.
func (c *Cache) stepAll(p *page, changes []*Change) (*page, verdict) {
	if p == nil {
		return nil, known
	}
	out := known
	for _, change := range changes {
		next, v := p.step(change, c.off)
		switch v {
		case stepped:
			p, out = next, stepped
		case known:
		default:
			return p, v
		}
	}
	return p, out
}

// swap is the second step of apply: the stepped page takes the place of the one
// it came from, a page that cannot be followed is cleared out (the kill). If the
// slot changed in between, the page was evicted, and stays so.
func (s *shard) swap(c *Cache, one swapping) {
	switch one.verdict {
	case known:
		return
	case stepped:
		grown := one.to.bytes - one.from.bytes
		if !c.acct.extend(max(grown, 0)) {
			c.metrics.unpublished.Inc()
			break // read again when it is asked for
		}
		if one.at.CompareAndSwap(one.from, one.to) {
			if grown != 0 {
				c.acct.mark(one.to.key, max(grown, 0))
			}
			return
		}
		c.acct.owe(-max(grown, 0))
		if c.off.has(guardSwap) {
			one.at.Store(one.to)
		}
		return
	case gap:
		c.metrics.gaps.Inc()
	case mismatch:
		c.metrics.digestMismatches.Inc()
	}
	if one.at.CompareAndSwap(one.from, nil) {
		c.acct.mark(one.from.key, 0)
	}
}
