package cache

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fill writes n lists of 20 entries, about 250 bytes a list with its record.
func fill(db *simDB, n int) (owners []string) {
	for i := range n {
		o := "o" + strconv.Itoa(i)
		db.write(blockKey(o), OpAdd, manyEntries(20)...)
		owners = append(owners, o)
	}
	return owners
}

// audit compares slots with ristretto: a ghost is paid for and not reachable, a
// leak is reachable and not paid for.
func audit(c *Cache) (ghosts, leaks int) {
	for _, d := range c.spaces() {
		for i := range d.shards {
			t := d.shards[i].table.Load()
			for j := range t.slots {
				no := uint64(i)<<(t.bits-shardBits) | uint64(j)
				k := makeKey(d.space, t.bits, no)
				reachable, paid := t.slots[j].Load() != nil, c.acct.policy.has(k)
				if paid && !reachable {
					ghosts++
				}
				if reachable && !paid {
					leaks++
				}
			}
		}
	}
	return ghosts, leaks
}

// idle waits until the accountant has nothing to do.
func idle(t testing.TB, c *Cache) {
	t.Helper()
	waitFor(t, "the accountant to be idle", func() bool {
		a := c.acct
		a.guard.RLock()
		defer a.guard.RUnlock()
		return a.policy != nil && a.idle()
	})
}

// mapPolicy is what a cache without ristretto would be: it keeps everything.
type mapPolicy struct {
	mu   sync.Mutex
	cost map[pageKey]int64
}

func (m *mapPolicy) touch(pageKey) {}
func (m *mapPolicy) set(k pageKey, cost int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cost[k] = cost
	return true
}
func (m *mapPolicy) del(k pageKey) { m.mu.Lock(); defer m.mu.Unlock(); delete(m.cost, k) }
func (m *mapPolicy) wait()         {}
func (m *mapPolicy) has(k pageKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.cost[k]
	return ok
}
func (m *mapPolicy) remaining() int64 { return 1 << 40 }
func (m *mapPolicy) limit(int64)      {}
func (m *mapPolicy) close()           {}

// overBudget loads six times as much as there is room for and returns the most
// bytes that were reachable, the evictions, and the growth of the heap.
func overBudget(t *testing.T, change func(*Cache)) (peak int64, evictions float64, heap int64) {
	const budget = 1 << 20
	db := newSimDB()
	owners := fill(db, 24_000)
	c := newTestCache(t, db, func(o *Options) { o.MaxBytes = budget })
	change(c)
	follow(c, db)
	before := heapInUse()
	runCache(t, c)
	waitFor(t, "the sizes", func() bool { return testutil.ToFloat64(c.metrics.preloaded) > 0 })
	for i, o := range owners {
		mustLoadPaced(t, c, o)
		if i%500 == 0 {
			peak = max(peak, c.Stats().Bytes)
		}
	}
	idle(t, c)
	if checkEqual(t, c, db) == 0 {
		t.Error("nothing is in memory")
	}
	heap = heapInUse() - before
	return max(peak, c.Stats().Bytes), testutil.ToFloat64(c.metrics.evictions), heap
}

// mustLoadPaced loads a list once the accountant has caught up, so that the
// page is kept.
func mustLoadPaced(t *testing.T, c *Cache, owner string) {
	t.Helper()
	waitFor(t, "the accountant", func() bool { return c.acct.pending.Load()+4096 <= c.opts.MaxBytes/unpaidShare })
	if _, err := c.Directory("a", KindBlock).Load(ctx, owner, Need{}); err != nil {
		t.Fatal(err)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestRistrettoKeepsTheBudget(t *testing.T) {
	const budget = 1 << 20
	peak, evictions, heap := overBudget(t, func(*Cache) {})
	t.Logf("ristretto: peak %d bytes, %v evictions, heap grew by %d", peak, evictions, heap)
	if peak > budget+budget/10 {
		t.Errorf("%d bytes were reachable under a budget of %d", peak, budget)
	}
	if evictions == 0 {
		t.Error("ristretto evicted nothing")
	}
	// What the budget does not hold: ristretto's counters, the directory.
	const overhead = 4 << 20
	if heap > budget+overhead {
		t.Errorf("the heap grew by %d under a budget of %d", heap, budget)
	}

	peak, evictions, heap = overBudget(t, func(c *Cache) {
		c.acct.open = func(int64, int64, func(pageKey)) (policy, error) {
			return &mapPolicy{cost: make(map[pageKey]int64)}, nil
		}
	})
	t.Logf("a map instead: peak %d bytes, %v evictions, heap grew by %d", peak, evictions, heap)
	if peak <= 2*budget || evictions != 0 {
		t.Errorf("with a map in ristretto's place the budget would be kept too: peak %d, %v evictions", peak, evictions)
	}
}

func TestGhostsAndLeaksAreGoneWhenIdle(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 4000)
	c := newTestCache(t, db, func(o *Options) { o.MaxBytes = 200 << 10 })
	follow(c, db)
	runCache(t, c)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for range 2000 {
				o := owners[rng.IntN(len(owners))]
				if _, err := c.Directory("a", KindBlock).Load(ctx, o, Need{}); err != nil {
					t.Error(err)
				}
				if rng.IntN(4) == 0 {
					change := db.write(blockKey(o), OpMode)
					c.Apply(c.Epoch(), db.identity, []Change{change})
				}
			}
		})
	}
	wg.Wait()
	preloaded(t, c)
	idle(t, c)
	if ghosts, leaks := audit(c); ghosts != 0 || leaks != 0 {
		t.Errorf("%d ghosts, %d leaks", ghosts, leaks)
	}
	if b := c.Stats().Bytes; b > c.opts.MaxBytes {
		t.Errorf("%d bytes at rest under a budget of %d", b, c.opts.MaxBytes)
	}
}

// flakyPolicy refuses each third booking.
type flakyPolicy struct {
	policy
	n atomic.Int64
}

func (f *flakyPolicy) set(k pageKey, cost int64) bool {
	if f.n.Add(1)%3 == 0 {
		return false
	}
	return f.policy.set(k, cost)
}

func TestADroppedSetIsRepeated(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 500)
	c := newTestCache(t, db)
	c.acct.open = func(maxCost, counters int64, gone func(pageKey)) (policy, error) {
		p, err := openRistretto(maxCost, counters, gone)
		return &flakyPolicy{policy: p}, err
	}
	follow(c, db)
	runCache(t, c)
	for _, o := range owners {
		mustLoadPaced(t, c, o)
	}
	preloaded(t, c) // who loads ahead publishes too
	idle(t, c)
	if testutil.ToFloat64(c.metrics.rejectedSets) == 0 {
		t.Error("no Set was dropped")
	}
	if ghosts, leaks := audit(c); ghosts != 0 || leaks != 0 {
		t.Errorf("%d ghosts, %d leaks", ghosts, leaks)
	}
}

func TestAPageThatDoesNotFitIsAnsweredFromButNotKept(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, manyEntries(3000)...)
	c := newTestCache(t, db, func(o *Options) { o.MaxBytes = 4 << 10 })
	follow(c, db)
	runCache(t, c)
	for range 3 {
		v, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{})
		if err != nil || !v.Contains("t2999") {
			t.Fatalf("%v", err)
		}
		idle(t, c)
		if _, ok := c.Directory("a", KindBlock).Find("bob"); ok {
			t.Fatal("24 kB are kept under a budget of 4 kB")
		}
	}
	if testutil.ToFloat64(c.metrics.unpublished) == 0 {
		t.Error("the page that was not kept is not counted")
	}
}

func TestUnaccountedBytesAreBounded(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 2000)
	c := newTestCache(t, db, func(o *Options) { o.MaxBytes = 100 << 10 })
	follow(c, db) // and nobody accounts: Run is not called
	c.Directory("a", KindBlock).grow(ctx, 11)
	for _, o := range owners {
		if _, err := c.Directory("a", KindBlock).Load(ctx, o, Need{}); err != nil {
			t.Fatal(err)
		}
	}
	if b := c.acct.pending.Load(); b > c.opts.MaxBytes/unpaidShare {
		t.Errorf("%d bytes are reachable and unpaid, %d may be", b, c.opts.MaxBytes/unpaidShare)
	}
}

func TestReadsGoOnAfterRun(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	t.Run("running", func(t *testing.T) {
		runCache(t, c)
		mustLoad(t, c, "bob")
		idle(t, c)
	})
	for range 100 { // some of them are told to ristretto, which is closed
		if v, ok := c.Directory("a", KindBlock).Find("bob"); !ok || !v.Contains("alice") {
			t.Fatal("memory is gone after Run ended")
		}
	}
}

// TestChildrenAreThereWhenTheAccountantLooks: pages that a doubling made are
// marked when they can be found, or they would be reachable and never paid for.
func TestChildrenAreThereWhenTheAccountantLooks(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 100)
	c := newTestCache(t, db)
	follow(c, db) // nobody accounts: the test stands where the accountant would
	for _, o := range owners {
		mustLoad(t, c, o)
	}
	for keys, _ := c.acct.take(); len(keys) > 0; keys, _ = c.acct.take() {
	}
	d := c.Directory("a", KindBlock)
	c.acct.mu.Lock() // the first mark waits here
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.shards[0].grow(c, shardBits+3)
	}()
	waitFor(t, "the new table while nothing is marked yet", func() bool {
		return d.shards[0].table.Load().bits == shardBits+3
	})
	c.acct.mu.Unlock()
	<-done
	found, looked := 0, 0
	for keys, _ := c.acct.take(); len(keys) > 0; keys, _ = c.acct.take() {
		for _, k := range keys {
			looked++
			if c.bytesAt(k) > 0 {
				found++
			}
		}
	}
	if found == 0 {
		t.Errorf("none of %d marked pages is there", looked)
	}
}
