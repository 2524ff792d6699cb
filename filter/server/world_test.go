package server

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// primary is the database server that worlds follow.
var primary = cache.Identity{System: 7, Timeline: 1, Started: 1700000000, Relation: 16400, Salt: 99}

// world is a database in miniature with the real cache and filter before it.
type world struct {
	cache  *cache.Cache
	filter *filter.Filter
	lists  map[filter.ListID]cache.List
	dark   atomic.Bool // reads fail
}

// newWorld has the apps default and acme (two-way, one exempt user). The bound
// on staleness is out of the way unless a test sets it.
func newWorld(t testing.TB, change ...func(*filter.Options)) *world {
	t.Helper()
	w := &world{lists: make(map[filter.ListID]cache.List)}
	acme, _ := filter.Preset("imkit")
	acme.Exempt = []string{"moderator"}
	opts := filter.Options{
		Apps:      map[string]filter.Policy{"default": filter.Default(), "acme": acme},
		SoftBound: time.Hour, HardBound: time.Hour,
	}
	for _, f := range change {
		f(&opts)
	}
	var apps []string
	for app := range opts.Apps {
		apps = append(apps, app)
	}
	var err error
	w.cache, err = cache.New(cache.Options{
		MaxBytes: 1 << 30, Apps: apps, Loader: cache.Whole(w.Load), Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.cache.Reset(primary, w.cache.Now())
	opts.Cache = w.cache
	if w.filter, err = filter.New(opts); err != nil {
		t.Fatal(err)
	}
	return w
}

// put writes a list, before anybody has read it.
func (w *world) put(app string, kind cache.Kind, owner string, targets ...string) {
	var entries []cache.Entry
	for _, target := range targets {
		entries = append(entries, cache.Entry{Target: target})
	}
	id := filter.ListID{App: app, Kind: kind, Owner: owner}
	w.lists[id] = cache.List{
		Owner: owner, Version: w.lists[id].Version + 1, Size: len(entries),
		Digest: cache.ListDigest(false, entries), Entries: entries,
	}
}

func (w *world) block(owner string, targets ...string) {
	w.put("default", cache.KindBlock, owner, targets...)
}

// Load is a [cache.Whole].
func (w *world) Load(_ context.Context, app string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	if w.dark.Load() {
		return cache.Loaded{}, errors.New("the database is dark")
	}
	loaded := cache.Loaded{Identity: primary}
	for id, list := range w.lists {
		hash := cache.HashOwner(id.Owner, primary.Salt)
		if id.App == app && id.Kind == kind && r.Lo <= hash && hash <= r.Hi {
			loaded.Lists = append(loaded.Lists, list)
		}
	}
	loaded.Count = len(loaded.Lists)
	return loaded, nil
}

// fakeLists is a [BlockLists] made of functions; one that is not set must not be
// called.
type fakeLists struct {
	block   func(ctx context.Context, req filter.BlockRequest) (filter.BlockResult, error)
	unblock func(ctx context.Context, req filter.UnblockRequest) (filter.UnblockResult, error)
	list    func(ctx context.Context, req filter.ListRequest) (filter.ListResult, error)
	get     func(ctx context.Context, list filter.ListID, target string) (filter.Block, error)

	edit      func(ctx context.Context, edit filter.Edit) (filter.Written, error)
	blockedBy func(ctx context.Context, req filter.BlockedByRequest) (filter.BlockedByResult, error)
	history   func(ctx context.Context, req filter.HistoryRequest) (filter.HistoryResult, error)
}

func (f *fakeLists) Edit(ctx context.Context, edit filter.Edit) (filter.Written, error) {
	return f.edit(ctx, edit)
}

func (f *fakeLists) BlockedBy(ctx context.Context, req filter.BlockedByRequest) (filter.BlockedByResult, error) {
	return f.blockedBy(ctx, req)
}

func (f *fakeLists) History(ctx context.Context, req filter.HistoryRequest) (filter.HistoryResult, error) {
	return f.history(ctx, req)
}

func (f *fakeLists) Block(ctx context.Context, req filter.BlockRequest) (filter.BlockResult, error) {
	done, err := f.block(ctx, req)
	done.Block = named(done.Block, req.List.Owner, req.Target)
	return done, err
}

func (f *fakeLists) Unblock(ctx context.Context, req filter.UnblockRequest) (filter.UnblockResult, error) {
	done, err := f.unblock(ctx, req)
	done.Block = named(done.Block, req.List.Owner, req.Target)
	return done, err
}

func (f *fakeLists) List(ctx context.Context, req filter.ListRequest) (filter.ListResult, error) {
	return f.list(ctx, req)
}

func (f *fakeLists) Get(ctx context.Context, list filter.ListID, target string) (filter.Block, error) {
	b, err := f.get(ctx, list, target)
	return named(b, list.Owner, target), err
}

// named is an entry with its ids, which no store leaves out.
func named(b filter.Block, owner, target string) filter.Block {
	if b.Owner == "" {
		b.Owner = owner
	}
	if b.Target == "" {
		b.Target = target
	}
	return b
}
