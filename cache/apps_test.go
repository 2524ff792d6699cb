package cache

import (
	"errors"
	"sync"
	"testing"
)

// TestAddApps: an app that comes later is kept like any other. What changed before
// it came is in its first read, what changes afterwards is applied.
func TestAddApps(t *testing.T) {
	db := newSimDB()
	fill(db, 1000)
	late := listKey{app: "late", owner: "bob"}
	c := newTestCache(t, db)
	runCache(t, c)
	follow(c, db)
	waitFor(t, "the cache to be filled", c.Preloaded)
	before := db.write(late, OpAdd, Entry{Target: "alice"})
	c.Apply(c.Epoch(), db.identity, []Change{before}) // nobody's yet
	if c.Directory("late", KindBlock) != nil {
		t.Fatal("the app is there before it came")
	}
	was := c.Directory("a", KindBlock)
	c.AddApps("late", "a")
	if c.Directory("a", KindBlock) != was {
		t.Error("an app that was there has other lists now")
	}
	d := c.Directory("late", KindBlock)
	var v View
	waitFor(t, "the new app to be loaded ahead", func() (ok bool) { v, ok = d.Find("bob"); return ok })
	if !v.Contains("alice") {
		t.Error("a change from before the app came is missing")
	}
	after := db.write(late, OpAdd, Entry{Target: "carol"})
	c.Apply(c.Epoch(), db.identity, []Change{after})
	if v, ok := d.Find("bob"); !ok || !v.Contains("carol") {
		t.Error("a change after the app came is missing")
	}
	if apps := c.Apps(); len(apps) != 3 || apps[2] != "late" {
		t.Errorf("the apps are %q", apps)
	}
	waitFor(t, "the walk over all to end", func() bool { return c.keeper.progress() == 1 })
	checkEqual(t, c, db)
}

// TestAddAppsWhileFollowing: apps may come while changes are applied, epochs begin
// and lists are read.
func TestAddAppsWhileFollowing(t *testing.T) {
	db := newSimDB()
	fill(db, 200)
	c := newTestCache(t, db)
	runCache(t, c)
	follow(c, db)
	names := []string{"c", "d", "e", "f", "g", "h"}
	var beside sync.WaitGroup
	beside.Go(func() {
		for _, name := range names {
			c.AddApps(name)
			_, err := c.Directory(name, KindBlock).Load(ctx, "bob", Need{})
			for errors.Is(err, errEpoch) { // an epoch began during each of its queries
				_, err = c.Directory(name, KindBlock).Load(ctx, "bob", Need{})
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	for i := range 50 {
		for _, name := range names {
			c.Apply(c.Epoch(), db.identity, []Change{db.write(listKey{app: name, owner: "bob"}, OpAdd, manyEntries(i + 1)[i])})
		}
		if i%10 == 9 {
			follow(c, db)
		}
	}
	beside.Wait()
	waitFor(t, "all to be read again", func() bool { return c.Stats().SuspectPages == 0 && c.keeper.progress() == 1 })
	checkEqual(t, c, db)
	for _, name := range names {
		v, err := c.Directory(name, KindBlock).Load(ctx, "bob", Need{})
		if err != nil || !v.Contains(manyEntries(50)[0].Target) || !v.Contains(manyEntries(50)[49].Target) {
			t.Errorf("%s: the list of bob is not what was written, %v", name, err)
		}
	}
}
