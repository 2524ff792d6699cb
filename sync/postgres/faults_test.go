package postgres_test

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"

	blocksync "github.com/sidegate/sidegate/sync"
)

// plain fails if an error shows a client what the database or the network said.
func plain(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*filter.Error](err)
	if !ok {
		t.Errorf("not an error for clients: %v", err)
		return
	}
	for _, word := range []string{"SQLSTATE", "ERROR", "FATAL", "postgres:", "bob", "127.0.0.1", "EOF"} {
		if strings.Contains(e.Detail, word) {
			t.Errorf("the detail holds %q: %s", word, e.Detail)
		}
	}
	if e.Err == nil {
		t.Errorf("the cause of %q is lost to the log", e.Detail)
	}
}

// The connection ends between the commit and its answer: the edit may have been
// stored, and repeating it is safe.
func TestConnectionLostBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newProxy(t, f.dsn)
	store := openStore(t, p.dsn)
	if _, err := store.Edit(t.Context(), add("bob", "warm")); err != nil {
		t.Fatal(err)
	}
	p.mode.Store(cut)
	_, err := store.Edit(t.Context(), add("bob", "alice"))
	if plain(t, err); code(err) != filter.CodeOutcomeUnknown {
		t.Errorf("got %v", err)
	}
	p.mode.Store(pass)
	again, err := store.Edit(t.Context(), add("bob", "alice"))
	if err != nil || again.Size != 2 {
		t.Errorf("%+v, %v", again, err)
	}
	if n := one[int](f, `select count(*) from sidegate.change where 'alice' = any (targets)`); n != 1 {
		t.Errorf("%d changes", n)
	}
}

func TestConnectionThatSwallowsEverything(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newProxy(t, f.dsn)
	store := openStore(t, p.dsn)
	if _, err := store.Edit(t.Context(), add("bob", "warm")); err != nil {
		t.Fatal(err)
	}
	p.mode.Store(swallow)
	_, err := store.Edit(t.Context(), add("bob", "alice"))
	if plain(t, err); code(err) != filter.CodeOutcomeUnknown && code(err) != filter.CodeStoreUnavailable {
		t.Errorf("Edit: %v", err)
	}
	if _, err := store.List(t.Context(), query("bob", 1)); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("List: %v", err)
	}
}

// Connections die without a sign, as behind a firewall that has forgotten them.
// Each is missed once, by the deadline of a call, and then replaced: it does not
// keep its place in the pool while it is being closed.
func TestConnectionsThatDieWithoutASign(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newProxy(t, f.dsn)
	store := openStore(t, p.dsn)
	short := func(call func(ctx context.Context) error) func() error {
		return func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return call(ctx)
		}
	}
	for name, call := range map[string]func() error{
		"Poll": short(func(ctx context.Context) error { _, err := store.Poll(ctx, blocksync.Position{}); return err }),
		"Load": short(func(ctx context.Context) error {
			err := store.Load(ctx, "default", cache.KindBlock, cache.Range{Hi: math.MaxUint64}, new(cache.Loaded))
			return err
		}),
		"Edit": func() error { _, err := store.Edit(t.Context(), add("bob", "alice")); return err },
	} {
		if err := call(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p.forget()
		var errs []error
		for range 4 {
			err := call()
			if err == nil {
				break
			}
			errs = append(errs, err)
		}
		if len(errs) == 0 || len(errs) > 3 {
			t.Errorf("%s: the dead connection made %d calls fail, want 1, or a few where making a new one takes long: %v", name, len(errs), errs)
		}
	}
}

func TestStoreUnreachable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newProxy(t, f.dsn)
	store := openStore(t, p.dsn)
	p.close()
	_, editErr := store.Edit(t.Context(), add("bob", "alice"))
	_, listErr := store.List(t.Context(), query("bob", 1))
	_, _, getErr := store.Get(t.Context(), blockList("bob"), "alice")
	_, _, sizesErr := store.Sizes(t.Context(), "default", cache.KindBlock)
	_, limitsErr := store.Limits(t.Context())
	_, expireErr := store.Expire(t.Context(), 1)
	for _, err := range []error{editErr, listErr, getErr, sizesErr, limitsErr, expireErr, store.SetLimit(t.Context(), "default", 1)} {
		if plain(t, err); code(err) != filter.CodeStoreUnavailable {
			t.Errorf("got %v", err)
		}
	}
	if err := store.Load(t.Context(), "default", cache.KindBlock, cache.Range{}, new(cache.Loaded)); err == nil {
		t.Error("a page was loaded from nowhere")
	}
	if _, err := store.Poll(t.Context(), blocksync.Position{}); err == nil {
		t.Error("a poll of nowhere was answered")
	}
}

// failing makes every insertion fail with a SQLSTATE, the first n times.
func failing(f *fixture, sqlstate string, n int) {
	f.exec(`create sequence public.tries`)
	f.exec(`create function public.fail() returns trigger language plpgsql security definer as $$
		begin
			if nextval('public.tries') <= tg_argv[1]::int then raise 'secret text' using errcode = tg_argv[0]; end if;
			return new;
		end $$`)
	f.exec(`create trigger a_fault before insert on sidegate.block for each row execute function public.fail('` + sqlstate + `', ` + strconv.Itoa(n) + `)`)
}

func TestLostRacesAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, sqlstate := range []string{"40001", "40P01", "55P03"} {
		f := newFixture(t)
		failing(f, sqlstate, 3)
		got := f.edit(add("bob", "alice"))
		if tries := one[int](f, `select last_value::int from public.tries`); tries != 4 || got.Version != 1 {
			t.Errorf("%s: %d tries, version %d", sqlstate, tries, got.Version)
		}
	}
	f := newFixture(t)
	failing(f, "40001", 100)
	_, err := f.Edit(t.Context(), add("bob", "alice"))
	if plain(t, err); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("a race lost for good: %v", err)
	}
	if tries := one[int](f, `select last_value::int from public.tries`); tries != 5 { // once more with others
		t.Errorf("%d tries", tries)
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	t.Parallel()
	for sqlstate, want := range map[string]filter.Code{
		"53100": filter.CodeStoreUnavailable, // disk full
		"57014": filter.CodeStoreUnavailable, // canceled
		"58030": filter.CodeStoreUnavailable, // I/O
		"42501": filter.CodeStoreUnavailable, // role without its rights
		"22012": "",                          // a bug of ours
	} {
		f := newFixture(t)
		failing(f, sqlstate, 100)
		_, err := f.Edit(t.Context(), add("bob", "alice"))
		if err == nil || code(err) != want {
			t.Errorf("%s: %v", sqlstate, err)
		}
		// Whom to ask for a right is not a matter of trying again.
		if again := strings.Contains(err.Error(), "try again"); again != (want != "" && sqlstate != "42501") {
			t.Errorf("%s: %v", sqlstate, err)
		}
		if n := one[int](f, `select count(*) from sidegate.owner`); n != 0 {
			t.Errorf("%s: something was stored", sqlstate)
		}
	}
}

// hold locks the header of a list until the returned function is called.
func hold(f *fixture, owner string) (release func()) {
	f.t.Helper()
	f.edit(add(owner, "there"))
	tx, err := f.hand.Begin(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := tx.Exec(f.t.Context(), `select from sidegate.owner where owner = $1 for update`, owner); err != nil {
		f.t.Fatal(err)
	}
	return func() { tx.Rollback(context.Background()) }
}

const editWaits = `select exists (select from pg_locks l join pg_stat_activity a using (pid)
	where not l.granted and a.datname = current_database() and a.query like '%sidegate.edit%' and a.pid <> pg_backend_pid())`

func TestListHeldForLongCostsOnlyItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := hold(f, "bob")
	defer release()
	var held error
	var wg sync.WaitGroup
	wg.Go(func() { _, held = f.Edit(t.Context(), add("bob", "alice")) })
	f.waitUntil(editWaits)
	f.edit(add("carl", "alice"))
	wg.Wait()
	if plain(t, held); code(held) != filter.CodeStoreUnavailable {
		t.Errorf("got %v", held)
	}
}

// A DELETE by hand takes its row before the header, an edit the header before the
// row. When they meet, the edit gives way and tries again; neither fails.
func TestEditGivesWayToPlainSQL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice", "carl"))
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `select from sidegate.block where target = 'alice' for update`); err != nil {
		t.Fatal(err)
	}
	var edited filter.Edited
	var editErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		edited, editErr = f.Edit(t.Context(), filter.Edit{List: blockList("bob"), Remove: []string{"alice", "carl"}})
	})
	f.waitUntil(editWaits)
	if _, err := tx.Exec(t.Context(), `delete from sidegate.block where target = 'alice'`); err != nil {
		t.Errorf("the statement by hand: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if editErr != nil || edited.Size != 0 || len(edited.Removed) != 1 {
		t.Errorf("%+v, %v", edited, editErr)
	}
}

// Who gives up while the edit waits gets it cancelled on the server, too.
func TestCancelledEditStoresNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := hold(f, "bob")
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { _, err = f.Edit(ctx, add("bob", "alice")) })
	f.waitUntil(editWaits)
	cancel()
	wg.Wait()
	if code(err) != filter.CodeStoreUnavailable {
		t.Errorf("got %v", err)
	}
	f.waitUntil(`select not (` + editWaits + `)`)
	release()
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 1 {
		t.Errorf("stored all the same: %+v", l)
	}
}

// A FATAL error may come after the commit, so it leaves the outcome open.
func TestBackendTerminated(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := hold(f, "bob")
	defer release()
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { _, err = f.Edit(t.Context(), add("bob", "alice")) })
	f.waitUntil(editWaits)
	f.exec(`select pg_terminate_backend(pid) from pg_stat_activity where query like '%sidegate.edit%' and datname = current_database() and pid <> pg_backend_pid()`)
	wg.Wait()
	if code(err) != filter.CodeOutcomeUnknown {
		t.Errorf("got %v", err)
	}
}

// TRUNCATE takes table and headers in the order in which edits do.
func TestTruncateAmongEdits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var wg sync.WaitGroup
	for _, owner := range []string{"bob", "carl"} {
		wg.Go(func() {
			for range 40 {
				if _, err := f.Edit(t.Context(), add(owner, "alice")); err != nil {
					t.Error(err)
				}
				if _, err := f.Edit(t.Context(), filter.Edit{List: blockList(owner), Remove: []string{"alice"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		f.exec(`truncate sidegate.block`)
	}
	wg.Wait()
	if n := one[int](f, `select count(*) from pg_stat_database where datname = current_database() and deadlocks > 0`); n != 0 {
		t.Error("there were deadlocks")
	}
}

// After a kill and a restart the store goes on by itself, and the identity tells
// that the server was started again.
func TestServerKilledAndStarted(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, nil)
	f := onDatabase(t, pgtest.Migrated(t, server))
	before := f.edit(add("bob", "alice"))
	if err := server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Edit(t.Context(), add("bob", "carl")); code(err) != filter.CodeStoreUnavailable && code(err) != filter.CodeOutcomeUnknown {
		t.Errorf("while it is away: %v", err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := f.edit(add("bob", "dora"))
	if after.Identity.Started == before.Identity.Started || after.Identity.System != before.Identity.System {
		t.Errorf("identity before %+v, after %+v", before.Identity, after.Identity)
	}
	if b := f.poll(blocksync.Position{}); b.Identity != after.Identity {
		t.Errorf("poll says %+v", b.Identity)
	}
}

// Nothing of the store needs a protocol feature that a pooler may lack.
func TestProtocolModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			plainConn := newFixture(t)
			f := onDatabase(t, plainConn.dsn+"&default_query_exec_mode="+mode)
			start := f.poll(blocksync.Position{})
			populate(plainConn)
			e := add(`o'"\`, "alice", "日本")
			e.Add[1].Note, e.Add[1].ExpiresAt = `{"a",'b'}`, start.Clock.AddDate(1, 0, 0)
			edited := f.edit(e)
			f.mode(true, "bob")
			if err := f.SetLimit(t.Context(), "default", 100); err != nil {
				t.Error(err)
			}
			if n, err := f.Trim(t.Context(), 1<<40); n != 0 || err != nil {
				t.Error(n, err)
			}
			page := f.list(query(`o'"\`, 1))
			if page.Total != 2 || page.Blocks[0] != edited.Added[1] {
				t.Errorf("list %+v, edit %+v", page.Blocks, edited.Added)
			}
			q := query(`o'"\`, 1)
			q.After = page.Next
			if second := f.list(q); len(second.Blocks) != 1 || second.Blocks[0] != edited.Added[0] {
				t.Errorf("second page %+v", second)
			}
			moment := filter.Moment{List: blockList(`o'"\`), Target: "日本", At: start.Clock.AddDate(0, 6, 0).In(time.FixedZone("", -9000))}
			tooEarly, bc := moment, moment
			tooEarly.At, bc.At = start.Clock.AddDate(0, 0, -1), time.Date(0, 1, 1, 0, 0, 0, 999, time.UTC)
			if got, err := f.Recall(t.Context(), []filter.Moment{bc, moment, tooEarly}); err != nil ||
				got[1].Note != e.Add[1].Note || !got[1].ExpiresAt.Equal(e.Add[1].ExpiresAt) || got[0].Owner+got[2].Owner != "" {
				t.Errorf("recalled %+v, %v", got, err)
			}
			loaded := f.all(cache.KindBlock)
			if l := loaded[`o'"\`]; l.Digest != cache.ListDigest(false, l.Entries) || len(loaded) != 302 {
				t.Errorf("%d lists, %+v", len(loaded), l)
			}
			if b := f.poll(start.Position); len(b.Changes) < 300 || b.Identity != edited.Identity {
				t.Errorf("%d changes", len(b.Changes))
			}
			if _, err := f.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
