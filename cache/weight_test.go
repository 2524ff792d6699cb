package cache

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// heapAlive is what is left on the heap when all garbage is gone.
func heapAlive() int64 {
	runtime.GC() // ends a cycle under way
	return heapInUse()
}

// queueBytes is what ristretto takes once, whatever it holds: the queue of its
// worker, 32 Ki pointers, and its 256 shards.
const queueBytes = 256<<10 + 40<<10

// TestBytesAreWhatTheHeapHolds compares what the cache says that it weighs with
// the heap, all in: pages, malloc's rounding, directory, ristretto.
func TestBytesAreWhatTheHeapHolds(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector pads what is allocated")
	}
	for _, size := range []int{1, 3, 10, 100, 1000, 3000} {
		for _, expires := range []int64{0, time.Now().Add(time.Hour).UnixMicro()} {
			t.Run(fmt.Sprintf("%d entries, expiring %v", size, expires != 0), func(t *testing.T) {
				lists := max(200, 400_000/(1+size))
				m := newMaker(lists, size, expires)
				c := newMakerCache(t, m, 32<<20)
				before := heapAlive()
				runCache(t, c)
				c.Reset(m.identity(), c.Now())
				preloaded(t, c)
				idle(t, c)
				heap := heapAlive() - before
				s := c.Stats()
				ratio := float64(s.Bytes+queueBytes) / float64(heap)
				t.Logf("heap %d, said %d: %.3f; %.2f bytes an entry, %d pages", heap, s.Bytes, ratio, float64(s.Bytes)/float64(s.Entries), s.Pages)
				if s.Lists != int64(lists) {
					t.Fatalf("%d of %d lists are in memory", s.Lists, lists)
				}
				if math.Abs(ratio-1) > 0.1 {
					t.Errorf("the heap holds %d bytes, the cache says %d and %d of ristretto's queue", heap, s.Bytes, queueBytes)
				}
				runtime.KeepAlive(m)
			})
		}
	}
}

// TestRistrettoWeighsWhatIsSaid: its counters exactly, an entry within what its
// maps vary by.
func TestRistrettoWeighsWhatIsSaid(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector pads what is allocated")
	}
	for _, budget := range []int64{1 << 20, 20 << 20, 200 << 20} {
		before := heapAlive()
		p, err := openRistretto(budget, countersFor(budget), func(pageKey) {})
		if err != nil {
			t.Fatal(err)
		}
		got := heapAlive() - before
		if want := countersBytes(budget) + queueBytes; math.Abs(float64(got-want)) > 0.02*float64(want)+16<<10 {
			t.Errorf("budget %d: ristretto takes %d bytes, said are %d", budget, got, want)
		}
		p.close()
	}
	const pages, cost = 6000, 1000
	p, err := openRistretto(pages*cost, countersFor(pages*cost), func(pageKey) {})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	before := heapAlive()
	low, high := int64(math.MaxInt64), int64(0)
	for i := range 12 * pages { // eleven of twelve push another one out
		for !p.set(makeKey(0, 24, uint64(i)), cost) {
			p.wait()
		}
		if i%pages == pages-1 {
			p.wait()
			each := (heapAlive() - before) / pages
			low, high = min(low, each), max(high, each)
		}
	}
	t.Logf("an entry costs %d to %d bytes", low, high)
	if low < ristrettoBytes/3 || high > ristrettoBytes*3/2 {
		t.Errorf("an entry costs %d to %d bytes, said are %d", low, high, ristrettoBytes)
	}
}

// watched counts the most that can be reached, whenever a test looks.
type watched struct {
	cache *Cache
	peak  int64
}

func (w *watched) look() { w.peak = max(w.peak, w.cache.Stats().Bytes) }

// TestOneOwnerAfterAnotherReachesTheLimit: lists that are in memory grow to three
// times the budget, by changes, which nobody asks ristretto about beforehand.
func TestOneOwnerAfterAnotherReachesTheLimit(t *testing.T) {
	if raceEnabled {
		t.Skip("half a minute of sums; the same goroutines meet in TestStress, which runs here")
	}
	const budget, owners, step = 4 << 20, 400, 150 // of 24 kB each in the end
	m := newMaker(owners, 0, 0)
	c := newMakerCache(t, m, budget)
	runCache(t, c)
	c.Reset(m.identity(), c.Now())
	preloaded(t, c)
	d := c.Directory("a", KindBlock)
	w := watched{cache: c}
	for i := range owners {
		for m.size[i] < maxListSize {
			c.Apply(c.Epoch(), m.identity(), []Change{m.add(i, step)})
			w.look()
			if m.size[i]%600 == 0 { // somebody asks for it
				v, err := d.Load(ctx, makerName(i), Need{})
				if err != nil || !v.Contains("t"+fmt.Sprint(m.size[i]-1)) || v.Version() != m.ver[i] {
					t.Fatalf("owner %d at %d entries: version %d of %d, %v", i, m.size[i], v.Version(), m.ver[i], err)
				}
				w.look()
			}
		}
	}
	idle(t, c)
	t.Logf("at most %.3f of the budget, %v evictions, %v cleared for want of room",
		float64(w.peak)/budget, testutil.ToFloat64(c.metrics.evictions), testutil.ToFloat64(c.metrics.unpublished))
	if w.peak > budget+budget/10 {
		t.Errorf("%d bytes were reachable under a budget of %d", w.peak, budget)
	}
	if s := c.Stats(); s.Bytes > budget || s.Entries < budget/8/2 {
		t.Errorf("%d bytes and %d entries at rest under a budget of %d", s.Bytes, s.Entries, budget)
	}
}

// TestAPageThatMayNotGrowIsGivenUp: what changes add is bounded although nobody
// accounts for it; without the bound it is not.
func TestAPageThatMayNotGrowIsGivenUp(t *testing.T) {
	const budget = 1 << 20
	m := newMaker(64, 1, 0)
	c := newMakerCache(t, m, budget)
	c.Reset(m.identity(), c.Now()) // and Run is not called
	d := c.Directory("a", KindBlock)
	for i := range 64 {
		if _, err := d.Load(ctx, makerName(i), Need{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 64 {
		c.Apply(c.Epoch(), m.identity(), []Change{m.add(i, 2000)})
	}
	if p := c.acct.pending.Load(); p > budget/(unpaidShare/2) {
		t.Errorf("%d bytes are unpaid, %d may be", p, budget/(unpaidShare/2))
	}
	if testutil.ToFloat64(c.metrics.unpublished) == 0 {
		t.Error("no page was given up although a megabyte was added")
	}
	v, err := d.Load(ctx, makerName(63), Need{})
	if err != nil || !v.Contains("t2000") {
		t.Errorf("a list that was given up cannot be read: %v", err)
	}
}

// TestGrowingKeepsTheBudget: a directory that is full gets eight times as many
// pages. Most of what was in memory stays, and nothing goes over the budget.
func TestGrowingKeepsTheBudget(t *testing.T) {
	const budget = 4 << 20
	m := newMaker(40_000, 10, 0)
	c := newMakerCache(t, m, budget)
	c.opts.Sizer = nil // the number of pages is this test's
	d := c.Directory("a", KindBlock)
	runCache(t, c)
	c.Reset(m.identity(), c.Now())
	d.grow(context.Background(), 10)
	for i := range 40_000 {
		if _, ok := d.Find(makerName(i)); !ok {
			waitFor(t, "the accountant", func() bool { return c.acct.pending.Load() < budget/(2*unpaidShare) })
			if _, err := d.Load(ctx, makerName(i), Need{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	idle(t, c)
	before := c.Stats()
	w := watched{cache: c}
	w.look()
	for i := range d.shards {
		if !c.acct.drained(ctx) {
			t.Fatal("cancelled")
		}
		d.shards[i].grow(c, 13)
		w.look()
	}
	for c.acct.pending.Load() > 0 {
		w.look()
	}
	idle(t, c)
	after := c.Stats()
	t.Logf("%d lists before, %d after, at most %.3f of the budget", before.Lists, after.Lists, float64(w.peak)/budget)
	if w.peak > budget+budget/10 || after.Bytes > budget {
		t.Errorf("%d bytes were reachable, %d are at rest, under a budget of %d", w.peak, after.Bytes, budget)
	}
	if ghosts, leaks := audit(c); ghosts != 0 || leaks != 0 {
		t.Errorf("%d ghosts, %d leaks", ghosts, leaks)
	}
	// A list weighs half as much again in the smaller pages.
	if after.Lists < before.Lists/3 {
		t.Errorf("%d of %d lists are left", after.Lists, before.Lists)
	}
	if len(d.shards[0].table.Load().slots)*shards != 1<<13 {
		t.Error("it has not grown")
	}
}
