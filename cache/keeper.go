package cache

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
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
	fits   bool    // everything has room; decided when the sizes were last known
	weight []int64 // by space: bytes that a page will have, as planned

	mu     sync.Mutex    // the streams of a walk share what follows
	failed int           // ranges that could not be read on this walk
	cause  error         // of the last of them
	retry  time.Duration // pause after the next failure

	all    atomic.Int64 // pages that the walk looks after
	left   atomic.Int64 // of them, those it still has to read
	begun  time.Time    // of the first walk
	silent bool         // the log has been told that reading fails
	told   bool         // the log has been told that all is in memory
}

const (
	// pageLists is how many lists a page holds when everything fits.
	pageLists = 64
	// fitShare of the budget, in percent, may be planned full: lists grow.
	fitShare = 90
	// chunkBytes bounds what one query loads ahead, as pages.
	chunkBytes = 256 << 10

	// streams is how many ranges are read ahead at a time: one is cut into pages
	// here while the database prepares another. It is also the share of the
	// database that loading ahead may take: two backends, and half of the
	// connections that loads have. One of them rests while somebody waits for a
	// page.
	streams = 2

	// outgrown is by how much the lists of a page may exceed the plan before
	// the directory gets more pages; growthTick is how often that is looked at.
	outgrown   = 4
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

// pause waits after a failure, longer each time; a success makes it short again.
// False means that ctx ended.
func (k *keeper) pause(ctx context.Context) bool {
	k.mu.Lock()
	d := k.retry
	k.retry = min(2*k.retry, keeperRetryMax)
	k.mu.Unlock()
	return pause(ctx, d)
}

// hasOutgrown reports whether a directory holds far more lists a page than
// planned, or everything together no longer fits as planned.
func (k *keeper) hasOutgrown() bool {
	c := k.cache
	if !k.sized || c.opts.Sizer == nil {
		return false
	}
	bytes := int64(0)
	for _, d := range c.spaces {
		s := d.stats(c.epochNow())
		bytes += s.Bytes
		perPage := int64(1)
		if k.fits {
			perPage = pageLists
		}
		if s.Pages > 0 && s.Lists > outgrown*perPage*s.Pages {
			return true
		}
	}
	return k.fits && bytes > c.opts.MaxBytes/100*fitShare
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
