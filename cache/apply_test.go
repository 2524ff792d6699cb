package cache

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// loadedPage returns a cache that follows db and has bob's page in memory.
func loadedPage(t *testing.T, db *simDB) *Cache {
	t.Helper()
	db.write(blockKey("bob"), OpAdd, Entry{Target: "alice"})
	c := newTestCache(t, db)
	follow(c, db)
	mustLoad(t, c, "bob")
	return c
}

func TestApplyReachesThePage(t *testing.T) {
	db := newSimDB()
	c := loadedPage(t, db)
	for _, step := range []struct {
		op Op
		e  []Entry
	}{
		{OpAdd, []Entry{{Target: "carol"}}},
		{OpUpdate, []Entry{{Target: "carol", Expires: 1 << 60}}},
		{OpUpdate, nil}, // of a note
		{OpMode, nil},
		{OpRemove, []Entry{{Target: "alice"}}},
	} {
		c.Apply(c.Epoch(), db.identity, []Change{db.write(blockKey("bob"), step.op, step.e...)})
		if checkEqual(t, c, db) != 1 {
			t.Fatalf("the page is gone after %c", step.op)
		}
	}
	if db.loadCount() != 1 {
		t.Errorf("%d reads, the changes say it all", db.loadCount())
	}
}

func TestABatchOfManyPages(t *testing.T) {
	db := newSimDB()
	c := newTestCache(t, db)
	follow(c, db)
	for i := range 200 {
		mustLoad(t, c, "o"+strconv.Itoa(i))
	}
	for round := range 3 {
		for i := range 200 {
			db.write(blockKey("o"+strconv.Itoa(i)), OpAdd, Entry{Target: strconv.Itoa(round)})
		}
	}
	c.Apply(c.Epoch(), db.identity, db.log)
	if n := checkEqual(t, c, db); n != 200 {
		t.Errorf("%d of 200 lists in memory", n)
	}
	c.Apply(c.Epoch(), db.identity, db.log) // twice is harmless
	checkEqual(t, c, db)
}

func TestAGapKillsThePage(t *testing.T) {
	db := newSimDB()
	c := loadedPage(t, db)
	db.write(blockKey("bob"), OpAdd, Entry{Target: "lost"})
	c.Apply(c.Epoch(), db.identity, []Change{db.write(blockKey("bob"), OpAdd, Entry{Target: "carol"})})
	if _, ok := c.Directory("a", KindBlock).Find("bob"); ok {
		t.Fatal("the page is still answered from")
	}
	if v := mustLoad(t, c, "bob"); !v.Contains("lost") || !v.Contains("carol") {
		t.Error("the list is wrong after the reload")
	}
}

func TestAReloadChangeKillsThePage(t *testing.T) {
	db := newSimDB()
	c := loadedPage(t, db)
	c.Apply(c.Epoch(), db.identity, []Change{db.write(blockKey("bob"), OpReload, Entry{Target: "carol"})})
	if _, ok := c.Directory("a", KindBlock).Find("bob"); ok {
		t.Fatal("the page is still answered from")
	}
}

// TestALateWriteBringsNoErasedListBack: the answer to an own write comes after its
// list was erased, the feed has passed that, and the page has been read again.
func TestALateWriteBringsNoErasedListBack(t *testing.T) {
	db := newSimDB()
	c := loadedPage(t, db)
	late := db.write(blockKey("dora"), OpAdd, Entry{Target: "alice"})
	erased := Change{App: "a", Owner: "dora", Prev: late.Version, Version: late.Version + 1, Op: OpReload}
	db.mu.Lock()
	delete(db.lists, blockKey("dora"))
	db.near = nil
	db.mu.Unlock()
	c.Apply(c.Epoch(), db.identity, []Change{late, erased})
	mustLoad(t, c, "dora")
	c.Apply(c.Epoch(), db.identity, []Change{late})
	if v := mustLoad(t, c, "dora"); v.Contains("alice") || v.Version() != 0 {
		t.Errorf("version %d of a list that was erased is back", v.Version())
	}
	// While the page is being read, too.
	db.hold = func(context.Context, string, Kind, Range) error {
		db.hold = nil
		c.Apply(c.Epoch(), db.identity, []Change{late})
		return nil
	}
	c.Apply(c.Epoch(), db.identity, []Change{erased})
	if v := mustLoad(t, c, "dora"); v.Contains("alice") || db.hold != nil {
		t.Error("what was erased is back by a read")
	}
	// Who blocks again begins above what was erased, and is answered at once.
	again := late
	again.Version += 2
	c.Apply(c.Epoch(), db.identity, []Change{again})
	if v, ok := c.Directory("a", KindBlock).Find("dora"); !ok || !v.Contains("alice") {
		t.Error("the new list is not in memory")
	}
}

func TestAnotherHistoryKillsThePage(t *testing.T) {
	for name, off := range map[string]guards{"guarded": 0, "guard off": guardEqualDigest | guardDigest} {
		db := newSimDB()
		c := loadedPage(t, db)
		c.off = off
		other := newSimDB() // a lost tail: the same version, other content
		c.Apply(c.Epoch(), db.identity, []Change{other.write(blockKey("bob"), OpAdd, Entry{Target: "mallory"})})
		_, ok := c.Directory("a", KindBlock).Find("bob")
		if want := off != 0; ok != want {
			t.Errorf("%s: the page of a lost history is answered from: %v", name, ok)
		}
	}
}

func TestChangesOfAnotherEpochOrServerAreIgnored(t *testing.T) {
	db := newSimDB()
	c := loadedPage(t, db)
	next := db.write(blockKey("bob"), OpAdd, Entry{Target: "carol"})
	stranger := db.identity
	stranger.System++
	c.Apply(c.Epoch()-1, db.identity, []Change{next})
	c.Apply(c.Epoch(), stranger, []Change{next})
	if mustLoad(t, c, "bob").Contains("carol") {
		t.Error("a change that does not count was applied")
	}
	c.Apply(c.Epoch(), db.identity, []Change{{App: "not configured", Owner: "x", Version: 1, Op: OpAdd}, next})
	if !mustLoad(t, c, "bob").Contains("carol") {
		t.Error("a change beside one of an unknown app was lost")
	}
}

func TestResetMakesPagesSuspectNotGone(t *testing.T) {
	db := newSimDB()
	c := loadedPage(t, db)
	db.identity.Started++
	follow(c, db)
	d := c.Directory("a", KindBlock)
	if v, ok := d.Find("bob"); !ok || !v.Contains("alice") {
		t.Fatal("a suspect page is not answered from")
	}
	if s := c.Stats(); s.SuspectPages != 1 {
		t.Errorf("%d suspect pages", s.SuspectPages)
	}
	// A change that fits says nothing about the page's other owners.
	c.Apply(c.Epoch(), db.identity, []Change{db.write(blockKey("bob"), OpAdd, Entry{Target: "carol"})})
	if s := c.Stats(); s.SuspectPages != 1 {
		t.Error("a change made a suspect page current")
	}
	// Whoever asks for more than memory gets it read.
	if v, err := d.Load(ctx, "bob", Need{}); err != nil || v.pg.epoch != 2 {
		t.Errorf("epoch %d, %v", v.pg.epoch, err)
	}
	if s := c.Stats(); s.SuspectPages != 0 {
		t.Error("the page is suspect after it was read")
	}
}

func TestAnotherSaltDropsThePages(t *testing.T) {
	db := newSimDB()
	c := loadedPage(t, db)
	db.identity.Salt++
	follow(c, db)
	if s := c.Stats(); s.Pages != 0 {
		t.Errorf("%d pages filed under another hash", s.Pages)
	}
	if v := mustLoad(t, c, "bob"); !v.Contains("alice") {
		t.Error("the list is wrong under the new salt")
	}
}

// TestAViewStaysAsOldAsItIs: what the feed reaches after a list was looked at is not
// in that list, and does not make it younger.
func TestAViewStaysAsOldAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSimDB()
		c := loadedPage(t, db)
		found, ok := c.Directory("a", KindBlock).Find("bob")
		all := []Lookup{{Directory: c.Directory("a", KindBlock), Owner: "bob"}}
		c.FindAll(all)
		loaded := mustLoad(t, c, "bob")
		time.Sleep(time.Second)
		c.Apply(c.Epoch(), db.identity, []Change{db.write(blockKey("bob"), OpAdd, Entry{Target: "carol"})})
		c.Fresh(c.Now())
		for how, v := range map[string]View{"found": found, "found with others": all[0].View, "loaded": loaded} {
			if !ok || v.Contains("carol") || v.Age(c.Now()) != time.Second {
				t.Errorf("%s: age %v, and lists the new entry: %v", how, v.Age(c.Now()), v.Contains("carol"))
			}
		}
		db.identity.Started++
		follow(c, db)
		if age := found.Age(c.Now()); age != time.Second {
			t.Errorf("age %v since following started over", age)
		}
	})
}

func TestAgeIsThatOfTheFeedOrOfTheRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newSimDB()
		c := loadedPage(t, db)
		age := func() time.Duration {
			v, ok := c.Directory("a", KindBlock).Find("bob")
			if !ok {
				t.Fatal("bob's page is gone")
			}
			return v.Age(c.Now())
		}
		time.Sleep(3 * time.Second)
		if age() != 3*time.Second || c.Age() != 3*time.Second {
			t.Errorf("age %v, %v without a poll", age(), c.Age())
		}
		c.Fresh(c.Now() - Instant(time.Second))
		if age() != time.Second {
			t.Errorf("age %v after a poll that began a second ago", age())
		}
		time.Sleep(time.Second)
		db.identity.Started++
		follow(c, db)
		time.Sleep(time.Second)
		if age() != 3*time.Second {
			t.Errorf("age %v of a suspect page: its own epoch's, not the new one's", age())
		}
		if _, err := c.Directory("a", KindBlock).Load(ctx, "bob", Need{}); err != nil {
			t.Fatal(err)
		}
		if age() != 0 {
			t.Errorf("age %v of a page just read", age())
		}
	})
}
