package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
)

// editUsers edits the directory of the app default.
func (f *fixture) editUsers(e filter.UsersEdit) filter.UsersEdited {
	f.t.Helper()
	e.App = "default"
	done, err := f.EditUsers(f.t.Context(), e)
	if err != nil {
		f.t.Fatal(err)
	}
	return done
}

// users reads users of the app default.
func (f *fixture) users(ids ...string) map[string]filter.User {
	f.t.Helper()
	found, err := f.Users(f.t.Context(), "default", ids)
	if err != nil {
		f.t.Fatal(err)
	}
	return found
}

func fullUser(id string) filter.User {
	return filter.User{
		ID: id, Nickname: `Bob "B" <ü😀>`, AvatarURL: "https://a/b.png", ProfileURL: "app:/bob", IsOnline: true,
		LastLoginAt: time.Date(2031, 1, 31, 12, 0, 0, 123456000, time.UTC),
		LastSeenAt:  time.Date(2032, 1, 31, 12, 0, 0, 999999000, time.UTC),
		Metadata:    map[string]string{"": "empty", "a\nb": "\u2028", "k": ""},
	}
}

// same compares users without the time of the write.
func same(a, b filter.User) bool {
	a.UpdatedAt, b.UpdatedAt = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

func TestUserIsReadAsWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, id := range []string{"bob", "a/b %+?#", "日本🦊", `"quoted" \ {a,b}`, strings.Repeat("x", 256)} {
		want := fullUser(id)
		before := time.Now().Add(-time.Minute)
		done := f.editUsers(filter.UsersEdit{Put: []filter.User{want}})
		if len(done.Put) != 1 || !same(done.Put[0], want) || !done.Created[0] || done.Put[0].UpdatedAt.Before(before) {
			t.Errorf("%q: the write answers %+v", id, done)
		}
		if got := f.users(id); len(got) != 1 || !reflect.DeepEqual(got[id], done.Put[0]) {
			t.Errorf("%q: read %+v, written %+v", id, got, done.Put[0])
		}
		// The whole row is replaced.
		bare := filter.User{ID: id, Metadata: map[string]string{}}
		done = f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: id}}})
		if done.Created[0] || !same(done.Put[0], bare) || !same(f.users(id)[id], bare) {
			t.Errorf("%q: replaced by %+v", id, done)
		}
		done = f.editUsers(filter.UsersEdit{Delete: []string{id}})
		if len(done.Deleted) != 1 || !same(done.Deleted[0], bare) || len(f.users(id)) != 0 {
			t.Errorf("%q: deleted %+v", id, done)
		}
		if done = f.editUsers(filter.UsersEdit{Delete: []string{id}}); len(done.Deleted) != 0 || len(done.Put) != 0 {
			t.Errorf("%q: deleted twice: %+v", id, done)
		}
	}
}

// A time between two microseconds is cut, not rounded: what is read is never
// later than what was written.
func TestTimesOfUsersAreCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at := time.Date(2031, 1, 31, 13, 0, 0, 1999, time.FixedZone("", 3600))
	f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "bob", LastSeenAt: at}}})
	if got := f.users("bob")["bob"].LastSeenAt; !got.Equal(at.Truncate(time.Microsecond)) || got.Location() != time.UTC {
		t.Errorf("%v, written %v", got, at)
	}
}

func TestUsersOfAnotherAppAreNotThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.directory (app, id, nickname) values ('umbra', 'bob', 'theirs')`)
	if got := f.users("bob"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if done := f.editUsers(filter.UsersEdit{Delete: []string{"bob"}}); len(done.Deleted) != 0 {
		t.Errorf("deleted %+v", done)
	}
	if done := f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "bob"}}}); !done.Created[0] {
		t.Error("taken for a user of another app")
	}
	if name := one[string](f, `select nickname from sidegate.directory where app = 'umbra'`); name != "theirs" {
		t.Errorf("the other app's user is now %q", name)
	}
}

// TestEditOfManyUsers: answers are in the order of the request, whatever order
// the rows are locked in.
func TestEditOfManyUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var first, ids []string
	var put []filter.User
	for i := range 1000 {
		id := fmt.Sprint("u", (i*7919)%1000)
		ids, put = append(ids, id), append(put, filter.User{ID: id, Nickname: fmt.Sprint(i)})
		if i%2 == 0 {
			first = append(first, id)
		}
	}
	var half []filter.User
	for _, id := range first {
		half = append(half, filter.User{ID: id})
	}
	f.editUsers(filter.UsersEdit{Put: half})
	f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "old1"}, {ID: "old2"}}})
	done := f.editUsers(filter.UsersEdit{Put: put, Delete: []string{"old2", "none", "old1"}})
	for i := range put {
		if done.Put[i].ID != put[i].ID || done.Put[i].Nickname != put[i].Nickname || done.Created[i] != (i%2 == 1) {
			t.Fatalf("%d: %+v, created %v, want %+v", i, done.Put[i], done.Created[i], put[i])
		}
	}
	var gone []string
	for _, u := range done.Deleted {
		gone = append(gone, u.ID)
	}
	if slices.Sort(gone); !slices.Equal(gone, []string{"old1", "old2"}) {
		t.Errorf("deleted %v", gone)
	}
	found := f.users(append(ids, "none", "old1", "u1", "u1")...)
	if len(found) != 1000 || found["u0"].Nickname != "0" {
		t.Errorf("%d found, u0 is %+v", len(found), found["u0"])
	}
}

// A refused user takes the others of the edit along.
func TestEditOfUsersIsAllOrNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "old"}}})
	_, err := f.EditUsers(t.Context(), filter.UsersEdit{
		App: "default", Put: []filter.User{{ID: "a"}, {ID: "b\n"}, {ID: "c"}}, Delete: []string{"old"},
	})
	if code(err) != filter.CodeInvalidUserID {
		t.Errorf("%v", err)
	}
	if found := f.users("a", "c", "old"); len(found) != 1 {
		t.Errorf("%+v", found)
	}
	late := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := f.EditUsers(t.Context(), filter.UsersEdit{App: "default", Put: []filter.User{{ID: "a", LastSeenAt: late}}}); err == nil {
		t.Error("a time that JSON cannot carry is taken")
	}
}

// Edits of the same users in every order wait for each other. Locked in the order
// of the requests they meet in deadlocks so often that their retries run out.
func TestEditsOfTheSameUsersDoNotDeadlock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var wg sync.WaitGroup
	for w := range 4 {
		rnd := rand.New(rand.NewPCG(1, uint64(w)))
		wg.Go(func() {
			for range 60 {
				e := filter.UsersEdit{App: "default"}
				for _, n := range rnd.Perm(60)[:40] {
					if id := fmt.Sprint("u", n); rnd.IntN(3) == 0 {
						e.Delete = append(e.Delete, id)
					} else {
						e.Put = append(e.Put, filter.User{ID: id})
					}
				}
				if _, err := f.EditUsers(t.Context(), e); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// theirUsers is a table as a deployer may have it: other names, other types, and
// things that we would refuse.
const theirUsers = `
	create schema shop;
	create table shop.users (no bigint primary key, name text, seen timestamptz, extra jsonb);
	insert into shop.users values (1, 'One', '2031-01-31 12:00:00+00', '{"plan": "gold", "age": 7, "tags": ["x"], "none": null}'),
	  (2, null, 'infinity', null), (3, 'Three', '-infinity', '[1]');
	create index users_id on shop.users ((no::text collate "C"));
	grant usage on schema shop to sidegate_ddl;
	grant select on shop.users to sidegate_ddl;
	create or replace view sidegate.profile as
	  select 'default' collate "C" as app, no::text collate "C" as id, name as nickname, null::text as avatar_url,
	         'https://shop/' || no as profile_url, null::boolean as is_online, null::timestamptz as last_login_at,
	         seen as last_seen_at, extra as metadata, null::timestamptz as updated_at
	    from shop.users`

func TestViewOfTheDeployer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "bob"}}})
	f.exec(theirUsers)

	none := map[string]string{}
	want := map[string]filter.User{
		"1": {
			ID: "1", Nickname: "One", ProfileURL: "https://shop/1", LastSeenAt: time.Date(2031, 1, 31, 12, 0, 0, 0, time.UTC),
			Metadata: map[string]string{"plan": "gold", "age": "7", "tags": `["x"]`},
		},
		"2": {ID: "2", ProfileURL: "https://shop/2", Metadata: none},
		"3": {ID: "3", Nickname: "Three", ProfileURL: "https://shop/3", Metadata: none},
	}
	// With the rights of a process that serves, not of the superuser.
	reader := openStore(t, f.dsn+"&options=-crole%3Dsidegate_read")
	got, err := reader.Users(t.Context(), "default", []string{"1", "2", "3", "bob"})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}

	for _, e := range []filter.UsersEdit{
		{App: "default", Put: []filter.User{{ID: "carl"}}}, {App: "default", Delete: []string{"bob"}},
	} {
		_, err := f.EditUsers(t.Context(), e)
		refused, ok := errors.AsType[*filter.Error](err)
		if !ok || refused.Code != filter.CodeDirectoryReadOnly || strings.Contains(refused.Detail, "sidegate.") {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if n := one[int](f, `select count(*) from sidegate.directory`); n != 1 {
		t.Errorf("%d rows are in the table", n)
	}

	// Their view survives the next migration, with its rights and its owner.
	up(t, f.dsn)
	if again, err := reader.Users(t.Context(), "default", []string{"1"}); err != nil || len(again) != 1 {
		t.Errorf("%+v, %v", again, err)
	}

	// And ours may come back.
	f.exec(ourView)
	f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "carl"}}})
	if found := f.users("bob", "carl"); len(found) != 2 {
		t.Errorf("%+v", found)
	}
}

// ourView is how the documentation takes a view of the deployer's back.
const ourView = `create or replace view sidegate.profile as
	select app, id, nickname, avatar_url, profile_url, is_online, last_login_at, last_seen_at, metadata, updated_at
	  from sidegate.directory`

// A deployer may add to our table instead of replacing it; what is written is
// seen then.
func TestViewThatAddsToTheDirectoryTakesWrites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`create or replace view sidegate.profile as
		select app, id, upper(nickname) as nickname, avatar_url, profile_url, is_online, last_login_at, last_seen_at, metadata, updated_at
		  from sidegate.directory`)
	f.editUsers(filter.UsersEdit{Put: []filter.User{{ID: "bob", Nickname: "bob"}}})
	if got := f.users("bob")["bob"].Nickname; got != "BOB" {
		t.Errorf("%q", got)
	}
}

// A view that the deployer dropped and made anew belongs to them and stays theirs,
// and migrating grants what reads it.
func TestViewMadeAnewStaysTheDeployers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`drop view sidegate.profile`)
	if _, err := f.EditUsers(t.Context(), filter.UsersEdit{App: "default", Put: []filter.User{{ID: "bob"}}}); code(err) != filter.CodeDirectoryReadOnly {
		t.Errorf("written although nothing shows it: %v", err)
	}
	if _, err := f.Users(t.Context(), "default", []string{"bob"}); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("read without a view: %v", err)
	}
	f.exec(theirUsers)
	up(t, f.dsn)
	if owner := one[string](f, `select pg_get_userbyid(relowner)::text from pg_class where oid = 'sidegate.profile'::regclass`); owner != "postgres" {
		t.Errorf("the view now belongs to %s", owner)
	}
	reader := openStore(t, f.dsn+"&options=-crole%3Dsidegate_read")
	if got, err := reader.Users(t.Context(), "default", []string{"1"}); err != nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestLookupsUseAnIndex of our table and, if it is made as the documentation says,
// of a deployer's: as many users as a list holds are looked up for every page.
func TestLookupsUseAnIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprint(i*100))
	}
	f.exec(`insert into sidegate.directory (app, id) select 'default', i::text from generate_series(1, 20000) i`)
	f.exec(`analyze sidegate.directory`)
	if n := work(f, "sidegate.directory", postgres.UsersSQL, "default", ids); n > 0 {
		t.Errorf("%d rows of our table were scanned", n)
	}
	f.exec(theirUsers)
	f.exec(`insert into shop.users (no) select i from generate_series(10, 20000) i; analyze shop.users`)
	if n := work(f, "shop.users", postgres.UsersSQL, "default", ids); n > 0 {
		t.Errorf("%d rows of theirs were scanned", n)
	}
	f.exec(`drop index shop.users_id`)
	if n := work(f, "shop.users", postgres.UsersSQL, "default", ids); n == 0 {
		t.Error("without the index nothing was scanned: this test would not notice")
	}
}

func TestUsersWithoutADatabase(t *testing.T) {
	t.Parallel()
	store := openStore(t, "postgres://nobody:secret@127.0.0.1:1/none")
	_, readErr := store.Users(t.Context(), "default", []string{"bob"})
	_, writeErr := store.EditUsers(t.Context(), filter.UsersEdit{App: "default", Put: []filter.User{{ID: "bob"}}})
	for name, err := range map[string]error{"read": readErr, "write": writeErr} {
		if code(err) != filter.CodeStoreUnavailable || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Users(ctx, "default", []string{"bob"}); err == nil {
		t.Error("an ended context is no error")
	}
}
