package filter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// primary is the server that worlds follow unless a test says otherwise.
var primary = cache.Identity{System: 7, Timeline: 1, Started: 1700000000, Relation: 16400, Salt: 99}

// world is a database in miniature with a real cache in front of it. What the
// cache asks for is counted; any part of it can be made unreadable.
type world struct {
	t     testing.TB
	cache *cache.Cache

	mu       sync.Mutex
	identity cache.Identity // who answers reads
	lists    map[ListID]cache.List
	loads    []ListID // App and Kind of every page read, in order
	hook     func(ctx context.Context, app string, kind cache.Kind, r cache.Range) error
}

// newWorld returns a world whose cache follows primary and is up to date.
func newWorld(t testing.TB, apps ...string) *world {
	t.Helper()
	return newWorldFor(t, 0, apps...)
}

// newWorldFor is newWorld with a deadline of its own for page reads: tests in
// real time that are about decisions must not depend on how busy the machine is.
func newWorldFor(t testing.TB, patience time.Duration, apps ...string) *world {
	t.Helper()
	w := &world{t: t, identity: primary, lists: make(map[ListID]cache.List)}
	c, err := cache.New(cache.Options{
		MaxBytes: 1 << 30, Apps: apps, Loader: cache.Whole(w.Load), LoadTimeout: patience, MaxLoads: 64, Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.cache = c
	c.Reset(primary, c.Now())
	return w
}

// fresh does what a poll without changes does.
func (w *world) fresh() { w.cache.Fresh(w.cache.Now()) }

// Load is a cache.Whole.
func (w *world) Load(ctx context.Context, app string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	w.mu.Lock()
	w.loads = append(w.loads, ListID{App: app, Kind: kind})
	hook := w.hook
	w.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, app, kind, r); err != nil {
			return cache.Loaded{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	loaded := cache.Loaded{Identity: w.identity}
	for id, list := range w.lists {
		if id.App != app || id.Kind != kind {
			continue
		}
		if hash := cache.HashOwner(list.Owner, w.identity.Salt); r.Lo <= hash && hash <= r.Hi {
			loaded.Lists = append(loaded.Lists, list)
		}
	}
	loaded.Count = len(loaded.Lists)
	return loaded, nil
}

// errDark is what the world answers where it cannot be read. It is the page and not
// the database that is to blame: others are read as before.
var errDark = fmt.Errorf("dark: %w", cache.ErrUnreadable)

// dark makes every read fail from now on.
func (w *world) dark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = func(context.Context, string, cache.Kind, cache.Range) error { return errDark }
}

// loadsOf counts the page reads of a kind in all apps.
func (w *world) loadsOf(kind cache.Kind) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, id := range w.loads {
		if id.Kind == kind {
			n++
		}
	}
	return n
}

// put writes a list into the database, without telling the cache, and returns
// the change that the feed would carry.
func (w *world) put(id ListID, allowlist bool, entries ...cache.Entry) cache.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.lists[id]
	list := cache.List{
		Owner: id.Owner, Version: was.Version + 1, Size: len(entries),
		Digest: cache.ListDigest(allowlist, entries), Allowlist: allowlist, Entries: entries,
	}
	w.lists[id] = list
	return cache.Change{
		App: id.App, Kind: id.Kind, Owner: id.Owner, Prev: was.Version, Version: list.Version,
		Size: list.Size, Digest: list.Digest, Allowlist: allowlist, Op: cache.OpReload,
	}
}

// add puts targets on a list as a write of this process does, and returns what
// the store would say of it.
func (w *world) add(id ListID, targets ...string) Edited {
	w.mu.Lock()
	was := w.lists[id]
	w.mu.Unlock()
	added := entries(targets...)
	change := w.put(id, was.Allowlist, append(slices.Clone(was.Entries), added...)...)
	change.Op, change.Entries = cache.OpAdd, added
	return Edited{Identity: w.identity, Version: change.Version, Size: change.Size, Changes: []cache.Change{change}}
}

func entries(targets ...string) []cache.Entry {
	list := make([]cache.Entry, len(targets))
	for i, target := range targets {
		list[i] = cache.Entry{Target: target}
	}
	return list
}

func blockList(app, owner string) ListID {
	return ListID{App: app, Kind: cache.KindBlock, Owner: owner}
}
func allowList(app, owner string) ListID {
	return ListID{App: app, Kind: cache.KindAllow, Owner: owner}
}
func roomList(app, room string) ListID { return ListID{App: app, Kind: cache.KindRoom, Owner: room} }

// filter returns a Filter over the world with the default bounds.
func (w *world) filter(apps map[string]Policy) *Filter {
	w.t.Helper()
	return w.filterWith(Options{Apps: apps})
}

func (w *world) filterWith(opts Options) *Filter {
	w.t.Helper()
	opts.Cache = w.cache
	f, err := New(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// one is the name of the app in tests that need only one.
const one = "one"

// oneApp returns a world with one app and its filter.
func oneApp(t testing.TB, policy Policy) (*world, *Filter) {
	t.Helper()
	w := newWorld(t, one)
	return w, w.filter(map[string]Policy{one: policy})
}

// twoWay is a policy under which every rule but the exempt one can match.
func twoWay() Policy {
	p := Default()
	p.Mode, p.Allowlist = ModeTwoWay, true
	return p
}

func direct(sender, recipient string) Check {
	return Check{App: one, Sender: sender, Recipient: recipient, RoomType: Direct}
}

// userIn returns an id that starts with prefix and whose lists lie in the lower
// or the upper half of the pages, so that two users share none.
func userIn(prefix string, upper bool) string {
	for n := 0; ; n++ {
		id := fmt.Sprintf("%s-%d", prefix, n)
		if (cache.HashOwner(id, primary.Salt)>>63 == 1) == upper {
			return id
		}
	}
}

// advance waits in a synctest bubble, where waiting takes no time.
func advance(d time.Duration) { <-time.After(d) }

func wantDecision(t *testing.T, name string, got, want Decision) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
	}
}
