package cache

import (
	"context"
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
	spaces []*Directory // those that are looked after, as the last walk found them
	sized  bool
	fits   bool     // everything has room; decided when the sizes were last known
	weight []int64  // by space: bytes that a page will have, as planned
	known  []demand // by space: what there was at that time
	// inherited is what a warm file says there is, for the first plan.
	inherited map[*Directory]demand
	sizes     atomic.Pointer[[]demand] // known, for whoever writes a warm file
	proof     *proof                   // of what a warm start has brought; nil = none is due

	patience int // looks for growth to leave out after one more in vain
	rest     int // of them, those that are left

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
	// chunkBytes bounds what one query loads ahead, as pages.
	chunkBytes = 256 << 10

	// streams is how many ranges are read ahead at a time: one is cut into pages
	// here while the database prepares another. It is also the share of the
	// database that loading ahead may take: two backends, and half of the
	// connections that loads have. One of them rests while somebody waits for a
	// page.
	streams = 2

	// growthTick is how often it is looked whether there are enough pages.
	growthTick = 10 * time.Second
	// maxPatience is the most looks that are left out, an hour.
	maxPatience = 359

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
		looking := false
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-growth.C:
			if !k.due() {
				continue
			}
			k.sized, looking = false, true
		}
		for !k.walk(ctx) {
			if !k.pause(ctx) {
				return nil
			}
		}
		if looking {
			k.looked()
		}
		k.prove(ctx)
	}
}

// due reports whether it is time to count what there is again.
func (k *keeper) due() bool {
	if k.rest > 0 {
		k.rest--
		return false
	}
	return k.hasOutgrown()
}

// looked notes whether counting has helped. It does not if only the lists that are
// asked for, and so are in memory, are far longer than the others; then it rests,
// longer each time, for counting reads every header.
func (k *keeper) looked() {
	if !k.hasOutgrown() {
		k.patience = 0
		return
	}
	k.patience = min(2*k.patience+1, maxPatience)
	k.rest = k.patience
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
