package cache

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
)

// Mismatch is a way in which a list in memory and the database differ although
// nothing is on its way that would explain it.
type Mismatch uint8

// The ways.
const (
	// MismatchContent: the version is the same, the digest or the mode is not. The
	// database went back and came as far again, or was changed behind its triggers.
	MismatchContent Mismatch = iota
	// MismatchEntries: version and digest are the same, the entries are not. Memory
	// is damaged.
	MismatchEntries
	// MismatchAhead: memory has a version that the database does not have yet. The
	// database went back.
	MismatchAhead
	// MismatchBehind: memory lacks a change that the feed has passed. It was lost.
	MismatchBehind
	// MismatchGone: memory has entries of an owner whom the database does not know.
	MismatchGone
	// MismatchMissing: memory does not know an owner who has a list in the database.
	MismatchMissing
	// MismatchRows: the database contradicts itself, so that nothing can be compared:
	// rows are not what their header says. Memory stays as it is; reading again would
	// not help.
	MismatchRows

	// Mismatches is the number of ways.
	Mismatches = 7
)

// String returns the way as metrics and logs spell it.
func (m Mismatch) String() string {
	return [Mismatches]string{"content", "entries", "ahead", "behind", "gone", "missing", "rows"}[m]
}

// Sample is one page of memory and what the database held of it a moment later.
// [Cache.Sample] takes one. It is for one goroutine.
type Sample struct {
	dir    *Directory
	shard  *shard
	reach  Range
	epoch  uint64
	before *page   // memory, before the read
	read   *page   // the database
	ended  Instant // of the read
	torn   bool    // the database contradicts itself
}

var (
	// ErrNothingToSample is returned by [Cache.Sample] while no page in memory is
	// known to be current: before the first poll, and when all are still to be
	// read again.
	ErrNothingToSample = errors.New("cache: no page in memory can be compared with the database now")
	// ErrBusy is returned by [Cache.Sample] while somebody waits for a page.
	ErrBusy = errors.New("cache: somebody waits for a page")
)

// sampleTries is how many slots are looked at for a page: where one in a hundred is
// taken, a page is found all but always, and the next sample tries again.
const sampleTries = 1024

// Sample chooses one page of memory, each with the same chance, and reads it from
// the database, as a load does but without a word to those who ask: what is read
// is not published. It takes [Options.LoadTimeout] at most. While somebody waits for
// a page it is [ErrBusy], unless it is urgent: then it takes its turn among them.
// Other errors are the loader's.
func (c *Cache) Sample(ctx context.Context, urgent bool) (*Sample, error) {
	now := c.feed.Load()
	if now == nil {
		return nil, ErrNothingToSample
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.LoadTimeout)
	defer cancel()
	if urgent {
		if err := c.gate.enterAhead(ctx); err != nil {
			return nil, err
		}
	} else if c.asked.Load() > 0 || !c.gate.tryAhead() {
		return nil, ErrBusy
	}
	defer c.gate.leaveAhead()
	d, p := c.anyPage(now.epoch)
	if p == nil {
		return nil, ErrNothingToSample
	}
	s := d.sampleOf(p)
	if err := s.compareWith(ctx, now); err != nil {
		return nil, err
	}
	return s, nil
}

// anyPage returns a page of the epoch, nil if it does not come upon one.
func (c *Cache) anyPage(epoch uint64) (*Directory, *page) {
	spaces := c.spaces()
	ends := make([]uint64, len(spaces))
	slots := uint64(0)
	for i, d := range spaces {
		slots += 1 << d.shards[0].table.Load().bits
		ends[i] = slots
	}
	for range sampleTries {
		i, _ := slices.BinarySearch(ends, 1+rand.Uint64N(slots))
		hash := rand.Uint64()
		p := spaces[i].shardOf(hash).table.Load().at(hash).Load()
		if p != nil && p.epoch == epoch {
			return spaces[i], p
		}
	}
	return nil, nil
}

// sampleOf is the first step of a sample: memory, before the read.
func (d *Directory) sampleOf(p *page) *Sample {
	lo := p.key.firstHash()
	return &Sample{dir: d, shard: d.shardOf(lo), reach: rangeOf(lo, p.bits), epoch: p.epoch, before: p}
}

// compareWith is the second step: the read. The flight is registered nowhere, so
// that nobody waits for it, no change goes to it, and it publishes nothing.
func (s *Sample) compareWith(ctx context.Context, now *feed) error {
	c := s.dir.cache
	f := &flight{dir: s.dir, reach: s.reach}
	pages, err := f.query(ctx, c, now)
	s.ended = c.Now()
	switch {
	case errors.Is(err, errMismatch):
		s.torn = true
	case err != nil:
		return err
	case len(pages) == 1: // else the directory has grown: there is no verdict
		s.read = pages[0]
	}
	return nil
}

// App, Kind and Reach name the page: its lists are those of the app and kind whose
// owner_hash lies in the range.
func (s *Sample) App() string { return s.dir.app }

// Kind is the kind of its lists, see [Sample.App].
func (s *Sample) Kind() Kind { return s.dir.kind }

// Reach is its range of hashes, see [Sample.App].
func (s *Sample) Reach() Range { return s.reach }

// Verdict is what came of a sample.
type Verdict struct {
	// Judged is false if memory has moved on too far to tell: the page was evicted,
	// or following has started over.
	Judged bool
	// Wrong counts the lists that differ, by how they do.
	Wrong [Mismatches]int
	// Memory and Database are the versions of the first of them.
	Memory, Database int64
	// Outdated says that memory keeps the version of a list that has been erased:
	// empty, so that no answer is wrong, and to be forgotten with [Sample.Renew].
	Outdated bool
}

// Right reports whether nothing was found.
func (v *Verdict) Right() bool { return v.Wrong == [Mismatches]int{} }

// Judge compares the page with what was read. The second result is false as long
// as the feed has not passed the read: what the read saw may still be on its way;
// ask again after a poll.
//
// A list is judged if memory held one and the same version of it before the read
// and after the feed has passed the read. Memory was then complete as of two
// moments with the read between them, so the database must have held just that
// version: an older one would have lost what the first look saw (changes are
// applied only when later queries see them), a newer one would have come to memory
// by now. What moved meanwhile is left to the next sample.
func (s *Sample) Judge() (v Verdict, done bool) {
	c := s.dir.cache
	if s.torn {
		v.Judged = true
		v.Wrong[MismatchRows] = 1
		return v, true
	}
	now := c.feed.Load()
	if now.epoch != s.epoch || s.read == nil {
		return v, true
	}
	if now.asOf.Load() < int64(s.ended) && !c.off.has(guardPassed) {
		return v, false
	}
	// After the feed: it has applied what it passed.
	t := s.shard.table.Load()
	after := t.at(s.reach.Lo).Load()
	if t.bits != s.read.bits || after == nil || after.epoch != s.epoch {
		return v, true
	}
	before := s.before
	if c.off.has(guardStill) {
		before = after
	}
	v.Judged = true
	v.compare(before, s.read, after)
	return v, true
}

// compare looks at every list that memory or the database has.
func (v *Verdict) compare(before, read, after *page) {
	for i := range int(after.lists) {
		memory := after.lines(i)
		if before.versionOf(memory.hash, memory.check) == memory.version {
			db := read.linesOf(memory.hash, memory.check)
			v.judge(&db, &memory)
		}
	}
	for i := range int(read.lists) {
		db := read.lines(i)
		if after.find(db.hash, db.check) < 0 && before.find(db.hash, db.check) < 0 {
			v.judge(&db, &lines{})
		}
	}
}

// linesOf returns an owner's list; that of an owner who has none is empty and has
// version 0.
func (p *page) linesOf(hash uint64, check uint16) lines {
	if i := p.find(hash, check); i >= 0 {
		return p.lines(i)
	}
	return lines{}
}

// judge compares one list.
func (v *Verdict) judge(db, memory *lines) {
	how := MismatchContent
	switch {
	case db.version == memory.version:
		if db.digest == memory.digest && db.allowlist == memory.allowlist {
			if slices.Equal(db.prints, memory.prints) && slices.Equal(db.expiries, memory.expiries) {
				return
			}
			how = MismatchEntries
		}
	case db.version == 0 && len(memory.prints) == 0 && !memory.allowlist:
		v.Outdated = true
		return
	case db.version == 0:
		how = MismatchGone
	case memory.version == 0:
		how = MismatchMissing
	case db.version < memory.version:
		how = MismatchAhead
	default:
		how = MismatchBehind
	}
	if v.Right() {
		v.Memory, v.Database = memory.version, db.version
	}
	v.Wrong[how]++
}

// Renew has the page read again and published, like any page that is asked for.
// If that fails the page is cleared out: what is known to be wrong must not be
// answered from. The error is that of the read.
func (s *Sample) Renew(ctx context.Context) error {
	err := s.dir.reread(ctx, s.shard, s.reach)
	if err != nil {
		s.clear()
	}
	return err
}

// clear empties the slots of the page, which may have become several.
func (s *Sample) clear() {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	t := s.shard.table.Load()
	for lo := s.reach.Lo; ; {
		if p := t.at(lo).Swap(nil); p != nil {
			s.dir.cache.acct.mark(p.key, 0)
		}
		r := rangeOf(lo, t.bits)
		if r.Hi >= s.reach.Hi {
			return
		}
		lo = r.Hi + 1
	}
}
