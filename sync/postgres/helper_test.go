package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// fixture is a store on a database of its own, and a way to write SQL by hand as
// the superuser of that database.
type fixture struct {
	*postgres.Store
	t    testing.TB
	dsn  string
	hand *pgxpool.Pool
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return onDatabase(t, pgtest.Database(t))
}

func onDatabase(t testing.TB, dsn string) *fixture {
	t.Helper()
	return &fixture{Store: openStore(t, dsn), t: t, dsn: dsn, hand: openPool(t, dsn)}
}

func openPool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func openStore(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Options{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// exec runs SQL by hand and returns the number of rows.
func (f *fixture) exec(sql string, args ...any) int64 {
	f.t.Helper()
	tag, err := f.hand.Exec(f.t.Context(), sql, args...)
	if err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
	return tag.RowsAffected()
}

// refused runs SQL by hand that must fail with the SQLSTATE.
func (f *fixture) refused(code, sql string, args ...any) *pgconn.PgError {
	f.t.Helper()
	_, err := f.hand.Exec(f.t.Context(), sql, args...)
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Code != code {
		f.t.Fatalf("%s: got %v, want SQLSTATE %s", sql, err, code)
	}
	return pg
}

// one queries a single value by hand.
func one[T any](f *fixture, sql string, args ...any) T {
	f.t.Helper()
	return row[T](f.t, f.hand, sql, args...)
}

type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func row[T any](t testing.TB, db queryer, sql string, args ...any) T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func blockList(owner string) filter.ListID {
	return filter.ListID{App: "default", Kind: cache.KindBlock, Owner: owner}
}

// add returns an edit that adds targets to a block list of the app default.
func add(owner string, targets ...string) filter.Edit {
	e := filter.Edit{List: blockList(owner), Source: "native", Actor: "test"}
	for _, target := range targets {
		e.Add = append(e.Add, filter.Addition{Target: target, Keep: true})
	}
	return e
}

func (f *fixture) edit(e filter.Edit) filter.Edited {
	f.t.Helper()
	got, err := f.Edit(f.t.Context(), e)
	if err != nil {
		f.t.Fatal(err)
	}
	return got
}

// load reads a range of the app default and keeps it whole.
func (f *fixture) load(kind cache.Kind, r cache.Range) (loaded cache.Loaded) {
	f.t.Helper()
	if err := f.Load(f.t.Context(), "default", kind, r, &loaded); err != nil {
		f.t.Fatal(err)
	}
	return loaded
}

// all loads everything of a kind of the app default, by owner.
func (f *fixture) all(kind cache.Kind) map[string]cache.List {
	f.t.Helper()
	loaded := f.load(kind, cache.Range{Lo: 0, Hi: ^uint64(0)})
	if loaded.Count != len(loaded.Lists) {
		f.t.Fatalf("%d lists loaded, %d counted", len(loaded.Lists), loaded.Count)
	}
	lists := map[string]cache.List{}
	for _, l := range loaded.Lists {
		lists[l.Owner] = l
	}
	return lists
}

// code returns the code of a *filter.Error, "" for anything else.
func code(err error) filter.Code {
	if e, ok := errors.AsType[*filter.Error](err); ok {
		return e.Code
	}
	return ""
}

func targets(list []filter.Block) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = b.Target
	}
	return out
}

func entryTargets(list []cache.Entry) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.Target
	}
	return out
}

// waitUntil asks the database until it says true. It is for what the server does
// in another session, which it tells nobody.
func (f *fixture) waitUntil(sql string, args ...any) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	for !one[bool](f, sql, args...) {
		if ctx.Err() != nil {
			f.t.Fatalf("did not come true: %s", sql)
		}
	}
}

// mode switches allowlist mode of users.
func (f *fixture) mode(on bool, owners ...string) []filter.Edited {
	f.t.Helper()
	edits, err := f.SetAllowlistMode(f.t.Context(), filter.ModeChange{App: "default", Owners: owners, On: on})
	if err != nil {
		f.t.Fatal(err)
	}
	return edits
}
