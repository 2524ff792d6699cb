package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"

	blocksync "github.com/sidegate/sidegate/sync"
)

// as connects by hand with the rights of a role.
func (f *fixture) as(role string) *fixture {
	f.t.Helper()
	hand, err := pgxpool.New(f.t.Context(), f.dsn+"&options=-crole%3D"+role)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(hand.Close)
	return &fixture{t: f.t, dsn: f.dsn, hand: hand}
}

// after runs SQL by hand when the test has ended. Roles outlive a database.
func (f *fixture) after(statements ...string) {
	f.t.Cleanup(func() {
		for _, sql := range statements {
			if _, err := f.hand.Exec(context.Background(), sql); err != nil {
				f.t.Errorf("%s: %v", sql, err)
			}
		}
	})
}

const (
	denied   = "42501"
	anEdit   = `select sidegate.edit('default', 'block', 'bob', '{alice}', '{null}', '{""}', '{t}', '{}', 'x', 'y')`
	aUser    = `select sidegate.edit_users('default', '[{"id": "bob", "nickname": "Bob", "avatar_url": "", "profile_url": "", "is_online": true, "metadata": {}}]', '{}')`
	anEntry  = `insert into sidegate.block (app, owner, target) values ('default', 'bob', 'carl')`
	anImport = `select sidegate.import_lines('default', '{block}', '{bob}', '{dora}', '{null}', '{null}', '{null}', '{null}', 'y', 'lists')`
)

func TestRoleThatWrites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.as("sidegate_write")
	w.exec(anEdit)
	w.exec(`select sidegate.set_allowlist_mode('default', 'bob', true), sidegate.set_limit('default', 10), sidegate.expire(1), sidegate.trim('1 h', 1), sidegate.repair('default', 'block', 'bob')`)
	w.exec(aUser)
	w.exec(`select sidegate.once('default', 'k', '1 h'), sidegate.forget_keys(1), sidegate.set_allowlist_modes('default', '{bob}', true)`)
	w.exec(`select sidegate.direct_room('default', 'a', 'b'), sidegate.set_direct_room('default', 'a', 'b', 'r')`)
	w.exec(anImport)
	w.exec(`select sidegate.audit_turn('1 h', true, 10, 10), sidegate.mend('default', 'block', 'bob', null), sidegate.bump_incarnation()`)
	w.exec(`select sidegate.forget('default', 'nobody', 10), sidegate.trim_history('default', '1 h', 10)`)
	w.refused(denied, anEntry)
	for _, table := range []string{"meta", "app", "owner", "block", "change", "history", "room", "directory", "profile", "nonce"} {
		w.refused(denied, `select from sidegate.`+table)
		w.refused(denied, `delete from sidegate.`+table)
	}
	w.refused(denied, `select sidegate.page('default', 'block', 0, 1)`)
	w.refused(denied, `select sidegate.audit('', '', 0, '', null, 1, 1)`)
	w.refused(denied, `select sidegate.mentions('default', 'bob')`)
	w.refused(denied, `select from sidegate.audit_round`)
	w.refused(denied, `select sidegate.grant_roles()`)
	w.refused(denied, `select sidegate.lock_lists('default', '{block}', '{bob}')`)
}

func TestRoleThatWritesSQL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.as("sidegate_sql")
	s.exec(anEntry)
	s.exec(`update sidegate.block set note = 'x', expires_at = now() + interval '1 h'`)
	if n := one[int](s, `select count(*) from sidegate.block`); n != 1 {
		t.Errorf("%d entries", n)
	}
	s.exec(`delete from sidegate.block where owner = 'bob'`)
	if l := f.all(cache.KindBlock)["bob"]; l.Version != 3 || l.Size != 0 {
		t.Errorf("not followed: %+v", l)
	}
	s.refused(denied, anEdit)
	s.refused(denied, aUser)
	s.refused(denied, anImport)
	s.refused(denied, `truncate sidegate.block`)
	s.refused(denied, `update sidegate.block set target = 'x'`)
	s.refused(denied, `select sidegate.end_expired('a', 'b', 'c', now())`)
	for _, table := range []string{"meta", "app", "owner", "change", "history", "room", "directory", "profile", "nonce"} {
		s.refused(denied, `select from sidegate.`+table)
	}
}

func TestRoleThatReads(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.as("sidegate_read")
	for _, table := range []string{"meta", "app", "owner", "block", "change", "history", "room", "directory", "profile"} {
		r.exec(`select from sidegate.` + table)
		r.refused(denied, `delete from sidegate.`+table)
	}
	r.refused(denied, `select from sidegate.nonce`)
	r.exec(`select sidegate.audit('', '', 0, '', null, 1, 1), sidegate.audit_feed('0', 1), sidegate.mentions('default', 'bob')`)
	for _, call := range []string{"mend('default', 'block', 'bob', null)", "bump_incarnation()", "forget('default', 'bob', 1)", "audit_turn('1 h', true, 1, 1)"} {
		r.refused(denied, `select sidegate.`+call)
	}
	r.refused(denied, anEdit)
	r.refused(denied, aUser)
	r.refused(denied, anImport)
	r.refused(denied, anEntry)
}

// A process that serves needs two of the roles and nothing else, and sees the
// same identity as a superuser does.
func TestStoreWithTheRolesItNeeds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	role := "pgtest_server"
	f.exec(`create role ` + role + ` in role sidegate_read, sidegate_write`)
	f.after(`drop role ` + role)
	store := &fixture{t: t, hand: f.hand, Store: openStore(t, f.dsn+"&options=-crole%3D"+role)}

	report, err := store.Check(t.Context())
	if err != nil || report.Superuser {
		t.Errorf("%+v, %v", report, err)
	}
	got := store.edit(add("bob", "alice"))
	if b := f.poll(blocksync.Position{}); b.Identity != got.Identity || store.poll(blocksync.Position{}).Identity != got.Identity {
		t.Error("the identity depends on the role")
	}
	if l := store.all(cache.KindBlock)["bob"]; l.Size != 1 {
		t.Errorf("%+v", l)
	}
	if page := store.list(query("bob", 1)); page.Total != 1 {
		t.Errorf("%+v", page)
	}
	if err := store.SetLimit(t.Context(), "default", 10); err != nil {
		t.Error(err)
	}
	store.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "bob"}}})
	if found := store.users("bob"); len(found) != 1 {
		t.Errorf("%+v", found)
	}
}

// A part of the identity that a provider forbids is zero, for every role.
func TestIdentityWithoutControlData(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, call := range []string{"pg_control_system()", "pg_current_wal_insert_lsn()", "pg_postmaster_start_time()"} {
		f.exec(`revoke execute on function ` + call + ` from public`)
	}
	id := f.poll(blocksync.Position{}).Identity
	if id.System != 0 || id.Timeline != 0 || id.Started != 0 || id.Relation == 0 || id.Salt == 0 || id.Incarnation == [16]byte{} {
		t.Errorf("%+v", id)
	}
	if got := f.edit(add("bob", "alice")); got.Identity != id {
		t.Errorf("an edit says %+v, a poll %+v", got.Identity, id)
	}
}

// Whoever owns the database may migrate it; the roles are a service to those who
// may make them.
func TestUpWithoutTheRightToMakeRoles(t *testing.T) {
	t.Parallel()
	f := onDatabase(t, pgtest.Empty(t))
	f.exec(`create role pgtest_owner`)
	name := one[string](f, `select current_database()`)
	f.exec(`alter database ` + name + ` owner to pgtest_owner`)
	f.after(`alter database `+name+` owner to postgres`, `drop owned by pgtest_owner cascade`, `drop role pgtest_owner`)
	dsn := f.dsn + "&options=-crole%3Dpgtest_owner"
	up(t, dsn)
	up(t, dsn)
	owner := openStore(t, dsn)
	if _, err := owner.Edit(t.Context(), add("bob", "alice")); err != nil {
		t.Error(err)
	}
	if got := one[string](f, `select pg_get_userbyid(relowner)::text from pg_class where oid = 'sidegate.block'::regclass`); got != "pgtest_owner" {
		t.Errorf("the table belongs to %s", got)
	}
	owner.Close()
}

// Functions that run with their owner's rights must not run with those of the
// superuser who migrated, and must not look for names in a path that the caller
// chooses.
func TestFunctionsWithTheirOwnersRights(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	wrong := one[[]string](f, `select coalesce(array_agg(p.oid::regprocedure::text), '{}') from pg_proc p
		where p.pronamespace = 'sidegate'::regnamespace and p.prosecdef
		  and (pg_get_userbyid(p.proowner) <> 'sidegate_ddl' or not 'search_path=pg_catalog, pg_temp' = any (p.proconfig)
		       or has_function_privilege('public', p.oid, 'execute'))`)
	if len(wrong) > 0 {
		t.Errorf("not safe: %s", strings.Join(wrong, ", "))
	}
	if n := one[int](f, `select count(*) from pg_proc where pronamespace = 'sidegate'::regnamespace and prosecdef`); n < 8 {
		t.Errorf("only %d functions looked at", n)
	}
	f.exec(`set search_path = public`)
	f.exec(`create function public.clock_timestamp() returns timestamptz language sql as 'select null::timestamptz'`)
	conn := openStore(t, f.dsn+"&search_path=public,pg_catalog")
	if _, err := conn.Edit(t.Context(), add("bob", "alice")); err != nil {
		t.Errorf("a function of the caller's path was called: %v", err)
	}
}
