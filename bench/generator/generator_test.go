package generator

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
	blocksync "github.com/sidegate/sidegate/sync"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newWorld(t testing.TB, shape seed.Shape) *World {
	t.Helper()
	w, err := New(shape)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// readAll reads a range whole.
func readAll(t *testing.T, w *World, app string, kind cache.Kind, r cache.Range) (got cache.Loaded, err error) {
	t.Helper()
	err = w.Load(t.Context(), app, kind, r, &got)
	return got, err
}

// ranges is the whole hash space, cut into 1<<bits.
func ranges(bits uint8) (all []cache.Range) {
	for no := range uint64(1) << bits {
		lo := no << (64 - bits) // 0 for a shift by 64
		all = append(all, cache.Range{Lo: lo, Hi: lo + (^uint64(0) >> bits)})
	}
	return all
}

// TestEveryListIsInOneRange: whatever the width of the ranges, wider than a bucket
// of the index or narrower, they hold every list once, whole, and in order.
func TestEveryListIsInOneRange(t *testing.T) {
	for _, shape := range []seed.Shape{{Lists: 65, Entries: 3}, {Lists: 1000, Entries: 3, Idle: 50}, {Lists: 3000, Entries: 1}} {
		w := newWorld(t, shape)
		want := make(map[string]int, shape.Lists)
		for i := range shape.Lists {
			want[seed.ID(i)] = i
		}
		for _, bits := range []uint8{0, 4, 8, 12} {
			seen := 0
			for _, r := range ranges(bits) {
				got, err := readAll(t, w, seed.App, cache.KindBlock, r)
				if err != nil || got.Count != len(got.Lists) {
					t.Fatalf("%d lists, counted %d, %v", len(got.Lists), got.Count, err)
				}
				seen += got.Count
				if !slices.IsSortedFunc(got.Lists, func(a, b cache.List) int { return cmp.Compare(hashOf(a), hashOf(b)) }) {
					t.Errorf("%v: the lists of %x are not in the order of their hashes", shape, r)
				}
				for _, l := range got.Lists {
					i, known := want[l.Owner]
					if !known || hashOf(l) < r.Lo || hashOf(l) > r.Hi {
						t.Fatalf("%v: %s does not belong to %x", shape, l.Owner, r)
					}
					sound(t, shape, i, l)
				}
			}
			if seen != shape.Lists {
				t.Errorf("%v, %d bits: %d lists", shape, bits, seen)
			}
		}
	}
}

func hashOf(l cache.List) uint64 { return cache.HashOwner(l.Owner, identity.Salt) }

// sound sees that a list is what its shape and its version say.
func sound(t *testing.T, shape seed.Shape, i int, l cache.List) {
	t.Helper()
	var targets []string
	for _, e := range l.Entries {
		targets = append(targets, e.Target)
	}
	for j := range shape.Entries {
		if !slices.Contains(targets, seed.ID(shape.Target(i, j))) {
			t.Fatalf("list %d lacks entry %d: %v", i, j, targets)
		}
	}
	guest := slices.Contains(targets, seed.ID(Guest(shape, i)))
	if slices.Sort(targets); len(slices.Compact(targets)) != len(l.Entries) || guest != (l.Version%2 == 0) ||
		l.Size != len(l.Entries) || l.Digest != cache.ListDigest(false, l.Entries) {
		t.Fatalf("list %d: %+v", i, l)
	}
}

func TestOtherDirectoriesAreEmpty(t *testing.T) {
	w := newWorld(t, seed.Shape{Lists: 100, Entries: 2})
	for app, kind := range map[string]cache.Kind{"other": cache.KindBlock, seed.App: cache.KindAllow} {
		got, err := readAll(t, w, app, kind, ranges(0)[0])
		lists, entries, _ := w.Sizes(t.Context(), app, kind)
		if err != nil || got.Count+len(got.Lists) != 0 || lists+entries != 0 {
			t.Errorf("%s %v: %d lists of %d, %v", app, kind, got.Count, lists, err)
		}
	}
}

func TestShapesThatCannotBeMade(t *testing.T) {
	for _, shape := range []seed.Shape{{}, {Lists: Reserved, Entries: 3}, {Lists: 100, Entries: 99}} {
		if _, err := New(shape); err == nil {
			t.Errorf("%v is made", shape)
		}
	}
}

// TestMemoryFollowsTheChanges: the program's own cache and follower, before a world
// that changes, hold what the world holds; and no page was read twice for it, so
// that every change has led from one version to the next.
func TestMemoryFollowsTheChanges(t *testing.T) {
	shape := seed.Shape{Lists: 500, Entries: 3}
	w := newWorld(t, shape)
	loads := &counted{World: w}
	registry := prometheus.NewRegistry()
	c, err := cache.New(cache.Options{
		MaxBytes: 1 << 20, Apps: []string{seed.App}, Loader: loads, Metrics: cache.NewMetrics(registry),
	})
	if err != nil {
		t.Fatal(err)
	}
	start, err := w.Poll(t.Context(), blocksync.Position{})
	if err != nil || len(start.Changes) > 0 {
		t.Fatal(start, err)
	}
	c.Reset(start.Identity, c.Now())
	lists := c.Directory(seed.App, cache.KindBlock)
	for i := range shape.Lists {
		if _, err := lists.Load(t.Context(), seed.ID(i), cache.Need{}); err != nil {
			t.Fatal(err)
		}
	}
	read := loads.n
	for k := range 2000 {
		w.Commit(k * k % shape.Lists)
	}
	next, err := w.Poll(t.Context(), start.Position)
	if err != nil || len(next.Changes) != 2000 {
		t.Fatal(len(next.Changes), err)
	}
	if again, err := w.Poll(t.Context(), next.Position); err != nil || len(again.Changes) > 0 {
		t.Fatalf("%d changes are told twice, %v", len(again.Changes), err)
	}
	c.Apply(c.Epoch(), next.Identity, next.Changes)
	for i := range shape.Lists {
		v, err := lists.Load(t.Context(), seed.ID(i), cache.Need{})
		if err != nil || v.Version() != w.version(i) || v.Contains(seed.ID(Guest(shape, i))) != hosts(w.version(i)) {
			t.Fatalf("list %d is of version %d, want %d, %v", i, v.Version(), w.version(i), err)
		}
	}
	if loads.n != read {
		t.Errorf("%d pages had to be read again", loads.n-read)
	}
	got, err := readAll(t, w, seed.App, cache.KindBlock, ranges(0)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range got.Lists {
		i, err := strconv.Atoi(strings.TrimPrefix(l.Owner, "user-"))
		if err != nil {
			t.Fatal(err)
		}
		sound(t, shape, i, l)
	}
}

// counted counts the reads of a world. Its user has one goroutine.
type counted struct {
	*World
	n int
}

func (c *counted) Load(ctx context.Context, app string, kind cache.Kind, r cache.Range, into cache.Intake) error {
	c.n++
	return c.World.Load(ctx, app, kind, r, into)
}

// TestRunKeepsThePace: as many changes as were asked for, none of a reserved list.
func TestRunKeepsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed.Shape{Lists: 200, Entries: 2})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		for _, perSecond := range []int{0, 100, 1000, 0} {
			w.Pace(ctx, perSecond)
			before := nextOf(w)
			time.Sleep(10 * time.Second)
			if n := int(nextOf(w) - before); n < 10*perSecond*99/100 || n > 10*perSecond {
				t.Errorf("%d changes in 10 s at %d/s", n, perSecond)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.Pace(ctx, 7) // nobody listens any more
		for i := range w.versions {
			if i < Reserved {
				t.Errorf("list %d was changed", i)
			}
		}
	})
}

// nowhere forgets what it takes in.
type nowhere struct{}

func (nowhere) List(cache.Header)        {}
func (nowhere) Entry([]byte, int64)      {}
func (nowhere) Done(cache.Identity, int) {}

// nextOf is the transaction of the next change.
func nextOf(w *World) uint64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.xid
}

// BenchmarkLoad is what the generator itself costs a list, which a Postgres would
// not, and the wire of a Postgres would.
func BenchmarkLoad(b *testing.B) {
	const lists = 1 << 16
	w := newWorld(b, seed.Shape{Lists: lists, Entries: 3})
	all := ranges(10)
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		if err := w.Load(b.Context(), seed.App, cache.KindBlock, all[k%len(all)], nowhere{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(lists>>10), "ns/list")
}

// BenchmarkCommit is what one change costs the generator: it is in the CPU time of
// a process that measures changes.
func BenchmarkCommit(b *testing.B) {
	w := newWorld(b, seed.Shape{Lists: 1 << 16, Entries: 3})
	at := blocksync.Position{Xmin: 1, Xmax: 1}
	for k := 0; b.Loop(); k++ {
		w.Commit(k * 7919 % (1 << 16))
		if k%100 == 0 { // as a poll takes them
			batch, err := w.Poll(b.Context(), at)
			if err != nil {
				b.Fatal(err)
			}
			at = batch.Position
		}
	}
}
