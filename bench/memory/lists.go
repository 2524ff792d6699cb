package memory

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
)

// lists is a database that computes the lists of a shape when they are read. It
// keeps 4 bytes a list, their order by hash.
type lists struct {
	shape seed.Shape
	order []uint32
}

func newLists(shape seed.Shape) *lists {
	type place struct {
		hash uint64
		list uint32
	}
	places := make([]place, shape.Lists)
	id := []byte(nil)
	for i := range places {
		id = seed.AppendID(id[:0], i)
		places[i] = place{cache.HashOwner(string(id), 0), uint32(i)}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.hash, b.hash) })
	l := &lists{shape: shape, order: make([]uint32, shape.Lists)}
	for i, p := range places {
		l.order[i] = p.list
	}
	return l
}

// identity is that of a server with salt 0.
var identity = cache.Identity{System: 1}

// Load is a [cache.Whole].
func (l *lists) Load(_ context.Context, _ string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	out := cache.Loaded{Identity: identity}
	if kind != cache.KindBlock {
		return out, nil
	}
	var id [32]byte
	hash := func(i int) uint64 { return cache.HashOwner(string(seed.AppendID(id[:0], int(l.order[i]))), 0) }
	at := sort.Search(len(l.order), func(i int) bool { return hash(i) >= r.Lo })
	for ; at < len(l.order) && hash(at) <= r.Hi; at++ {
		i := int(l.order[at])
		entries := make([]cache.Entry, l.shape.Entries)
		for j := range entries {
			entries[j].Target = seed.ID(l.shape.Target(i, j))
		}
		out.Lists = append(out.Lists, cache.List{
			Owner: seed.ID(i), Version: 1, Size: len(entries), Entries: entries, Digest: cache.ListDigest(false, entries),
		})
	}
	out.Count = len(out.Lists)
	return out, nil
}

// Sizes implements cache.Sizer.
func (l *lists) Sizes(_ context.Context, _ string, kind cache.Kind) (lists, entries int64, err error) {
	if kind != cache.KindBlock {
		return 0, 0, nil
	}
	return int64(l.shape.Lists), int64(l.shape.Lists) * int64(l.shape.Entries), nil
}

// open returns a cache over the lists that follows them. It does not run yet.
func open(l *lists, budget int64) (*cache.Cache, *prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	c, err := cache.New(cache.Options{
		MaxBytes: budget, Apps: []string{seed.App}, Loader: cache.Whole(l.Load), Sizer: l, LoadTimeout: time.Minute,
		Metrics: cache.NewMetrics(registry),
	})
	if err != nil {
		return nil, nil, err
	}
	return c, registry, nil
}
