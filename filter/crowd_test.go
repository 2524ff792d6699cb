package filter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
)

// crowd is a database of many users, each with a list of ten others and all of
// them in memory, so that two users drawn at random are in no CPU cache.
type crowd struct {
	ids    []string // by hash
	hashes []uint64
	filter *Filter
}

const crowdList = 10

func newCrowd(b *testing.B, users int, policy Policy) *crowd {
	b.Helper()
	c := &crowd{ids: make([]string, users), hashes: make([]uint64, users)}
	for i := range c.ids {
		c.ids[i] = fmt.Sprintf("user-%08d-of-benchmark", i)
	}
	slices.SortFunc(c.ids, func(x, y string) int {
		if cache.HashOwner(x, primary.Salt) < cache.HashOwner(y, primary.Salt) {
			return -1
		}
		return 1
	})
	for i, id := range c.ids {
		c.hashes[i] = cache.HashOwner(id, primary.Salt)
	}
	memory, err := cache.New(cache.Options{
		MaxBytes: 4 << 30, Apps: []string{one}, Loader: cache.Whole(c.Load), Sizer: c, LoadTimeout: time.Minute,
		Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- memory.Run(ctx) }()
	b.Cleanup(func() { stop(); <-ended })
	memory.Reset(primary, memory.Now())
	for memory.Stats().Lists < int64(users) {
		<-time.After(10 * time.Millisecond)
	}
	c.filter, err = New(Options{
		Cache: memory, Apps: map[string]Policy{one: policy}, SoftBound: time.Hour, HardBound: time.Hour,
	})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// Sizes implements cache.Sizer.
func (c *crowd) Sizes(_ context.Context, _ string, kind cache.Kind) (lists, entries int64, err error) {
	if kind != cache.KindBlock {
		return 0, 0, nil
	}
	return int64(len(c.ids)), int64(len(c.ids)) * crowdList, nil
}

// Load is a cache.Whole.
func (c *crowd) Load(_ context.Context, _ string, kind cache.Kind, r cache.Range) (cache.Loaded, error) {
	loaded := cache.Loaded{Identity: primary}
	if kind != cache.KindBlock {
		return loaded, nil
	}
	from, _ := slices.BinarySearch(c.hashes, r.Lo)
	for i := from; i < len(c.ids) && c.hashes[i] <= r.Hi; i++ {
		targets := make([]string, crowdList)
		for j := range targets {
			targets[j] = c.ids[(i+1+j*7919)%len(c.ids)]
		}
		list := entries(targets...)
		loaded.Lists = append(loaded.Lists, cache.List{
			Owner: c.ids[i], Version: 1, Size: len(list), Digest: cache.ListDigest(false, list), Entries: list,
		})
	}
	loaded.Count = len(loaded.Lists)
	return loaded, nil
}

// draw returns n users at random, every other of whom has no list, in memory of
// their own as a request has them.
func (c *crowd) draw(n int) []string {
	drawn := make([]string, n)
	for i := range drawn {
		drawn[i] = fmt.Sprintf("user-%08d-of-benchmark", rand.IntN(2*len(c.ids)))
	}
	return drawn
}
