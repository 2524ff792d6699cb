package inprocess

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// server is the database that is not there.
var server = cache.Identity{System: 1, Timeline: 1, Started: 1, Relation: 1, Salt: 42}

// crowd makes up the lists of a shape. It implements cache.Loader and cache.Sizer.
type crowd struct {
	shape  seed.Shape
	owners []owner // by hash
}

type owner struct {
	hash uint64
	user int
}

func newCrowd(shape seed.Shape) *crowd {
	c := &crowd{shape: shape, owners: make([]owner, shape.Lists)}
	var id []byte
	for i := range c.owners {
		id = seed.AppendID(id[:0], i)
		c.owners[i] = owner{cache.HashOwner(string(id), server.Salt), i}
	}
	slices.SortFunc(c.owners, func(a, b owner) int { return cmp.Compare(a.hash, b.hash) })
	return c
}

// Sizes implements cache.Sizer.
func (c *crowd) Sizes(_ context.Context, _ string, kind cache.Kind) (lists, entries int64, err error) {
	if kind != cache.KindBlock {
		return 0, 0, nil
	}
	return int64(c.shape.Lists), int64(c.shape.Lists) * int64(c.shape.Entries), nil
}

// Load is a [cache.Whole].
func (c *crowd) Load(_ context.Context, _ string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	loaded := cache.Loaded{Identity: server}
	if kind != cache.KindBlock {
		return loaded, nil
	}
	from, _ := slices.BinarySearchFunc(c.owners, r.Lo, func(o owner, hash uint64) int { return cmp.Compare(o.hash, hash) })
	for _, o := range c.owners[from:] {
		if o.hash > r.Hi {
			break
		}
		entries := make([]cache.Entry, c.shape.Entries)
		for j := range entries {
			entries[j].Target = seed.ID(c.shape.Target(o.user, j))
		}
		loaded.Lists = append(loaded.Lists, cache.List{
			Owner: seed.ID(o.user), Version: 1, Size: len(entries), Digest: cache.ListDigest(false, entries), Entries: entries,
		})
	}
	loaded.Count = len(loaded.Lists)
	return loaded, nil
}

// memory is a cache that holds all of a crowd, and filters over it.
type memory struct {
	cache  *cache.Cache
	oneWay *filter.Filter
	twoWay *filter.Filter
	stop   func() error
}

// gather has a cache read a crowd. The caller stops it.
func gather(ctx context.Context, c *crowd) (*memory, error) {
	lists, err := cache.New(cache.Options{
		MaxBytes: 8 << 30, Apps: []string{seed.App}, Loader: cache.Whole(c.Load), Sizer: c, LoadTimeout: time.Minute,
		Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- lists.Run(ctx) }()
	m := &memory{cache: lists, stop: func() error { cancel(); return <-ended }}
	lists.Reset(server, lists.Now())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !lists.Preloaded() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("read the crowd: %w", cmp.Or(m.stop(), ctx.Err()))
		}
	}
	for mode, f := range map[filter.Mode]**filter.Filter{filter.ModeOneWay: &m.oneWay, filter.ModeTwoWay: &m.twoWay} {
		policy := filter.Default()
		policy.Mode = mode
		// Nothing is polled here, so nothing gets younger.
		*f, err = filter.New(filter.Options{
			Cache: lists, Apps: map[string]filter.Policy{seed.App: policy}, SoftBound: 24 * time.Hour, HardBound: 24 * time.Hour,
		})
		if err != nil {
			return nil, cmp.Or(m.stop(), err)
		}
	}
	return m, nil
}
