package postgres_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"

	blocksync "github.com/sidegate/sidegate/sync"
)

// crush starts far more calls of one kind than have a connection, while somebody
// holds a lock that they need, calls beside when as many as have one wait in the
// database, and returns when all is over.
func (f *fixture) crush(lock string, conns int, call func(ctx context.Context, i int), beside func()) {
	f.t.Helper()
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(f.t.Context())
	defer wg.Wait()
	defer stop()
	err := pgx.BeginFunc(f.t.Context(), f.hand, func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.t.Context(), lock); err != nil {
			return err
		}
		for i := range 8 * conns {
			wg.Go(func() { call(ctx, i) })
		}
		f.waiting(conns)
		beside()
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// waiting returns when so many sessions of the database, or more, wait for a lock.
func (f *fixture) waiting(n int) {
	f.t.Helper()
	for begun := time.Now(); ; {
		have := one[int](f, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
		switch {
		case have >= n:
			return
		case time.Since(begun) > 2*time.Minute:
			f.t.Fatalf("%d sessions wait for a lock, want %d or more", have, n)
		}
		<-time.After(5 * time.Millisecond)
	}
}

const (
	lockOwners  = `lock table sidegate.owner in access exclusive mode`
	lockHistory = `lock table sidegate.history in access exclusive mode`
	lockLists   = `select count(*) from (select 1 from sidegate.owner for update) locked`
)

// patience is for calls that must not wait: what hangs for so long hangs for good.
func patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (f *fixture) loadAll(ctx context.Context) error {
	return f.Load(ctx, "default", cache.KindBlock, cache.Range{Hi: math.MaxUint64}, new(cache.Loaded))
}

// TestNoWorkStarvesAnother: whatever waits for the database, and however many wait
// with it, the feed goes on, and so do page reads if they are not what waits.
func TestNoWorkStarvesAnother(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 32 {
		f.edit(add(fmt.Sprint("owner", i), "alice"))
	}
	position := f.poll(blocksync.Position{}).Position
	feed := func() {
		for range 20 {
			batch, err := f.Poll(patience(t), position)
			if err != nil {
				t.Fatal(err)
			}
			position = batch.Position
		}
	}
	loads := func() {
		if err := f.loadAll(patience(t)); err != nil {
			t.Errorf("a page read: %v", err)
		}
	}
	history := func(ctx context.Context) error {
		_, err := f.History(ctx, filter.HistoryQuery{List: blockList("owner1"), Limit: 10})
		return err
	}
	f.crush(lockOwners, postgres.LoadConns, func(ctx context.Context, _ int) { _ = f.loadAll(ctx) }, func() {
		feed()
		if err := history(patience(t)); err != nil {
			t.Errorf("a read of staff behind page reads: %v", err)
		}
	})
	f.crush(lockHistory, 4, func(ctx context.Context, _ int) { _ = history(ctx) }, func() { feed(); loads() })
	// Of writes to as many lists as there are, two share a transaction or more.
	f.crush(lockLists, 3, func(ctx context.Context, i int) {
		_, _ = f.Edit(ctx, add(fmt.Sprint("owner", i), fmt.Sprint("target", i)))
	}, func() { feed(); loads() })
}

// TestOnePoolWouldStarveTheFeed is the same with one pool for all of it.
func TestOnePoolWouldStarveTheFeed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	defer postgres.Share(f.Store)()
	f.crush(lockOwners, postgres.LoadConns, func(ctx context.Context, _ int) { _ = f.loadAll(ctx) }, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := f.Poll(ctx, blocksync.Position{}); err == nil {
			t.Error("the feed went on behind page reads of the same pool: the pools show nothing")
		}
	})
}
