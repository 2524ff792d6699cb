package cache

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var ctx = context.Background()

func TestAMissIsNotAnEmptyList(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	d := c.Directory("a", KindBlock)
	if _, ok := d.Find("bob"); ok {
		t.Fatal("found a list before a server is followed")
	}
	if _, err := d.Load(ctx, "bob", Need{}); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("load before a server is followed: %v", err)
	}
	follow(c, db)
	if _, ok := d.Find("bob"); ok {
		t.Fatal("found a page that was never loaded")
	}
	if v := mustLoad(t, c, "bob"); !v.Contains("alice") || v.Contains("carol") || v.Version() != 1 {
		t.Error("the loaded list is wrong")
	}
	if v, ok := d.Find("bob"); !ok || !v.Contains("alice") {
		t.Error("the list is not in memory after the load")
	}
}

func TestOwnerWithoutAListCostsNothing(t *testing.T) {
	db := newSimDB()
	c := newTestCache(t, db)
	follow(c, db)
	v := mustLoad(t, c, "nobody")
	if v.Contains("x") || v.Version() != 0 || v.Allowlist() {
		t.Error("an owner without a list has one")
	}
	before := c.Stats()
	loads := db.loadCount()
	for i := range 1000 {
		mustLoad(t, c, "nobody"+strconv.Itoa(i))
	}
	if s := c.Stats(); s.Lists != 0 || s.Bytes > before.Bytes*shards {
		t.Errorf("1000 owners without a list: %+v", s)
	}
	if n := db.loadCount() - loads; n > shards {
		t.Errorf("%d page reads for owners in %d pages", n, shards)
	}
}

func TestAppsAndKindsDoNotMeet(t *testing.T) {
	db := newSimDB()
	db.write(listKey{"a", KindBlock, "bob"}, OpAdd, Entry{Target: "in-a-block"})
	db.write(listKey{"a", KindAllow, "bob"}, OpAdd, Entry{Target: "in-a-allow"})
	db.write(listKey{"b", KindBlock, "bob"}, OpAdd, Entry{Target: "in-b-block"})
	c := newTestCache(t, db)
	follow(c, db)
	for _, app := range []string{"a", "b"} {
		for k := range Kind(Kinds) {
			v, err := c.Directory(app, k).Load(ctx, "bob", Need{})
			if err != nil {
				t.Fatal(err)
			}
			for _, target := range []string{"in-a-block", "in-a-allow", "in-b-block"} {
				want := target == "in-"+app+"-"+k.String()
				if v.Contains(target) != want {
					t.Errorf("app %s, kind %s: %s is %v", app, k, target, !want)
				}
			}
		}
	}
	if c.Directory("c", KindBlock) != nil || c.Directory("a", Kinds) != nil {
		t.Error("a directory that is not configured")
	}
}

func TestOneReadForAllWhoWait(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	db.before = func() {
		once.Do(func() { close(entered) })
		<-release
	}
	const callers = 10_000
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			v, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{})
			if err != nil || !v.Contains("alice") {
				t.Errorf("%v, %v", v, err)
			}
		})
	}
	<-entered
	close(release)
	wg.Wait()
	if n := db.loadCount(); n != 1 {
		t.Errorf("%d page reads for %d callers", n, callers)
	}
}

func TestAChangeDuringTheReadIsReplayed(t *testing.T) {
	for name, off := range map[string]guards{"guarded": 0, "guard off": guardReplay} {
		db := newSimDB()
		db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
		c := newTestCache(t, db)
		c.off = off
		follow(c, db)
		// The snapshot is taken, then the change commits and is applied, and
		// only then does the answer arrive.
		db.hold = func(context.Context, string, Kind, Range) error {
			c.Apply(c.Epoch(), db.identity, []Change{db.write(blockKey("bob"), OpRemove, Entry{Target: "alice"})})
			return nil
		}
		stale := mustLoad(t, c, "bob").Contains("alice")
		if want := off != 0; stale != want {
			t.Errorf("%s: the unblocked target is still blocked: %v", name, stale)
		}
	}
}

func TestAReadThatIsBehindIsRepeated(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	first := true
	db.hold = func(context.Context, string, Kind, Range) error {
		if first {
			first = false
			db.write(blockKey("bob"), OpAdd, Entry{Target: "carol"}) // never delivered
			c.Apply(c.Epoch(), db.identity, []Change{db.write(blockKey("bob"), OpAdd, Entry{Target: "dave"})})
		}
		return nil
	}
	v := mustLoad(t, c, "bob")
	if v.Version() != 3 || !v.Contains("carol") || !v.Contains("dave") {
		t.Errorf("version %d after a change that the rows did not lead up to", v.Version())
	}
	if db.loadCount() != 2 {
		t.Errorf("%d reads, want a second one", db.loadCount())
	}
}

func TestRowsOfAnotherServerAreRefused(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	db.identity.Timeline = 2
	if _, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{}); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errOtherServer) {
		t.Errorf("error %v", err)
	}
	follow(c, db)
	mustLoad(t, c, "bob")
}

func TestAResetDuringTheReadDiscardsIt(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	resets := 0
	db.hold = func(context.Context, string, Kind, Range) error {
		if resets++; resets == 1 {
			db.identity.Started++
			follow(c, db)
		}
		return nil
	}
	v := mustLoad(t, c, "bob")
	if v.pg.epoch != 2 || db.loadCount() != 2 {
		t.Errorf("page of epoch %d after %d reads", v.pg.epoch, db.loadCount())
	}
}

func TestAPanicOfTheLoaderReachesEveryWaiterAsAnError(t *testing.T) {
	db := newSimDB()
	c := newTestCache(t, db)
	follow(c, db)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	db.before = func() {
		once.Do(func() { close(entered) })
		<-release
		panic("boom")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{}); !errors.Is(err, errPanic) {
				t.Errorf("error %v", err)
			}
		})
	}
	<-entered
	close(release)
	wg.Wait()
	db.before = nil
	mustLoad(t, c, "bob") // the flight is gone
}

func TestTheReadHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSimDB()
		c := newTestCache(t, db, func(o *Options) { o.LoadTimeout = 150 * time.Millisecond })
		follow(c, db)
		db.hold = func(ctx context.Context, _ string, _ Kind, _ Range) error {
			<-ctx.Done()
			return ctx.Err()
		}
		begin := time.Now()
		_, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{})
		if !errors.Is(err, ErrUnavailable) || time.Since(begin) != 150*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestAWaiterLeavesWhenItsContextEnds(t *testing.T) {
	db := newSimDB()
	c := newTestCache(t, db)
	follow(c, db)
	entered, release := make(chan struct{}), make(chan struct{})
	db.before = func() { close(entered); <-release }
	var wg sync.WaitGroup
	wg.Go(func() { mustLoad(t, c, "bob") })
	<-entered
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Directory("a", KindBlock).Load(gone, "bob", Need{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(release)
	wg.Wait()
}

func TestNeedOfAVersion(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	d := c.Directory("a", KindBlock)
	mustLoad(t, c, "bob")
	db.write(blockKey("bob"), OpAdd, Entry{Target: "carol"}) // not polled yet

	if v, err := d.Load(ctx, "bob", Need{Version: 1}); err != nil || v.Version() != 1 || db.loadCount() != 1 {
		t.Errorf("version 1 is in memory: %d, %v, %d reads", v.Version(), err, db.loadCount())
	}
	if v, err := d.Load(ctx, "bob", Need{Version: 2}); err != nil || !v.Contains("carol") {
		t.Errorf("version 2 is in the database: %v", err)
	}
	if _, err := d.Load(ctx, "bob", Need{Version: 3}); !errors.Is(err, ErrNotFresh) {
		t.Errorf("version 3 is nowhere: %v", err)
	}
	// The page that was read ahead of the feed is not undone by the feed.
	c.Apply(c.Epoch(), db.identity, db.log)
	if n := checkEqual(t, c, db); n != 1 {
		t.Errorf("%d lists in memory", n)
	}
}

func TestForceReadsAlthoughThePageIsThere(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	mustLoad(t, c, "bob")
	db.write(blockKey("bob"), OpRemove, Entry{Target: "alice"})
	v, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{Force: true})
	if err != nil || v.Contains("alice") || db.loadCount() != 2 {
		t.Errorf("%v, %d reads", err, db.loadCount())
	}
}

func TestAForcedReadDoesNotShareAnEarlierOne(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	db.hold = func(context.Context, string, Kind, Range) error { // after the first snapshot
		once.Do(func() { close(entered); <-release })
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { mustLoad(t, c, "bob") })
	<-entered
	db.write(blockKey("bob"), OpRemove, Entry{Target: "alice"})
	wg.Go(func() {
		v, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{Force: true})
		if err != nil || v.Contains("alice") {
			t.Errorf("a forced read returned what was read before it was asked for: %v", err)
		}
	})
	close(release)
	wg.Wait()
}

func TestAContradictoryAnswerIsUnknownNotWrong(t *testing.T) {
	for name, spoil := range map[string]func(*Loaded){
		"a list is missing":    func(l *Loaded) { l.Lists = l.Lists[:len(l.Lists)-1] },
		"a row is missing":     func(l *Loaded) { l.Lists[0].Entries = nil },
		"a list from far away": func(l *Loaded) { l.Lists[0].Owner = otherShard(l.Lists[0].Owner) },
	} {
		db := newSimDB()
		db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
		c := newTestCache(t, db)
		follow(c, db)
		db.after = func(l *Loaded, err error) error { spoil(l); return err }
		if _, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{}); !errors.Is(err, errMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// otherShard returns an owner that lives in another shard.
func otherShard(owner string) string {
	for i := 0; ; i++ {
		other := owner + strconv.Itoa(i)
		if HashOwner(other, 42)>>(64-shardBits) != HashOwner(owner, 42)>>(64-shardBits) {
			return other
		}
	}
}

func TestExpiryIsHonouredTheMomentItPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSimDB()
		now := time.Now()
		db.write(blockKey("bob"), OpAdd,
			Entry{Target: "soon", Expires: now.Add(time.Minute).UnixMicro()}, Entry{Target: "never"})
		c := newTestCache(t, db)
		follow(c, db)
		v := mustLoad(t, c, "bob")
		time.Sleep(time.Minute - time.Microsecond)
		if !v.Contains("soon") {
			t.Error("gone before its time")
		}
		time.Sleep(time.Microsecond)
		if v.Contains("soon") || !v.Contains("never") {
			t.Error("still there after its time")
		}
		c.SetClockOffset(-time.Hour) // the database's clock is behind: not yet
		if !v.Contains("soon") {
			t.Error("the clock was not corrected to the database's")
		}
	})
}

func TestFindAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, manyEntries(300)...)
	c := newTestCache(t, db)
	follow(c, db)
	runCache(t, c)
	preloaded(t, c) // what others allocate is counted too
	idle(t, c)
	d := c.Directory("a", KindBlock)
	n := testing.AllocsPerRun(10000, func() {
		v, ok := d.Find("bob")
		if !ok || !v.Contains("t7") || v.Contains("nobody") || v.Age(c.Now()) > time.Hour {
			t.Fatal("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a lookup", n)
	}
	lookups := make([]Lookup, 3*lookupBlock)
	n = testing.AllocsPerRun(10000, func() {
		for i := range lookups {
			lookups[i].Directory, lookups[i].Owner, lookups[i].Target = d, "bob", PrintOf("t7")
		}
		if c.FindAll(lookups); !lookups[0].View.Has(lookups[0].Target) {
			t.Fatal("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for %d lookups", n, len(lookups))
	}
}

func BenchmarkFindAndContains(b *testing.B) {
	db := newSimDB()
	owners := make([]string, 1<<12)
	for i := range owners {
		owners[i] = "user-" + strconv.Itoa(i)
		db.write(blockKey(owners[i]), OpAdd, manyEntries(10)...)
	}
	c := newTestCache(b, db)
	follow(c, db)
	for _, o := range owners {
		mustLoad(b, c, o)
	}
	d := c.Directory("a", KindBlock)
	for i := 0; b.Loop(); i++ {
		v, ok := d.Find(owners[i&(1<<12-1)])
		if !ok || v.Contains("stranger") {
			b.Fatal("wrong answer")
		}
	}
}
