package postgres_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// history returns the intervals of bob's list, or of one target on it.
func (f *fixture) history(q filter.HistoryQuery) []filter.Interval {
	f.t.Helper()
	if q.List.Owner == "" {
		q.List = blockList("bob")
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	page, err := f.History(f.t.Context(), q)
	if err != nil {
		f.t.Fatal(err)
	}
	return page.Intervals
}

func remove(owner string, targets ...string) filter.Edit {
	return filter.Edit{List: blockList(owner), Remove: targets, Source: "console", Actor: "staff7"}
}

// brief names intervals by target and by how they ended.
func brief(list []filter.Interval) []string {
	out := make([]string, len(list))
	for i, iv := range list {
		if out[i] = iv.Target + " " + iv.EndedSource; iv.UnblockedAt.IsZero() {
			out[i] = iv.Target
		}
	}
	return out
}

func TestHistoryUnitesWhatEndedAndWhatGoesOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := add("bob", "alice")
	e.Add[0].Note = "rude"
	began := f.edit(e).Added[0]
	f.edit(remove("bob", "alice"))
	f.edit(add("bob", "alice"))
	f.edit(add("bob", "carl", "dora"))
	f.exec(`delete from sidegate.block where target = 'carl'`)
	f.edit(add("other", "alice"))
	f.exec(`insert into sidegate.block (app, kind, owner, target) values ('default', 'room', 'bob', 'alice'), ('elsewhere', 'block', 'bob', 'alice')`)

	got := f.history(filter.HistoryQuery{})
	if want := []string{"dora", "carl sql", "alice", "alice console"}; !slices.Equal(brief(got), want) {
		t.Fatalf("%q, want %q", brief(got), want)
	}
	first := got[3]
	if !first.BlockedAt.Equal(began.CreatedAt) || !first.UnblockedAt.After(first.BlockedAt) || first.UnblockedAt.After(got[2].BlockedAt) {
		t.Errorf("from %v to %v, blocked at %v, again at %v", first.BlockedAt, first.UnblockedAt, began.CreatedAt, got[2].BlockedAt)
	}
	first.BlockedAt, first.UnblockedAt = time.Time{}, time.Time{}
	if want := (filter.Interval{
		Owner: "bob", Target: "alice", Note: "rude", Source: "native", Actor: "test", EndedSource: "console", EndedActor: "staff7",
	}); first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	if got := brief(f.history(filter.HistoryQuery{Target: "alice"})); !slices.Equal(got, []string{"alice", "alice console"}) {
		t.Errorf("of alice: %q", got)
	}
	if got := f.history(filter.HistoryQuery{Target: "nobody"}); len(got) != 0 {
		t.Errorf("of nobody: %+v", got)
	}
	room := filter.HistoryQuery{List: filter.ListID{App: "default", Kind: cache.KindRoom, Owner: "bob"}}
	if got := brief(f.history(room)); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("of the room: %q", got)
	}
}

// TestHistoryOfWhatExpired: an entry ends when it expires, whether or not its row
// has gone yet; what is read before and after the sweep is the same.
func TestHistoryOfWhatExpired(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target, created_at, expires_at, note) values
		('default', 'bob', 'over',  now() - interval '2 h', now() - interval '1 h', 'n'),
		('default', 'bob', 'never', now(), now() - interval '1 h', null),
		('default', 'bob', 'on',    now() - interval '3 h', now() + interval '1 h', null)`)
	swept := f.history(filter.HistoryQuery{})
	if want := []string{"never expiry", "over expiry", "on"}; !slices.Equal(brief(swept), want) {
		t.Fatalf("%q, want %q", brief(swept), want)
	}
	if over := swept[1]; !over.UnblockedAt.Equal(over.ExpiresAt) || over.Note != "n" {
		t.Errorf("%+v does not end when it expires", over)
	}
	if never := swept[0]; !never.UnblockedAt.Equal(never.BlockedAt) {
		t.Errorf("%+v was over before it began, and is not empty", never)
	}
	if n, err := f.Expire(t.Context(), 10); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := f.history(filter.HistoryQuery{}); !slices.Equal(got, swept) {
		t.Errorf("before the sweep\n%+v\nafter it\n%+v", swept, got)
	}
}

// TestHistoryAtATime asks who was on the list at a time: an interval holds its
// beginning and not its end.
func TestHistoryAtATime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	f.exec(`insert into sidegate.history (app, kind, owner, target, blocked_at, unblocked_at, source, actor, ended_source, ended_actor) values
		('default', 'block', 'bob', 'a', '2026-01-02 00:00+00', '2026-01-04 00:00+00', 's', '', 'e', ''),
		('default', 'block', 'bob', 'a', '2026-01-06 00:00+00', '2026-01-08 00:00+00', 's', '', 'e', ''),
		('default', 'block', 'bob', 'b', '2026-01-03 00:00+00', '2026-01-07 00:00+00', 's', '', 'e', '')`)
	f.exec(`insert into sidegate.block (app, owner, target, created_at, expires_at) values
		('default', 'bob', 'a', '2026-01-10 00:00+00', null),
		('default', 'bob', 'x', '2026-01-03 00:00+00', '2026-01-05 00:00+00')`)
	for _, c := range []struct {
		from, to int
		target   string
		want     []string
	}{
		{1, 1, "", nil},
		{2, 2, "a", []string{"a e"}},
		{3, 3, "", []string{"x expiry", "b e", "a e"}},
		{4, 4, "a", nil},
		{4, 4, "", []string{"x expiry", "b e"}},
		{5, 5, "", []string{"b e"}},
		{9, 9, "a", nil},
		{10, 10, "a", []string{"a"}},
		{31, 31, "", []string{"a"}},
		{4, 6, "a", []string{"a e"}},
		{3, 6, "a", []string{"a e", "a e"}},
		{8, 9, "", nil},
	} {
		got := brief(f.history(filter.HistoryQuery{Target: c.target, From: day(c.from), To: day(c.to)}))
		if !slices.Equal(got, c.want) {
			t.Errorf("%q from %d to %d: %q, want %q", c.target, c.from, c.to, got, c.want)
		}
	}
	if got := f.history(filter.HistoryQuery{From: day(7)}); len(got) != 2 {
		t.Errorf("from the 7th on: %q", brief(got))
	}
	if got := f.history(filter.HistoryQuery{To: day(2)}); len(got) != 1 {
		t.Errorf("until the 2nd: %q", brief(got))
	}
}

// instantByHand makes intervals of one target that all begin at one instant.
func (f *fixture) instantByHand(target string) {
	f.t.Helper()
	f.exec(`insert into sidegate.block (app, owner, target, created_at) values ('default', 'bob', $1, '2026-01-01 00:00+00')`, target)
}

// TestHistoryOfOneInstant: intervals that cannot be told apart by target and
// beginning keep their order while the last of them ends between two pages. Each
// place of the walk is tried as the one at which it ends.
func TestHistoryOfOneInstant(t *testing.T) {
	t.Parallel()
	const intervals = 4
	for end := range intervals + 1 {
		t.Run(fmt.Sprint("ends after ", end), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.edit(add("bob", "newer"))
			for i := range intervals {
				f.instantByHand("a")
				if i < intervals-1 {
					f.edit(remove("bob", "a"))
				}
			}
			f.instantByHand("Z") // smaller, so it follows
			q := filter.HistoryQuery{List: blockList("bob"), Limit: 1}
			var got []string
			for page := range 3 * intervals {
				if page == end+1 {
					f.edit(remove("bob", "a"))
				}
				answer, err := f.History(t.Context(), q)
				if err != nil || len(answer.Intervals) != 1 {
					t.Fatalf("page %d: %+v, %v", page, answer, err)
				}
				got = append(got, answer.Intervals[0].Target)
				if q.After = answer.Next; q.After.IsZero() {
					break
				}
			}
			if want := []string{"newer", "a", "a", "a", "a", "Z"}; !slices.Equal(got, want) {
				t.Errorf("walked over %q, want %q", got, want)
			}
		})
	}
}

// TestPlacesOfHistoryTellNoCounts: the id of an interval is counted over all
// apps. A client could tell from it what others do, so it is in a place only if
// two intervals have nothing else to tell them apart.
func TestPlacesOfHistoryTellNoCounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"a", "b", "c"} {
		f.edit(add("bob", target))
		f.edit(remove("bob", target))
	}
	q := filter.HistoryQuery{List: blockList("bob"), Limit: 1}
	for range 2 {
		page, err := f.History(t.Context(), q)
		if err != nil || page.Next.Order != math.MaxInt64 {
			t.Fatalf("%+v, %v", page.Next, err)
		}
		q.After = page.Next
	}
	f.instantByHand("z")
	f.edit(remove("bob", "z"))
	f.instantByHand("z")
	page, err := f.History(t.Context(), filter.HistoryQuery{List: blockList("bob"), Target: "z", Limit: 1})
	if err != nil || page.Next.Order == math.MaxInt64 || page.Next.Order == 0 {
		t.Errorf("%+v, %v: nothing tells the two intervals apart", page.Next, err)
	}
}

func TestBlockedBy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	e := add("carl", "alice")
	e.Add[0].Note, e.Add[0].ExpiresAt = "why", time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	added := f.edit(e).Added[0]
	f.exec(`insert into sidegate.block (app, kind, owner, target, expires_at) values
		('default', 'block', 'over', 'alice', now() - interval '1 us'), ('default', 'room', 'room', 'alice', null),
		('elsewhere', 'block', 'far', 'alice', null), ('default', 'block', 'alice', 'bob', null)`)
	page, err := f.BlockedBy(t.Context(), filter.BlockedByQuery{App: "default", Target: "alice", Limit: 10})
	if err != nil || len(page.Blocks) != 2 || !page.Next.IsZero() || page.Blocks[0] != added || page.Blocks[1].Owner != "bob" {
		t.Errorf("%+v, %v", page, err)
	}
	page, err = f.BlockedBy(t.Context(), filter.BlockedByQuery{App: "default", Kind: cache.KindRoom, Target: "alice", Limit: 1})
	if err != nil || len(page.Blocks) != 1 || page.Blocks[0].Owner != "room" {
		t.Errorf("rooms: %+v, %v", page, err)
	}
	// Owners of one instant are told apart by their names.
	f.exec(`insert into sidegate.block (app, owner, target, created_at) select 'default', 'o' || i, 'zoe', '2026-01-01' from generate_series(1, 7) i`)
	var owners []string
	for q := (filter.BlockedByQuery{App: "default", Target: "zoe", Limit: 3}); len(owners) < 100; {
		page, err := f.BlockedBy(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Blocks {
			owners = append(owners, b.Owner)
		}
		if q.After = page.Next; q.After.IsZero() {
			break
		}
	}
	if want := []string{"o7", "o6", "o5", "o4", "o3", "o2", "o1"}; !slices.Equal(owners, want) {
		t.Errorf("owners %q", owners)
	}
}

func TestWalksOnAStandby(t *testing.T) {
	t.Parallel()
	primary := pgtest.Server(t, nil)
	f := onDatabase(t, pgtest.Migrated(t, primary))
	f.edit(add("bob", "alice"))
	standby := openStore(t, pgtest.Standby(t, primary).DSN("sidegate"))
	_, errBy := standby.BlockedBy(t.Context(), filter.BlockedByQuery{App: "default", Target: "alice", Limit: 1})
	_, errHistory := standby.History(t.Context(), filter.HistoryQuery{List: blockList("bob"), Limit: 1})
	for _, err := range []error{errBy, errHistory} {
		if code(err) != filter.CodeStoreUnavailable || !errors.Is(err, postgres.ErrStandby) {
			t.Errorf("%v", err)
		}
	}
}
