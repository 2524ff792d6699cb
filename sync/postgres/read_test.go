package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/sync/postgres"
)

// reads are the ways to read while nothing is written.
var reads = map[string]func(context.Context, *postgres.Store) error{
	"a list": func(ctx context.Context, s *postgres.Store) error {
		_, err := s.List(ctx, query("bob", 10))
		return err
	},
	"a page": func(ctx context.Context, s *postgres.Store) error {
		var page cache.Loaded
		return s.Load(ctx, "default", cache.KindBlock, cache.Range{Hi: ^uint64(0)}, &page)
	},
	"users": func(ctx context.Context, s *postgres.Store) error {
		_, err := s.Users(ctx, "default", []string{"bob"})
		return err
	},
	"an export": func(ctx context.Context, s *postgres.Store) error {
		r, err := s.Export(ctx, "default")
		if err == nil {
			_, err = r.Next(ctx)
			r.Close()
		}
		return err
	},
}

// A server that was started again has ended every connection that lies ready.
// Reads find out and take another one, so that nobody hears of an outage that is
// over.
func TestReadsOutliveTheirConnections(t *testing.T) {
	t.Parallel()
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.edit(add("bob", "alice"))
			f.fillPools()
			f.exec(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sidegate' and datname = current_database()`)
			f.waitUntil(`select count(*) = 0 from pg_stat_activity where application_name = 'sidegate' and datname = current_database()`)
			if err := read(t.Context(), f.Store); err != nil {
				t.Error(err)
			}
		})
	}
}

// fillPools makes every reading connection that the store may have: they are held
// at a lock until there are so many.
func (f *fixture) fillPools() {
	f.t.Helper()
	const wanted = 4
	tx, err := f.hand.Begin(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := tx.Exec(f.t.Context(), "lock table sidegate.block"); err != nil {
		f.t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range wanted {
		readers.Go(func() {
			if _, err := f.List(f.t.Context(), query("bob", 1)); err != nil {
				f.t.Error(err)
			}
		})
	}
	f.waitUntil(`select count(*) = $1 from pg_stat_activity
		where wait_event_type = 'Lock' and application_name = 'sidegate' and datname = current_database()`, wanted)
	if err := tx.Rollback(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	readers.Wait()
	if err := reads["an export"](f.t.Context(), f.Store); err != nil {
		f.t.Fatal(err)
	}
}
