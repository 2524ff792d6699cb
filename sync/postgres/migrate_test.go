package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sidegate/sidegate/cache"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

func up(t *testing.T, dsn string) {
	t.Helper()
	if err := postgres.Up(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
}

// applied returns how many steps the database has had, of how many.
func applied(t *testing.T, dsn string) (n, of int) {
	t.Helper()
	list, err := postgres.Status(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range list {
		if m.Version != int64(i+1) || !strings.HasSuffix(m.Name, ".sql") || m.Applied == m.AppliedAt.IsZero() {
			t.Errorf("step %d: %+v", i, m)
		}
		if m.Applied {
			n++
		}
	}
	return n, len(list)
}

func TestUpAndDownAndUp(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	if n, of := applied(t, dsn); n != 0 || of != postgres.SchemaVersion {
		t.Errorf("%d of %d steps in an empty database", n, of)
	}
	up(t, dsn)
	up(t, dsn)
	f := onDatabase(t, dsn)
	f.edit(add("bob", "alice"))
	digest := f.all(cache.KindBlock)["bob"].Digest
	for version := postgres.SchemaVersion; version > 0; version-- {
		if have := one[int](f, `select schema_version from sidegate.meta`); have != version {
			t.Errorf("at step %d meta says %d", version, have)
		}
		if err := postgres.Down(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
		if n, _ := applied(t, dsn); n != version-1 {
			t.Errorf("%d steps left, want %d", n, version-1)
		}
	}
	left := one[[]string](f, `select coalesce(array_agg(relname::text), '{}') from pg_class where relnamespace = 'sidegate'::regnamespace and relkind = 'r'`)
	if len(left) != 1 || left[0] != "migration" {
		t.Errorf("tables left: %v", left)
	}
	if n := one[int](f, `select count(*) from pg_proc where pronamespace = 'sidegate'::regnamespace`); n != 0 {
		t.Errorf("%d functions left", n)
	}
	if err := postgres.Down(t.Context(), dsn); err == nil || !strings.Contains(err.Error(), "nothing to take back") {
		t.Errorf("down from nothing: %v", err)
	}
	up(t, dsn)
	if again := f.edit(add("bob", "alice")); again.Version != 1 || again.Changes[0].Digest != digest {
		t.Errorf("after up, down and up: %+v", again)
	}
}

// While a step builds indices, which takes as long as the tables are large, writers
// wait and readers do not.
func TestUpHoldsUpNoReader(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	for version := postgres.SchemaVersion; version > 15; version-- {
		if err := postgres.Down(t.Context(), f.dsn); err != nil {
			t.Fatal(err)
		}
	}
	writer, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec(t.Context(), `lock table sidegate.history in row exclusive mode`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- postgres.Up(t.Context(), f.dsn) }()
	f.waitUntil(`select exists (select from pg_locks where not granted and relation = 'sidegate.history'::regclass)`)
	reader := onDatabase(t, f.dsn+"&options=-clock_timeout%3D10s")
	if n := one[int](reader, `select count(*) from sidegate.block`); n != 1 {
		t.Errorf("%d entries", n)
	}
	if err := errors.Join(writer.Rollback(t.Context()), <-done); err != nil {
		t.Fatal(err)
	}
}

func TestDownOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	if err := postgres.Down(t.Context(), pgtest.Empty(t)); err == nil || !strings.Contains(err.Error(), "nothing to take back") {
		t.Errorf("%v", err)
	}
}

// Several sidecars may start on a new database at the same moment.
func TestUpFromSeveralProcessesAtOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = postgres.Up(t.Context(), dsn) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	f := onDatabase(t, dsn)
	if n := one[int](f, `select count(*) from sidegate.migration where version_id > 0`); n != postgres.SchemaVersion {
		t.Errorf("%d steps recorded", n)
	}
	f.edit(add("bob", "alice"))
}

func TestSaltsDiffer(t *testing.T) {
	t.Parallel()
	salts := map[int64]bool{}
	for range 2 {
		dsn := pgtest.Empty(t)
		up(t, dsn)
		salts[one[int64](onDatabase(t, dsn), `select hash_salt from sidegate.meta`)] = true
	}
	if len(salts) != 2 {
		t.Error("two migrations chose the same salt")
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.migration (version_id, is_applied) values (99, true)`)
	f.exec(`update sidegate.meta set schema_version = 99, serves_from = 98`)
	_, statusErr := postgres.Status(t.Context(), f.dsn)
	_, checkErr := f.Check(t.Context())
	for name, err := range map[string]error{
		"up": postgres.Up(t.Context(), f.dsn), "down": postgres.Down(t.Context(), f.dsn),
		"status": statusErr, "check": checkErr,
	} {
		e, ok := errors.AsType[*postgres.SchemaError](err)
		if !ok || e.Have != 99 || e.Want != postgres.SchemaVersion || !strings.Contains(err.Error(), "use a newer sidegate") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A newer schema may serve older programs: they start on it.
func TestNewerSchemaThatServes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`update sidegate.meta set schema_version = 99, serves_from = $1`, postgres.SchemaVersion)
	if _, err := f.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if b := f.poll(blocksync.Position{}); b.Schema != 99 || b.Serves != postgres.SchemaVersion {
		t.Errorf("poll says %+v", b)
	}
}

func TestCheckOfTheSchema(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	store := openStore(t, dsn)
	want := func(have int) {
		t.Helper()
		_, err := store.Check(t.Context())
		e, ok := errors.AsType[*postgres.SchemaError](err)
		if !ok || e.Have != have || !strings.Contains(err.Error(), "run: sidegate migrate up") {
			t.Errorf("with schema %d: %v", have, err)
		}
	}
	want(0)
	up(t, dsn)
	report, err := store.Check(t.Context())
	if err != nil || !report.Superuser || report.Server < 140000 {
		t.Errorf("%+v, %v", report, err)
	}
	if err := postgres.Down(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	want(postgres.SchemaVersion - 1)
}

func TestCheckOfTheHash(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`update sidegate.meta set hash_salt = hash_salt + 1`)
	if _, err := f.Check(t.Context()); !errors.Is(err, postgres.ErrHash) {
		t.Errorf("another hash: %v", err)
	}
}

func TestDatabaseOfAnotherEncoding(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	hand, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close()
	name := row[string](t, hand, `select current_database()`) + "_latin"
	if _, err := hand.Exec(t.Context(), fmt.Sprintf(`create database %s encoding 'LATIN1' locale 'C' template template0`, name)); err != nil {
		t.Fatal(err)
	}
	defer hand.Exec(context.Background(), fmt.Sprintf(`drop database %s with (force)`, name))
	latin := strings.Replace(dsn, "/"+strings.TrimSuffix(name, "_latin"), "/"+name, 1)
	if err := postgres.Up(t.Context(), latin); !errors.Is(err, postgres.ErrEncoding) {
		t.Errorf("Up: %v", err)
	}
	store := openStore(t, latin)
	defer store.Close()
	if _, err := store.Check(t.Context()); !errors.Is(err, postgres.ErrEncoding) {
		t.Errorf("Check: %v", err)
	}
}

func TestOldServerIsRefused(t *testing.T) {
	t.Parallel()
	if err := postgres.CheckServer(false, 130014, "UTF8"); !errors.Is(err, postgres.ErrOldServer) || !strings.Contains(err.Error(), "13.14") {
		t.Errorf("%v", err)
	}
	if err := postgres.CheckServer(false, 140000, "UTF8"); err != nil {
		t.Errorf("%v", err)
	}
}

func TestServerThatIsAway(t *testing.T) {
	t.Parallel()
	dsn := "postgres://nobody:secret@127.0.0.1:1/none"
	store := openStore(t, dsn)
	_, checkErr := store.Check(t.Context())
	for name, err := range map[string]error{"up": postgres.Up(t.Context(), dsn), "check": checkErr} {
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
