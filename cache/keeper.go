package cache

import (
	"context"
	"math/bits"
	"time"
)

// keeper fills the cache ahead of the questions when everything fits, and reads
// suspect pages again after a reset. Both are one walk over the directories:
// whatever is not of the present epoch is read.
type keeper struct {
	cache  *Cache
	wake   chan struct{}
	sized  bool
	fits   bool    // everything has room; decided when the sizes were last known
	weight []int64 // by space: bytes that a page will have, as planned
}

const (
	// pageLists is how many lists a page holds when everything fits.
	pageLists = 64
	// fitShare of the budget, in percent, may be planned full: lists grow.
	fitShare = 90
	// chunkBytes bounds what one query loads ahead, as pages.
	chunkBytes = 256 << 10

	keeperRetryMin = 100 * time.Millisecond
	keeperRetryMax = 5 * time.Second
)

func newKeeper(c *Cache) *keeper {
	return &keeper{cache: c, wake: make(chan struct{}, 1)}
}

// poke asks for a walk.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run(ctx context.Context) error {
	retry := keeperRetryMin
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		}
		for !k.walk(ctx) {
			// The pages stay: they are answered from by their age.
			if !pause(ctx, retry) {
				return nil
			}
			retry = min(2*retry, keeperRetryMax)
		}
		retry = keeperRetryMin
	}
}

// walk brings every page that should be in memory to the present epoch; false
// means that some of it has to be tried again.
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
	for _, d := range c.spaces {
		for i := range d.shards {
			if ctx.Err() != nil {
				return true
			}
			if !k.refresh(ctx, d, &d.shards[i], now) {
				return false
			}
		}
	}
	// Nothing of an older epoch is left, unless another reset came.
	now.older.Store(nil)
	c.metrics.preloaded.SetToCurrentTime()
	return true
}

// size asks how much there is and chooses the number of pages: about 64 lists a
// page when all of it fits, about one when it does not, so that a page is worth
// its place by the one list that is asked for.
func (k *keeper) size(ctx context.Context) error {
	c := k.cache
	if c.opts.Sizer == nil {
		return nil
	}
	lists := make([]int64, len(c.spaces))
	k.weight = make([]int64, len(c.spaces))
	need := int64(0)
	for i, d := range c.spaces {
		var entries int64
		var err error
		if lists[i], entries, err = c.opts.Sizer.Sizes(ctx, d.app, d.kind); err != nil {
			return err
		}
		pages := int64(1) << bitsFor(lists[i], pageLists)
		all := lists[i]*recordBytes + entries*8 + pages*(pageBytes+ristrettoBytes)
		k.weight[i] = all / pages
		need += all
	}
	k.fits = need <= c.opts.MaxBytes/100*fitShare
	for i, d := range c.spaces {
		perPage := int64(1)
		if k.fits {
			perPage = pageLists
		}
		d.grow(ctx, bitsFor(lists[i], perPage))
	}
	return nil
}

// bitsFor returns how many bits of page number give about perPage lists a page.
func bitsFor(lists, perPage int64) uint8 {
	if lists <= perPage<<shardBits {
		return shardBits
	}
	return uint8(min(maxBits, bits.Len64(uint64((lists-1)/perPage))))
}

// refresh reads what a shard should hold and does not, in ranges of about
// chunkEntries if everything is wanted, else page by page.
func (k *keeper) refresh(ctx context.Context, d *Directory, s *shard, now *feed) bool {
	t := s.table.Load()
	for i, step := 0, 0; i < len(t.slots); i += step {
		step = 1
		if k.fits {
			step = k.chunk(t, i, k.weight[d.space])
		}
		if k.settled(t.slots[i:i+step], now) {
			continue
		}
		lo := d.firstHash(s, t, i)
		reach := Range{Lo: lo, Hi: lo + uint64(step)<<(64-t.bits) - 1}
		if k.cache.feed.Load() != now {
			return true // a reset came; it has poked us
		}
		if k.fits && !k.cache.acct.drained(ctx) {
			return true
		}
		if err := d.reread(ctx, s, reach); err != nil {
			return false
		}
	}
	return true
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
	return s.register(d, reach), nil
}
