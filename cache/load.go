package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// flight is one read of a range of pages, shared by all who need one of them.
// It is registered in its shard before its query is sent (Invariant D3): a
// change that is applied meanwhile is kept in it and replayed over what the
// query returns, so that a load never overwrites something newer.
type flight struct {
	dir   *Directory
	reach Range
	limit time.Duration // of the whole flight
	turn  ticket        // if somebody waits for it; the keeper's have their slot
	no    uint64        // of this flight in its shard; later ones are higher
	done  chan struct{} // closed when the flight has left the shard

	// Under the shard's lock.
	changes []flightChange

	// Written before done is closed, read after.
	pages []*page // by range, ascending
	err   error
}

// flightChange is a change that was applied while the flight was under way, and
// the epoch it was applied in: a change of another server must not be replayed
// over this one's rows.
type flightChange struct {
	Change
	epoch uint64
}

const (
	// loadAttempts bounds the queries of one flight. With a polled feed a
	// second one is needed only if the server changed meanwhile.
	loadAttempts = 3
	// loadJitter is the longest pause between two attempts.
	loadJitter = 20 * time.Millisecond
)

var (
	errOtherServer = errors.New("answered by another server than the one that is followed")
	errEpoch       = errors.New("the followed server changed during the read")
	errBehind      = errors.New("a change arrived that the rows do not lead up to")
	errPanic       = errors.New("the read panicked")
	errNoServer    = errors.New("no database is followed yet")
)

// Load returns the owner's list, from memory if that meets the need, else by
// reading its page; all who need the page at the same time share one read. The
// read has its own deadline, [Options.LoadTimeout], so a caller may wait that
// much longer than ctx if it is the one who reads. A read that [LoadLimits] or a
// slow database have no room for is refused at once, whoever asks and whatever is
// on the list. Errors wrap [ErrUnavailable] or [ErrNotFresh]. The owner string is
// not kept.
func (d *Directory) Load(ctx context.Context, owner string, need Need) (View, error) {
	check := checkOf(owner)
	since := uint64(0) // flights registered when we came, if the read is forced
	for try := range loadAttempts {
		now := d.cache.feed.Load()
		if now == nil {
			return View{}, fmt.Errorf("%w: %w", ErrUnavailable, errNoServer)
		}
		asOf := now.asOf.Load() // before the page: see View.asOf
		hash := HashOwner(owner, now.identity.Salt)
		if try == 0 && need.Force {
			since = d.registered(hash)
		}
		p, f, lead := d.begin(now, hash, check, need)
		switch {
		case p != nil:
			return View{cache: d.cache, pg: p, nth: p.find(hash, check) + 1, asOf: now.proved(p, asOf)}, nil
		case lead:
			d.cache.asked.Add(1)
			f.run(d.cache)
			d.cache.asked.Add(-1)
		default:
			select {
			case <-f.done:
			case <-ctx.Done():
				return View{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
			}
		}
		if errors.Is(f.err, errShed) {
			return View{}, f.err
		}
		if f.err != nil {
			return View{}, fmt.Errorf("%w: %w", ErrUnavailable, f.err)
		}
		// A read that began before we came does not do if one was forced. A
		// page that may not be published answers those who waited for it.
		if f.no <= since {
			continue
		}
		p = f.pageOf(hash)
		if p.salt == now.identity.Salt && p.versionOf(hash, check) >= need.Version {
			return View{cache: d.cache, pg: p, nth: p.find(hash, check) + 1, asOf: now.proved(p, asOf)}, nil
		}
		if lead {
			break
		}
	}
	return View{}, ErrNotFresh
}

// registered returns how many flights the shard of a hash has had.
func (d *Directory) registered(hash uint64) uint64 {
	s := d.shardOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registered
}

// begin looks again under the lock and either returns the page, or the flight
// to wait for, or registers a new flight that the caller has to run (lead). One
// that the gate does not let in is never registered; the flight to wait for has
// ended then.
func (d *Directory) begin(now *feed, hash uint64, check uint16, need Need) (p *page, f *flight, lead bool) {
	s := d.shardOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	p = t.at(hash).Load()
	if p != nil && p.epoch == now.epoch && p.versionOf(hash, check) >= need.Version && !need.Force {
		return p, nil, false
	}
	for _, f := range s.flights {
		if f.reach.holds(hash) {
			return nil, f, false
		}
	}
	turn, ok, why := d.cache.gate.admit(need.Bulk)
	if !ok {
		return nil, shed[why], false
	}
	f = s.register(d, rangeOf(hash, t.bits), d.cache.opts.LoadTimeout)
	f.turn = turn
	return nil, f, true
}

// register adds a flight to the shard, whose lock is held. The range overlaps
// no other flight.
func (s *shard) register(d *Directory, r Range, limit time.Duration) *flight {
	s.registered++
	f := &flight{dir: d, reach: r, limit: limit, no: s.registered, done: make(chan struct{})}
	s.flights = append(s.flights, f)
	return f
}

// run waits for the turn of a registered flight and carries it to its end. It
// returns when the flight has left the shard, whatever happened.
func (f *flight) run(c *Cache) {
	ctx, cancel := context.WithTimeout(context.Background(), f.limit)
	defer cancel()
	if err := f.turn.enter(ctx); err != nil {
		f.fail(err)
		return
	}
	begun := time.Now()
	err := f.carry(ctx, c)
	c.gate.leave(time.Since(begun), err != nil && !answered(err))
}

// answered reports whether a read has failed although the database answered: what
// it said could not be used. That is no sign of a database that is overloaded.
func answered(err error) bool {
	for _, known := range []error{ErrUnreadable, errMismatch, errOtherServer, errEpoch, errBehind, errPanic} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// carry takes a registered flight that has a slot to its end: query, check, replay,
// publish. The flight has left the shard when it returns.
func (f *flight) carry(ctx context.Context, c *Cache) error {
	var err error
	for attempt := range loadAttempts {
		if attempt > 0 && (!pause(ctx, rand.N(loadJitter)) || !c.gate.again()) {
			break
		}
		now := c.feed.Load() // before the query
		var pages []*page
		if pages, err = f.query(ctx, c, now); err == nil {
			if err = f.settle(c, now.epoch, pages); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	c.metrics.loadErrors.Inc()
	f.fail(err)
	return err
}

// pause waits for d; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// query reads the range once and builds its pages, outside of any lock. A panic
// of the loader becomes an error for all who wait (Invariant 9).
func (f *flight) query(ctx context.Context, c *Cache, now *feed) (pages []*page, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	start := c.Now()
	in := newIntake(now.identity.Salt, f.reach)
	if err := c.opts.Loader.Load(ctx, f.dir.app, f.dir.kind, f.reach, in); err != nil {
		return nil, err
	}
	defer in.free()
	if f.done != nil { // nobody waits for a sample
		c.metrics.loadDuration.Observe(time.Duration(c.Now() - start).Seconds())
	}
	if in.identity != now.identity && !c.off.has(guardIdentity) {
		return nil, errOtherServer
	}
	bits := f.dir.shardOf(f.reach.Lo).table.Load().bits
	pages, err = f.build(in, bits, &page{salt: now.identity.Salt, readAt: int64(start), epoch: now.epoch})
	if errors.Is(err, errMismatch) {
		c.metrics.digestMismatches.Inc()
	}
	return pages, err
}

// build makes the pages of the flight's range out of what was read.
func (f *flight) build(in *intake, bits uint8, like *page) ([]*page, error) {
	all, err := in.sorted()
	if err != nil {
		return nil, err
	}
	var pages []*page
	for lo, from := f.reach.Lo, 0; ; {
		one := *like
		one.bits = min(bits, maxBits)
		r := rangeOf(lo, one.bits)
		one.key = makeKey(f.dir.space, one.bits, lo>>(64-one.bits))
		end := from
		for end < len(all) && all[end].hash <= r.Hi {
			end++
		}
		p, err := newPage(&one, all[from:end])
		if err != nil {
			return nil, err
		}
		pages = append(pages, p)
		if r.Hi >= f.reach.Hi {
			return pages, nil
		}
		lo, from = r.Hi+1, end
	}
}

// settle replays what was applied meanwhile over the pages and publishes them.
// An error means that the flight goes on: what it kept is forgotten, because
// the next query of a polled feed sees it.
func (f *flight) settle(c *Cache, epoch uint64, pages []*page) error {
	s := f.dir.shardOf(f.reach.Lo)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := c.feed.Load()
	if now.epoch != epoch && !c.off.has(guardEpoch) {
		f.changes = nil
		return errEpoch
	}
	if !c.off.has(guardReplay) {
		for i := range f.changes {
			if err := replay(c, pages, &f.changes[i], epoch); err != nil {
				f.changes = nil
				return err
			}
		}
	}
	for i, p := range pages {
		if p.epoch != now.epoch { // only with a guard off
			q := *p
			q.epoch = now.epoch
			pages[i] = &q
		}
		s.publish(c, pages[i])
	}
	f.pages = pages
	s.leave(f)
	return nil
}

// replay applies one kept change to the page it belongs to.
func replay(c *Cache, pages []*page, change *flightChange, epoch uint64) error {
	if change.epoch != epoch && !c.off.has(guardEpochTag) {
		return nil
	}
	hash := HashOwner(change.Owner, pages[0].salt)
	i := pageIndex(pages, hash)
	next, v := pages[i].step(&change.Change, c.off)
	switch v {
	case stepped:
		pages[i] = next
	case known:
	default:
		if !c.off.has(guardNewest) {
			return errBehind
		}
	}
	return nil
}

// pageIndex finds the page of a hash in a run of adjacent pages.
func pageIndex(pages []*page, hash uint64) int {
	return int(hash>>(64-pages[0].bits) - pages[0].key.number())
}

// pageOf returns the page of a hash out of the result of an ended flight.
func (f *flight) pageOf(hash uint64) *page { return f.pages[pageIndex(f.pages, hash)] }

// leave takes the flight out of its shard, whose lock is held, and wakes those
// who wait for it.
func (s *shard) leave(f *flight) {
	i := slices.Index(s.flights, f)
	s.flights = slices.Delete(s.flights, i, i+1)
	close(f.done)
}

// fail takes a flight that found nothing out of its shard.
func (f *flight) fail(err error) {
	s := f.dir.shardOf(f.reach.Lo)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.err = err
	s.leave(f)
}

// publish puts a proved page into its slot, in as many pieces as the directory
// has by now. The shard's lock is held. A page that is not in yet is kept only
// while little is reachable that ristretto has not been asked about: that, and
// not ristretto, bounds memory while its worker is slow.
func (s *shard) publish(c *Cache, p *page) {
	t := s.table.Load()
	if t.bits != p.bits {
		for _, child := range p.split(t.bits) {
			s.publish(c, child)
		}
		return
	}
	at := t.at(p.key.firstHash())
	if old := at.Load(); old != nil && at.CompareAndSwap(old, p) {
		grown := max(p.bytes-old.bytes, 0)
		c.acct.owe(grown)
		c.acct.mark(p.key, grown)
		return
	}
	if !c.acct.reserve(p.bytes + ristrettoBytes) {
		c.metrics.unpublished.Inc()
		return
	}
	at.Store(p)
	c.acct.mark(p.key, p.bytes+ristrettoBytes)
}
