package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
)

// whereIs lists the tables, without the feed, in which a text stands.
func (f *fixture) whereIs(text string) []string {
	f.t.Helper()
	var found []string
	for _, table := range one[[]string](f, `select array_agg(relname::text order by relname) from pg_class
		where relnamespace = 'sidegate'::regnamespace and relkind = 'r' and relname <> 'change'`) {
		if one[bool](f, fmt.Sprintf(`select exists (select from sidegate.%s t where strpos(t::text, $1) > 0)`, table), text) {
			found = append(found, table)
		}
	}
	return found
}

func (f *fixture) forget(user string) (all postgres.Mentions) {
	f.t.Helper()
	if err := f.Forget(f.t.Context(), "default", user, func(m postgres.Mentions) { all = m }); err != nil {
		f.t.Fatal(err)
	}
	return all
}

// mentionEverywhere names the user victim wherever a user can be named.
func mentionEverywhere(f *fixture) {
	f.edit(add("victim", "alice", "carl"))
	f.edit(add("alice", "victim", "carl"))
	f.edit(filter.Edit{List: blockList("victim"), Remove: []string{"carl"}, Actor: "victim"})
	f.edit(add("gone", "victim"))
	f.edit(filter.Edit{List: blockList("gone"), Remove: []string{"victim"}})
	allow := add("victim", "mother")
	allow.List.Kind = cache.KindAllow
	f.edit(allow)
	f.mode(true, "victim")
	ban := filter.Edit{List: filter.ListID{App: "default", Kind: cache.KindRoom, Owner: "lobby"}, Actor: "victim"}
	ban.Add = []filter.Addition{{Target: "troll"}, {Target: "other"}}
	f.edit(ban)
	f.edit(filter.Edit{List: ban.List, Remove: []string{"other"}, Actor: "victim"})
	f.edit(filter.Edit{List: ban.List, Add: []filter.Addition{{Target: "victim"}}, Actor: "owner"})
	f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "victim", Nickname: "V"}, {ID: "alice"}}})
	if _, err := f.hand.Exec(f.t.Context(), `select sidegate.direct_room('default', 'aaa', 'victim')`); err != nil {
		f.t.Fatal(err)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mentionEverywhere(f)
	kept := add("victim", "alice")
	kept.List.App = "other"
	f.edit(kept)
	f.edit(filter.Edit{List: filter.ListID{App: "default", Kind: cache.KindRoom, Owner: "victim"}, Add: []filter.Addition{{Target: "troll"}}})
	version := f.all(cache.KindBlock)["victim"].Version

	want := postgres.Mentions{Own: 2, Named: 2, Headers: 2, History: 2, Rooms: 4, Users: 1, Actors: 3}
	counted, err := f.Mentions(t.Context(), "default", "victim")
	if err != nil || counted != want {
		t.Errorf("counted %+v, %v, want %+v", counted, err, want)
	}
	// The ends of the entries that went are history for a moment.
	want.History += want.Own + want.Named
	if got := f.forget("victim"); got != want {
		t.Errorf("removed %+v, want %+v", got, want)
	}
	if got := f.forget("victim"); got.Total() != 0 {
		t.Errorf("the second time removed %+v", got)
	}
	if left, err := f.Mentions(t.Context(), "default", "victim"); err != nil || left.Total() != 0 {
		t.Errorf("%+v is left, %v", left, err)
	}
	// The list in another app, and the room that is called like the user.
	if got := f.whereIs("victim"); !slices.Equal(got, []string{"block", "owner", "room"}) {
		t.Errorf("still named in %v", got)
	}
	f.exec(`delete from sidegate.block where app = 'other' or owner = 'victim'`)
	if n := one[int](f, `select count(*) from sidegate.block where (owner, target) in (('alice', 'carl'), ('lobby', 'troll'))`); n != 2 {
		t.Errorf("%d of two entries of others are left", n)
	}
	if _, _, found := f.audit(""); len(found) != 0 {
		t.Errorf("the audit says %v", reasons(found))
	}
	if again := f.edit(add("victim", "alice")); again.Version <= version {
		t.Errorf("version %d is given out again, %d was", again.Version, version)
	}
}

// The id of a user who was forgotten is in no table, only in the feed until it is
// trimmed.
func TestForgottenIsNowhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mentionEverywhere(f)
	if got := f.whereIs("victim"); !slices.Equal(got, []string{"block", "directory", "history", "owner", "room"}) {
		t.Fatalf("named in %v", got)
	}
	f.forget("victim")
	if got := f.whereIs("victim"); len(got) != 0 {
		t.Errorf("still named in %v", got)
	}
	f.settled()
	if _, err := f.Trim(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if n := one[int](f, `select count(*) from sidegate.change where change::text like '%victim%'`); n != 0 {
		t.Errorf("%d changes name them after the feed was trimmed", n)
	}
}

// Forgetting many is done in short pieces, and goes on where it ended.
func TestForgetInPieces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'o' || i, 'victim' from generate_series(1, 501) i`)
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'victim', 't' || i from generate_series(1, 300) i`)
	ctx, cancel := context.WithCancel(t.Context())
	err := f.Forget(ctx, "default", "victim", func(postgres.Mentions) { cancel() })
	if err == nil {
		t.Fatal("it was not broken off")
	}
	if left, err := f.Mentions(t.Context(), "default", "victim"); err != nil || left.Named != 301 {
		t.Errorf("%+v left, %v", left, err)
	}
	steps := 0
	if err := f.Forget(t.Context(), "default", "victim", func(postgres.Mentions) { steps++ }); err != nil || steps < 5 {
		t.Errorf("%d steps, %v", steps, err)
	}
	if got := f.whereIs("victim"); len(got) != 0 {
		t.Errorf("still named in %v", got)
	}
}

// Who waits for the header of a list while its owner is forgotten begins anew: the
// entry is stored with its header, at a version that was never given out.
func TestForgetBesideAWriterWhoWaits(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*fixture) error{
		"alone": func(f *fixture) error {
			e := add("victim", "a")
			e.Add[0].Keep, e.Remove = false, []string{"x"} // shares no transaction
			return patiently(t, func() error { _, err := f.Edit(t.Context(), e); return err })
		},
		"together": func(f *fixture) error {
			return patiently(t, func() error { _, err := f.Edit(t.Context(), add("victim", "a")); return err })
		},
		"mode": func(f *fixture) error {
			mode := filter.ModeChange{App: "default", Owners: []string{"victim"}, On: true}
			return patiently(t, func() error { _, err := f.SetAllowlistMode(t.Context(), mode); return err })
		},
		"import": func(f *fixture) error {
			_, err := f.hand.Exec(t.Context(), `select sidegate.import_lines('default', '{block}', '{victim}', '{a}', '{null}', '{null}', '{null}', '{null}', '', 'lists')`)
			if postgres.Code(err) == "40001" {
				_, err = f.hand.Exec(t.Context(), `select sidegate.import_lines('default', '{block}', '{victim}', '{a}', '{null}', '{null}', '{null}', '{null}', '', 'lists')`)
			}
			return err
		},
		"by hand": func(f *fixture) error {
			_, err := f.hand.Exec(t.Context(), `insert into sidegate.block (app, owner, target) values ('default', 'victim', 'a')`)
			if postgres.Code(err) == "40001" {
				_, err = f.hand.Exec(t.Context(), `insert into sidegate.block (app, owner, target) values ('default', 'victim', 'a')`)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			for range 3 {
				f.edit(add("victim", "x"))
				f.edit(filter.Edit{List: blockList("victim"), Remove: []string{"x"}})
			}
			old := f.all(cache.KindBlock)["victim"].Version
			tx, err := f.hand.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(t.Context())
			if _, err := tx.Exec(t.Context(), `select sidegate.forget('default', 'victim', 100)`); err != nil {
				t.Fatal(err)
			}
			written := make(chan error, 1)
			go func() { written <- write(f) }()
			f.waitUntil(`select exists (select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database())`)
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			if l := f.all(cache.KindBlock)["victim"]; l.Version <= old || l.Size+boolInt(l.Allowlist) != 1 {
				t.Errorf("version was %d, now %+v", old, l)
			}
			if _, _, found := f.audit(""); len(found) != 0 {
				t.Errorf("damage: %v", reasons(found))
			}
		})
	}
}

// patiently repeats a write that the store had no time for: on a busy machine its
// deadlines pass, and repeating is what it asks for.
func patiently(t *testing.T, write func() error) error {
	for {
		err := write()
		if c := code(err); t.Context().Err() != nil || c != filter.CodeStoreUnavailable && c != filter.CodeOutcomeUnknown {
			return err
		}
	}
}

// Without that, the entry is stored beside a header that is not there: it is in no
// page, and nobody is told.
func TestForgetWithoutTheGuard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`do $do$ begin
		execute replace(pg_get_functiondef('sidegate.block_edited'::regproc), 'if not found and step > 0 then', 'if false then');
	end $do$`)
	f.edit(add("victim", "x"))
	f.edit(filter.Edit{List: blockList("victim"), Remove: []string{"x"}})
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `select sidegate.forget('default', 'victim', 100)`); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := f.hand.Exec(t.Context(), `insert into sidegate.block (app, owner, target) values ('default', 'victim', 'a')`)
		written <- err
	}()
	f.waitUntil(`select exists (select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database())`)
	if err := errors.Join(tx.Commit(t.Context()), <-written); err != nil {
		t.Fatal(err)
	}
	if _, _, found := f.audit(""); !slices.Equal(reasons(found), []string{"header block victim"}) {
		t.Errorf("the guard is not needed: %v", found)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Erasures beside writers of the same lists, in both directions: everything that is
// there at the end agrees with itself and with the feed, and versions of a list only
// ever rise.
func TestForgetBesideWriters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() { f.scribble(ctx, rand.New(rand.NewPCG(uint64(w), 2)), 60) })
	}
	wg.Go(func() {
		for i := range 40 {
			user := fmt.Sprint("o", i%12)
			if i%3 == 0 {
				user = fmt.Sprint("t", i%20)
			}
			for ctx.Err() == nil && f.Forget(ctx, "default", user, nil) != nil { // a list was held; go on
			}
		}
	})
	wg.Wait()
	if _, _, found := f.audit(""); len(found) != 0 {
		t.Errorf("damage: %+v", found)
	}
	f.versionsRise()
}

// versionsRise compares the order in which versions were given out with their own.
func (f *fixture) versionsRise() {
	f.t.Helper()
	if back := one[[]string](f, `select array_agg(format('%s %s: version %s after %s', kind, owner, version, was) order by at) from (
			select *, max(version) over (partition by app, kind, owner order by at rows between unbounded preceding and 1 preceding) as was
			  from sidegate.change) c where version <= was`); len(back) != 0 {
		f.t.Error(back)
	}
}

// A header that has no version yet has told nobody anything: switching off a mode that
// is off makes one. It is no trace of a restore, and goes without a word.
func TestForgetAHeaderWithoutAVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("victim", "x"))
	for range 3 {
		f.forget("victim")
		f.mode(false, "victim")
		if _, _, found := f.audit(""); len(found) != 0 {
			t.Errorf("damage: %v", reasons(found))
		}
	}
	if n := one[int](f, `select count(*) from sidegate.owner where owner = 'victim' and version = 0`); n != 1 {
		t.Fatalf("%d headers without a version", n)
	}
	f.edit(add("victim", "y"))
	f.versionsRise()
}

// inKeyOrder makes three lists and names them as every writer of several takes them.
func (f *fixture) inKeyOrder() (first, second, third string) {
	f.t.Helper()
	owners := one[[]string](f, `select array_agg(o order by sidegate.owner_hash(o)) from unnest('{a,b,c}'::text[]) o`)
	for _, o := range owners {
		f.edit(add(o, "x"))
	}
	return owners[0], owners[1], owners[2]
}

// A statement about several lists has read the floor of the versions when the last of
// them is forgotten, and made again without a version.
func TestForgetBesideAStatementOfSeveralLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, second, third := f.inKeyOrder()
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `select from sidegate.owner where owner = $1 for update`, second); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := f.hand.Exec(t.Context(), `insert into sidegate.block (app, owner, target)
			select 'default', o, 'y' from unnest($1::text[]) o`, []string{first, second, third})
		written <- err
	}()
	f.waitUntil(`select exists (select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database())`)
	f.forget(third)
	f.mode(false, third)
	if err := errors.Join(tx.Commit(t.Context()), <-written); err != nil {
		t.Fatal(err)
	}
	f.versionsRise()
	if _, _, found := f.audit(""); len(found) != 0 {
		t.Errorf("damage: %v", reasons(found))
	}
}

// The same for blocks that share a transaction. What others do meanwhile is done by a
// trigger here, for they wait for each other no longer than a twentieth of a second.
func TestForgetBesideBlocksTogether(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]string{
		"a list that is there": `update on sidegate.owner for each row when (new.owner = '%[1]s')`,
		"a list that is made":  `insert on sidegate.owner for each row when (new.owner = '%[2]s' and new.version > 0)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			first, _, third := f.inKeyOrder()
			if name == "a list that is made" {
				f.forget(third)
			}
			f.exec(fmt.Sprintf(`create function meanwhile() returns trigger language plpgsql as $$ begin
				insert into sidegate.owner (app, kind, owner) values ('default', 'block', '%[2]s') on conflict do nothing;
				update sidegate.owner set version = version + 10 where owner = '%[2]s';
				delete from sidegate.block where owner = '%[2]s';
				perform sidegate.forget('default', '%[2]s', 100);
				if tg_op = 'UPDATE' then
					insert into sidegate.owner (app, kind, owner) values ('default', 'block', '%[2]s');
				end if;
				return new;
			end $$;
			create trigger meanwhile before `+meanwhile+` execute function meanwhile()`, first, third))
			_, err := f.hand.Exec(t.Context(), `select sidegate.add_each('default', '{block,block}', $1, '{y,y}', '{null,null}', '{"",""}', '{"",""}', '{"",""}')`,
				[]string{first, third})
			if c := postgres.Code(err); c != "40001" {
				t.Errorf("error %q %v", c, err)
				f.versionsRise()
			}
		})
	}
}

// Who made an entry may be taken away, and nothing else be put in its place.
func TestActorCanOnlyBeEmptied(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	f.refused("55000", `update sidegate.block set actor = 'somebody'`)
	version := f.all(cache.KindBlock)["bob"].Version
	f.exec(`update sidegate.block set actor = ''`)
	if l := f.all(cache.KindBlock)["bob"]; l.Version != version {
		t.Errorf("the list is another one by it: %+v", l)
	}
}

func TestTrimHistory(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, app := range []string{"default", "other"} {
		f.exec(`insert into sidegate.history (app, kind, owner, target, blocked_at, unblocked_at, source, actor, ended_source, ended_actor)
			select $1, 'block', 'o', 't' || i, now() - interval '9 d', now() - i * interval '1 d', '', '', '', '' from generate_series(1, 8) i`, app)
	}
	for _, want := range []int{2, 2, 0} {
		if n, err := f.TrimHistory(t.Context(), "default", 108*time.Hour, 2); n != want || err != nil {
			t.Errorf("%d removed, %v, want %d", n, err, want)
		}
	}
	if oldest := one[string](f, `select (max(now() - unblocked_at) < interval '108 h')::text || ' ' || count(*) from sidegate.history where app = 'default'`); oldest != "true 4" {
		t.Error(oldest)
	}
	if n := one[int](f, `select count(*) from sidegate.history where app = 'other'`); n != 8 {
		t.Errorf("%d left of another app", n)
	}
}
