package cache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// sluice holds page reads back until it is told to let one pass, and counts.
type sluice struct {
	pass    chan struct{} // a value lets one read pass, closing it lets all
	entered atomic.Int64
	inside  atomic.Int64
	most    atomic.Int64
}

func newSluice() *sluice { return &sluice{pass: make(chan struct{})} }

func (g *sluice) wait() {
	g.entered.Add(1)
	n := g.inside.Add(1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); {
		most = g.most.Load()
	}
	<-g.pass
	g.inside.Add(-1)
}

func TestLoadingAheadTakesTwoReadsAtMost(t *testing.T) {
	db := newSimDB()
	fill(db, 5000)
	c := newTestCache(t, db)
	g := newSluice()
	db.hold = func(context.Context, string, Kind, Range) error { g.wait(); return nil }
	follow(c, db)
	runCache(t, c)
	waitFor(t, "two reads to be under way", func() bool { return g.inside.Load() == streams })
	if p := c.keeper.progress(); p != 0 {
		t.Errorf("nothing is read yet, and progress is %v", p)
	}
	for n := range int64(10) {
		g.pass <- struct{}{}
		waitFor(t, "the next read", func() bool { return g.entered.Load() == streams+n+1 })
	}
	waitFor(t, "progress", func() bool { p := c.keeper.progress(); return p > 0 && p < 1 })
	close(g.pass)
	preloaded(t, c)
	if n := g.most.Load(); n != streams {
		t.Errorf("%d reads at once, want %d", n, streams)
	}
	if p := c.keeper.progress(); p != 1 {
		t.Errorf("all is read, and progress is %v", p)
	}
	if n := testutil.ToFloat64(c.metrics.preloadPages); n != float64(c.Stats().Slots) {
		t.Errorf("%v of %d pages are counted", n, c.Stats().Slots)
	}
}

// TestLoadingAheadYieldsToWhoeverWaits: while a page is being read because
// somebody asked for it, only one range is read ahead at a time.
func TestLoadingAheadYieldsToWhoeverWaits(t *testing.T) {
	db := newSimDB()
	fill(db, 5000)
	c := newTestCache(t, db)
	asked, answer := make(chan struct{}), make(chan struct{})
	g := newSluice()
	var first atomic.Bool
	db.hold = func(context.Context, string, Kind, Range) error {
		if first.CompareAndSwap(false, true) { // the read that somebody waits for
			close(asked)
			<-answer
			return nil
		}
		g.wait()
		return nil
	}
	follow(c, db)
	var wg sync.WaitGroup
	wg.Go(func() { // of the directory that is loaded ahead last
		if _, err := c.Directory("b", KindRoom).Load(ctx, lastShard(), Need{}); err != nil {
			t.Error(err)
		}
	})
	<-asked
	runCache(t, c)
	for n := range int64(20) {
		waitFor(t, "the next read ahead", func() bool { return g.entered.Load() == n+1 })
		g.pass <- struct{}{}
	}
	if n := g.most.Load(); n != 1 {
		t.Errorf("%d ranges were read ahead at once while somebody waited", n)
	}
	close(answer)
	wg.Wait()
	waitFor(t, "both streams to go on", func() bool { return g.inside.Load() == streams })
	close(g.pass)
	preloaded(t, c)
	if p := c.keeper.progress(); p != 1 {
		t.Errorf("all is in memory, one page because somebody asked for it, and progress is %v", p)
	}
}

// lastShard returns an owner in the last shard.
func lastShard() string {
	for owner := "a"; ; owner += "a" {
		if HashOwner(owner, 42)>>(64-shardBits) == shards-1 {
			return owner
		}
	}
}

// cut is a database whose first server breaks off after some page reads, and a
// log of those of the block lists of app "a".
type cut struct {
	*simDB
	mu     sync.Mutex
	mended bool
	before []Range // read from the first server
	after  []Range // read from the next
}

func (c *cut) Load(ctx context.Context, app string, kind Kind, r Range) (Loaded, error) {
	loaded, err := c.simDB.Load(ctx, app, kind, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	first := loaded.Identity.Started == 0
	const reads = 7
	switch {
	case first && !c.mended && len(c.before) >= reads:
		return Loaded{}, errors.New("connection reset by peer")
	case app != "a" || kind != KindBlock:
	case first:
		c.before = append(c.before, r)
	default:
		c.after = append(c.after, r)
	}
	return loaded, err
}

const cutLists = 5000

// cutInTheMiddle returns a cache whose loading ahead was cut after some ranges.
func cutInTheMiddle(t *testing.T) (*cut, *Cache) {
	db := &cut{simDB: newSimDB()}
	fill(db.simDB, cutLists)
	c := newTestCache(t, db.simDB, func(o *Options) { o.Loader = Whole(db.Load) })
	follow(c, db.simDB)
	runCache(t, c)
	waitFor(t, "reading to fail", func() bool { return testutil.ToFloat64(c.metrics.loadErrors) > 0 })
	return db, c
}

func TestLoadingAheadGoesOnWhereItWasCut(t *testing.T) {
	db, c := cutInTheMiddle(t)
	if p := c.keeper.progress(); p == 0 || p == 1 {
		t.Errorf("cut in the middle, progress is %v", p)
	}
	db.mu.Lock()
	db.mended = true
	db.mu.Unlock()
	preloaded(t, c)
	seen := map[Range]bool{}
	for _, r := range db.before {
		if seen[r] {
			t.Errorf("%x was read twice", r)
		}
		seen[r] = true
	}
	if n := checkEqual(t, c, db.simDB); n != cutLists {
		t.Errorf("%d lists in memory", n)
	}
}

// TestWhatIsMissingIsReadBeforeWhatIsSuspect: after a restart of the database in
// the middle, pages that can be answered from by their age wait for those that
// cannot be answered from at all.
func TestWhatIsMissingIsReadBeforeWhatIsSuspect(t *testing.T) {
	db, c := cutInTheMiddle(t)
	db.restart()
	follow(c, db.simDB)
	preloaded(t, c)
	missing := len(db.after) - len(db.before)
	if missing <= 0 || len(db.before) == 0 {
		t.Fatalf("%d ranges before the restart, %d after", len(db.before), len(db.after))
	}
	for i, r := range db.after {
		if again := slices.Contains(db.before, r); again != (i >= missing) {
			t.Errorf("read %d of %d: read before the restart: %v", i, len(db.after), again)
		}
	}
	if n := checkEqual(t, c, db.simDB); n != cutLists {
		t.Errorf("%d lists in memory", n)
	}
}
