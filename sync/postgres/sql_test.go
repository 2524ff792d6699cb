package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
)

// The table is a contract: these are the statements that the documentation shows.
func TestPlainSQL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')`)
	got, ok, err := f.Get(t.Context(), blockList("bob"), "alice")
	if err != nil || !ok || got.Source != "sql" || got.CreatedAt.IsZero() || !got.ExpiresAt.IsZero() {
		t.Fatalf("%+v, %v, %v", got, ok, err)
	}
	f.exec(`DELETE FROM sidegate.block WHERE app = 'default' AND owner = 'bob' AND target = 'alice'`)
	if _, ok, err := f.Get(t.Context(), blockList("bob"), "alice"); ok || err != nil {
		t.Fatalf("still there: %v", err)
	}
	list := f.all(cache.KindBlock)["bob"]
	if list.Version != 2 || list.Size != 0 || list.Digest != 0 || len(list.Entries) != 0 {
		t.Errorf("an emptied list keeps its version: %+v", list)
	}
	f.exec(`DELETE FROM sidegate.block`)
	if v := f.all(cache.KindBlock)["bob"].Version; v != 2 {
		t.Errorf("a statement without rows moved the version to %d", v)
	}
}

func TestSQLOverSeveralLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, kind, owner, target)
		select 'default', k, 'o' || o, 't' || t
		  from unnest(array['block', 'allow', 'room']) k, generate_series(1, 20) o, generate_series(1, o) t`)
	for _, kind := range []cache.Kind{cache.KindBlock, cache.KindAllow, cache.KindRoom} {
		lists := f.all(kind)
		for o := 1; o <= 20; o++ {
			if l := lists[fmt.Sprint("o", o)]; l.Version != 1 || l.Size != o || len(l.Entries) != o ||
				l.Digest != cache.ListDigest(false, l.Entries) {
				t.Errorf("%v list %d: version %d, size %d, %d entries", kind, o, l.Version, l.Size, len(l.Entries))
			}
		}
	}
	f.exec(`insert into sidegate.block (app, owner, target) values ('default', 'o1', 't1'), ('default', 'o1', 'new')
		on conflict do nothing`)
	if l := f.all(cache.KindBlock)["o1"]; l.Size != 2 || l.Version != 2 {
		t.Errorf("ON CONFLICT DO NOTHING counted what it did not insert: %+v", l)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	n, err := f.hand.CopyFrom(t.Context(), pgx.Identifier{"sidegate", "block"}, []string{"app", "owner", "target"},
		pgx.CopyFromSlice(1000, func(i int) ([]any, error) {
			return []any{"default", fmt.Sprint("o", i%10), fmt.Sprint("t", i)}, nil
		}))
	if err != nil || n != 1000 {
		t.Fatalf("%d, %v", n, err)
	}
	for owner, l := range f.all(cache.KindBlock) {
		if l.Size != 100 || l.Version != 1 || l.Digest != cache.ListDigest(false, l.Entries) {
			t.Errorf("%s: version %d, size %d", owner, l.Version, l.Size)
		}
	}
}

func TestUpdateRules(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice", "carl"))
	f.exec(`update sidegate.block set expires_at = now() + interval '1 h' where target = 'alice'`)
	l := f.all(cache.KindBlock)["bob"]
	if l.Version != 2 || l.Size != 2 || l.Digest != cache.ListDigest(false, l.Entries) {
		t.Errorf("an update of expires_at is not followed: %+v", l)
	}
	f.exec(`update sidegate.block set note = 'x'`)
	f.exec(`update sidegate.block set note = note, expires_at = expires_at`)
	if l := f.all(cache.KindBlock)["bob"]; l.Version != 3 {
		t.Errorf("version %d after one update that changed something and one that did not", l.Version)
	}
	for _, column := range []string{"app", "kind", "owner", "target", "source", "actor"} {
		pg := f.refused("55000", `update sidegate.block set `+column+` = 'room'`)
		if !strings.Contains(pg.Message, "only expires_at and note") {
			t.Errorf("%s: %s", column, pg.Message)
		}
	}
	f.refused("55000", `insert into sidegate.block (app, owner, target) values ('default', 'bob', 'zoe')
		on conflict (app, kind, owner_hash, owner, target) do update set place = 1`)
	f.exec(`insert into sidegate.block (app, owner, target) values ('default', 'bob', 'alice'), ('default', 'bob', 'zoe')
		on conflict (app, kind, owner_hash, owner, target) do update set note = 'upserted'`)
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 3 || l.Digest != cache.ListDigest(false, l.Entries) {
		t.Errorf("an upsert is not followed: %+v", l)
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	before := f.edit(add("bob", "carl")).Identity
	f.edit(add("mode", "alice"))
	f.mode(true, "mode")
	f.exec(`truncate sidegate.block`)
	lists := f.all(cache.KindBlock)
	if _, there := lists["bob"]; there || len(lists) != 1 {
		t.Errorf("lists after TRUNCATE: %v", lists)
	}
	if l := lists["mode"]; !l.Allowlist || l.Size != 0 || l.Version != 3 || l.Digest != cache.ListDigest(true, nil) {
		t.Errorf("a list in allowlist mode: %+v", l)
	}
	after := f.edit(add("bob", "alice"))
	if after.Identity.Incarnation == before.Incarnation {
		t.Error("the incarnation is the same")
	}
	if after.Version <= 2 {
		t.Errorf("version %d was given before", after.Version)
	}
	if n := one[int](f, `select count(*) from sidegate.history where owner in ('bob', 'mode')`); n != 3 {
		t.Errorf("%d intervals ended, want 3", n)
	}
}

func TestRefusedBySQL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	insert := `insert into sidegate.block (app, owner, target) values ($1, $2, $3)`
	for constraint, ids := range map[string][3]string{
		"block_owner_is_not_target": {"a", "bob", "bob"},
		"block_app_is_an_id":        {"", "bob", "x"},
		"block_owner_is_an_id":      {"a", strings.Repeat("o", 257), "x"},
		"block_target_is_an_id":     {"a", "bob", "a\u0085b"},
	} {
		if pg := f.refused("23514", insert, ids[0], ids[1], ids[2]); pg.ConstraintName != constraint {
			t.Errorf("%q refused by %s, want %s", ids, pg.ConstraintName, constraint)
		}
	}
	for r := rune(1); r < 0x100; r++ {
		control := r < 0x20 || r >= 0x7f && r < 0xa0
		if valid := one[bool](f, `select sidegate.valid_id($1)`, "a"+string(r)); valid == control {
			t.Errorf("an id with %U: valid is %v", r, valid)
		}
	}
	for _, expiry := range []string{"infinity", "-infinity", "1969-12-31"} {
		f.refused("23514", `insert into sidegate.block (app, owner, target, expires_at) values ('a', 'o', 't', $1::text::timestamptz)`, expiry)
	}
	f.refused("23514", `insert into sidegate.block (app, kind, owner, target) values ('a', 'mute', 'o', 't')`)
}

// A commit that a standby or the disk may still lose must not become visible.
func TestWritesAreDurable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for asked, want := range map[string]string{"off": "on", "local": "on", "on": "on", "remote_apply": "remote_apply"} {
		tx, err := f.hand.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		if _, err := tx.Exec(t.Context(), `set local synchronous_commit = `+asked); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `insert into sidegate.block (app, owner, target) values ('a', 'o', $1)`, asked); err != nil {
			t.Fatal(err)
		}
		if got := row[string](t, tx, `select current_setting('synchronous_commit')`); got != want {
			t.Errorf("synchronous_commit %s became %s, want %s", asked, got, want)
		}
		tx.Rollback(t.Context())
	}
}

// headersScanned lets a session make its plans while there are few lists, then
// inserts many by one statement and returns how many headers that statement read
// by scanning.
func headersScanned(f *fixture) int64 {
	f.t.Helper()
	conn, err := f.hand.Acquire(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Release()
	exec := func(sql string) {
		if _, err := conn.Exec(f.t.Context(), sql); err != nil {
			f.t.Fatal(err)
		}
	}
	for range 8 { // the sixth time a plan is kept
		exec(`insert into sidegate.block (app, owner, target) values ('default', 'few', gen_random_uuid()::text)`)
		exec(`analyze sidegate.owner`)
	}
	exec(`begin`)
	defer conn.Exec(context.Background(), `rollback`)
	const scanned = `select pg_stat_get_xact_tuples_returned('sidegate.owner'::regclass)`
	before := row[int64](f.t, conn, scanned)
	exec(`insert into sidegate.block (app, owner, target)
	      select 'default', 'o' || i, 't' || j from generate_series(1, 1000) i, generate_series(1, 5) j`)
	return row[int64](f.t, conn, scanned) - before
}

// What a statement costs depends on what it touches, whatever the plans of its
// session were made for: each header is found by its key.
func TestPlansDoNotDependOnEarlierStatements(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if n := headersScanned(f); n > 3000 { // a few index entries for each of 1000 lists
		t.Errorf("1000 lists read %d headers", n)
	}
	off := newFixture(t)
	off.exec(`alter function sidegate.block_edited() reset all`)
	if n := headersScanned(off); n < 100_000 {
		t.Errorf("without the settings 1000 lists read only %d headers", n)
	}
}

// The work of a statement grows with its rows, not with their square: twice the
// lists are no more headers a list.
func TestManyListsInOneStatement(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	perList := func(lists int) int64 {
		tx, err := f.hand.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		const read = `select pg_stat_get_xact_tuples_returned('sidegate.owner'::regclass)
			+ pg_stat_get_xact_tuples_returned('sidegate.owner_pkey'::regclass)`
		before := row[int64](t, tx, read)
		_, err = tx.Exec(t.Context(), `insert into sidegate.block (app, owner, target)
			select 'default', 'o' || i, 't' || j from generate_series(1, $1::int) i, generate_series(1, 10) j`, lists)
		if err != nil {
			t.Fatal(err)
		}
		return (row[int64](t, tx, read) - before) / int64(lists)
	}
	few, many := perList(500), perList(8000)
	if many > 2*few+4 {
		t.Errorf("a list reads %d headers among 500 and %d among 8000", few, many)
	}
}

func TestRooms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	f.edit(add("alice", "bob"))
	f.exec(`delete from sidegate.block`)
	f.exec(`insert into sidegate.block (app, kind, owner, target) values ('default', 'allow', 'x', 'y'), ('default', 'room', 'x', 'y')`)
	rooms := one[[]string](f, `select array_agg(a || ' ' || b || ' ' || id) from sidegate.room`)
	// printf '\0\0\0\7default\0\0\0\5alice\0\0\0\3bob' | sha256sum | cut -c -32
	if want := []string{"alice bob 1d9320a812b12af51e2909ffde88d6c6"}; !slices.Equal(rooms, want) {
		t.Errorf("rooms %q, want %q", rooms, want)
	}
}
