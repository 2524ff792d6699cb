package filter

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestEditIsChecked: every mistake has its code, is named in a sentence without
// the id in it, and does not reach the store.
func TestEditIsChecked(t *testing.T) {
	bob := blockList(one, "bob")
	add := func(a Addition) Edit { return Edit{List: bob, Add: []Addition{a}} }
	for name, c := range map[string]struct {
		edit   Edit
		code   Code
		detail string
	}{
		"unknown app":   {Edit{List: blockList("two", "bob")}, CodeUnknownApp, "not configured"},
		"empty owner":   {Edit{List: blockList(one, "")}, CodeInvalidUserID, "the owner is empty"},
		"empty room":    {Edit{List: roomList(one, "")}, CodeInvalidUserID, "the room id is empty"},
		"bad target":    {add(Addition{Target: "a\x00"}), CodeInvalidUserID, "the target has the control character"},
		"bad removal":   {Edit{List: bob, Remove: []string{"ok", "\xff"}}, CodeInvalidUserID, "remove[1]: the target is not valid UTF-8"},
		"self":          {add(Addition{Target: "bob"}), CodeSelfBlock, "the same user"},
		"self, allowed": {Edit{List: allowList(one, "bob"), Add: []Addition{{Target: "bob"}}}, CodeSelfBlock, "the same user"},
		"second of two": {Edit{List: bob, Add: []Addition{{Target: "alice"}, {Target: "bob"}}}, CodeSelfBlock, "add[1]: owner and target are the same user"},
		"note too long": {add(Addition{Target: "a", Note: strings.Repeat("é", 513)}), CodeInvalidNote, "has 1026 bytes; at most 1024"},
		"note broken":   {add(Addition{Target: "a", Note: "\xff"}), CodeInvalidNote, "not valid UTF-8"},
		"note with NUL": {add(Addition{Target: "a", Note: "a\x00b"}), CodeInvalidNote, "zero byte"},
		"past":          {add(Addition{Target: "a", ExpiresAt: time.Unix(1, 0)}), CodeInvalidExpiry, "in the past"},
		"far future":    {add(Addition{Target: "a", ExpiresAt: latestExpiry}), CodeInvalidExpiry, "after the year 9999"},
		"added twice":   {Edit{List: bob, Add: []Addition{{Target: "a"}, {Target: "b"}, {Target: "a"}}}, CodeConflictingBatch, "add[0] and add[2] name the same"},
		"removed twice": {Edit{List: bob, Remove: []string{"a", "a"}}, CodeConflictingBatch, "remove[0] and remove[1] name the same"},
		"in both":       {Edit{List: bob, Add: []Addition{{Target: "a"}}, Remove: []string{"b", "a"}}, CodeConflictingBatch, "add[0] and remove[1] name the same"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := oneApp(t, Default())
			_, err := w.service(&fakeStore{}).Edit(context.Background(), c.edit)
			if got := wantCode(t, err, c.code); !strings.Contains(got.Detail, c.detail) {
				t.Errorf("%q, want %q", got.Detail, c.detail)
			}
		})
	}
}

// TestEditPasses: what is at the edge of what is allowed reaches the store.
func TestEditPasses(t *testing.T) {
	for name, edit := range map[string]Edit{
		"nothing":              {List: blockList(one, "bob")},
		"room named like user": {List: roomList(one, "alice"), Add: []Addition{{Target: "alice"}}},
		"remove oneself":       {List: blockList(one, "bob"), Remove: []string{"bob"}},
		"longest note":         {List: blockList(one, "bob"), Add: []Addition{{Target: "a", Note: strings.Repeat("é", 512)}}},
		"note of lines":        {List: blockList(one, "bob"), Add: []Addition{{Target: "a", Note: "two\n\tlines"}}},
		"latest expiry":        {List: blockList(one, "bob"), Add: []Addition{{Target: "a", ExpiresAt: latestExpiry.Add(-time.Microsecond)}}},
		"add one, remove one":  {List: blockList(one, "bob"), Add: []Addition{{Target: "a"}}, Remove: []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := oneApp(t, Default())
			reached := false
			b := w.service(&fakeStore{edit: func(Edit) (Edited, error) { reached = true; return Edited{}, nil }})
			if _, err := b.Edit(context.Background(), edit); err != nil || !reached {
				t.Errorf("reached the store: %v, %v", reached, err)
			}
		})
	}
}

// TestExpiryIsCutToMicroseconds: the store is asked for what it can keep, and
// what is left of an expiry has to lie in the future.
func TestExpiryIsCutToMicroseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := oneApp(t, Default())
		var got time.Time
		b := w.service(&fakeStore{edit: func(edit Edit) (Edited, error) {
			got = edit.Add[0].ExpiresAt
			return Edited{Added: make([]Block, 1), Created: make([]bool, 1)}, nil
		}})
		now := time.Now()
		expiring := func(in time.Duration) error {
			req := ask(blockList(one, "bob"), "alice")
			req.ExpiresAt = now.Add(in)
			_, err := b.Block(context.Background(), req)
			return err
		}
		if err := expiring(time.Microsecond + 999); err != nil || !got.Equal(now.Add(time.Microsecond)) {
			t.Errorf("stored %v, want %v (%v)", got, now.Add(time.Microsecond), err)
		}
		for _, in := range []time.Duration{999, 0, -time.Hour} {
			wantCode(t, expiring(in), CodeInvalidExpiry)
		}
		if _, err := b.Block(context.Background(), ask(blockList(one, "bob"), "alice")); err != nil || !got.IsZero() {
			t.Errorf("no expiry was taken for %v (%v)", got, err)
		}
	})
}
