package cache

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// simDB is a database in memory with what the cache relies on and nothing else:
// per list a linear history of versions with digests, a change for each step,
// and page reads from one snapshot.
type simDB struct {
	mu       sync.Mutex
	identity Identity
	lists    map[listKey]*simList
	near     map[uint64][]listKey // lists by the top bits of their hash, under nearSalt
	nearSalt int64
	log      []Change // every change, in commit order

	loads  int                                                             // statements answered
	before func()                                                          // runs before a page read, outside of the lock
	after  func(*Loaded, error) error                                      // may spoil an answer
	hold   func(ctx context.Context, app string, kind Kind, r Range) error // runs after the snapshot was taken
}

type listKey struct {
	app   string
	kind  Kind
	owner string
}

type simList struct {
	version   int64
	allowlist bool
	entries   map[string]int64 // target → expiry
}

func (l *simList) state(owner string) List {
	out := List{Owner: owner, Version: l.version, Size: len(l.entries), Allowlist: l.allowlist}
	for _, t := range slices.Sorted(maps.Keys(l.entries)) {
		out.Entries = append(out.Entries, Entry{Target: t, Expires: l.entries[t]})
	}
	out.Digest = ListDigest(out.Allowlist, out.Entries)
	return out
}

func newSimDB() *simDB {
	return &simDB{identity: Identity{System: 1, Timeline: 1, Salt: 42}, lists: make(map[listKey]*simList)}
}

// restart makes it another server with the same data.
func (db *simDB) restart() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.identity.Started++
}

// write commits one change and returns it.
func (db *simDB) write(k listKey, op Op, entries ...Entry) Change {
	db.mu.Lock()
	defer db.mu.Unlock()
	l := db.lists[k]
	if l == nil {
		l = &simList{entries: make(map[string]int64)}
		db.lists[k] = l
		if db.near != nil && db.nearSalt == db.identity.Salt {
			n := HashOwner(k.owner, db.nearSalt) >> nearShift
			db.near[n] = append(db.near[n], k)
		}
	}
	c := Change{App: k.app, Kind: k.kind, Owner: k.owner, Prev: l.version, Op: op, Entries: entries}
	for _, e := range entries {
		if op == OpRemove {
			delete(l.entries, e.Target)
		} else {
			l.entries[e.Target] = e.Expires
		}
	}
	switch op {
	case OpMode:
		l.allowlist = !l.allowlist
	case OpReload:
		c.Entries = nil
	}
	l.version++
	s := l.state(k.owner)
	c.Version, c.Size, c.Digest, c.Allowlist = s.Version, s.Size, s.Digest, s.Allowlist
	db.log = append(db.log, c)
	return c
}

// since returns the changes behind a place in the log, and the place behind
// them.
func (db *simDB) since(place int) ([]Change, int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.log[place:]), len(db.log)
}

func (db *simDB) Load(ctx context.Context, app string, kind Kind, r Range) (Loaded, error) {
	if db.before != nil {
		db.before()
	}
	out := db.snapshot(app, kind, r)
	var err error
	if db.hold != nil {
		err = db.hold(ctx, app, kind, r)
	}
	if db.after != nil {
		err = db.after(&out, err)
	}
	return out, err
}

func (db *simDB) snapshot(app string, kind Kind, r Range) Loaded {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.loads++
	out := Loaded{Identity: db.identity}
	db.index()
	for n := r.Lo >> nearShift; n <= r.Hi>>nearShift; n++ {
		for _, k := range db.near[n] {
			if k.app == app && k.kind == kind && r.holds(HashOwner(k.owner, db.identity.Salt)) {
				out.Lists = append(out.Lists, db.lists[k].state(k.owner))
			}
		}
	}
	out.Count = len(out.Lists)
	return out
}

const nearShift = 64 - 12

// index files the lists by hash, so that a page read costs what it returns.
func (db *simDB) index() {
	if db.near != nil && db.nearSalt == db.identity.Salt {
		return
	}
	db.near, db.nearSalt = make(map[uint64][]listKey), db.identity.Salt
	for k := range db.lists {
		n := HashOwner(k.owner, db.nearSalt) >> nearShift
		db.near[n] = append(db.near[n], k)
	}
}

func (db *simDB) Sizes(_ context.Context, app string, kind Kind) (lists, entries int64, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for k, l := range db.lists {
		if k.app == app && k.kind == kind {
			lists++
			entries += int64(len(l.entries))
		}
	}
	return lists, entries, nil
}

func (db *simDB) loadCount() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.loads
}

// blockKey is the block list of an owner of the app "a".
func blockKey(owner string) listKey { return listKey{app: "a", owner: owner} }

// newTestCache returns a cache over the database that follows it but does not
// run: nothing is evicted or loaded ahead.
func newTestCache(t testing.TB, db *simDB, change ...func(*Options)) *Cache {
	t.Helper()
	opts := Options{
		MaxBytes: 64 << 20, Apps: []string{"a", "b"}, Loader: Whole(db.Load), Sizer: db,
		LoadTimeout: 10 * time.Second, Metrics: NewMetrics(prometheus.NewRegistry()),
	}
	for _, f := range change {
		f(&opts)
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// follow makes the cache follow the database from now on.
func follow(c *Cache, db *simDB) {
	c.Reset(db.identity, c.Now())
}

// runCache runs the cache until the test ends.
func runCache(t testing.TB, c *Cache) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// waitFor is the one place where tests wait for something to become true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// mustLoad returns the list of an owner of app "a", from memory or by a read.
func mustLoad(t testing.TB, c *Cache, owner string) View {
	t.Helper()
	d := c.Directory("a", KindBlock)
	if v, ok := d.Find(owner); ok {
		return v
	}
	v, err := d.Load(context.Background(), owner, Need{})
	if err != nil {
		t.Fatalf("load %s: %v", owner, err)
	}
	return v
}

// checkEqual compares what memory says of every list with the database, by
// asking for each entry: another path than the page read.
func checkEqual(t testing.TB, c *Cache, db *simDB) (inMemory int) {
	t.Helper()
	db.mu.Lock()
	defer db.mu.Unlock()
	for k, l := range db.lists {
		d := c.Directory(k.app, k.kind)
		v, ok := d.Find(k.owner)
		if !ok {
			continue
		}
		inMemory++
		size := 0
		if v.nth > 0 {
			prints, _ := v.pg.list(v.nth - 1)
			size = len(prints)
		}
		if v.Version() != l.version || size != len(l.entries) || v.Allowlist() != l.allowlist {
			t.Errorf("%v: memory has version %d, %d entries, allowlist %v; database %d, %d, %v",
				k, v.Version(), size, v.Allowlist(), l.version, len(l.entries), l.allowlist)
		}
		for target, expires := range l.entries {
			if live := expires == 0 || expires > time.Now().UnixMicro(); v.Contains(target) != live {
				t.Errorf("%v: memory says %v of %s", k, !live, target)
			}
		}
	}
	return inMemory
}
