package postgres_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"

	blocksync "github.com/sidegate/sidegate/sync"
)

// imports stores records of the app default.
func (f *fixture) imports(mode filter.ImportMode, records ...filter.Record) filter.Imported {
	f.t.Helper()
	done, err := f.Import(f.t.Context(), filter.Import{App: "default", Records: records, Mode: mode, Actor: "importer"})
	if err != nil {
		f.t.Fatal(err)
	}
	return done
}

func record(owner, target string) filter.Record {
	return filter.Record{Kind: cache.KindBlock, Owner: owner, Target: target}
}

func outcomes(done filter.Imported) string {
	letters := map[filter.ImportOutcome]byte{
		filter.ImportUnchanged: '=', filter.ImportCreated: 'c', filter.ImportUpdated: 'u', filter.ImportOverLimit: 'l',
	}
	var b []byte
	for _, o := range done.Outcomes {
		b = append(b, letters[o])
	}
	return string(b)
}

var noon = time.Date(2020, 1, 2, 12, 0, 0, 123456000, time.UTC)

func TestImportStoresEveryFieldAndTellsWhatItDid(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	full := record("bob", "alice")
	full.CreatedAt, full.ExpiresAt, full.Note = noon, later, "rude"
	ban := filter.Record{Kind: cache.KindRoom, Owner: "room", Target: "room", CreatedAt: noon}
	friend := filter.Record{Kind: cache.KindAllow, Owner: "bob", Target: "carl", CreatedAt: noon}
	mode := filter.Record{Kind: cache.KindBlock, Owner: "bob", Allowlist: true}
	all := []filter.Record{mode, ban, record("bob", "dora"), full, friend}
	if got := outcomes(f.imports(filter.ImportLists, all...)); got != "ucccc" {
		t.Errorf("first: %s", got)
	}
	if got := outcomes(f.imports(filter.ImportLists, all...)); got != "=====" {
		t.Errorf("again: %s", got)
	}
	entry := one[string](f, `select concat_ws('|', created_at = $1, expires_at = $2, note, source, actor, place) from sidegate.block where target = 'alice'`, noon, later)
	if entry != "t|t|rude|import|importer|4" {
		t.Errorf("alice: %s", entry)
	}
	if n := one[int](f, `select count(*) from sidegate.change`); n != 4 {
		t.Errorf("%d changes; a repeat makes none", n)
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Size != 2 || !l.Allowlist || l.Digest != cache.ListDigest(true, l.Entries) {
		t.Errorf("the header of bob does not fit its rows: %+v", l)
	}
	if n := one[int](f, `select count(*) from sidegate.room`); n != 2 {
		t.Errorf("%d rooms; every pair of a block list has one", n)
	}

	// What a record does not say stays, what it says is set; created_at is for ever.
	silent := record("bob", "alice")
	silent.KeepExpiry, silent.KeepNote, silent.CreatedAt = true, true, noon.Add(time.Hour)
	if got := outcomes(f.imports(filter.ImportLists, silent)); got != "=" {
		t.Errorf("nothing said: %s", got)
	}
	silent.KeepExpiry = false
	off := mode
	off.Allowlist = false
	if got := outcomes(f.imports(filter.ImportLists, silent, off)); got != "uu" {
		t.Errorf("never expires, mode off: %s", got)
	}
	entry = one[string](f, `select concat_ws('|', created_at = $1, expires_at is null, note) from sidegate.block where target = 'alice'`, noon)
	if entry != "t|t|rude" {
		t.Errorf("alice afterwards: %s", entry)
	}
	if l := f.all(cache.KindBlock)["bob"]; l.Allowlist || l.Digest != cache.ListDigest(false, l.Entries) {
		t.Errorf("bob afterwards: %+v", l)
	}
}

func TestImportRefusesAListOverItsLimitAndNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 3); err != nil {
		t.Fatal(err)
	}
	f.edit(add("full", "a", "b"))
	before := one[int64](f, `select version from sidegate.owner where owner = 'full'`)
	records := []filter.Record{
		record("full", "a"), record("x", "1"), record("full", "c"), record("x", "2"), record("full", "d"), record("x", "3"),
	}
	done := f.imports(filter.ImportCheck, records...)
	if outcomes(done) != "lclclc" || done.Limit != 3 {
		t.Errorf("check: %s of %d", outcomes(done), done.Limit)
	}
	if n := one[int](f, `select count(*) from sidegate.owner`); n != 1 {
		t.Errorf("a check has made headers: %d", n)
	}
	if got := outcomes(f.imports(filter.ImportWhole, records...)); got != "lclclc" {
		t.Errorf("whole: %s", got)
	}
	if n := one[int](f, `select count(*) from sidegate.block`); n != 2 {
		t.Errorf("%d entries after an import that must be whole", n)
	}
	if got := outcomes(f.imports(filter.ImportLists, records...)); got != "lclclc" {
		t.Errorf("lists: %s", got)
	}
	if v := one[int64](f, `select version from sidegate.owner where owner = 'full'`); v != before {
		t.Errorf("the refused list moved from %d to %d", before, v)
	}
	if l := f.all(cache.KindBlock)["x"]; l.Size != 3 {
		t.Errorf("the other list: %+v", l)
	}
	if n := one[int](f, `select count(*) from sidegate.room where 'full' in (a, b)`); n != 2 {
		t.Errorf("%d rooms of the refused list", n)
	}
	// A list that is over a limit which was lowered takes changes, and nothing new.
	if err := f.SetLimit(t.Context(), "default", 1); err != nil {
		t.Fatal(err)
	}
	noted := record("full", "a")
	noted.Note = "n"
	if got := outcomes(f.imports(filter.ImportLists, noted)); got != "u" {
		t.Errorf("a note: %s", got)
	}
}

func TestImportEndsWhatHasExpired(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.SetLimit(t.Context(), "default", 1); err != nil {
		t.Fatal(err)
	}
	short := add("bob", "alice")
	short.Add[0].ExpiresAt = time.Now().Add(time.Hour)
	f.edit(short)
	if got := outcomes(f.imports(filter.ImportCheck, record("bob", "carl"))); got != "l" {
		t.Errorf("the list is full: %s", got)
	}
	f.exec(`update sidegate.block set expires_at = clock_timestamp() - interval '1 s'`)
	for _, mode := range []filter.ImportMode{filter.ImportCheck, filter.ImportLists} {
		if got := outcomes(f.imports(mode, record("bob", "carl"))); got != "c" {
			t.Errorf("mode %d: %s; what has expired does not count", mode, got)
		}
	}
	if got := one[string](f, `select ended_source from sidegate.history where target = 'alice'`); got != "expiry" {
		t.Errorf("the interval ended by %s", got)
	}
	f.exec(`delete from sidegate.block`)
	if got := one[string](f, `select concat(source, ' ', actor, ' ', ended_source) from sidegate.history where target = 'carl'`); got != "import importer sql" {
		t.Errorf("the history of an imported entry: %s", got)
	}
}

// TestImportsAndEditsNeverMeetInACircle: several imports of the same lists, in
// opposite order, and edits of both sides of the same pairs. Every call takes
// headers and rooms in one order, so that nobody waits in vain: a deadlock would
// cost its victim 900 ms and show in the database's count.
func TestImportsAndEditsNeverMeetInACircle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const users = 12
	var all []filter.Record
	for i := range users {
		for j := range users {
			if i != j {
				all = append(all, record(fmt.Sprint("u", i), fmt.Sprint("u", j)))
			}
		}
	}
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	var work sync.WaitGroup
	for w := range 3 {
		work.Go(func() {
			for n := range 6 {
				records := slices.Clone(all)
				if (n+w)%2 == 0 {
					records = slices.Clone(reversed)
				}
				for i := range records {
					records[i].Note = fmt.Sprint(w, n)
				}
				if _, err := f.Import(t.Context(), filter.Import{App: "default", Records: records}); err != nil {
					t.Errorf("import: %v", err)
				}
			}
		})
		work.Go(func() {
			for n := range 60 {
				a, b := fmt.Sprint("u", n%users), fmt.Sprint("u", (n+w+1)%users)
				if _, err := f.Edit(t.Context(), add(a, b)); err != nil {
					t.Errorf("edit: %v", err)
				}
				e := filter.Edit{List: blockList(b), Remove: []string{a}, Source: "native"}
				if _, err := f.Edit(t.Context(), e); err != nil {
					t.Errorf("edit: %v", err)
				}
			}
		})
	}
	work.Wait()
	if n := one[int64](f, `select deadlocks from pg_stat_database where datname = current_database()`); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
	broken := one[int](f, `select count(*) from sidegate.change c where prev <> 0 and not exists (
		select from sidegate.change p where (p.app, p.kind, p.owner, p.version) = (c.app, c.kind, c.owner, c.prev))`)
	if broken != 0 {
		t.Errorf("%d links of the history of versions are broken", broken)
	}
	for owner, l := range f.all(cache.KindBlock) {
		if l.Size != len(l.Entries) || l.Digest != cache.ListDigest(false, l.Entries) {
			t.Errorf("%s: the header does not fit its rows", owner)
		}
	}
}

// TestImportIsFollowed: the feed carries every list of an import.
func TestImportIsFollowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	from := f.poll(blocksync.Position{})
	f.imports(filter.ImportLists, record("a", "1"), record("b", "1"), record("a", "2"), filter.Record{Kind: cache.KindBlock, Owner: "c", Allowlist: true})
	b := f.poll(from.Position)
	got := map[string]int{}
	for _, c := range b.Changes {
		got[c.Owner+string(c.Op)] += len(c.Entries)
	}
	if len(got) != 3 || got["aA"] != 2 || got["bA"] != 1 || got["cM"] != 0 {
		t.Errorf("the feed carries %v", got)
	}
}

// TestImportOfALockedListGivesUp: it ends with the code for "try again", and
// nothing of the call is stored.
func TestImportOfALockedListGivesUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.edit(add("held", "x"))
	tx, err := f.hand.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `select from sidegate.owner where owner = 'held' for update`); err != nil {
		t.Fatal(err)
	}
	_, err = f.Import(t.Context(), filter.Import{App: "default", Records: []filter.Record{record("free", "y"), record("held", "y")}})
	if plain(t, err); code(err) != filter.CodeStoreUnavailable {
		t.Errorf("%v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := one[int](f, `select count(*) from sidegate.block where target = 'y'`); n != 0 {
		t.Errorf("%d entries of a call that failed", n)
	}
}

func BenchmarkImport(b *testing.B) {
	f := newFixture(b)
	const lines = 1000
	records := make([]filter.Record, lines)
	for n := range b.N {
		for i := range records {
			records[i] = record(fmt.Sprint("u", n, "-", i/10), fmt.Sprint("t", i%10))
		}
		if _, err := f.Import(b.Context(), filter.Import{App: "default", Records: records}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
}
