package filter

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sidegate/sidegate/cache"
)

func TestBlockedBy(t *testing.T) {
	w, _ := oneApp(t, Default())
	ctx := context.Background()
	var asked BlockedByQuery
	page := BlockedByPage{Blocks: []Block{{Owner: "bob", Target: "alice"}, {Owner: "carol", Target: "alice"}}, Next: somePlace}
	b := w.service(&fakeStore{blockedBy: func(query BlockedByQuery) (BlockedByPage, error) { asked = query; return page, nil }})

	first, err := b.BlockedBy(ctx, BlockedByRequest{App: one, Target: "alice"})
	if err != nil || first.Next == "" || !reflect.DeepEqual(first.Blocks, page.Blocks) {
		t.Fatalf("%+v, %v", first, err)
	}
	if want := (BlockedByQuery{App: one, Target: "alice", Limit: DefaultListLimit}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
	page.Next = Place{}
	second, err := b.BlockedBy(ctx, BlockedByRequest{App: one, Target: "alice", Limit: MaxListLimit, Cursor: first.Next})
	if err != nil || second.Next != "" {
		t.Errorf("the last piece: next %q, %v", second.Next, err)
	}
	if want := (BlockedByQuery{App: one, Target: "alice", Limit: MaxListLimit, After: somePlace}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
	if _, err := b.BlockedBy(ctx, BlockedByRequest{App: one, Kind: cache.KindRoom, Target: "alice"}); err != nil || asked.Kind != cache.KindRoom {
		t.Errorf("asked %+v, %v", asked, err)
	}
	page.Next = somePlace
	list, err := w.service(&fakeStore{list: func(ListQuery) (ListPage, error) {
		return ListPage{Next: somePlace}, nil
	}}).List(ctx, ListRequest{List: blockList(one, "alice")})
	if err != nil {
		t.Fatal(err)
	}

	b = w.service(&fakeStore{}) // from here on nothing may reach the store
	for name, c := range map[string]struct {
		req  BlockedByRequest
		code Code
	}{
		"unknown app":            {BlockedByRequest{App: "two", Target: "alice"}, CodeUnknownApp},
		"no target":              {BlockedByRequest{App: one}, CodeInvalidUserID},
		"negative limit":         {BlockedByRequest{App: one, Target: "alice", Limit: -1}, CodeInvalidLimit},
		"limit too large":        {BlockedByRequest{App: one, Target: "alice", Limit: MaxListLimit + 1}, CodeInvalidLimit},
		"cursor of another user": {BlockedByRequest{App: one, Target: "carol", Cursor: first.Next}, CodeInvalidCursor},
		"cursor of another kind": {BlockedByRequest{App: one, Kind: cache.KindRoom, Target: "alice", Cursor: first.Next}, CodeInvalidCursor},
		"cursor of their list":   {BlockedByRequest{App: one, Target: "alice", Cursor: list.Next}, CodeInvalidCursor},
	} {
		got, err := b.BlockedBy(ctx, c.req)
		if wantCode(t, err, c.code); got.Blocks != nil || got.Next != "" {
			t.Errorf("%s: %+v beside an error", name, got)
		}
	}
}

func TestHistory(t *testing.T) {
	w, _ := oneApp(t, Default())
	bob, ctx := blockList(one, "bob"), context.Background()
	var asked HistoryQuery
	page := HistoryPage{Intervals: []Interval{{Owner: "bob", Target: "alice", BlockedAt: time.UnixMicro(5)}}, Next: somePlace}
	b := w.service(&fakeStore{history: func(query HistoryQuery) (HistoryPage, error) { asked = query; return page, nil }})

	whole, err := b.History(ctx, HistoryRequest{List: bob})
	if err != nil || whole.Next == "" || !reflect.DeepEqual(whole.Intervals, page.Intervals) {
		t.Fatalf("%+v, %v", whole, err)
	}
	if want := (HistoryQuery{List: bob, Limit: DefaultListLimit}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
	pair, err := b.History(ctx, HistoryRequest{List: bob, Target: "alice", Limit: 1})
	if err != nil || pair.Next == whole.Next {
		t.Errorf("%+v, %v: the cursor of a pair is that of the list", pair, err)
	}
	page.Next = Place{}
	last, err := b.History(ctx, HistoryRequest{List: bob, Target: "alice", Limit: 1, Cursor: pair.Next})
	if err != nil || last.Next != "" {
		t.Errorf("the last piece: next %q, %v", last.Next, err)
	}
	if want := (HistoryQuery{List: bob, Target: "alice", Limit: 1, After: somePlace}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}

	b = w.service(&fakeStore{})
	for name, c := range map[string]struct {
		req  HistoryRequest
		code Code
	}{
		"unknown app":              {HistoryRequest{List: blockList("two", "bob")}, CodeUnknownApp},
		"no owner":                 {HistoryRequest{List: blockList(one, "")}, CodeInvalidUserID},
		"bad target":               {HistoryRequest{List: bob, Target: "a\n"}, CodeInvalidUserID},
		"limit too large":          {HistoryRequest{List: bob, Limit: MaxListLimit + 1}, CodeInvalidLimit},
		"cursor of another list":   {HistoryRequest{List: blockList(one, "carol"), Cursor: whole.Next}, CodeInvalidCursor},
		"cursor of another target": {HistoryRequest{List: bob, Target: "carol", Cursor: pair.Next}, CodeInvalidCursor},
		"cursor of the whole list": {HistoryRequest{List: bob, Target: "alice", Cursor: whole.Next}, CodeInvalidCursor},
	} {
		got, err := b.History(ctx, c.req)
		if wantCode(t, err, c.code); got.Intervals != nil || got.Next != "" {
			t.Errorf("%s: %+v beside an error", name, got)
		}
	}
}

// TestWalkErrors: the store's errors keep their meaning, and one that nobody
// expects keeps its cause.
func TestWalkErrors(t *testing.T) {
	w, _ := oneApp(t, Default())
	ctx := context.Background()
	for _, fail := range []error{&Error{Code: CodeStoreUnavailable, Err: errDark}, errDark} {
		b := w.service(&fakeStore{
			blockedBy: func(BlockedByQuery) (BlockedByPage, error) { return BlockedByPage{}, fail },
			history:   func(HistoryQuery) (HistoryPage, error) { return HistoryPage{}, fail },
		})
		_, errBy := b.BlockedBy(ctx, BlockedByRequest{App: one, Target: "alice"})
		_, errHistory := b.History(ctx, HistoryRequest{List: blockList(one, "bob")})
		for _, err := range []error{errBy, errHistory} {
			if !strings.Contains(err.Error(), fail.Error()) {
				t.Errorf("%v has lost %v", err, fail)
			}
			if _, visible := fail.(*Error); visible {
				wantCode(t, err, CodeStoreUnavailable)
			}
		}
	}
}

// TestWalksKeepTheirStrings: the caller's buffer is overwritten once a call has
// returned; what the store was handed stays.
func TestWalksKeepTheirStrings(t *testing.T) {
	w, _ := oneApp(t, Default())
	buffer := []byte("one bob alice")
	app, owner, target := unsafe.String(&buffer[0], 3), unsafe.String(&buffer[4], 3), unsafe.String(&buffer[8], 5)
	var by BlockedByQuery
	var history HistoryQuery
	b := w.service(&fakeStore{
		blockedBy: func(query BlockedByQuery) (BlockedByPage, error) { by = query; return BlockedByPage{}, nil },
		history:   func(query HistoryQuery) (HistoryPage, error) { history = query; return HistoryPage{}, nil },
	})
	ctx := context.Background()
	if _, err := b.BlockedBy(ctx, BlockedByRequest{App: app, Target: target}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.History(ctx, HistoryRequest{List: ListID{App: app, Owner: owner}, Target: target}); err != nil {
		t.Fatal(err)
	}
	for i := range buffer {
		buffer[i] = 'X'
	}
	if app != "XXX" {
		t.Fatal("the test borrows nothing")
	}
	if by.App != "one" || by.Target != "alice" || history.List != blockList("one", "bob") || history.Target != "alice" {
		t.Errorf("kept %+v and %+v", by, history)
	}
}
