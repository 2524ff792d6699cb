package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"

	blocksync "github.com/sidegate/sidegate/sync"
)

func expiredRows(f *fixture, owners, each int) {
	f.exec(`insert into sidegate.block (app, owner, target, created_at, expires_at)
		select 'default', 'o' || o, 't' || t, now() - interval '2 h', now() - interval '1 h'
		  from generate_series(1, $1::int) o, generate_series(1, $2::int) t`, owners, each)
}

func TestExpireInBatches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	expiredRows(f, 30, 5)
	f.edit(add("keep", "me"))
	total := 0
	for rounds := 0; ; rounds++ {
		n, err := f.Expire(t.Context(), 40)
		if err != nil || rounds > 20 {
			t.Fatal(rounds, err)
		}
		if total += n; n == 0 {
			break
		}
	}
	if left := one[int](f, `select count(*) from sidegate.block`); total != 150 || left != 1 {
		t.Errorf("%d ended, %d left", total, left)
	}
	for owner, l := range f.all(cache.KindBlock) {
		if owner != "keep" && (l.Size != 0 || l.Digest != 0) {
			t.Errorf("%s: %+v", owner, l)
		}
	}
	if wrong := one[int](f, `select count(*) from sidegate.history where unblocked_at <> expires_at or ended_source <> 'expiry'`); wrong != 0 {
		t.Errorf("%d intervals do not end when their block expired", wrong)
	}
}

// The sweeper never waits for a writer, not for a header and not for a row.
func TestExpireLeavesLockedListsAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	expiredRows(f, 3, 2)
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	for _, sql := range []string{
		`select from sidegate.owner where owner = 'o1' for no key update`,
		`select from sidegate.block where owner = 'o2' and target = 't1' for update`,
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.Expire(t.Context(), 100); err != nil || n != 3 {
		t.Errorf("%d ended, %v; want the one row of o2 and both of o3", n, err)
	}
	tx.Rollback(t.Context())
	if n, err := f.Expire(t.Context(), 100); err != nil || n != 3 {
		t.Errorf("%d ended after the locks went, %v", n, err)
	}
}

func TestHistoryKeepsEndedIntervals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := add("bob", "alice", "carl")
	e.Add[0].Note = "rude"
	f.edit(e)
	f.edit(filter.Edit{List: blockList("bob"), Remove: []string{"alice"}, Source: "console", Actor: "staff7"})
	f.exec(`delete from sidegate.block where target = 'carl'`)
	f.edit(add("bob", "alice"))
	rows, err := f.hand.Query(t.Context(), `select target || ' ' || coalesce(note, '-') || ' ' || source || ' ' || actor || ' ' || ended_source || ' ' || ended_actor
		from sidegate.history where unblocked_at > blocked_at and expires_at is null order by unblocked_at`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if want := []string{"alice rude native test console staff7", "carl - native test sql "}; err != nil || !slices.Equal(got, want) {
		t.Errorf("history %q, %v", got, err)
	}
}

// settled waits until no transaction of the cluster, that is of other tests, is
// older than the changes made so far: snapshots know them all.
func (f *fixture) settled() {
	f.t.Helper()
	f.waitUntil(`select pg_snapshot_xmin(pg_current_snapshot()) > (select x from sidegate.change order by x desc limit 1)`)
}

// Who has slept past the trimming is told so in the statement that would have
// missed the changes.
func TestTrim(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sleeper := f.poll(blocksync.Position{})
	for i := range 10 {
		f.edit(add("bob", fmt.Sprint("t", i)))
	}
	f.settled()
	awake := f.poll(blocksync.Position{})
	f.exec(`update sidegate.change set at = at - interval '3 h'`)
	f.edit(add("bob", "young"))

	if n, err := f.Trim(t.Context(), 2*time.Hour); err != nil || n != 10 {
		t.Fatalf("%d removed, %v", n, err)
	}
	b := f.poll(sleeper.Position)
	if sleeper.Position.Xmin >= b.MinXid {
		t.Errorf("the sleeper at xmin %d is not told: min_xid %d", sleeper.Position.Xmin, b.MinXid)
	}
	if b := f.poll(awake.Position); awake.Position.Xmin < b.MinXid || len(b.Changes) != 1 {
		t.Errorf("who missed nothing is sent back: xmin %d, min_xid %d, %d changes", awake.Position.Xmin, b.MinXid, len(b.Changes))
	}
	if n, err := f.Trim(t.Context(), 2*time.Hour); err != nil || n != 0 {
		t.Errorf("a second trim removed %d, %v", n, err)
	}
}

func TestTrimKeepsWhatMayStillBeNeeded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "before"))
	f.settled()
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `insert into sidegate.block (app, owner, target) values ('default', 'carl', 'slow')`); err != nil {
		t.Fatal(err)
	}
	during := f.poll(blocksync.Position{})
	f.edit(add("bob", "after"))
	f.exec(`update sidegate.change set at = at - interval '3 h'`)
	if n, err := f.Trim(t.Context(), time.Hour); err != nil || n != 1 {
		t.Errorf("%d removed, %v; want only what is older than the open transaction", n, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := f.poll(during.Position); len(b.Changes) != 2 || during.Position.Xmin < b.MinXid {
		t.Errorf("%d changes, min_xid %d, xmin %d", len(b.Changes), b.MinXid, during.Position.Xmin)
	}
}

// A dump brings a feed whose transactions are far ahead of those of the cluster it
// is restored into. Until it is trimmed every poll reads it again, and every
// position is behind min_xid.
func TestTrimOfAnotherClustersFeed(t *testing.T) {
	t.Parallel()
	for name, trim := range map[string]func(*fixture) error{
		"upkeep": func(f *fixture) error { _, err := f.Trim(t.Context(), time.Hour); return err },
		"bump":   func(f *fixture) error { return f.BumpIncarnation(t.Context()) },
	} {
		f := newFixture(t)
		f.edit(add("bob", "alice"))
		f.exec(`insert into sidegate.change (x, app, kind, owner, prev, version, size, digest, allowlist, op)
			select (4000000000 + i)::text::xid8, 'default', 'block', 'carl', i - 1, i, 0, 0, false, 'L' from generate_series(1, 100) i`)
		f.exec(`update sidegate.meta set min_xid = '4000000000'`)
		before := f.poll(blocksync.Position{})
		for range 2 {
			if b := f.poll(before.Position); len(b.Changes) != 100 || b.Position.Xmin >= b.MinXid {
				t.Fatalf("%s: the dump is not in the way: %d changes, xmin %d, min_xid %d", name, len(b.Changes), b.Position.Xmin, b.MinXid)
			}
		}
		if err := trim(f); err != nil {
			t.Fatal(err)
		}
		// Whoever had a transaction open meanwhile, in any database, holds xmin back.
		var b blocksync.Batch
		waitFor(t, "xmin passes min_xid", func() bool {
			b = f.poll(before.Position)
			return b.Position.Xmin >= b.MinXid
		})
		if next := f.poll(b.Position); len(b.Changes)+len(next.Changes) != 0 {
			t.Errorf("%s: %d and %d changes", name, len(b.Changes), len(next.Changes))
		}
		if n := one[int](f, `select count(*) from sidegate.change`); n != 1 {
			t.Errorf("%s: of the changes of this cluster %d are left, want 1", name, n)
		}
	}
}

func TestTrimWorksInShortTransactions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.change (x, at, app, kind, owner, prev, version, size, digest, allowlist, op)
		select (3 + i / 7)::text::xid8, now() - interval '3 h', 'default', 'block', 'o', 0, 1, 0, 0, false, 'L' from generate_series(1, 4000) i`)
	f.settled()
	n := one[int64](f, `select sidegate.trim('2 h', 100)`)
	if n < 100 || n > 107 {
		t.Errorf("a batch of 100 removed %d", n)
	}
	if rest, err := f.Trim(t.Context(), 2*time.Hour); err != nil || rest != 4000-n {
		t.Errorf("%d of %d removed, %v", rest, 4000-n, err)
	}
}

func TestRepairAfterTriggersWereBypassed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	if wrong, err := f.Repair(t.Context(), blockList("bob")); wrong || err != nil {
		t.Errorf("a sound list: %v, %v", wrong, err)
	}
	if wrong, err := f.Repair(t.Context(), blockList("nobody")); wrong || err != nil {
		t.Errorf("no list: %v, %v", wrong, err)
	}
	start := f.poll(blocksync.Position{})
	err := pgx.BeginFunc(t.Context(), f.hand, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `set local session_replication_role = replica;
			insert into sidegate.block (app, owner, target) values ('default', 'bob', 'x'), ('default', 'new', 'y')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range []string{"bob", "new"} {
		if wrong, err := f.Repair(t.Context(), blockList(owner)); !wrong || err != nil {
			t.Errorf("%s: %v, %v", owner, wrong, err)
		}
		if l := f.all(cache.KindBlock)[owner]; l.Size != len(l.Entries) || l.Digest != cache.ListDigest(false, l.Entries) {
			t.Errorf("%s is not repaired: %+v", owner, l)
		}
	}
	b := f.poll(start.Position)
	if len(b.Changes) != 2 || b.Changes[0].Op != cache.OpReload || b.Changes[1].Op != cache.OpReload {
		t.Errorf("changes %+v", b.Changes)
	}
}

var _ postgres.Upkeep = (*postgres.Store)(nil)
