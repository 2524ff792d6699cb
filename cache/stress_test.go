package cache

import (
	"context"
	"flag"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

var stressTime = flag.Duration("stress", 2*time.Second, "how long each stress test runs")

// stress is one storm over a cache with real ristretto: writers, readers who
// spin, page reads that take time, a feed that misbehaves, and following that
// starts over now and then. It checks each read against what had been applied
// before it, the budget all along, and everything at rest.
type stress struct {
	owners, budgetShare int // lists, and the share of their bytes that fits: 1/budgetShare
	drop, dup           int // in a thousand changes
	resets              bool
	grow                bool
	slowCallback        time.Duration
	starve              int // goroutines that do nothing but burn
	off                 guards
}

type storm struct {
	stress
	db      *simDB
	cache   *Cache
	names   []string
	applied []atomic.Int64 // newest version handed to Apply, by owner
	index   map[string]int
	reads   atomic.Int64
	stale   atomic.Int64
	peak    atomic.Int64
	samples atomic.Int64 // that were judged
	wrong   atomic.Int64 // of them, those that found something
}

// slowPolicy delays ristretto's callbacks by spinning: its worker is busy, as on
// a machine that has no time for it.
func slowPolicy(delay time.Duration) func(int64, int64, func(pageKey)) (policy, error) {
	return func(maxCost, counters int64, gone func(pageKey)) (policy, error) {
		return openRistretto(maxCost, counters, func(k pageKey) {
			for begin := time.Now(); time.Since(begin) < delay; {
			}
			gone(k)
		})
	}
}

func newStorm(t *testing.T, s stress) *storm {
	st := &storm{stress: s, db: newSimDB(), index: map[string]int{}, applied: make([]atomic.Int64, s.owners)}
	bytes := int64(0)
	for i := range s.owners {
		name := "o" + strconv.Itoa(i)
		n := 1 + i%40
		st.db.write(blockKey(name), OpAdd, manyEntries(n)...)
		st.names = append(st.names, name)
		st.index[name] = i
		bytes += recordBytes + int64(n)*8 + (pageBytes+ristrettoBytes)/4
	}
	st.cache = newTestCache(t, st.db, func(o *Options) {
		o.MaxBytes = bytes / int64(s.budgetShare)
		o.Apps = []string{"a"}
		o.Sizer = nil // pages are loaded when they are asked for
	})
	st.cache.off = s.off
	if s.slowCallback > 0 {
		st.cache.acct.open = slowPolicy(s.slowCallback)
	}
	d := st.cache.Directory("a", KindBlock)
	d.grow(context.Background(), bitsFor(int64(s.owners), 4))
	st.db.hold = func(context.Context, string, Kind, Range) error {
		for range rand.IntN(20) { // an answer takes a while to arrive
			runtime.Gosched()
		}
		return nil
	}
	return st
}

// run lets the storm blow and then looks at what it left.
func (st *storm) run(t *testing.T) {
	_, place := st.db.since(0)
	follow(st.cache, st.db)
	runCache(t, st.cache)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		// A starved worker may need longer to come to its first eviction.
		defer stop()
		begin := time.Now()
		evictions := st.cache.metrics.evictions
		missing := func() bool { return testutil.ToFloat64(evictions) == 0 || st.samples.Load() == 0 && st.starve == 0 }
		for time.Since(begin) < *stressTime || missing() && time.Since(begin) < *stressTime+time.Minute {
			if !pause(ctx, 10*time.Millisecond) {
				return
			}
		}
	})
	for w := range 6 {
		wg.Go(func() { st.write(ctx, w) })
	}
	for r := range 12 {
		wg.Go(func() { st.read(ctx, r) })
	}
	for range st.starve {
		wg.Go(func() {
			for ctx.Err() == nil {
			}
		})
	}
	wg.Go(func() { st.watch(ctx) })
	wg.Go(func() { st.follow(ctx, place) })
	wg.Go(func() { st.sample(ctx) })
	if st.grow {
		wg.Go(func() { st.double(ctx) })
	}
	wg.Wait()
}

// write changes lists at random: adds, removals, mode, and now and then more
// than a change can say.
func (st *storm) write(ctx context.Context, seed int) {
	rng := rand.New(rand.NewPCG(7, uint64(seed)))
	for i := 0; ctx.Err() == nil; i++ {
		k := blockKey(st.names[rng.IntN(len(st.names))])
		st.db.mu.Lock()
		_, has := st.db.lists[k].entries["extra"]
		st.db.mu.Unlock()
		switch n := rng.IntN(100); {
		case n < 2:
			st.db.write(k, OpReload, Entry{Target: "bulk" + strconv.Itoa(i%5)})
		case n < 10:
			st.db.write(k, OpMode)
		case has && seed == 0: // one writer alone removes, so that it is there
			st.db.write(k, OpRemove, Entry{Target: "extra"})
		case seed == 0:
			st.db.write(k, OpAdd, Entry{Target: "extra"})
		default:
			st.db.write(k, OpMode)
		}
		for range 20 {
			runtime.Gosched()
		}
	}
}

// read asks for lists, some far more often than others.
func (st *storm) read(ctx context.Context, seed int) {
	rng := rand.New(rand.NewPCG(9, uint64(seed)))
	zipf := rand.NewZipf(rng, 1.1, 1, uint64(len(st.names)-1))
	d := st.cache.Directory("a", KindBlock)
	for ctx.Err() == nil {
		i := int(zipf.Uint64())
		floor := st.applied[i].Load()
		v, ok := d.Find(st.names[i])
		if !ok {
			var err error
			if v, err = d.Load(ctx, st.names[i], Need{}); err != nil {
				continue // unknown, which is not wrong
			}
		}
		if v.Version() < floor {
			st.stale.Add(1)
		}
		st.reads.Add(1)
	}
}

// watch looks at the budget all along. It holds the locks under which pages come,
// so that it does not count one that came beside another that had to go for it.
func (st *storm) watch(ctx context.Context) {
	d := st.cache.Directory("a", KindBlock)
	for ctx.Err() == nil {
		for i := range d.shards {
			d.shards[i].mu.Lock()
		}
		bytes := d.stats(0).Bytes
		for i := range d.shards {
			d.shards[i].mu.Unlock()
		}
		for {
			peak := st.peak.Load()
			if bytes <= peak || st.peak.CompareAndSwap(peak, bytes) {
				break
			}
		}
		runtime.Gosched()
	}
}

// follow is the feed: in order for each list, as a poll delivers it, but with
// changes lost or repeated.
func (st *storm) follow(ctx context.Context, place int) {
	rng := rand.New(rand.NewPCG(11, 1))
	for polls := 0; ctx.Err() == nil; polls++ {
		var changes []Change
		began := st.cache.Now() // before the query, as a poll has it
		changes, place = st.db.since(place)
		var batch []Change
		for _, c := range changes {
			if rng.IntN(1000) < st.drop {
				continue
			}
			batch = append(batch, c)
			if rng.IntN(1000) < st.dup {
				batch = append(batch, c)
			}
		}
		st.cache.Apply(st.cache.Epoch(), st.db.identity, batch)
		for _, c := range batch {
			st.applied[st.index[c.Owner]].Store(c.Version)
		}
		st.cache.Fresh(began)
		if st.resets && polls%500 == 499 {
			follow(st.cache, st.db)
		}
		for range rng.IntN(50) {
			runtime.Gosched()
		}
	}
}

// sample takes a few samples at a time, and judges each as soon as the feed has
// passed it.
func (st *storm) sample(ctx context.Context) {
	const together = 16
	for ctx.Err() == nil {
		var taken []*Sample
		for range together {
			if s, err := st.cache.Sample(ctx, true); err == nil { // else nothing is current, or another server answers
				taken = append(taken, s)
			}
		}
		for _, s := range taken {
			v, done := s.Judge()
			for ; !done && ctx.Err() == nil; v, done = s.Judge() {
				runtime.Gosched()
			}
			if v.Judged {
				st.samples.Add(1)
			}
			if !v.Right() {
				st.wrong.Add(1)
				_ = s.Renew(ctx) // the database of this test does not fail
			}
		}
		runtime.Gosched()
	}
}

// double doubles the number of pages twice while everything goes on.
func (st *storm) double(ctx context.Context) {
	d := st.cache.Directory("a", KindBlock)
	for range 2 {
		if !pause(ctx, *stressTime/3) {
			return
		}
		d.grow(ctx, d.keyOf(0).bits()+1)
	}
}

// settle is the end: what was lost is read again, and memory equals the database.
func (st *storm) settle(t *testing.T) {
	t.Helper()
	st.db.hold = nil
	follow(st.cache, st.db)
	preloaded(t, st.cache)
	idle(t, st.cache)
	inMemory := checkEqual(t, st.cache, st.db)
	ghosts, leaks := audit(st.cache)
	if ghosts != 0 || leaks != 0 {
		t.Errorf("at rest %d ghosts, %d leaks", ghosts, leaks)
	}
	s := st.cache.Stats()
	if s.Bytes > s.MaxBytes {
		t.Errorf("at rest %d bytes under a budget of %d", s.Bytes, s.MaxBytes)
	}
	m := st.cache.metrics
	t.Logf("%d samples, %d found something; %d reads, %d stale; %d changes, %d page reads; peak %.2f × budget; at rest %d of %d lists, %d pages; "+
		"%v evictions, %v repaired, %v not kept",
		st.samples.Load(), st.wrong.Load(), st.reads.Load(), st.stale.Load(), len(st.db.log), st.db.loadCount(),
		float64(st.peak.Load())/float64(s.MaxBytes), inMemory, st.owners, s.Pages,
		testutil.ToFloat64(m.evictions), testutil.ToFloat64(m.reconciled), testutil.ToFloat64(m.unpublished))
}

// TestStress: no read is older than what was applied before it, whatever
// happens; at rest memory equals the database, everything reachable is paid for,
// and nothing is paid for that is not reachable.
func TestStress(t *testing.T) {
	for name, s := range map[string]stress{
		"capacity far below the data": {owners: 4000, budgetShare: 7},
		"a feed that misbehaves":      {owners: 4000, budgetShare: 7, drop: 20, dup: 50, resets: true},
		"the pages double":            {owners: 4000, budgetShare: 7, resets: true, grow: true},
		"hot":                         {owners: 900, budgetShare: 2},
		"slow callbacks":              {owners: 4000, budgetShare: 7, slowCallback: 200 * time.Microsecond},
		"a starved worker":            {owners: 4000, budgetShare: 7, starve: 4},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStorm(t, s)
			st.run(t)
			st.settle(t)
			if n := st.stale.Load(); n != 0 {
				t.Errorf("%d of %d reads were older than what had been applied", n, st.reads.Load())
			}
			if n := st.wrong.Load(); n != 0 && s.drop == 0 {
				t.Errorf("%d of %d samples found something although nothing was lost", n, st.samples.Load())
			}
			const bound = 1.10
			if over := float64(st.peak.Load()) / float64(st.cache.opts.MaxBytes); over > bound {
				t.Errorf("%.2f × the budget was reachable", over)
			}
			if st.reads.Load() == 0 || st.samples.Load() == 0 && s.starve == 0 || testutil.ToFloat64(st.cache.metrics.evictions) == 0 {
				t.Error("nothing happened")
			}
		})
	}
}

// TestStressWithoutGuards: the same storm without the guards does show
// staleness, so the storm is able to.
func TestStressWithoutGuards(t *testing.T) {
	st := newStorm(t, stress{owners: 200, budgetShare: 2, off: guardReplay | guardNewest | guardGap | guardDigest | guardEqualDigest})
	st.run(t)
	t.Logf("%d reads, %d stale", st.reads.Load(), st.stale.Load())
	if st.stale.Load() == 0 {
		t.Error("no read was stale although no change is replayed")
	}
}
