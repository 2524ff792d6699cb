package filter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// shelf is a [TransferStore] in memory.
type shelf struct {
	mu    sync.Mutex
	lists map[ListID]map[string]Record
	limit int
	calls int
	most  int // records in a call
	fail  func(call int) error
	mark  func() error // nil: it succeeds
}

// aMark is the transaction of every mark.
const aMark = 4711

func (s *shelf) Mark(context.Context) (cache.Identity, uint64, error) {
	if s.mark != nil {
		if err := s.mark(); err != nil {
			return cache.Identity{}, 0, err
		}
	}
	return primary, aMark, nil
}

func newShelf(limit int) *shelf { return &shelf{lists: map[ListID]map[string]Record{}, limit: limit} }

func (s *shelf) Import(_ context.Context, in Import) (Imported, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.most = max(s.most, len(in.Records))
	if s.fail != nil {
		if err := s.fail(s.calls); err != nil {
			return Imported{}, err
		}
	}
	done := Imported{Outcomes: make([]ImportOutcome, len(in.Records)), Limit: s.limit}
	fresh := map[ListID]int{}
	for i, r := range in.Records {
		list := ListID{App: in.App, Kind: r.Kind, Owner: r.Owner}
		was, there := s.lists[list][r.Target]
		switch {
		case !there:
			done.Outcomes[i] = ImportCreated
			fresh[list]++
		case was.Note != r.Note && !r.KeepNote || !was.ExpiresAt.Equal(r.ExpiresAt) && !r.KeepExpiry:
			done.Outcomes[i] = ImportUpdated
		}
	}
	over := false
	for i, r := range in.Records {
		if list := (ListID{App: in.App, Kind: r.Kind, Owner: r.Owner}); len(s.lists[list])+fresh[list] > s.limit {
			done.Outcomes[i], over = ImportOverLimit, true
		}
	}
	for i, r := range in.Records {
		if in.Mode == ImportCheck || in.Mode == ImportWhole && over || done.Outcomes[i] == ImportOverLimit {
			continue
		}
		list := ListID{App: in.App, Kind: r.Kind, Owner: r.Owner}
		if s.lists[list] == nil {
			s.lists[list] = map[string]Record{}
		}
		s.lists[list][r.Target] = r
	}
	return done, nil
}

func (s *shelf) Export(context.Context, string) (RecordReader, error) {
	return nil, errors.New("an export that is not asked for")
}

func (s *shelf) size() (n int) {
	for _, l := range s.lists {
		n += len(l)
	}
	return n
}

// paper is a [LineReader] of n lines that make makes.
type paper struct {
	n    int
	at   int
	make func(line int) (Record, error)
	end  error // io.EOF if nil
}

func (p *paper) Next() (Record, int, error) {
	if p.at == p.n {
		if p.end != nil {
			return Record{}, 0, p.end
		}
		return Record{}, 0, io.EOF
	}
	p.at++
	r, err := p.make(p.at)
	return r, p.at, err
}

func sheet(records ...Record) *paper {
	return &paper{n: len(records), make: func(i int) (Record, error) { return records[i-1], nil }}
}

func entry(owner, target string) Record { return Record{Owner: owner, Target: target} }

func newTransfer(t *testing.T, store TransferStore) *Transfer {
	t.Helper()
	tr, err := NewTransfer(TransferOptions{Store: store, Apps: map[string]Policy{"acme": Default()}})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// counted is a report without its errors and its revision; a test says what it
// expects of them.
func counted(r ImportReport) ImportReport {
	r.Errors, r.Revision = nil, Revision{}
	return r
}

func TestImportStoresOrReportsEachLine(t *testing.T) {
	store := newShelf(3000)
	bad := map[int]error{
		7:    Errorf(CodeInvalidLine, "no line of ours"),
		1000: Errorf(CodeInvalidCreatedAt, "x"),
		2500: Errorf(CodeInvalidLine, "y"),
	}
	lines := func() *paper {
		return &paper{n: 2500, make: func(i int) (Record, error) {
			return entry(fmt.Sprint("u", i/10), fmt.Sprint("t", i%10)), bad[i]
		}}
	}
	tr := newTransfer(t, store)
	got, err := tr.Import(t.Context(), ImportRequest{App: "acme", Lines: lines(), Actor: "me"})
	if err != nil || !reflect.DeepEqual(counted(got), ImportReport{Lines: 2500, Created: 2497, Refused: 3, Through: 2500}) {
		t.Errorf("%+v, %v", got, err)
	}
	for i, line := range []int{7, 1000, 2500} {
		if e := got.Errors[i]; e.Line != line || e.Detail != bad[line].(*Error).Detail {
			t.Errorf("error %d is %+v", i, e)
		}
	}
	if store.size() != 2497 || store.most > ImportBatch {
		t.Errorf("%d entries are stored, at most %d at once", store.size(), store.most)
	}
	again, err := tr.Import(t.Context(), ImportRequest{App: "acme", Lines: lines()})
	if err != nil || again.Unchanged != 2497 || again.Created+again.Updated != 0 || store.size() != 2497 {
		t.Errorf("again: %+v, %v", counted(again), err)
	}
	if _, err := tr.Import(t.Context(), ImportRequest{App: "ghost", Lines: lines()}); codeOf(err) != CodeUnknownApp {
		t.Errorf("an app that is none: %v", err)
	}
	if _, err := tr.Export(t.Context(), "ghost"); codeOf(err) != CodeUnknownApp {
		t.Errorf("an export of an app that is none: %v", err)
	}
}

func codeOf(err error) Code {
	if wrong, ok := aboutLine(err); ok {
		return wrong.Code
	}
	return ""
}

func TestImportHoldsLinesToTheRulesOfWrites(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		r    Record
		want Code
	}{
		{"fine", entry("a", "b"), ""},
		{"fine, with times", Record{Owner: "a", Target: "b", CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)}, ""},
		{"a mode", Record{Owner: "a", Allowlist: true}, ""},
		{"a room with the id of its member", Record{Kind: cache.KindRoom, Owner: "a", Target: "a"}, ""},
		{"no owner", entry("", "b"), CodeInvalidUserID},
		{"no room", Record{Kind: cache.KindRoom, Target: "b"}, CodeInvalidUserID},
		{"a long target", entry("a", strings.Repeat("b", 257)), CodeInvalidUserID},
		{"oneself", entry("a", "a"), CodeSelfBlock},
		{"expired on arrival", Record{Owner: "a", Target: "b", ExpiresAt: now.Add(-time.Second)}, CodeInvalidExpiry},
		{"of tomorrow", Record{Owner: "a", Target: "b", CreatedAt: now.Add(time.Hour)}, CodeInvalidCreatedAt},
		{"a long note", Record{Owner: "a", Target: "b", Note: strings.Repeat("n", 1025)}, CodeInvalidNote},
	} {
		got, err := newTransfer(t, newShelf(10)).Import(t.Context(), ImportRequest{App: "acme", Lines: sheet(c.r)})
		if err != nil || got.Lines != 1 {
			t.Fatalf("%s: %+v, %v", c.name, got, err)
		}
		switch {
		case c.want == "" && got.Created != 1:
			t.Errorf("%s: %+v", c.name, got)
		case c.want != "" && (len(got.Errors) != 1 || got.Errors[0].Code != c.want):
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
}

// TestImportReadsTheClockForEachLine: one that follows an export, or whatever else
// goes on, carries entries that are younger than the import itself.
func TestImportReadsTheClockForEachLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		lines := &paper{n: 2, make: func(line int) (Record, error) {
			time.Sleep(time.Hour)
			r := entry("bob", fmt.Sprint("t", line))
			r.CreatedAt = time.Now()
			if line == 2 {
				r.CreatedAt, r.ExpiresAt = begun, begun.Add(time.Minute)
			}
			return r, nil
		}}
		report, err := newTransfer(t, newShelf(10)).Import(t.Context(), ImportRequest{App: "acme", Lines: lines})
		if err != nil || report.Created != 1 || len(report.Errors) != 1 || report.Errors[0].Line != 2 || report.Errors[0].Code != CodeInvalidExpiry {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

func TestImportFoldsLinesAboutOneEntry(t *testing.T) {
	store := newShelf(10)
	noted := Record{Owner: "a", Target: "b", Note: "second"}
	keeping := Record{Owner: "a", Target: "b", KeepNote: true, KeepExpiry: true}
	got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: sheet(entry("a", "b"), noted, noted, keeping)})
	if err != nil || !reflect.DeepEqual(counted(got), ImportReport{Lines: 4, Created: 1, Updated: 1, Unchanged: 2, Through: 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	if r := store.lists[ListID{App: "acme", Owner: "a"}]["b"]; r.Note != "second" {
		t.Errorf("stored %+v; the later line wins, and what a line leaves out stays", r)
	}
}

func TestImportRefusesAllLinesOfAListOverItsLimit(t *testing.T) {
	store := newShelf(2)
	lines := []Record{entry("a", "1"), entry("b", "1"), entry("a", "2"), entry("a", "3"), entry("a", "3")}
	got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: sheet(lines...)})
	if err != nil || !reflect.DeepEqual(counted(got), ImportReport{Lines: 5, Created: 1, Refused: 4, Through: 5}) {
		t.Errorf("%+v, %v", got, err)
	}
	if len(got.Errors) != 4 || got.Errors[0].Code != CodeLimitExceeded || store.size() != 1 {
		t.Errorf("%+v, %d stored", got.Errors, store.size())
	}
	for _, mode := range []ImportMode{ImportWhole, ImportCheck} {
		store := newShelf(2)
		got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: sheet(lines...), Mode: mode})
		if errors.Is(err, ErrImportRefused) != (mode == ImportWhole) || got.Refused != 4 || store.size() != 0 {
			t.Errorf("mode %d: %+v, %v, %d stored", mode, got, err, store.size())
		}
	}
}

// TestImportStopsWhenItsReportIsFull: of ten thousand and one wrong lines all but
// the last are named, and it is said that there is more. Nothing is skipped: what
// was right before is stored.
func TestImportStopsWhenItsReportIsFull(t *testing.T) {
	for _, c := range []struct {
		name        string
		wrong, good int
		over        bool // the wrong ones are over the limit, which only the store knows
		stopped     bool
	}{
		{"as many as go", MaxImportErrors, 0, false, false},
		{"one more", MaxImportErrors + 1, 0, false, true},
		{"a good one behind", MaxImportErrors, 1, false, true},
		{"as many as go, by the store", MaxImportErrors, 0, true, false},
		{"one more, by the store", MaxImportErrors + 1, 0, true, true},
	} {
		lines := &paper{n: 500 + c.wrong + c.good, make: func(i int) (Record, error) {
			switch {
			case i <= 500 || i > 500+c.wrong:
				return entry(fmt.Sprint("good-", i), "t"), nil
			case c.over:
				return entry(fmt.Sprint("full-", i/2), fmt.Sprint(i, "a")), nil
			}
			return Record{}, Errorf(CodeInvalidLine, "wrong")
		}}
		store := newShelf(3000)
		if c.over {
			store.limit = 1
			for i := range 6000 {
				list := ListID{App: "acme", Owner: fmt.Sprint("full-", i)}
				store.lists[list] = map[string]Record{"x": {}}
			}
		}
		before := store.size()
		got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: lines})
		if err != nil || len(got.Errors) != MaxImportErrors || got.Stopped != c.stopped || got.Through != 500+MaxImportErrors {
			t.Errorf("%s: %+v with %d errors, %v", c.name, counted(got), len(got.Errors), err)
		}
		if got.Lines != got.Created+got.Refused || store.size() != before+500 {
			t.Errorf("%s: %+v, %d stored", c.name, counted(got), store.size()-before)
		}
	}
}

func TestImportStopsWhenTheStoreFails(t *testing.T) {
	down := &Error{Code: CodeStoreUnavailable, Detail: "down"}
	store := newShelf(3000)
	store.fail = func(call int) error {
		if call > 4 { // two calls a batch
			return down
		}
		return nil
	}
	lines := &paper{n: 10_000, make: func(i int) (Record, error) { return entry(fmt.Sprint("u", i), "t"), nil }}
	got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: lines})
	if codeOf(err) != CodeStoreUnavailable || got.Through != 2*ImportBatch || got.Created != 2*ImportBatch || !got.Stopped {
		t.Errorf("%+v, %v", got, err)
	}
	if lines.at > 4*ImportBatch {
		t.Errorf("%d lines were read of an import that had failed", lines.at)
	}
}

// TestImportOfWhichAPartWasStored: the lists of a batch are stored on two
// connections. If one of them fails, nobody is told that nothing was stored.
func TestImportOfWhichAPartWasStored(t *testing.T) {
	for _, tc := range []struct {
		name string
		fail map[int]Code // by call
		want Code
	}{
		{"the first", map[int]Code{1: CodeStoreUnavailable}, CodeOutcomeUnknown},
		{"the second", map[int]Code{2: CodeStoreUnavailable}, CodeOutcomeUnknown},
		{"both", map[int]Code{1: CodeStoreUnavailable, 2: CodeStoreUnavailable}, CodeStoreUnavailable},
		{"one, the other in doubt", map[int]Code{1: CodeStoreUnavailable, 2: CodeOutcomeUnknown}, CodeOutcomeUnknown},
		{"one in doubt, the other", map[int]Code{1: CodeOutcomeUnknown, 2: CodeStoreUnavailable}, CodeOutcomeUnknown},
		{"neither", nil, ""},
	} {
		store := newShelf(3000)
		store.fail = func(call int) error {
			if code := tc.fail[call]; code != "" {
				return &Error{Code: code, Detail: "down"}
			}
			return nil
		}
		lines := &paper{n: 100, make: func(i int) (Record, error) { return entry(fmt.Sprint("u", i), "t"), nil }}
		got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: lines})
		if codeOf(err) != tc.want || store.calls != 2 || got.Through != map[bool]int{true: 100}[tc.want == ""] {
			t.Errorf("%s: %v, through line %d, %d stored", tc.name, err, got.Through, store.size())
		}
	}
}

// TestImportKeepsWhatCameBeforeTheBodyBroke: complete lines count, whatever
// happens behind them; an import that must be whole stores nothing.
func TestImportKeepsWhatCameBeforeTheBodyBroke(t *testing.T) {
	for _, mode := range []ImportMode{ImportLists, ImportWhole} {
		store := newShelf(3000)
		lines := &paper{n: 1500, end: io.ErrUnexpectedEOF, make: func(i int) (Record, error) { return entry(fmt.Sprint("u", i), "t"), nil }}
		got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: lines, Mode: mode})
		want := 1500
		if mode == ImportWhole {
			want = 0
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || got.Through != want || store.size() != want {
			t.Errorf("mode %d: %+v, %v, %d stored", mode, got, err, store.size())
		}
	}
}

func TestImportAsAWhole(t *testing.T) {
	good := func(i int) (Record, error) { return entry(fmt.Sprint("u", i), "t"), nil }
	for _, c := range []struct {
		name    string
		lines   *paper
		want    ImportReport
		refused bool
		code    Code
	}{
		{"fine", &paper{n: 5000, make: good}, ImportReport{Lines: 5000, Created: 5000, Through: 5000}, false, ""},
		{"as many as go", &paper{n: MaxWholeImport, make: good}, ImportReport{Lines: MaxWholeImport, Created: MaxWholeImport, Through: MaxWholeImport}, false, ""},
		{"one more", &paper{n: MaxWholeImport + 1, make: good}, ImportReport{}, false, CodeTooLarge},
		{"one wrong line", &paper{n: 5000, make: func(i int) (Record, error) {
			if i == 4000 {
				return entry("a", "a"), nil
			}
			return good(i)
		}}, ImportReport{Lines: 5000, Refused: 1, Through: 5000}, true, ""},
		{"too many wrong lines", &paper{n: 20_000, make: func(int) (Record, error) { return entry("a", "a"), nil }},
			ImportReport{Lines: 20_000, Refused: 20_000, Through: MaxImportErrors, Stopped: true}, true, ""},
	} {
		store := newShelf(3000)
		got, err := newTransfer(t, store).Import(t.Context(), ImportRequest{App: "acme", Lines: c.lines, Mode: ImportWhole})
		if !reflect.DeepEqual(counted(got), c.want) || errors.Is(err, ErrImportRefused) != c.refused || codeOf(err) != c.code {
			t.Errorf("%s: %+v, %v", c.name, counted(got), err)
		}
		if store.size() != c.want.Created || len(got.Errors) > MaxImportErrors {
			t.Errorf("%s: %d stored, %d errors", c.name, store.size(), len(got.Errors))
		}
	}
}

func TestNewTransferNeedsAStoreAndAnApp(t *testing.T) {
	for _, o := range []TransferOptions{{}, {Store: newShelf(1)}, {Apps: map[string]Policy{"a": {}}}} {
		if _, err := NewTransfer(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
