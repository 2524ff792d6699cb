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

// twoPrimaries are a server and a standby of it that was promoted while the server
// went on: each believes that it is the one.
func twoPrimaries(t *testing.T) (old, promoted *localpg.Server, f *fixture) {
	t.Helper()
	old = pgtest.Server(t, nil)
	f = onDatabase(t, pgtest.Migrated(t, old))
	f.edit(add("bob", "alice"))
	promoted = pgtest.Standby(t, old)
	if err := promoted.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	return old, promoted, f
}

// Once a timeline has been seen, nothing is written to, read from or followed on a
// server that the cluster has left behind, be the connection old or new; and the
// store goes on by itself where the name leads to the new one.
func TestAnOldPrimaryIsLeftAlone(t *testing.T) {
	t.Parallel()
	old, promoted, hand := twoPrimaries(t)
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
func TestAnOldPrimaryIsNotFollowed(t *testing.T) {
	t.Parallel()
	old, promoted, hand := twoPrimaries(t)
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
func TestConnectionsToAStandbyAreLeft(t *testing.T) {
	t.Parallel()
	primary := pgtest.Server(t, nil)
	f := onDatabase(t, pgtest.Migrated(t, primary))
	f.edit(add("bob", "alice"))
	standby := pgtest.Standby(t, primary)
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
	if l, err := store.List(t.Context(), query("bob", 10)); err != nil || len(l.Blocks) != 1 {
		t.Errorf("List: %v", err)
	}
	if _, err := store.Edit(t.Context(), add("bob", "carl")); err != nil {
		t.Errorf("Edit: %v", err)
	}
}
