package filter

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/cache"
)

// fakeStore is a BlockStore made of functions; a call without one fails the
// test.
type fakeStore struct {
	t    testing.TB
	edit func(Edit) (Edited, error)
	list func(ListQuery) (ListPage, error)
	get  func(ListID, string) (Block, bool, error)

	blockedBy func(BlockedByQuery) (BlockedByPage, error)
	history   func(HistoryQuery) (HistoryPage, error)

	setMode func(ModeChange) ([]Edited, error)
	mode    func(app string, owners []string) ([]bool, error)
	useOnce func(app string, once Once) error
}

func (s *fakeStore) Edit(_ context.Context, edit Edit) (Edited, error) {
	if s.edit == nil {
		s.t.Fatal("the store was asked to write")
	}
	return s.edit(edit)
}

func (s *fakeStore) List(_ context.Context, query ListQuery) (ListPage, error) {
	if s.list == nil {
		s.t.Fatal("the store was asked for a list")
	}
	return s.list(query)
}

func (s *fakeStore) Get(_ context.Context, list ListID, target string) (Block, bool, error) {
	if s.get == nil {
		s.t.Fatal("the store was asked for an entry")
	}
	return s.get(list, target)
}

func (s *fakeStore) BlockedBy(_ context.Context, query BlockedByQuery) (BlockedByPage, error) {
	if s.blockedBy == nil {
		s.t.Fatal("the store was asked who blocks somebody")
	}
	return s.blockedBy(query)
}

func (s *fakeStore) History(_ context.Context, query HistoryQuery) (HistoryPage, error) {
	if s.history == nil {
		s.t.Fatal("the store was asked for history")
	}
	return s.history(query)
}

func (s *fakeStore) SetAllowlistMode(_ context.Context, change ModeChange) ([]Edited, error) {
	if s.setMode == nil {
		s.t.Fatal("the store was asked to switch a mode")
	}
	return s.setMode(change)
}

func (s *fakeStore) AllowlistMode(_ context.Context, app string, owners []string) ([]bool, error) {
	if s.mode == nil {
		s.t.Fatal("the store was asked for modes")
	}
	return s.mode(app, owners)
}

func (s *fakeStore) UseOnce(_ context.Context, app string, once Once) error {
	if s.useOnce == nil {
		s.t.Fatal("the store was asked to take a key")
	}
	return s.useOnce(app, once)
}

// service returns Blocks over a fake store and the world's cache.
func (w *world) service(store *fakeStore) *Blocks {
	w.t.Helper()
	store.t = w.t
	b, err := NewBlocks(BlocksOptions{Store: store, Cache: w.cache, Apps: map[string]Policy{one: Default()}})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func ask(list ListID, target string) BlockRequest {
	return BlockRequest{List: list, Addition: Addition{Target: target}, Source: "native", Actor: "test"}
}

func wantCode(t *testing.T, err error, want Code) *Error {
	t.Helper()
	var got *Error
	if !errors.As(err, &got) || got.Code != want {
		t.Fatalf("%v, want %s", err, want)
	}
	return got
}

// TestBlockIsEnforcedBeforeItIsAnswered: the check right after a write sees it,
// without a word from the feed. Behind the back of the service it does not.
func TestBlockIsEnforcedBeforeItIsAnswered(t *testing.T) {
	w, f := oneApp(t, Default())
	bob := blockList(one, "bob")
	var got Edit
	b := w.service(&fakeStore{edit: func(edit Edit) (Edited, error) {
		got = edit
		done := w.add(edit.List, edit.Add[0].Target)
		done.Added, done.Created = []Block{{Owner: "bob", Target: edit.Add[0].Target}}, []bool{true}
		return done, nil
	}})
	wantDecision(t, "before", f.CanDeliver(direct("alice", "bob")), plain)
	reads := w.loadsOf(cache.KindBlock)

	w.add(bob, "mallory")
	wantDecision(t, "written past the service", f.CanDeliver(direct("mallory", "bob")), plain)

	res, err := b.Block(context.Background(), ask(bob, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	want := Edit{List: bob, Add: []Addition{{Target: "alice"}}, Source: "native", Actor: "test"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the store got %+v, want %+v", got, want)
	}
	wantRes := BlockResult{
		Block: Block{Owner: "bob", Target: "alice"}, Created: true, Revision: NewRevision(primary, bob, 2),
	}
	if res != wantRes {
		t.Errorf("answered %+v, want %+v", res, wantRes)
	}
	// Version 1 never came by: the page could not be stepped and was killed,
	// so the check reads it again, and then knows both.
	for _, sender := range []string{"alice", "mallory"} {
		wantDecision(t, sender, f.CanDeliver(direct(sender, "bob")),
			Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender})
	}
	if n := w.loadsOf(cache.KindBlock) - reads; n != 1 {
		t.Errorf("%d reads after a gap, want 1", n)
	}
	if _, err := b.Block(context.Background(), ask(bob, "carol")); err != nil {
		t.Fatal(err)
	}
	wantDecision(t, "stepped", f.CanDeliver(direct("carol", "bob")),
		Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender})
	if n := w.loadsOf(cache.KindBlock) - reads; n != 1 {
		t.Errorf("%d reads after a write that follows on, want none more", n-1)
	}
}

// TestWriteDuringReset: following started over while the write was under way,
// so its versions mean nothing to the cache any more. With the epoch taken
// after the write instead, they would be believed.
func TestWriteDuringReset(t *testing.T) {
	w, f := oneApp(t, Default())
	bob := blockList(one, "bob")
	f.CanDeliver(direct("alice", "bob"))
	var done Edited
	b := w.service(&fakeStore{edit: func(edit Edit) (Edited, error) {
		done = w.add(edit.List, "alice")
		w.cache.Reset(primary, w.cache.Now()) // the same server: the position was lost
		return done, nil
	}})
	if _, err := b.Edit(context.Background(), Edit{List: bob, Add: []Addition{{Target: "alice"}}}); err != nil {
		t.Fatal(err)
	}
	wantDecision(t, "the change of an older epoch", f.CanDeliver(direct("alice", "bob")), plain)
	w.cache.Apply(w.cache.Epoch(), done.Identity, done.Changes)
	wantDecision(t, "guard off", f.CanDeliver(direct("alice", "bob")),
		Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender})
}

// TestWriteOnAnotherServer: what a server wrote that is not the followed one
// stays out of memory, and the revision names that server.
func TestWriteOnAnotherServer(t *testing.T) {
	w, f := oneApp(t, Default())
	f.CanDeliver(direct("alice", "bob"))
	promoted := primary
	promoted.Timeline++
	b := w.service(&fakeStore{edit: func(edit Edit) (Edited, error) {
		done := w.add(edit.List, "alice")
		done.Identity = promoted
		return done, nil
	}})
	res, err := b.Edit(context.Background(), Edit{List: blockList(one, "bob"), Add: []Addition{{Target: "alice"}}})
	if err != nil {
		t.Fatal(err)
	}
	wantDecision(t, "memory", f.CanDeliver(direct("alice", "bob")), plain)
	if want := NewRevision(promoted, blockList(one, "bob"), 1); res.Revision != want {
		t.Errorf("revision %+v, want %+v", res.Revision, want)
	}
}

func TestUnblock(t *testing.T) {
	w, _ := oneApp(t, Default())
	bob := blockList(one, "bob")
	ended := Block{Owner: "bob", Target: "alice", Note: "spam"}
	b := w.service(&fakeStore{edit: func(edit Edit) (Edited, error) {
		if len(edit.Add) != 0 || len(edit.Remove) != 1 || edit.Source != "native" || edit.Actor != "test" {
			t.Errorf("the store got %+v", edit)
		}
		done := Edited{Identity: primary, Version: 4}
		if edit.Remove[0] == "alice" {
			done.Version, done.Removed = 5, []Block{ended}
		}
		return done, nil
	}})
	res, err := b.Unblock(context.Background(), UnblockRequest{List: bob, Target: "alice", Source: "native", Actor: "test"})
	if want := (UnblockResult{Block: ended, Revision: NewRevision(primary, bob, 5)}); err != nil || res != want {
		t.Errorf("%+v, %v, want %+v", res, err, want)
	}
	res, err = b.Unblock(context.Background(), UnblockRequest{List: bob, Target: "carol", Source: "native", Actor: "test"})
	wantCode(t, err, CodeBlockNotFound)
	if res != (UnblockResult{}) {
		t.Errorf("%+v beside an error", res)
	}
}

// TestStoreErrors: the store's errors keep their meaning, and refused writes
// are counted.
func TestStoreErrors(t *testing.T) {
	w, _ := oneApp(t, Default())
	var fail error
	b := w.service(&fakeStore{
		edit: func(Edit) (Edited, error) { return Edited{}, fail },
		list: func(ListQuery) (ListPage, error) { return ListPage{}, fail },
		get:  func(ListID, string) (Block, bool, error) { return Block{}, false, fail },
	})
	bob, ctx := blockList(one, "bob"), context.Background()
	fail = &Error{Code: CodeLimitExceeded, Limit: 10, Size: 9}
	_, err := b.Block(ctx, ask(bob, "alice"))
	if got := wantCode(t, err, CodeLimitExceeded); got.Limit != 10 || got.Size != 9 {
		t.Errorf("limit %d, size %d", got.Limit, got.Size)
	}
	if n := testutil.ToFloat64(b.metrics.limitRefused); n != 1 {
		t.Errorf("%v refused writes counted, want 1", n)
	}
	fail = &Error{Code: CodeOutcomeUnknown, Err: errDark}
	_, err = b.Unblock(ctx, UnblockRequest{List: bob, Target: "alice"})
	if wantCode(t, err, CodeOutcomeUnknown); !errors.Is(err, errDark) {
		t.Errorf("%v lost its cause", err)
	}
	fail = &Error{Code: CodeStoreUnavailable}
	_, err = b.List(ctx, ListRequest{List: bob})
	wantCode(t, err, CodeStoreUnavailable)
	_, err = b.Get(ctx, bob, "alice")
	wantCode(t, err, CodeStoreUnavailable)
	fail = errDark
	if _, err = b.Block(ctx, ask(bob, "alice")); !errors.Is(err, errDark) {
		t.Errorf("%v is not the unexpected error", err)
	}
	if n := testutil.ToFloat64(b.metrics.limitRefused); n != 1 {
		t.Errorf("%v refused writes counted, want still 1", n)
	}
}

// TestBorrowedStrings: the caller's buffer is overwritten as soon as a call has
// returned. What the store kept must not change with it; handed over without
// the service, it does.
func TestBorrowedStrings(t *testing.T) {
	buffer := []byte("one bob alice note door actor")
	borrow := func(from, to int) string { return unsafe.String(&buffer[from], to-from) }
	list := ListID{App: borrow(0, 3), Owner: borrow(4, 7)}
	add := Addition{Target: borrow(8, 13), Note: borrow(14, 18)}
	edit := Edit{
		List: list, Add: []Addition{add}, Remove: []string{borrow(4, 7)},
		Source: borrow(19, 23), Actor: borrow(24, 29),
	}
	var kept Edit
	var keptQuery ListQuery
	var keptTarget string
	store := &fakeStore{
		edit: func(edit Edit) (Edited, error) { kept = edit; return Edited{}, nil },
		list: func(query ListQuery) (ListPage, error) { keptQuery = query; return ListPage{}, nil },
		get: func(_ ListID, target string) (Block, bool, error) {
			keptTarget = target
			return Block{}, true, nil
		},
	}
	w, _ := oneApp(t, Default())
	b, ctx := w.service(store), context.Background()
	_, errEdit := b.Edit(ctx, edit)
	_, errList := b.List(ctx, ListRequest{List: list})
	_, errGet := b.Get(ctx, list, add.Target)
	if err := errors.Join(errEdit, errList, errGet); err != nil {
		t.Fatal(err)
	}
	for i := range buffer {
		buffer[i] = 'X'
	}
	want := Edit{
		List: blockList("one", "bob"), Add: []Addition{{Target: "alice", Note: "note"}}, Remove: []string{"bob"},
		Source: "door", Actor: "actor",
	}
	if !reflect.DeepEqual(kept, want) || keptQuery.List != want.List || keptTarget != "alice" {
		t.Errorf("kept %+v, %+v, %q", kept, keptQuery, keptTarget)
	}
	if _, err := store.Edit(ctx, edit); err != nil {
		t.Fatal(err)
	}
	if kept.List.Owner != "XXX" {
		t.Errorf("guard off: kept %q; the test borrows nothing", kept.List.Owner)
	}
}

func TestList(t *testing.T) {
	w, _ := oneApp(t, Default())
	bob, ctx := blockList(one, "bob"), context.Background()
	var asked ListQuery
	page := ListPage{
		Identity: primary, Version: 9, Total: 3, Next: somePlace,
		Blocks: []Block{{Owner: "bob", Target: "carol"}, {Owner: "bob", Target: "alice"}},
	}
	b := w.service(&fakeStore{list: func(query ListQuery) (ListPage, error) { asked = query; return page, nil }})

	first, err := b.List(ctx, ListRequest{List: bob})
	if err != nil {
		t.Fatal(err)
	}
	if want := (ListQuery{List: bob, Limit: DefaultListLimit}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
	want := ListResult{
		Blocks: page.Blocks, Total: 3, Version: 9, Revision: NewRevision(primary, bob, 9), Next: first.Next,
	}
	if !reflect.DeepEqual(first, want) || first.Next == "" {
		t.Errorf("%+v, want %+v", first, want)
	}
	page.Next = Place{}
	second, err := b.List(ctx, ListRequest{List: bob, Limit: MaxListLimit, Cursor: first.Next})
	if err != nil || second.Next != "" {
		t.Errorf("the last piece: next %q, %v", second.Next, err)
	}
	if want := (ListQuery{List: bob, Limit: MaxListLimit, After: somePlace}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}

	b = w.service(&fakeStore{}) // from here on nothing may reach the store
	for _, limit := range []int{-1, MaxListLimit + 1} {
		_, err = b.List(ctx, ListRequest{List: bob, Limit: limit})
		wantCode(t, err, CodeInvalidLimit)
	}
	_, err = b.List(ctx, ListRequest{List: blockList(one, "carol"), Cursor: first.Next})
	wantCode(t, err, CodeInvalidCursor)
	_, err = b.List(ctx, ListRequest{List: blockList("two", "bob")})
	wantCode(t, err, CodeUnknownApp)
	_, err = b.List(ctx, ListRequest{List: blockList(one, "")})
	wantCode(t, err, CodeInvalidUserID)
}

func TestGet(t *testing.T) {
	w, _ := oneApp(t, Default())
	bob, ctx := blockList(one, "bob"), context.Background()
	there := Block{Owner: "bob", Target: "alice", CreatedAt: time.UnixMicro(5)}
	b := w.service(&fakeStore{get: func(list ListID, target string) (Block, bool, error) {
		return there, list == bob && target == "alice", nil
	}})
	if got, err := b.Get(ctx, bob, "alice"); err != nil || got != there {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := b.Get(ctx, bob, "carol")
	wantCode(t, err, CodeBlockNotFound)
	if got != (Block{}) {
		t.Errorf("%+v beside an error", got)
	}
	b = w.service(&fakeStore{})
	_, err = b.Get(ctx, bob, "a\n")
	wantCode(t, err, CodeInvalidUserID)
	_, err = b.Get(ctx, blockList("two", "bob"), "alice")
	wantCode(t, err, CodeUnknownApp)
}

func TestNewBlocksRefuses(t *testing.T) {
	w := newWorld(t, one)
	apps := map[string]Policy{one: Default()}
	for name, opts := range map[string]BlocksOptions{
		"no store": {Cache: w.cache, Apps: apps},
		"no cache": {Store: &fakeStore{}, Apps: apps},
		"no apps":  {Store: &fakeStore{}, Cache: w.cache},
	} {
		if _, err := NewBlocks(opts); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
