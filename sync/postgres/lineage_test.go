package postgres_test

import (
	"errors"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"

	blocksync "github.com/sidegate/sidegate/sync"
)

// lead lets new connections through the proxy go to another server. Those there
// are stay where they are, as with a name that means another machine from now on.
func (p *proxy) lead(t *testing.T, to *localpg.Server) {
	t.Helper()
	config, err := pgx.ParseConfig(to.DSN("sidegate"))
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.socket = filepath.Join(config.Host, ".s.PGSQL."+strconv.Itoa(int(config.Port)))
}

// hangUp ends the connections there are.
func (p *proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// TestServersOfOneCluster: a primary and its standby, which is promoted while the
// primary goes on. The order matters: clusters are dear, so the tests share them.
func TestServersOfOneCluster(t *testing.T) {
	t.Parallel()
	primary := pgtest.Server(t, nil)
	f := onDatabase(t, pgtest.Migrated(t, primary))
	f.edit(add("bob", "alice"))
	standby := pgtest.Standby(t, primary)
	t.Run("a position of a standby loses changes", func(t *testing.T) { standbyPosition(t, f, standby) })
	t.Run("connections to a standby are left", func(t *testing.T) { standbyConnections(t, primary, standby) })
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("an old primary is left alone", func(t *testing.T) { oldPrimaryLeft(t, f, primary, standby) })
	t.Run("an old primary is not followed", func(t *testing.T) { oldPrimaryFollowed(t, f, primary, standby) })
}

// Once a timeline has been seen, nothing is written to, read from or followed on a
// server that the cluster has left behind, be the connection old or new; and the
// store goes on by itself where the name leads to the new one.
func oldPrimaryLeft(t *testing.T, hand *fixture, old, promoted *localpg.Server) {
	p := newProxy(t, old.DSN("sidegate"))
	store := openStore(t, p.dsn)
	if _, err := store.Edit(t.Context(), add("bob", "warm")); err != nil {
		t.Fatal(err) // nobody knows better yet
	}
	p.lead(t, promoted)
	first, err := store.Poll(t.Context(), blocksync.Position{})
	if err != nil || first.Identity.Timeline != 2 || first.Newer != 0 {
		t.Fatalf("%+v, %v", first, err)
	}

	p.lead(t, old) // flapping: new connections lead back
	for range 6 {  // more than there are connections
		_, err := store.Edit(t.Context(), add("bob", "lost"))
		if plain(t, err); code(err) != filter.CodeStoreUnavailable {
			t.Fatalf("a write to the old primary: %v", err)
		}
		if _, err := store.List(t.Context(), query("bob", 10)); code(err) != filter.CodeStoreUnavailable {
			t.Errorf("a list of the old primary: %v", err)
		}
		err = store.Load(t.Context(), "default", cache.KindBlock, cache.Range{Hi: math.MaxUint64}, new(cache.Loaded))
		if err == nil || !strings.Contains(err.Error(), "timeline 1 and this process has seen timeline 2") {
			t.Errorf("a page of the old primary: %v", err)
		}
	}
	if n := one[int](hand, `select count(*) from sidegate.block where target = 'lost'`); n != 0 {
		t.Error("it was written to")
	}
	fresh := openStore(t, p.dsn) // this one knows nothing of the new one
	if _, err := fresh.Edit(t.Context(), add("bob", "lost")); err != nil {
		t.Errorf("who has not seen the new timeline: %v", err)
	}

	p.lead(t, promoted)
	for i := range 6 {
		if _, err := store.Edit(t.Context(), add("bob", "kept"+strconv.Itoa(i))); err != nil {
			t.Errorf("a write to the new primary: %v", err)
		}
	}
}

// The feed of an old primary is not followed, until an incarnation that nobody has
// seen says that going back is meant.
func oldPrimaryFollowed(t *testing.T, hand *fixture, old, promoted *localpg.Server) {
	p := newProxy(t, promoted.DSN("sidegate"))
	store := openStore(t, p.dsn)
	poll := func() (b blocksync.Batch) {
		var err error
		for range 4 { // a connection that has ended fails one call
			if b, err = store.Poll(t.Context(), blocksync.Position{Xmin: 1, Xmax: 1}); err == nil {
				return b
			}
		}
		t.Fatal(err)
		return b
	}
	poll()
	p.lead(t, old)
	p.hangUp()
	if b := poll(); b.Newer != 2 || len(b.Changes) != 0 || b.Identity.Timeline != 1 {
		t.Errorf("the old primary: %+v", b)
	}
	p.lead(t, promoted)
	if b := poll(); b.Newer != 0 || len(b.Changes) == 0 {
		t.Errorf("the name leads to the new one again, the poll still says %+v", b)
	}

	hand.exec(`update sidegate.meta set incarnation = gen_random_uuid()`)
	p.lead(t, old)
	p.hangUp()
	if b := poll(); b.Newer != 0 || len(b.Changes) == 0 {
		t.Errorf("a backup that is meant: %+v", b)
	}
	if _, err := store.Edit(t.Context(), add("bob", "meant")); err != nil {
		t.Error(err)
	}
}

// A connection to a standby is not kept: the name may lead to the primary soon.
func standbyConnections(t *testing.T, primary, standby *localpg.Server) {
	p := newProxy(t, standby.DSN("sidegate"))
	store := openStore(t, p.dsn)
	if b, err := store.Poll(t.Context(), blocksync.Position{}); err != nil || !b.Recovery {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := store.List(t.Context(), query("bob", 10)); !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("List: %v", err)
	}
	if _, err := store.Edit(t.Context(), add("bob", "carl")); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("Edit: %v", err)
	}
	p.lead(t, primary)
	if b, err := store.Poll(t.Context(), blocksync.Position{}); err != nil || b.Recovery {
		t.Errorf("the name leads to the primary, the poll says %+v, %v", b, err)
	}
	if l, err := store.List(t.Context(), query("bob", 10)); err != nil || len(l.Blocks) != 2 {
		t.Errorf("List: %v", err)
	}
	if _, err := store.Edit(t.Context(), add("bob", "carl")); err != nil {
		t.Errorf("Edit: %v", err)
	}
}

// Why a standby is refused: its snapshots do not list what runs on the primary. A
// position that was taken there says of an open transaction that it is over, and
// the difference from it lacks the transaction's changes for good.
func standbyPosition(t *testing.T, f *fixture, standby *localpg.Server) {
	hand := &fixture{t: t, hand: openPool(t, standby.DSN("sidegate"))}
	replayed := func() {
		hand.waitUntil(`select pg_last_wal_replay_lsn() >= $1::text::pg_lsn`, one[string](f, `select pg_current_wal_lsn()::text`))
	}
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `insert into sidegate.block (app, owner, target) values ('default', 'bob', 'slow')`); err != nil {
		t.Fatal(err)
	}
	f.edit(add("carl", "quick")) // a later transaction that is over
	replayed()
	there, err := blocksync.ParsePosition(one[string](hand, `select pg_current_snapshot()::text`))
	if err != nil {
		t.Fatal(err)
	}
	here := f.poll(blocksync.Position{}).Position
	if len(there.InProgress) != 0 || len(here.InProgress) != 1 || there.Xmax <= here.InProgress[0] {
		t.Fatalf("the standby says %v, the primary %v", there, here)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := f.poll(here); len(b.Changes) != 1 || b.Changes[0].Owner != "bob" {
		t.Errorf("from the position of the primary: %+v", b.Changes)
	}
	if b := f.poll(there); len(b.Changes) != 0 {
		t.Errorf("from the position of the standby nothing is lost, the test shows nothing: %+v", b.Changes)
	}
}
