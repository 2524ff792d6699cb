package filter

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// TestModeIsEnforcedBeforeItIsAnswered: whoever has switched a mode finds it in
// the next check here, without a word from the feed.
func TestModeIsEnforcedBeforeItIsAnswered(t *testing.T) {
	policy := Default()
	policy.Allowlist = true
	w, f := oneApp(t, policy)
	w.put(allowList(one, "bob"), false, entries("carol")...)
	var asked ModeChange
	b := w.service(&fakeStore{setMode: func(change ModeChange) ([]Edited, error) {
		asked = change
		var edits []Edited
		for _, owner := range change.Owners {
			step := w.put(blockList(one, owner), change.On)
			step.Op = cache.OpMode
			edits = append(edits, Edited{Identity: primary, Changes: []cache.Change{step}})
		}
		return edits, nil
	}})
	wantDecision(t, "before", f.CanDeliver(direct("alice", "bob")), plain)
	change := ModeChange{App: one, Owners: []string{"dave", "bob", "dave"}, On: true, Once: Once{Key: "n", Keep: time.Minute}}
	if err := b.SetAllowlistMode(context.Background(), change); err != nil {
		t.Fatal(err)
	}
	if want := (ModeChange{App: one, Owners: []string{"bob", "dave"}, On: true, Once: change.Once}); !reflect.DeepEqual(asked, want) {
		t.Errorf("the store was asked for %+v, want %+v", asked, want)
	}
	for _, recipient := range []string{"bob", "dave"} {
		if d := f.CanDeliver(direct("alice", recipient)); d.Deliver || d.Reason != ReasonNotOnAllowlist {
			t.Errorf("to %s: %+v", recipient, d)
		}
	}
	wantDecision(t, "on the allowlist", f.CanDeliver(direct("carol", "bob")), plain)
	change.On = false
	if err := b.SetAllowlistMode(context.Background(), change); err != nil {
		t.Fatal(err)
	}
	wantDecision(t, "after", f.CanDeliver(direct("alice", "bob")), plain)
}

func TestAllowlistModeIsReadFromTheStore(t *testing.T) {
	w, _ := oneApp(t, Default())
	b := w.service(&fakeStore{mode: func(app string, owners []string) ([]bool, error) {
		if app != one || !slices.Equal(owners, []string{"bob", "alice"}) {
			t.Errorf("asked for %s %v", app, owners)
		}
		return []bool{true, false}, nil
	}})
	got, err := b.AllowlistMode(context.Background(), one, []string{"bob", "alice"})
	if err != nil || !slices.Equal(got, []bool{true, false}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestModesRefuse: what is wrong is found before the store is asked.
func TestModesRefuse(t *testing.T) {
	w, _ := oneApp(t, Default())
	b := w.service(&fakeStore{})
	for _, c := range []struct {
		app    string
		owners []string
		code   Code
		detail string
	}{
		{"nobody's", []string{"bob"}, CodeUnknownApp, "not configured"},
		{one, nil, CodeInvalidUserID, "not 0"},
		{one, make([]string, MaxModeOwners+1), CodeInvalidUserID, "not 1001"},
		{one, []string{"bob", ""}, CodeInvalidUserID, "user 2 of the request: the owner is empty"},
		{one, []string{"a\x00"}, CodeInvalidUserID, "control character"},
	} {
		err := b.SetAllowlistMode(context.Background(), ModeChange{App: c.app, Owners: c.owners})
		if got := wantCode(t, err, c.code); !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s, want %s", got.Detail, c.detail)
		}
		_, err = b.AllowlistMode(context.Background(), c.app, c.owners)
		wantCode(t, err, c.code)
	}
}

func TestModeErrorsOfTheStore(t *testing.T) {
	away := Errorf(CodeStoreUnavailable, "away")
	w, _ := oneApp(t, Default())
	b := w.service(&fakeStore{
		setMode: func(ModeChange) ([]Edited, error) { return nil, away },
		mode:    func(string, []string) ([]bool, error) { return nil, away },
		useOnce: func(string, Once) error { return away },
	})
	ctx := context.Background()
	_, read := b.AllowlistMode(ctx, one, []string{"bob"})
	for _, err := range []error{
		b.SetAllowlistMode(ctx, ModeChange{App: one, Owners: []string{"bob"}}), read,
		b.UseOnce(ctx, one, Once{Key: "k", Keep: time.Second}),
	} {
		if !errors.Is(err, away) {
			t.Errorf("%v", err)
		}
	}
}

func TestUseOnce(t *testing.T) {
	w, _ := oneApp(t, Default())
	var taken []Once
	b := w.service(&fakeStore{useOnce: func(app string, once Once) error {
		taken = append(taken, once)
		return nil
	}})
	ctx, once := context.Background(), Once{Key: "k", Keep: time.Second}
	if err := b.UseOnce(ctx, one, once); err != nil || len(taken) != 1 || taken[0] != once {
		t.Errorf("%v, %v", taken, err)
	}
	wantCode(t, b.UseOnce(ctx, "nobody's", once), CodeUnknownApp)
	if err := b.UseOnce(ctx, one, Once{}); err == nil || len(taken) != 1 {
		t.Errorf("without a key: %v", err)
	}
}
