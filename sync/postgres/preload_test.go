package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"

	blocksync "github.com/sidegate/sidegate/sync"
)

// watched is a store whose page reads come one after the other and are written
// down. After some of them it calls cut once.
type watched struct {
	*postgres.Store
	cut func()

	mu   sync.Mutex
	good []cache.Range // of the block lists
	at   int           // how many before the cut
}

const cutAfter = 5

func (c *watched) Load(ctx context.Context, app string, kind cache.Kind, r cache.Range, into cache.Intake) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == 0 && len(c.good) >= cutAfter {
		c.at = len(c.good)
		c.cut()
	}
	err := c.Store.Load(ctx, app, kind, r, into)
	if err == nil && kind == cache.KindBlock {
		c.good = append(c.good, r)
	}
	return err
}

// preload fills a cache from a store until everything is in memory. Like the
// follower it starts over when the server is another one.
func preload(t *testing.T, c *watched) *cache.Cache {
	t.Helper()
	memory, err := cache.New(cache.Options{
		MaxBytes: 64 << 20, Apps: []string{"default"}, Loader: c, Sizer: c, LoadTimeout: time.Minute,
		Metrics: cache.NewMetrics(prometheus.NewRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- memory.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	waitFor(t, "all lists to be in memory", func() bool {
		if b, err := c.Poll(ctx, blocksync.Position{}); err == nil && b.Identity != memory.Identity() {
			memory.Reset(b.Identity, memory.Now())
		}
		s := memory.Stats()
		return memory.Preloaded() && s.SuspectPages == 0 && s.Pages == s.Slots
	})
	return memory
}

// TestPreloadGoesOnWhereItWasCut: if its connections are ended in the middle, what
// has been read is not read again. If the server is killed, that is read again
// too, since another server may hold something else.
func TestPreloadGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	const lists, each = 5000, 5
	fill := func(f *fixture) {
		f.exec(`insert into sidegate.block (app, owner, target, expires_at)
			select 'default', 'o' || i, 't' || t, case when t = i % 7 then now() + interval '1 day' end
			  from generate_series(1, $1::int) i, generate_series(1, $2::int) t`, lists, each)
	}
	t.Run("connections", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		fill(f)
		c := &watched{Store: f.Store, cut: func() {
			f.exec(`select pg_terminate_backend(pid, 10000) from pg_stat_activity
				where application_name = 'sidegate' and datname = current_database()`)
		}}
		checkMemory(t, preload(t, c), lists, each)
		seen := map[cache.Range]bool{}
		for _, r := range c.good {
			if seen[r] {
				t.Errorf("%x was read twice", r)
			}
			seen[r] = true
		}
		if c.at == 0 { // a read that finds its connection ended takes another one
			t.Error("nothing was cut")
		}
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		server := pgtest.Server(t, nil)
		f := onDatabase(t, pgtest.Migrated(t, server))
		fill(f)
		c := &watched{Store: f.Store, cut: func() {
			if err := server.Kill(t.Context()); err != nil {
				t.Error(err)
			}
			if err := server.Start(t.Context()); err != nil {
				t.Error(err)
			}
		}}
		checkMemory(t, preload(t, c), lists, each)
		if c.at == 0 || len(c.good) <= c.at {
			t.Errorf("cut after %d of %d reads", c.at, len(c.good))
		}
	})
}

// checkMemory asks memory about every list.
func checkMemory(t *testing.T, memory *cache.Cache, lists, each int) {
	t.Helper()
	d := memory.Directory("default", cache.KindBlock)
	for i := 1; i <= lists; i++ {
		owner := fmt.Sprintf("o%d", i)
		v, ok := d.Find(owner)
		if !ok || v.Version() == 0 || v.Contains("t0") {
			t.Fatalf("%s: in memory %v", owner, ok)
		}
		for e := 1; e <= each; e++ {
			if !v.Contains(fmt.Sprintf("t%d", e)) {
				t.Fatalf("%s: entry %d is not in memory", owner, e)
			}
		}
	}
}

// waitFor is the one place where tests of this package wait for something to
// become true.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
