package filter

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// rows is the evidence of a world: what its lists hold, by the ids themselves.
// Every entry is taken for one that has been there since since.
type rows struct {
	*world
	since time.Time
	err   error
}

func (r *rows) Get(_ context.Context, list ListID, target string) (Block, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	listed := slices.ContainsFunc(r.lists[list].Entries, func(e cache.Entry) bool { return e.Target == target })
	return Block{Owner: list.Owner, Target: target, CreatedAt: r.since, Source: "test"}, listed && r.err == nil, r.err
}

func (r *rows) Recall(ctx context.Context, moments []Moment) ([]Interval, error) {
	intervals := make([]Interval, len(moments))
	for i, m := range moments {
		block, ok, err := r.Get(ctx, m.List, m.Target)
		if err != nil {
			return nil, err
		}
		if ok && !m.At.Before(r.since) {
			intervals[i] = Interval{Owner: block.Owner, Target: block.Target, BlockedAt: r.since}
		}
	}
	return intervals, nil
}

// TestExplanationIsTheCheck compares all 165,888 combinations of facts: check,
// explanation, and the explanation of an instant since when nothing has changed.
func TestExplanationIsTheCheck(t *testing.T) {
	s, o := newScene(t), newOracle(t)
	since := time.Now().Add(-time.Hour)
	f := s.filterWith(Options{
		Apps: s.apps, SoftBound: time.Hour, HardBound: time.Hour, LoadTimeout: time.Minute,
		Evidence: &rows{world: s.world, since: since},
	})
	combine(nil, func(fact facts) {
		check := s.check(fact)
		want := f.CanDeliver(check)
		for _, at := range []time.Time{{}, since.Add(time.Minute)} {
			x, err := f.Explain(context.Background(), check, at)
			if err != nil || x.Decision != want || x.Decision.Reason.String() != o.expect(fact).reason {
				t.Fatalf("%s at %v: %+v, %v; the check said %+v", fact, at, x.Decision, err, want)
			}
			if wrong := inconsistent(&x, &check); wrong != "" {
				t.Fatalf("%s at %v: %s: %+v", fact, at, wrong, x)
			}
		}
	})
}

// inconsistent says what in an explanation does not fit together.
func inconsistent(x *Explanation, check *Check) string {
	if len(x.Rules) != Reasons-1 {
		return "not all rules are there"
	}
	for i, r := range x.Rules {
		want := RuleNoMatch
		switch {
		case r.Rule == x.Decision.Reason:
			want = RuleMatch
		case r.Rule > x.Decision.Reason:
			want = RuleNotAsked
		}
		if int(r.Rule) != i || r.Answer != want {
			return r.Rule.String() + " says " + r.Answer.String() + ", want " + want.String()
		}
	}
	for i := range x.Lists {
		c := &x.Lists[i]
		switch {
		case c.Cause != CauseNone:
			return "a list is unknown"
		case c.Differs():
			return "the rows say something else"
		case x.At.IsZero() && c.Version == 0 || !x.At.IsZero() && c.Source != SourceHistory:
			return "a list is not what was read"
		case c.Row != nil && (c.Row.Owner != c.List.Owner || c.Row.Target != c.Target):
			return "the row is somebody else's"
		}
	}
	deciding := map[Reason]ListID{
		ReasonBannedInRoom: roomList(check.App, check.Room), ReasonNotOnAllowlist: allowList(check.App, check.Recipient),
		ReasonRecipientBlockedSender: blockList(check.App, check.Recipient),
		ReasonSenderBlockedRecipient: blockList(check.App, check.Sender),
	}
	if list, ok := deciding[x.Decision.Reason]; ok {
		last := x.Lists[len(x.Lists)-1]
		if x.Decision.Reason == ReasonRecipientBlockedSender {
			// Rule 6 may have read it before, and then the allowlist.
			last = x.Lists[slices.IndexFunc(x.Lists, func(c Consulted) bool { return c.List == list })]
		}
		if last.List != list || last.Listed == (x.Decision.Reason == ReasonNotOnAllowlist) {
			return "the list that decided is not among the lists"
		}
	}
	return ""
}

// TestExplanationSaysWhereFrom: the first answer had to read the database, the
// second did not, and an old one says how old it is.
func TestExplanationSaysWhereFrom(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, _ *Filter) {
		policy := twoWay()
		policy.OnUnknown = OnUnknownWithhold
		f := w.filterWith(Options{Apps: map[string]Policy{one: policy}, Evidence: &rows{world: w}})
		w.put(blockList(one, "bob"), false, entries("alice")...)
		explain := func() Explanation {
			x, err := f.Explain(context.Background(), direct("alice", "bob"), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		x := explain()
		if len(x.Lists) != 1 || x.Lists[0].Source != SourceDatabase {
			t.Errorf("the first: %+v", x.Lists)
		}
		if x.Mode != ModeTwoWay || x.OnBlock != OnBlockDrop || x.OnUnknown != OnUnknownWithhold || !x.Allowlist {
			t.Errorf("the policy: %+v", x)
		}
		advance(3 * time.Second)
		x = explain()
		if l := x.Lists[0]; l.Source != SourceMemory || l.Version != 1 || l.Age != 3*time.Second || x.Decision.Stale != l.Age {
			t.Errorf("the second: %+v", x)
		}
		// What was written since is what the rows show and memory does not.
		w.put(blockList(one, "bob"), false)
		if x = explain(); !x.Lists[0].Differs() || x.Lists[0].Row != nil || !x.Lists[0].Listed {
			t.Errorf("after an unblock that memory has not heard of: %+v", x.Lists)
		}
	})
}

// TestExplanationOfTheUnknown: what could not be read is said, rule by rule, and
// a database that is away is no reason to say nothing.
func TestExplanationOfTheUnknown(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, w *world, _ *Filter) {
		evidence := &rows{world: w}
		f := w.filterWith(Options{Apps: map[string]Policy{one: Default()}, Evidence: evidence})
		w.dark()
		evidence.err = errDark
		check := direct("alice", "bob")
		check.Room = "lobby"
		x, err := f.Explain(context.Background(), check, time.Time{})
		if err != nil || !x.Decision.Unknown() {
			t.Fatalf("%+v, %v", x, err)
		}
		for rule, want := range map[Reason]RuleAnswer{
			ReasonSelf: RuleNoMatch, ReasonBannedInRoom: RuleUnknown, ReasonRecipientBlockedSender: RuleUnknown,
			ReasonSenderBlockedRecipient: RuleNoMatch, ReasonAllowed: RuleUnknown,
		} {
			if got := x.Rules[rule].Answer; got != want {
				t.Errorf("%v says %v, want %v", rule, got, want)
			}
		}
		for _, l := range x.Lists {
			if l.Cause != CauseNotLoaded || !errors.Is(l.RowErr, errDark) || l.Row != nil || l.Differs() {
				t.Errorf("%+v", l)
			}
		}
		if len(x.Lists) != 2 {
			t.Errorf("%d lists, want the room's and bob's", len(x.Lists))
		}
		var known *Error
		if _, err := f.Explain(context.Background(), check, time.Now()); !errors.Is(err, errDark) || errors.As(err, &known) {
			t.Errorf("of the past: %v, want the error of the store", err)
		}
	})
}

// intervals is a history, by list. Its present is now. It counts what is read.
type intervals struct {
	EvidenceStore
	lists map[ListID][]Interval
	now   time.Time
	reads int
	err   error
}

func (h *intervals) Recall(_ context.Context, moments []Moment) ([]Interval, error) {
	h.reads++
	found := make([]Interval, len(moments))
	for i, m := range moments {
		if m.At.After(h.now) {
			m.At = h.now
		}
		for _, iv := range h.lists[m.List] {
			if iv.Target == m.Target && !iv.BlockedAt.After(m.At) && (iv.UnblockedAt.IsZero() || iv.UnblockedAt.After(m.At)) {
				found[i] = iv
			}
		}
	}
	return found, h.err
}

// TestExplanationOfThePast walks through a day in which bob blocked alice, let
// her go and blocked her again. Memory only knows how it is now.
func TestExplanationOfThePast(t *testing.T) {
	w, _ := oneApp(t, Default())
	day := time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC)
	hour := func(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }
	history := &intervals{now: hour(1000), lists: map[ListID][]Interval{blockList(one, "bob"): {
		{Owner: "bob", Target: "alice", BlockedAt: hour(18)},
		{Owner: "bob", Target: "alice", BlockedAt: hour(9), UnblockedAt: hour(12), Note: "spam"},
		{Owner: "bob", Target: "carol", BlockedAt: hour(0)},
	}}}
	f := w.filterWith(Options{Apps: map[string]Policy{one: Default()}, Evidence: history})
	for _, c := range []struct {
		at      time.Time
		blocked bool
		since   time.Time
	}{
		{hour(8), false, time.Time{}}, {hour(9), true, hour(9)}, {hour(12).Add(-1), true, hour(9)},
		{hour(12), false, time.Time{}}, {hour(18).Add(-1), false, time.Time{}}, {hour(18), true, hour(18)}, {hour(100), true, hour(18)},
	} {
		x, err := f.Explain(context.Background(), direct("alice", "bob"), c.at)
		if err != nil {
			t.Fatal(err)
		}
		if (x.Decision.Reason == ReasonRecipientBlockedSender) != c.blocked || x.At != c.at {
			t.Errorf("at %v: %+v", c.at, x.Decision)
		}
		row := x.Lists[0].Row
		if (row != nil) != c.blocked || row != nil && row.BlockedAt != c.since {
			t.Errorf("at %v: the row is %+v", c.at, row)
		}
	}
	if n := w.loadsOf(cache.KindBlock); n != 0 {
		t.Errorf("%d pages of today were read for the past", n)
	}
}

// TestExplainRefuses what makes no sense, with an error that says so.
func TestExplainRefuses(t *testing.T) {
	w, without := oneApp(t, Default())
	f := w.filterWith(Options{Apps: map[string]Policy{one: Default()}, Evidence: &rows{world: w}})
	check := direct("alice", "bob")
	if _, err := without.Explain(context.Background(), check, time.Time{}); err == nil {
		t.Error("explained without evidence")
	}
	check.App = "other"
	var refused *Error
	if _, err := f.Explain(context.Background(), check, time.Time{}); !errors.As(err, &refused) || refused.Code != CodeUnknownApp {
		t.Errorf("an app that is not there: %v", err)
	}
	check.App, check.RoomType = one, 0
	if _, err := f.Explain(context.Background(), check, time.Time{}); err == nil {
		t.Error("explained in no room type")
	}
}
