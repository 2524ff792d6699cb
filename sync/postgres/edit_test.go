package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

func TestEditTellsWhatItDid(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	until := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()

	first := f.edit(add("bob", "alice", "carl"))
	if !slices.Equal(first.Created, []bool{true, true}) || !slices.Equal(targets(first.Added), []string{"alice", "carl"}) {
		t.Fatalf("first edit: created %v, added %v", first.Created, targets(first.Added))
	}
	if first.Version != 1 || first.Size != 2 || len(first.Changes) != 1 || first.Identity == (cache.Identity{}) {
		t.Fatalf("first edit: %+v", first)
	}

	e := add("bob", "dora", "alice")
	e.Add[1] = filter.Addition{Target: "alice", ExpiresAt: until, Note: "loud"}
	e.Remove = []string{"nobody", "carl"}
	second := f.edit(e)
	if !slices.Equal(second.Created, []bool{true, false}) || !slices.Equal(targets(second.Added), []string{"dora", "alice"}) {
		t.Errorf("created %v, added %v", second.Created, targets(second.Added))
	}
	if got := second.Added[1]; !got.ExpiresAt.Equal(until) || got.Note != "loud" || !got.CreatedAt.Equal(first.Added[0].CreatedAt) {
		t.Errorf("details of an entry that was there: %+v", got)
	}
	if !slices.Equal(targets(second.Removed), []string{"carl"}) {
		t.Errorf("removed %v", targets(second.Removed))
	}
	want := []cache.Op{cache.OpRemove, cache.OpAdd, cache.OpUpdate}
	prev := first.Version
	for i, c := range second.Changes {
		if c.Op != want[i] || c.Prev != prev || c.Owner != "bob" || c.Kind != cache.KindBlock || c.App != "default" {
			t.Errorf("change %d: %+v", i, c)
		}
		prev = c.Version
	}
	if second.Version != prev || second.Size != 2 || len(second.Changes) != 3 {
		t.Errorf("second edit ends at version %d, size %d, %d changes", second.Version, second.Size, len(second.Changes))
	}
	if last := second.Changes[2]; last.Digest != f.all(cache.KindBlock)["bob"].Digest || last.Entries[0].Expires != until.UnixMicro() {
		t.Errorf("the last change %+v does not describe the list", last)
	}
}

func TestEditThatChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("bob", "alice"))
	again := f.edit(add("bob", "alice"))
	if again.Version != 1 || len(again.Changes) != 0 || again.Created[0] || again.Added[0].Target != "alice" {
		t.Errorf("adding again: %+v", again)
	}
	same := add("bob", "alice")
	same.Add[0].Keep = false
	if got := f.edit(same); got.Version != 1 || len(got.Changes) != 0 {
		t.Errorf("setting the details that are there: %+v", got)
	}
	gone := f.edit(filter.Edit{List: blockList("nobody"), Remove: []string{"alice"}})
	if gone.Version != 0 || gone.Size != 0 || len(gone.Removed) != 0 || gone.Identity == (cache.Identity{}) {
		t.Errorf("removing from nothing: %+v", gone)
	}
	if n := one[int](f, `select count(*) from sidegate.owner where owner = 'nobody'`); n != 0 {
		t.Error("removing from nothing left a header")
	}
}

func TestEditKeepsOrSetsDetails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	until := time.Now().Add(time.Hour)
	e := add("bob", "alice")
	e.Add[0].ExpiresAt, e.Add[0].Note = until, "first"
	f.edit(e)

	if got := f.edit(add("bob", "alice")).Added[0]; got.Note != "first" || got.ExpiresAt.IsZero() {
		t.Errorf("Keep changed the entry: %+v", got)
	}
	note := add("bob", "alice")
	note.Add[0] = filter.Addition{Target: "alice", ExpiresAt: until, Note: "second"}
	edited := f.edit(note)
	if got := edited.Added[0]; got.Note != "second" || !got.ExpiresAt.Equal(until.Truncate(time.Microsecond)) {
		t.Errorf("note not set: %+v", got)
	}
	if c := edited.Changes[0]; c.Op != cache.OpUpdate || len(c.Entries) != 0 {
		t.Errorf("a note alone moves the version without entries, got %+v", c)
	}
	clear := add("bob", "alice")
	clear.Add[0].Keep = false
	if got := f.edit(clear).Added[0]; got.Note != "" || !got.ExpiresAt.IsZero() {
		t.Errorf("details not cleared: %+v", got)
	}
}

func TestExpiredEntryIsNewWhenAddedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target, created_at, expires_at)
		values ('default', 'bob', 'alice', now() - interval '2 h', now() - interval '1 h')`)
	got := f.edit(add("bob", "alice"))
	if !got.Created[0] || !got.Added[0].ExpiresAt.IsZero() || got.Size != 1 {
		t.Fatalf("%+v", got)
	}
	if len(got.Changes) != 2 || got.Changes[0].Op != cache.OpRemove || got.Changes[1].Op != cache.OpAdd {
		t.Errorf("changes %+v", got.Changes)
	}
	if n := one[int](f, `select count(*) from sidegate.history where unblocked_at = expires_at and ended_source = 'expiry'`); n != 1 {
		t.Error("the interval that expired is not in the history")
	}
}

func TestEditOfManyEntriesAsksForAReload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	names := make([]string, 201)
	for i := range names {
		names[i] = "t" + strings.Repeat("x", i)
	}
	if c := f.edit(add("bob", names[:200]...)).Changes[0]; c.Op != cache.OpAdd || len(c.Entries) != 200 {
		t.Errorf("200 entries: op %c with %d entries", c.Op, len(c.Entries))
	}
	if c := f.edit(add("carl", names...)).Changes[0]; c.Op != cache.OpReload || len(c.Entries) != 0 || c.Size != 201 {
		t.Errorf("201 entries: op %c with %d entries, size %d", c.Op, len(c.Entries), c.Size)
	}
}

func TestEditHoldsIdsOfAnyScript(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := []string{`a/b%c?d#e f+g`, `"\'{},;`, "日本語", "🦊", strings.Repeat("ü", 128), ".", "NULL", "a\u00a0b", " "}
	got := f.edit(add(`o"w\n'er`, ids...))
	if !slices.Equal(targets(got.Added), ids) || !slices.Equal(entryTargets(got.Changes[0].Entries), ids) {
		t.Errorf("got %q and %q", targets(got.Added), entryTargets(got.Changes[0].Entries))
	}
	loaded := entryTargets(f.all(cache.KindBlock)[`o"w\n'er`].Entries)
	slices.Sort(loaded)
	slices.Sort(ids)
	if !slices.Equal(loaded, ids) {
		t.Errorf("loaded %q", loaded)
	}
}

func TestConstraintsAreNamedToTheClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	far := add("bob", "x")
	far.Add[0].ExpiresAt = time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)
	long := add("bob", "x")
	long.Add[0].Note = strings.Repeat("n", 1025)
	for want, e := range map[filter.Code]filter.Edit{
		filter.CodeSelfBlock:     add("bob", "bob"),
		filter.CodeInvalidUserID: add("bob", "a\nb"),
		filter.CodeInvalidExpiry: far,
		filter.CodeInvalidNote:   long,
	} {
		if _, err := f.Edit(t.Context(), e); code(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	room := filter.Edit{List: filter.ListID{App: "default", Kind: cache.KindRoom, Owner: "bob"}, Add: []filter.Addition{{Target: "bob"}}}
	if _, err := f.Edit(t.Context(), room); err != nil {
		t.Errorf("a room may be named like a user: %v", err)
	}
}

func TestAllowlistMode(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, on := range []bool{true, true, false} {
		got := f.mode(on, "bob")[0]
		list := f.all(cache.KindBlock)["bob"]
		if list.Allowlist != on || list.Digest != cache.ListDigest(on, nil) || list.Version != got.Version {
			t.Errorf("step %d: list %+v", i, list)
		}
		if changed := len(got.Changes) == 1; changed != (i != 1) {
			t.Errorf("step %d: changes %+v", i, got.Changes)
		} else if changed && (got.Changes[0].Op != cache.OpMode || got.Changes[0].Allowlist != on) {
			t.Errorf("step %d: change %+v", i, got.Changes[0])
		}
	}
	if _, err := f.SetAllowlistMode(t.Context(), filter.ModeChange{App: "default", Owners: []string{"carl", ""}, On: true}); err == nil {
		t.Error("an empty id was taken")
	}
	if _, there := f.all(cache.KindBlock)["carl"]; there {
		t.Error("half of a refused request was stored")
	}
}
