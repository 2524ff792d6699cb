package postgres_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// each calls the function that stores several additions at once, by hand, and
// returns the places of those that it stored.
func (f *fixture) each(owners, targets []string) (stored []int) {
	f.t.Helper()
	text := one[string](f, `select sidegate.add_each('default', array_fill('block'::text, array[n]), $1::text[], $2::text[],
		array_fill(null::timestamptz, array[n]), array_fill(''::text, array[n]), array_fill('native'::text, array[n]),
		array_fill('test'::text, array[n]))::text from cardinality($1::text[]) n`, owners, targets)
	var answer struct{ Edits [][]any }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		f.t.Fatal(err)
	}
	for _, e := range answer.Edits {
		stored = append(stored, int(e[0].(float64)))
	}
	return stored
}

// sound fails if header, rows and feed of any list disagree.
func (f *fixture) sound() {
	f.t.Helper()
	for _, problem := range follow(f) {
		f.t.Error(problem)
	}
}

// What is not plain is left to be done alone, and its neighbours are stored.
func TestAddEachLeavesOutWhatIsNotPlain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 3); err != nil {
		t.Fatal(err)
	}
	f.edit(add("full", "a", "b", "c"))
	f.edit(add("has", "x"))
	f.exec(`insert into sidegate.block (app, owner, target, expires_at) values ('default', 'late', 'old', now() - interval '1 s')`)
	stored := f.each([]string{"full", "has", "late", "new", "has"}, []string{"x", "x", "x", "x", "y"})
	if fmt.Sprint(stored) != "[4 5]" {
		t.Errorf("stored %v", stored)
	}
	lists := f.all(cache.KindBlock)
	if lists["full"].Size != 3 || lists["has"].Version != 2 || lists["new"].Version != 1 || lists["late"].Version != 1 {
		t.Errorf("%+v", lists)
	}
	f.sound()
	if n := one[int](f, `select count(*) from sidegate.room where 'new' in (a, b) or 'y' in (a, b)`); n != 2 {
		t.Errorf("%d rooms", n)
	}
}

// Alone or with others, an addition gets the same answer, and a wrong one harms
// nobody else.
func TestAdditionsTogetherAnswerAsAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 2); err != nil {
		t.Fatal(err)
	}
	f.edit(add("full", "a", "b"))
	until := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			owner := fmt.Sprint("o", i)
			switch i % 4 {
			case 0:
				if _, err := f.Edit(t.Context(), add("full", owner)); code(err) != filter.CodeLimitExceeded {
					t.Errorf("a full list: %v", err)
				}
				return
			case 1:
				if _, err := f.Edit(t.Context(), add(owner, owner)); code(err) != filter.CodeSelfBlock {
					t.Errorf("oneself: %v", err)
				}
				return
			}
			e := add(owner, "t")
			e.Add[0].Note, e.Add[0].ExpiresAt = "n", until
			got, err := f.Edit(t.Context(), e)
			if err != nil {
				t.Error(err)
				return
			}
			stored, ok, err := f.Get(t.Context(), e.List, "t")
			if err != nil || !ok || stored != got.Added[0] || !got.Created[0] || got.Version != 1 || got.Size != 1 ||
				len(got.Changes) != 1 || got.Changes[0].Digest != cache.ListDigest(false, got.Changes[0].Entries) {
				t.Errorf("answered %+v, stored %+v (%v)", got, stored, err)
			}
		})
	}
	wg.Wait()
	f.sound()
}

// The setting that spares add_each the trigger spares nobody else.
func TestBooksAreKeptWhateverIsSet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	write := func(as string) int {
		f.exec(`delete from sidegate.block`)
		f.exec(`truncate sidegate.owner`)
		tx, err := f.hand.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		for _, sql := range []string{`grant sidegate_sql to current_user`, as, `set local sidegate.kept = 'yes'`, `set local lock_timeout = '50ms'`,
			`insert into sidegate.block (app, owner, target) values ('default', 'bob', 'alice')`, `reset role`} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		return row[int](t, tx, `select count(*)::int from sidegate.owner where size = 1`)
	}
	if n := write(`set local role sidegate_sql`); n != 1 {
		t.Error("a role that may only write lists has switched the books off")
	}
	// Whoever may write the feed by hand could, as they could drop the trigger: this
	// is what the right is asked for.
	if n := write(`reset role`); n != 0 {
		t.Error("the setting has no effect: the test above shows nothing")
	}
}

// Edits and imports run with the rights of the owner, who may write the feed by
// hand, but the settings are those of whoever calls.
func TestCallersCannotSwitchTheBooksOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, call := range []string{anEdit, anImport} {
		tx, err := f.as("sidegate_write").hand.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		for _, sql := range []string{`set local sidegate.kept = 'yes'`, `set local lock_timeout = '50ms'`, call, `commit`} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Version != 2 || l.Size != 2 {
		t.Errorf("two entries, and the header says %+v", l)
	}
	f.sound()
}

// What a deployer's trigger adds while add_each is at work gets its books, too.
func TestTriggerThatAnswersABlock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`create function public.back() returns trigger language plpgsql as $$
		begin
			insert into sidegate.block (app, owner, target) values (new.app, new.target, new.owner) on conflict do nothing;
			return null;
		end $$`)
	f.exec(`create trigger a_back after insert on sidegate.block for each row execute function public.back()`)
	f.edit(add("bob", "alice"))
	lists := f.all(cache.KindBlock)
	if lists["bob"].Size != 1 || lists["alice"].Size != 1 {
		t.Errorf("%+v", lists)
	}
	f.sound()
	// And called from a trigger it stores nothing itself.
	f.exec(`create function public.call() returns trigger language plpgsql as $$
		begin
			perform sidegate.add_each('default', '{block}', '{carl}', '{dora}', '{null}', '{""}', '{x}', '{y}');
			return null;
		end $$`)
	f.exec(`create trigger b_call after insert on sidegate.block for each row execute function public.call()`)
	f.edit(add("eve", "frank"))
	if _, there := f.all(cache.KindBlock)["carl"]; there {
		t.Error("stored from within a trigger")
	}
	f.sound()
}

// A deployer's trigger that changes an entry, or swallows it, has its way, and the
// books say so.
func TestTriggerThatChangesABlock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`create function public.change() returns trigger language plpgsql as $$
		begin
			if new.target = 'nobody' then return null; end if;
			new.expires_at := '2100-01-01';
			new.note := 'changed';
			return new;
		end $$`)
	f.exec(`create trigger a_change before insert on sidegate.block for each row execute function public.change()`)
	got := f.edit(add("bob", "alice"))
	if got.Added[0].ExpiresAt.Year() != 2100 || got.Added[0].Note != "changed" || got.Size != 1 {
		t.Errorf("%+v", got)
	}
	if got := f.edit(add("bob", "nobody")); got.Size != 1 || len(got.Added) != 0 {
		t.Errorf("%+v", got)
	}
	f.sound()
}

// Somebody's lock on one list costs those who share its transaction a moment.
func TestLockedListAmongOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := hold(f, "bob")
	defer release()
	f.refused("55P03", `select sidegate.add_each('default', '{block,block}', '{carl,bob}', '{x,x}', '{null,null}', '{"",""}', '{x,x}', '{y,y}')`)
	var wg sync.WaitGroup
	var held error
	wg.Go(func() { _, held = f.Edit(t.Context(), add("bob", "alice")) })
	for i := range 20 {
		wg.Go(func() {
			if _, err := f.Edit(t.Context(), add(fmt.Sprint("o", i), "alice")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if code(held) != filter.CodeStoreUnavailable {
		t.Errorf("the locked list: %v", held)
	}
	if n := len(f.all(cache.KindBlock)); n != 21 {
		t.Errorf("%d lists", n)
	}
}
