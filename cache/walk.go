package cache

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// pass is what one pass of a walk reads.
type pass uint8

const (
	// missing: what ought to be in memory and is not. It comes first, since an
	// answer waits for it; a walk that was cut goes on with what it had not read.
	missing pass = iota
	// suspect: what was read in an earlier epoch, too.
	suspect
)

// span is a run of pages of one shard.
type span struct {
	dir   *Directory
	shard *shard
	table *table
	from  int
	pages int
}

// walk brings every page that should be in memory to the present epoch; false
// means that some of it has to be tried again. What cannot be read does not keep
// what lies behind it from being read: one damaged list costs its page.
func (k *keeper) walk(ctx context.Context) bool {
	c := k.cache
	now := c.feed.Load()
	if now == nil {
		return true // poked again by the first Reset
	}
	if k.begun.IsZero() {
		k.begun = time.Now()
	}
	// After the feed: a directory that came since then has pages of this epoch
	// only, and another walk.
	if spaces := c.spaces(); len(spaces) != len(k.spaces) {
		k.spaces, k.sized = spaces, false
	}
	if !k.sized {
		if err := k.size(ctx); err != nil {
			c.metrics.preloadErrors.Inc()
			return false
		}
		k.sized = true
	}
	k.failed, k.cause = 0, nil
	k.count(now)
	for _, what := range []pass{missing, suspect} {
		k.pass(ctx, now, what)
	}
	if ctx.Err() != nil || c.feed.Load() != now {
		return true // a reset has poked us
	}
	k.report()
	if k.failed > 0 {
		return false
	}
	// Nothing of an older epoch is left, unless another reset came.
	now.older.Store(nil)
	k.left.Store(0) // what somebody asked for meanwhile was not read by the walk
	c.metrics.preloaded.SetToCurrentTime()
	c.preloaded.Store(true)
	k.tell()
	return true
}

// Preloaded reports whether everything that the budget has room for has been read
// since the start. It is a courtesy to whoever asks the first question: a page
// that is not in memory yet is read when it is asked for. It is safe for
// concurrent use.
func (c *Cache) Preloaded() bool { return c.preloaded.Load() }

// report logs when reading begins to fail and when it ends.
func (k *keeper) report() {
	switch {
	case k.failed > 0 && !k.silent:
		k.cache.opts.Logger.Warn("some pages cannot be read; they are answered from by their age, and tried again",
			"ranges", k.failed, "error", k.cause)
	case k.failed == 0 && k.silent:
		k.cache.opts.Logger.Info("every page has been read again")
	}
	k.silent = k.failed > 0
}

// tell logs, once, that the start is over.
func (k *keeper) tell() {
	if k.told || k.cache.opts.Sizer == nil {
		return
	}
	k.told = true
	s, seconds := k.cache.Stats(), time.Since(k.begun).Seconds()
	if !k.fits {
		k.cache.opts.Logger.Info("the lists do not fit into memory; they are read when they are asked for", "max_bytes", s.MaxBytes)
		return
	}
	k.cache.opts.Logger.Info("all lists are in memory", "lists", s.Lists, "entries", s.Entries, "bytes", s.Bytes, "seconds", seconds)
}

// count sees how much there is to do.
func (k *keeper) count(now *feed) {
	all, left := int64(0), int64(0)
	for wanted, run := range k.spans(suspect, now) {
		all += int64(run.pages)
		if wanted {
			left += int64(run.pages)
		}
	}
	k.left.Store(left)
	k.all.Store(all)
}

// progress is the share of the pages that ought to be in memory and are, 0 before
// the first walk.
func (k *keeper) progress() float64 {
	all, left := k.all.Load(), k.left.Load()
	if all == 0 {
		return 0
	}
	return 1 - max(0, float64(left))/float64(all)
}

// pass reads what one pass is for, in several streams.
func (k *keeper) pass(ctx context.Context, now *feed, what pass) {
	over, end := context.WithCancel(ctx)
	work := make(chan span)
	var wg sync.WaitGroup
	for stream := range streams {
		wg.Go(func() {
			for stream == 0 || k.spare(over) {
				run, ok := <-work
				if !ok {
					return
				}
				k.read(ctx, now, run)
			}
		})
	}
	for wanted, run := range k.spans(what, now) {
		if ctx.Err() != nil || k.cache.feed.Load() != now {
			break
		}
		if wanted {
			work <- run
		}
	}
	end()
	close(work)
	wg.Wait()
}

// spare waits until nobody waits for a page; false means that there is no work
// any more.
func (k *keeper) spare(over context.Context) bool {
	const look = time.Millisecond
	for k.cache.asked.Load() > 0 {
		if !pause(over, look) {
			return false
		}
	}
	return true
}

// spans cuts all directories into ranges of about chunkBytes if everything is
// wanted, else into pages, and says of each whether a pass wants it now.
func (k *keeper) spans(what pass, now *feed) iter.Seq2[bool, span] {
	return func(yield func(bool, span) bool) {
		for _, d := range k.spaces {
			for i := range d.shards {
				s := &d.shards[i]
				t := s.table.Load()
				for from := 0; from < len(t.slots); {
					run := span{d, s, t, from, 1}
					if k.fits {
						run.pages = k.chunk(t, from, k.weight[d.space])
					}
					from += run.pages
					if !yield(k.wants(what, t.slots[run.from:from], now), run) {
						return
					}
				}
			}
		}
	}
}

// read reads a span, as soon as there is room for it among what is not yet
// accounted for.
func (k *keeper) read(ctx context.Context, now *feed, run span) {
	if k.fits && !k.cache.acct.drained(ctx) || ctx.Err() != nil || k.cache.feed.Load() != now {
		return
	}
	k.reread(ctx, run)
}

// reread reads a run of pages. If their rows contradict themselves it reads page
// by page, so that only the page with the damaged list is missing.
func (k *keeper) reread(ctx context.Context, run span) {
	bits := run.table.bits
	lo := run.dir.firstHash(run.shard, run.table, run.from)
	err := run.dir.reread(ctx, run.shard, Range{Lo: lo, Hi: lo + uint64(run.pages)<<(64-bits) - 1})
	switch {
	case err == nil:
		k.left.Add(-int64(run.pages))
		k.cache.metrics.preloadPages.Add(float64(run.pages))
		k.mu.Lock()
		k.retry = keeperRetryMin
		k.mu.Unlock()
	case errors.Is(err, errMismatch) && run.pages > 1:
		for i := range run.pages {
			k.reread(ctx, span{run.dir, run.shard, run.table, run.from + i, 1})
		}
	default:
		k.mu.Lock()
		k.failed++
		k.cause = err
		k.mu.Unlock()
		k.pause(ctx)
	}
}

// chunk returns how many pages from index i on, a power of two to which i is
// aligned, one query shall read: what it publishes must not use up the allowance
// of unaccounted bytes.
func (k *keeper) chunk(t *table, i int, weight int64) int {
	room := min(chunkBytes, k.cache.opts.MaxBytes/(2*unpaidShare*streams))
	step := len(t.slots)
	for step > 1 && (int64(step)*weight > room || i&(step-1) != 0) {
		step /= 2
	}
	return step
}

// wants reports whether a pass has to read these slots.
func (k *keeper) wants(what pass, slots []slot, now *feed) bool {
	for i := range slots {
		p := slots[i].Load()
		if p == nil && k.fits || p != nil && what == suspect && p.epoch != now.epoch {
			return true
		}
	}
	return false
}

// firstHash is the lowest hash of slot i of a shard.
func (d *Directory) firstHash(s *shard, t *table, i int) uint64 {
	for no := range d.shards {
		if &d.shards[no] == s {
			return uint64(no)<<(64-shardBits) | uint64(i)<<(64-t.bits)
		}
	}
	panic("cache: shard of another directory")
}

// reread reads a range of pages whether or not they are in memory, after
// waiting for the loads that touch it. It takes its slot before it registers:
// whoever asks for a page of the range would wait for the slot as well.
func (d *Directory) reread(ctx context.Context, s *shard, reach Range) error {
	g := d.cache.gate
	for {
		if err := g.enterAhead(ctx); err != nil {
			return err
		}
		f, busy := d.beginRange(s, reach)
		if f != nil {
			defer g.leaveAhead()
			limited, cancel := context.WithTimeout(context.Background(), f.limit)
			defer cancel()
			return f.carry(limited, d.cache)
		}
		g.leaveAhead()
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beginRange registers a flight for the range, or returns the end of one that
// is in the way: no two flights overlap, so that the later query always
// publishes later and no list falls back.
func (d *Directory) beginRange(s *shard, reach Range) (f *flight, busy <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.flights {
		if other.reach.overlaps(reach) {
			return nil, other.done
		}
	}
	return s.register(d, reach, max(rereadTimeout, d.cache.opts.LoadTimeout)), nil
}
