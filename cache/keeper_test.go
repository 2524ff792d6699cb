package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func preloaded(t testing.TB, c *Cache) {
	t.Helper()
	waitFor(t, "everything to be loaded ahead", func() bool {
		return testutil.ToFloat64(c.metrics.preloaded) > 0 && c.feed.Load().older.Load() == nil && c.Stats().SuspectPages == 0
	})
}

func TestWhatFitsIsLoadedAhead(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 10_000)
	c := newTestCache(t, db)
	if c.Preloaded() {
		t.Error("before it runs all is said to be in memory")
	}
	runCache(t, c)
	follow(c, db)
	preloaded(t, c)
	waitFor(t, "the cache to say so", c.Preloaded)
	loads := db.loadCount()
	for _, o := range owners {
		if _, ok := c.Directory("a", KindBlock).Find(o); !ok {
			t.Fatalf("%s is not in memory", o)
		}
	}
	if _, ok := c.Directory("b", KindRoom).Find("nobody"); !ok {
		t.Error("an empty directory is not in memory")
	}
	if n := checkEqual(t, c, db); n != 10_000 || db.loadCount() != loads {
		t.Errorf("%d lists, %d more reads", n, db.loadCount()-loads)
	}
	s := c.Stats()
	if per := s.Lists / (s.Pages - 5*shards); per < pageLists/3 || per > 2*pageLists {
		t.Errorf("%d lists a page, planned are about %d", per, pageLists)
	}
	if loads > 500 {
		t.Errorf("%d queries to load 10,000 lists ahead", loads)
	}
}

func TestWhatDoesNotFitIsLoadedWhenAsked(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 10_000)
	c := newTestCache(t, db, func(o *Options) { o.MaxBytes = 1 << 20 })
	runCache(t, c)
	follow(c, db)
	waitFor(t, "the sizes", func() bool { return testutil.ToFloat64(c.metrics.preloaded) > 0 })
	if n := db.loadCount(); n != 0 {
		t.Errorf("%d page reads although the data does not fit", n)
	}
	mustLoad(t, c, owners[7])
	// About ten are planned where four tenths fit; if all did it would be 87.
	if s := c.Stats(); s.Lists > 24 {
		t.Errorf("a page holds %d lists", s.Lists)
	}
}

// Expiries make lists heavier than their sizes tell. What was planned to fit and
// does not must not be counted and read again at every look.
func TestWhatTurnsOutNotToFitIsPlannedOnce(t *testing.T) {
	db := newSimDB()
	entries := manyEntries(20)
	for i := range entries {
		entries[i].Expires = time.Now().Add(time.Hour).UnixMicro()
	}
	for i := range 12_000 {
		db.write(blockKey("o"+strconv.Itoa(i)), OpAdd, entries...)
	}
	c := newTestCache(t, db, func(o *Options) { o.MaxBytes = 4 << 20 })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.acct.run(ctx) })
	defer wg.Wait()
	defer cancel()
	follow(c, db)
	if !c.keeper.walk(ctx) || !c.keeper.fits || !c.keeper.hasOutgrown() {
		t.Fatal("it was not planned to fit, or does: the test shows nothing")
	}
	c.keeper.sized = false
	loads := db.loadCount()
	if !c.keeper.walk(ctx) || c.keeper.hasOutgrown() || db.loadCount() != loads {
		t.Errorf("fits %v, %d more reads", c.keeper.fits, db.loadCount()-loads)
	}
}

// The lists that are asked for may be longer than the others for good. What there
// is must not be counted at every look because of that.
func TestLongListsInMemoryAreNotGrowth(t *testing.T) {
	db := newSimDB()
	for i := range 20_000 {
		db.write(blockKey("o"+strconv.Itoa(i)), OpAdd, manyEntries(1)...)
	}
	for i := range 40 {
		db.write(blockKey("long"+strconv.Itoa(i)), OpAdd, manyEntries(1000)...)
	}
	c := newTestCache(t, db, func(o *Options) { o.MaxBytes = 1 << 19 })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.acct.run(ctx) })
	defer wg.Wait()
	defer cancel()
	follow(c, db)
	k := c.keeper
	if !k.walk(ctx) || k.fits {
		t.Fatal("all of it fits: the test shows nothing")
	}
	for i := range 2 {
		mustLoad(t, c, "long"+strconv.Itoa(i))
	}
	counted := 0
	for range 100 {
		if k.due() {
			counted++
			k.sized = false
			k.walk(ctx)
			k.looked()
		}
	}
	if counted == 0 || counted > 7 {
		t.Errorf("counted %d times in 100 looks", counted)
	}
}

func TestSuspectPagesAreReadAgain(t *testing.T) {
	db := newSimDB()
	fill(db, 2000)
	c := newTestCache(t, db)
	runCache(t, c)
	follow(c, db)
	preloaded(t, c)
	db.write(blockKey("o7"), OpAdd, Entry{Target: "written while nobody looked"})
	db.restart()
	follow(c, db)
	preloaded(t, c)
	if n := checkEqual(t, c, db); n != 2000 {
		t.Errorf("%d lists in memory", n)
	}
}

func TestSuspectPagesStayWhileTheDatabaseIsAway(t *testing.T) {
	db := newSimDB()
	fill(db, 200)
	c := newTestCache(t, db)
	runCache(t, c)
	follow(c, db)
	preloaded(t, c)
	var away atomic.Bool
	away.Store(true)
	refused := make(chan struct{})
	var once sync.Once
	db.hold = func(context.Context, string, Kind, Range) error {
		if away.Load() {
			once.Do(func() { close(refused) })
			return errors.New("connection refused")
		}
		return nil
	}
	db.restart()
	follow(c, db)
	<-refused
	for i := range 200 {
		if _, ok := c.Directory("a", KindBlock).Find("o" + strconv.Itoa(i)); !ok {
			t.Fatal("a page was given up although it can be answered from by its age")
		}
	}
	away.Store(false)
	preloaded(t, c)
	checkEqual(t, c, db)
}

func TestLoadingAheadLosesNoChange(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 5000)
	c := newTestCache(t, db)
	runCache(t, c)
	follow(c, db)
	var place int
	_, place = db.since(0)
	for round := range 3000 { // while it loads
		db.write(blockKey(owners[round%len(owners)]), OpMode)
		var changes []Change
		changes, place = db.since(place)
		c.Apply(c.Epoch(), db.identity, changes)
	}
	preloaded(t, c)
	if n := checkEqual(t, c, db); n != 5000 {
		t.Errorf("%d lists in memory", n)
	}
}

func TestGrowKeepsWhatIsThereAndWhatIsUnderWay(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 1000)
	c := newTestCache(t, db)
	follow(c, db)
	d := c.Directory("a", KindBlock)
	for _, o := range owners[:500] {
		mustLoad(t, c, o)
	}
	// Empty one page, so that a load is under way while the directory grows.
	hash := HashOwner(owners[600], db.identity.Salt)
	d.shardOf(hash).table.Load().at(hash).Store(nil)
	entered, release := make(chan struct{}), make(chan struct{})
	db.hold = func(context.Context, string, Kind, Range) error { close(entered); <-release; return nil }
	var wg sync.WaitGroup
	wg.Go(func() { mustLoad(t, c, owners[600]) })
	<-entered
	d.grow(ctx, 8)
	c.Apply(c.Epoch(), db.identity, []Change{
		db.write(blockKey(owners[600]), OpAdd, Entry{Target: "while it grew"}),
		db.write(blockKey(owners[1]), OpAdd, Entry{Target: "while it grew"}),
	})
	close(release)
	wg.Wait()
	if !mustLoad(t, c, owners[600]).Contains("while it grew") {
		t.Error("a load under way lost a change when the directory grew")
	}
	if n := checkEqual(t, c, db); n != 1000 {
		t.Errorf("%d of 1000 lists in memory after growing", n)
	}
	if c.Stats().Slots != 5*shards+1<<8 {
		t.Errorf("%d slots", c.Stats().Slots)
	}
}

func TestBitsFor(t *testing.T) {
	for _, row := range []struct {
		lists, perPage int64
		want           uint8
	}{{0, 64, shardBits}, {1024, 64, shardBits}, {1025, 64, 5}, {1 << 20, 64, 14}, {1 << 20, 1, 20}, {1 << 40, 1, maxBits}} {
		if got := bitsFor(row.lists, row.perPage); got != row.want {
			t.Errorf("%d lists, %d a page: %d bits, want %d", row.lists, row.perPage, got, row.want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	db := newSimDB()
	good := Options{MaxBytes: 1, Apps: []string{"a"}, Loader: Whole(db.Load), Metrics: newTestCache(t, db).metrics}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"no budget":        func(o *Options) { o.MaxBytes = 0 },
		"no apps":          func(o *Options) { o.Apps = nil },
		"an app twice":     func(o *Options) { o.Apps = []string{"a", "a"} },
		"no loader":        func(o *Options) { o.Loader = nil },
		"no metrics":       func(o *Options) { o.Metrics = nil },
		"negative timeout": func(o *Options) { o.LoadTimeout = -1 },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOneDamagedListCostsItsPage(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 3000)
	// The rows of the first list of all contradict its header, for a while.
	var broken atomic.Bool
	damaged := slices.MinFunc(owners, func(a, b string) int {
		return cmp.Compare(HashOwner(a, db.identity.Salt), HashOwner(b, db.identity.Salt))
	})
	db.after = func(l *Loaded, err error) error {
		for i := range l.Lists {
			if broken.Load() && l.Lists[i].Owner == damaged {
				l.Lists[i].Digest++
			}
		}
		return err
	}
	c := newTestCache(t, db)
	runCache(t, c)
	follow(c, db)
	preloaded(t, c)
	broken.Store(true)
	db.restart()
	follow(c, db)
	waitFor(t, "all pages but one to be read again", func() bool { return c.Stats().SuspectPages == 1 })
	if v, ok := c.Directory("a", KindBlock).Find(damaged); !ok || v.Current() {
		t.Error("the suspect page is not the one of the damaged list")
	}
	broken.Store(false)
	preloaded(t, c)
	checkEqual(t, c, db)
}

func TestADirectoryGrowsWithItsLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSimDB()
		c := newTestCache(t, db)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		follow(c, db) // an empty database
		synctest.Wait()
		before := c.Stats().Slots
		owners := fill(db, 9000)
		c.Apply(c.Epoch(), db.identity, db.log)
		time.Sleep(growthTick + time.Second)
		synctest.Wait()
		if s := c.Stats(); s.Slots == before || s.Lists > outgrown*pageLists*s.Pages {
			t.Errorf("%d lists in %d of %d pages", s.Lists, s.Pages, s.Slots)
		}
		if n := checkEqual(t, c, db); n != len(owners) {
			t.Errorf("%d of %d lists in memory", n, len(owners))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
