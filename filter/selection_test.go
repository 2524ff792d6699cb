package filter

import (
	"context"
	"reflect"
	"strings"
	"testing"
)

// TestSelectionReachesTheStore: who asks for some of a list gets those, whether
// they look along the list or across all lists.
func TestSelectionReachesTheStore(t *testing.T) {
	var of []*Selection
	w, _ := oneApp(t, Default())
	b := w.service(&fakeStore{
		list:      func(q ListQuery) (ListPage, error) { of = append(of, q.Of); return ListPage{}, nil },
		blockedBy: func(q BlockedByQuery) (BlockedByPage, error) { of = append(of, q.Of); return BlockedByPage{}, nil },
	})
	ctx := context.Background()
	some := &Selection{Users: []string{"alice"}, Key: "team", Values: []string{"red", ""}}
	for _, want := range []*Selection{some, {Users: []string{}}, {Key: "team"}, nil} {
		of = nil
		_, along := b.List(ctx, ListRequest{List: blockList(one, "bob"), Of: want})
		_, across := b.BlockedBy(ctx, BlockedByRequest{App: one, Target: "bob", Of: want})
		if along != nil || across != nil || len(of) != 2 || !reflect.DeepEqual(of[0], want) || !reflect.DeepEqual(of[1], want) {
			t.Errorf("%+v: the store was asked for %+v, %v %v", want, of, along, across)
		}
		if want != nil && (of[0] == want || of[1] == want) {
			t.Error("the store holds what belongs to the request")
		}
	}
}

func TestSelectionIsRefused(t *testing.T) {
	w, _ := oneApp(t, Default())
	b := w.service(&fakeStore{})
	for _, c := range []struct {
		of     Selection
		code   Code
		detail string
	}{
		{Selection{Users: make([]string, maxSelected+1)}, CodeInvalidLimit, "at most 1000 users"},
		{Selection{Values: make([]string, maxSelected+1)}, CodeInvalidLimit, "1000 values"},
		{Selection{Users: []string{"a", ""}}, CodeInvalidUserID, "empty"},
		{Selection{Key: "a\x00"}, CodeInvalidUserID, "a key of metadata"},
		{Selection{Key: "a", Values: []string{"\xff"}}, CodeInvalidUserID, "a value of metadata"},
	} {
		_, err := b.List(context.Background(), ListRequest{List: blockList(one, "bob"), Of: &c.of})
		if got := wantCode(t, err, c.code); !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s, want %s", got.Detail, c.detail)
		}
		_, err = b.BlockedBy(context.Background(), BlockedByRequest{App: one, Target: "bob", Of: &c.of})
		wantCode(t, err, c.code)
	}
}

// TestWhole: one read, as long as a list can be.
func TestWhole(t *testing.T) {
	w, _ := oneApp(t, Default())
	bob := blockList(one, "bob")
	b := w.service(&fakeStore{list: func(q ListQuery) (ListPage, error) {
		if want := (ListQuery{List: bob, Limit: MaxEntries}); q != want {
			t.Errorf("asked for %+v, want %+v", q, want)
		}
		return ListPage{Identity: primary, Version: 3, Total: 1, Blocks: []Block{{Owner: "bob", Target: "alice"}}}, nil
	}})
	got, err := b.Whole(context.Background(), bob)
	if err != nil || len(got.Blocks) != 1 || got.Total != 1 || got.Next != "" || got.Revision != NewRevision(primary, bob, 3) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = b.Whole(context.Background(), blockList("nobody's", "bob"))
	wantCode(t, err, CodeUnknownApp)
}
