package cache

import (
	"context"
	"errors"
	"time"
)

// keeper fills the cache ahead of the questions when everything fits, reads
// suspect pages again after a reset, and gives a directory more pages when its
// lists have outgrown them. All of it is one walk over the directories: whatever
// should be of the present epoch and is not, is read.
type keeper struct {
	cache  *Cache
	wake   chan struct{}
	sized  bool
	fits   bool     // everything has room; decided when the sizes were last known
	weight []int64  // by space: bytes that a page will have, as planned
	known  []demand // by space: what there was at that time

	failed int           // ranges that could not be read on this walk
	cause  error         // of the last of them
	retry  time.Duration // pause after the next failure
	silent bool          // the log has been told
}

const (
	// chunkBytes bounds what one query loads ahead, as pages.
	chunkBytes = 256 << 10

	// growthTick is how often it is looked whether there are enough pages.
	growthTick = 10 * time.Second

	// rereadTimeout is how long one range may take to read when nobody waits
	// for it; checks that do wait have their own deadline.
	rereadTimeout = 2 * time.Second

	keeperRetryMin = 100 * time.Millisecond
	keeperRetryMax = 5 * time.Second
)

func newKeeper(c *Cache) *keeper {
	return &keeper{cache: c, wake: make(chan struct{}, 1), retry: keeperRetryMin}
}

// poke asks for a walk.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run(ctx context.Context) error {
	growth := time.NewTicker(growthTick)
	defer growth.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-growth.C:
			if !k.hasOutgrown() {
				continue
			}
			k.sized = false
		}
		for !k.walk(ctx) {
			if !k.pause(ctx) {
				return nil
			}
		}
	}
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
	if !k.sized {
		if err := k.size(ctx); err != nil {
			c.metrics.preloadErrors.Inc()
			return false
		}
		k.sized = true
	}
	k.failed, k.cause = 0, nil
	for _, d := range c.spaces {
		for i := range d.shards {
			if ctx.Err() != nil || c.feed.Load() != now {
				return true // a reset has poked us
			}
			k.refresh(ctx, d, &d.shards[i], now)
		}
	}
	k.report()
	if k.failed > 0 {
		return false
	}
	// Nothing of an older epoch is left, unless another reset came.
	now.older.Store(nil)
	c.metrics.preloaded.SetToCurrentTime()
	c.preloaded.Store(true)
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

// pause waits after a failure, longer each time; a success makes it short again.
// False means that ctx ended.
func (k *keeper) pause(ctx context.Context) bool {
	d := k.retry
	k.retry = min(2*k.retry, keeperRetryMax)
	return pause(ctx, d)
}

// refresh reads what a shard should hold and does not, in ranges of about
// chunkBytes if everything is wanted, else page by page.
func (k *keeper) refresh(ctx context.Context, d *Directory, s *shard, now *feed) {
	t := s.table.Load()
	for i := 0; i < len(t.slots); {
		run := span{d, s, t, i, 1}
		if k.fits {
			run.pages = k.chunk(t, i, k.weight[d.space])
		}
		i += run.pages
		if k.settled(t.slots[run.from:i], now) {
			continue
		}
		if ctx.Err() != nil || k.cache.feed.Load() != now {
			return
		}
		if k.fits && !k.cache.acct.drained(ctx) {
			return
		}
		k.reread(ctx, run)
	}
}

// span is a run of pages of one shard.
type span struct {
	dir   *Directory
	shard *shard
	table *table
	from  int
	pages int
}

// reread reads a run of pages. If their rows contradict themselves it reads page
// by page, so that only the page with the damaged list is missing.
func (k *keeper) reread(ctx context.Context, run span) {
	bits := run.table.bits
	lo := run.dir.firstHash(run.shard, run.table, run.from)
	err := run.dir.reread(ctx, run.shard, Range{Lo: lo, Hi: lo + uint64(run.pages)<<(64-bits) - 1})
	switch {
	case err == nil:
		k.retry = keeperRetryMin
	case errors.Is(err, errMismatch) && run.pages > 1:
		for i := range run.pages {
			k.reread(ctx, span{run.dir, run.shard, run.table, run.from + i, 1})
		}
	default:
		k.failed++
		k.cause = err
		k.pause(ctx)
	}
}

// chunk returns how many pages from index i on, a power of two to which i is
// aligned, one query shall read: what it publishes must not use up the allowance
// of unaccounted bytes.
func (k *keeper) chunk(t *table, i int, weight int64) int {
	room := min(chunkBytes, k.cache.opts.MaxBytes/(2*unpaidShare))
	step := len(t.slots)
	for step > 1 && (int64(step)*weight > room || i&(step-1) != 0) {
		step /= 2
	}
	return step
}

// settled reports whether there is nothing to read again in these slots.
func (k *keeper) settled(slots []slot, now *feed) bool {
	for i := range slots {
		p := slots[i].Load()
		if p == nil && k.fits || p != nil && p.epoch != now.epoch {
			return false
		}
	}
	return true
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
// waiting for the loads that touch it.
func (d *Directory) reread(ctx context.Context, s *shard, reach Range) error {
	for {
		f, busy := d.beginRange(s, reach)
		if f != nil {
			f.run(d.cache)
			return f.err
		}
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
