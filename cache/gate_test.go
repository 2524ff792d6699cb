package cache

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// blockingDB answers no page read until it is opened, or the read's time is over.
type blockingDB struct {
	*simDB
	open  chan struct{}
	begun atomic.Int64
}

func newBlockingDB() *blockingDB {
	db := &blockingDB{simDB: newSimDB(), open: make(chan struct{})}
	db.hold = func(ctx context.Context, _ string, _ Kind, _ Range) error {
		db.begun.Add(1)
		select {
		case <-db.open:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return db
}

// loadLimit is the deadline of a read in these tests.
const loadLimit = 150 * time.Millisecond

// gated returns a cache whose reads have the usual deadline, and owners that are
// all in different pages.
func gated(t *testing.T, db *simDB, change func(*Options)) (c *Cache, owners []string) {
	t.Helper()
	c = newTestCache(t, db, func(o *Options) { o.Sizer, o.LoadTimeout = nil, loadLimit }, change)
	follow(c, db)
	taken := map[uint64]bool{}
	for i := 0; len(owners) < shards; i++ {
		owner := "user-" + strconv.Itoa(i)
		if at := HashOwner(owner, db.identity.Salt) >> (64 - shardBits); !taken[at] {
			taken[at] = true
			owners = append(owners, owner)
		}
	}
	return c, owners
}

// ask begins to load the owners, each by a caller of its own, and returns when all
// callers wait or have an answer. It is for a bubble of synctest.
func ask(c *Cache, owners []string, need Need) (answers []error, wait func()) {
	answers = make([]error, len(owners))
	var wg sync.WaitGroup
	for i, owner := range owners {
		wg.Go(func() { _, answers[i] = c.Directory("a", KindBlock).Load(ctx, owner, need) })
		synctest.Wait()
	}
	return answers, wg.Wait
}

func shedFor(c *Cache, why cause) int { return int(testutil.ToFloat64(c.metrics.loadsShed[why])) }

// TestTheQueueIsBounded: as many reads run as there are slots, as many wait as the
// queue has places, and who comes then is told at once.
func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newBlockingDB()
		c, owners := gated(t, db.simDB, func(o *Options) { o.MaxLoads, o.Loads.Queue = 2, 3 })
		begun := time.Now()
		answers, wait := ask(c, owners[:7], Need{})
		if n := db.begun.Load(); n != 2 {
			t.Errorf("%d reads have begun, want 2", n)
		}
		if _, n := c.gate.state(); n != 3 {
			t.Errorf("%d reads wait, want 3", n)
		}
		for _, err := range answers[5:] {
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errQueue) || time.Since(begun) != 0 {
				t.Errorf("a read too many, after %v: %v", time.Since(begun), err)
			}
		}
		close(db.open)
		wait()
		if n := db.begun.Load(); n != 5 || shedFor(c, causeQueue) != 2 {
			t.Errorf("%d reads were made and %d refused, want 5 and 2", n, shedFor(c, causeQueue))
		}
		for i, err := range answers[:5] {
			if err != nil {
				t.Errorf("read %d: %v", i, err)
			}
		}
		if _, n := c.gate.state(); n != 0 || c.gate.running != 0 {
			t.Errorf("all is over, and %d reads wait, %d run", n, c.gate.running)
		}
	})
}

// TestAWaitEndsWithTheDeadline: who waits behind reads that hang is let go when its
// own time is over, and costs the database nothing.
func TestAWaitEndsWithTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newBlockingDB()
		c, owners := gated(t, db.simDB, func(o *Options) { o.MaxLoads = 1 })
		begun := time.Now()
		answers, wait := ask(c, owners[:3], Need{})
		wait()
		if d := time.Since(begun); d != loadLimit {
			t.Errorf("the last of them was let go after %v", d)
		}
		if n := db.begun.Load(); n != 1 || shedFor(c, causeLate) != 2 {
			t.Errorf("%d reads were begun, %d refused: want 1 and 2", n, shedFor(c, causeLate))
		}
		for i, err := range answers[1:] {
			if !errors.Is(err, errLate) {
				t.Errorf("read %d: %v", i+1, err)
			}
		}
	})
}

// TestNobodyWaitsForASlowDatabase: once reads take as long as they may, nobody is
// let in to wait for his turn; as many as there are slots go on trying, and as soon
// as they are quick there is a queue again.
func TestNobodyWaitsForASlowDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newBlockingDB()
		c, owners := gated(t, db.simDB, func(o *Options) { o.MaxLoads = 1 })
		for range 60 { // until that is typical
			if _, wait := ask(c, owners[:1], Need{}); true {
				wait()
			}
		}
		begun := time.Now()
		answers, wait := ask(c, owners[:2], Need{})
		if !errors.Is(answers[1], errLate) || time.Since(begun) != 0 {
			t.Errorf("after %v: %v", time.Since(begun), answers[1])
		}
		close(db.open)
		wait()
		if answers[0] != nil {
			t.Error(answers[0])
		}
		for range 60 {
			time.Sleep(100 * time.Millisecond) // for a token: the rate is cut as well
			mustLoadAgain(t, c, owners[0])
		}
		db.open = make(chan struct{})
		answers, wait = ask(c, owners[1:4], Need{})
		if _, n := c.gate.state(); n != 2 {
			t.Errorf("%d reads wait for a database that is quick again: %v", n, answers)
		}
		close(db.open)
		wait()
	})
}

func mustLoadAgain(t *testing.T, c *Cache, owner string) {
	t.Helper()
	if _, err := c.Directory("a", KindBlock).Load(ctx, owner, Need{Force: true}); err != nil {
		t.Fatal(err)
	}
}

// TestARequestForManyLeavesRoom: reads for requests about many lists take half of
// the queue, so that a single check finds a place. Without the half it would not.
func TestARequestForManyLeavesRoom(t *testing.T) {
	for name, bulk := range map[string]bool{"bulk": true, "guard off": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newBlockingDB()
				c, owners := gated(t, db.simDB, func(o *Options) { o.MaxLoads, o.Loads.Queue = 1, 4 })
				_, wait := ask(c, owners[:10], Need{Bulk: bulk})
				single, waitSingle := ask(c, owners[10:11], Need{})
				if refused := single[0] != nil; refused == bulk {
					t.Errorf("the single check: %v", single[0])
				}
				close(db.open)
				wait()
				waitSingle()
			})
		})
	}
}

// TestTheBucket: after a burst reads begin at the rate, and who would wait too long
// for a token is told at once.
func TestTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSimDB()
		c, owners := gated(t, db, func(o *Options) { o.Loads = LoadLimits{Rate: 10, Burst: 3} })
		begun := time.Now()
		answers, wait := ask(c, owners[:6], Need{})
		for i, err := range answers[:3] {
			if err != nil || time.Since(begun) != 0 {
				t.Errorf("read %d of the burst, after %v: %v", i, time.Since(begun), err)
			}
		}
		for i, err := range answers[4:] {
			if !errors.Is(err, errRate) {
				t.Errorf("read %d: %v", i+4, err)
			}
		}
		wait()
		if d := time.Since(begun); d != 100*time.Millisecond || answers[3] != nil {
			t.Errorf("the fourth came after %v: %v", d, answers[3])
		}
		if n := shedFor(c, causeRate); n != 2 || db.loadCount() != 4 {
			t.Errorf("%d refused, %d read: want 2 and 4", n, db.loadCount())
		}
		if err := c.SetLoadLimits(LoadLimits{Rate: 1000, Burst: 100, Queue: 7}); err != nil {
			t.Fatal(err)
		}
		if r, _ := c.gate.state(); r != 1000 || c.gate.queue != 7 {
			t.Errorf("after a change: rate %v, queue %d", r, c.gate.queue)
		}
		if err := c.SetLoadLimits(LoadLimits{Rate: -1}); err == nil {
			t.Error("a negative rate is accepted")
		}
	})
}

// TestOneReadForAHotMiss: ten thousand ask for one list that is not in memory. While
// the database hangs it is read once for each time that a read has run out.
func TestOneReadForAHotMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newBlockingDB()
		c, owners := gated(t, db.simDB, func(*Options) {})
		callers := int64(10_000)
		if raceEnabled {
			callers = 1000
		}
		var wg sync.WaitGroup
		var unknown atomic.Int64
		crowd := func(n int64) {
			for range n {
				wg.Go(func() {
					if _, err := c.Directory("a", KindBlock).Load(ctx, owners[0], Need{}); err != nil {
						unknown.Add(1)
					}
				})
			}
		}
		crowd(callers)
		synctest.Wait()
		if n := db.begun.Load(); n != 1 {
			t.Errorf("%d reads for %d callers", n, callers)
		}
		close(db.open)
		wg.Wait()
		if n := unknown.Load(); n != 0 || db.begun.Load() != 1 {
			t.Errorf("%d callers were told nothing, after %d reads", n, db.begun.Load())
		}

		db = newBlockingDB()
		c, owners = gated(t, db.simDB, func(*Options) {})
		begun := time.Now()
		for range 100 {
			crowd(callers / 100)
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		if expiries := int64(time.Since(begun)/loadLimit) + 1; db.begun.Load() > expiries {
			t.Errorf("%d reads in %v", db.begun.Load(), time.Since(begun))
		}
		if n := unknown.Load(); n != callers {
			t.Errorf("%d of %d callers were told nothing", n, callers)
		}
	})
}

// TestLoadingAheadYields: the keeper takes no tokens, and while it waits for a slot
// no range is registered: who asks for a page in it would wait with it.
func TestLoadingAheadYields(t *testing.T) {
	db := newBlockingDB()
	fill(db.simDB, 5000)
	c := newTestCache(t, db.simDB, func(o *Options) { o.MaxLoads, o.Loads = 1, LoadLimits{Rate: 1, Burst: 1} })
	follow(c, db.simDB)
	var wg sync.WaitGroup
	wg.Go(func() { mustLoad(t, c, "bob") })
	waitFor(t, "a read to have the slot", func() bool { return db.begun.Load() == 1 })
	runCache(t, c)
	waitFor(t, "the walk to begin", func() bool { return c.keeper.all.Load() > 0 })
	flights := 0
	for _, d := range c.spaces() {
		for i := range d.shards {
			d.shards[i].mu.Lock()
			flights += len(d.shards[i].flights)
			d.shards[i].mu.Unlock()
		}
	}
	if flights != 1 {
		t.Errorf("%d ranges are registered, want that of the caller alone", flights)
	}
	close(db.open)
	wg.Wait()
	preloaded(t, c)
	if s := c.Stats(); s.Pages != s.Slots {
		t.Errorf("%d of %d pages at one token a second", s.Pages, s.Slots)
	}
}
