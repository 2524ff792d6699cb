package filter

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// shadow is a filter like another of the scene, all of whose apps are in shadow.
func (s *scene) shadow(like *Filter) *Filter {
	apps := make(map[string]Policy, len(s.apps))
	for name, policy := range s.apps {
		policy.Shadow = true
		apps[name] = policy
	}
	return s.filterWith(Options{
		Apps: apps, SoftBound: like.soft, HardBound: like.hard, LoadTimeout: like.load, AtLeastTimeout: like.atLeast,
	})
}

// wantShadow compares the answer of an app in shadow with that of one which
// enforces: it delivers, and says what the other said if that is not a delivery.
func wantShadow(t testing.TB, what string, got, enforced Decision) {
	t.Helper()
	would, differs := got.Would()
	plain := got
	plain.would = 0
	switch {
	case enforced.Deliver && enforced.Notify && enforced.Action == ActionDeliver:
		if differs || got != enforced || would != enforced {
			t.Fatalf("%s: %+v, enforced %+v: a delivery is the same in shadow", what, got, enforced)
		}
	case plain != Decision{Deliver: true, Notify: true, Reason: ReasonAllowed, Cause: enforced.Cause, Stale: enforced.Stale}:
		t.Fatalf("%s: %+v, which is no plain delivery (enforced %+v)", what, got, enforced)
	case !differs || would != enforced:
		t.Fatalf("%s: would be %+v (%v), want %+v", what, would, differs, enforced)
	}
}

// blockedInShadow has app one enforcing and app "dry" in shadow with the same
// policy and lists: bob has blocked alice.
func blockedInShadow(t testing.TB, policy Policy) (w *world, f *Filter, m *Metrics) {
	w = newWorld(t, one, "dry")
	for _, app := range []string{one, "dry"} {
		w.put(blockList(app, "bob"), false, entries("alice")...)
		w.put(roomList(app, "lobby"), false, entries("mallory")...)
	}
	dry := policy
	dry.Shadow = true
	m = NewMetrics(nil)
	return w, w.filterWith(Options{Apps: map[string]Policy{one: policy, "dry": dry}, Metrics: m}), m
}

// TestShadowOfMany: a fan-out and a batch in shadow answer what single checks do,
// also for whom they have to wait.
func TestShadowOfMany(t *testing.T) {
	w, f, m := blockedInShadow(t, Default())
	var recipients []string
	for i := range 100 {
		recipients = append(recipients, fmt.Sprint("user-", i), "bob", "alice")
	}
	decide := func(app string) (fanout, batch, each []Decision) {
		w.cache.Reset(primary, w.cache.Now()) // nothing is in memory
		fanout, batch, each = make([]Decision, len(recipients)), make([]Decision, len(recipients)), make([]Decision, len(recipients))
		check := Check{App: app, Sender: "alice", RoomType: Group, API: APIFanout}
		f.Fanout(check, recipients, fanout)
		checks := make([]Check, len(recipients))
		for i, recipient := range recipients {
			checks[i] = check
			checks[i].Recipient, checks[i].API = recipient, APIBatch
		}
		f.Batch(checks, batch)
		for i := range checks {
			each[i] = f.CanDeliver(checks[i])
		}
		return fanout, batch, each
	}
	fanout, batch, each := decide("dry")
	_, _, enforced := decide(one)
	for i := range recipients {
		wantShadow(t, "single", each[i], enforced[i])
		wantShadow(t, "fan-out", fanout[i], enforced[i])
		wantShadow(t, "batch", batch[i], enforced[i])
	}
	if got := testutil.ToFloat64(m.mismatches[outcomeSilent]); got != 300 {
		t.Errorf("%v silent mismatches are counted by three ways to ask about 100 blocks, want 300", got)
	}
}

// TestShadowIsCounted: what was answered counts as decided, and what it would have
// been beside it, whoever counts.
func TestShadowIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := Default()
		policy.Rooms[Open].OnBlock = OnBlockReject
		w, f, m := blockedInShadow(t, policy)
		counts := f.NewCounts()
		for room := Direct; room <= Open; room++ {
			for _, app := range []string{one, "dry"} {
				f.CanDeliver(Check{App: app, Sender: "alice", Recipient: "bob", RoomType: room, Counts: counts})
			}
		}
		f.CanDeliver(Check{App: "dry", Sender: "bob", Recipient: "alice", RoomType: Direct})
		w.dark()
		f.CanDeliver(Check{App: "dry", Sender: "alice", Recipient: userIn("far", true), RoomType: Direct})
		f.CloseCounts(counts)
		for o := outcomeSilent; o < outcomes; o++ {
			if got := testutil.ToFloat64(m.mismatches[o]); got != 1 {
				t.Errorf("mismatches{%s} = %v, want 1", outcomeNames[o], got)
			}
		}
		if got := testutil.ToFloat64(m.decisions[APINative][Direct][outcomeDeliver]); got != 3 {
			t.Errorf("%v direct messages were delivered, want those 3 of the app in shadow", got)
		}
		for _, o := range []outcome{outcomeUnknown, outcomeReject} {
			if got := testutil.ToFloat64(m.decisions[APINative][Direct][o]); got != 0 {
				t.Errorf("decisions{%s} = %v, and nobody was answered so", outcomeNames[o], got)
			}
		}
		if got := testutil.ToFloat64(m.unknown[CauseNotLoaded]); got != 1 {
			t.Errorf("%v unknown lists, want 1: the dry run tells of them", got)
		}
	})
}

// TestShadowIsExplained: the rules, the evidence and the decision are those of an
// app that enforces, and it is said that nobody obeys.
func TestShadowIsExplained(t *testing.T) {
	w, _, _ := blockedInShadow(t, Default())
	store := &rows{world: w}
	dry := Default()
	dry.Shadow = true
	f := w.filterWith(Options{Apps: map[string]Policy{one: Default(), "dry": dry}, Evidence: store})
	for _, recipient := range []string{"bob", "carol", "alice"} {
		check := Check{App: one, Sender: "alice", Recipient: recipient, RoomType: Direct}
		enforced, err := f.Explain(context.Background(), check, time.Time{})
		if err != nil || !enforced.Enforced {
			t.Fatalf("%+v, %v", enforced, err)
		}
		check.App = "dry"
		x, err := f.Explain(context.Background(), check, time.Time{})
		if err != nil || x.Enforced {
			t.Fatalf("%+v, %v", x, err)
		}
		if d := f.CanDeliver(check); d != x.Decision {
			t.Errorf("the check says %+v, the explanation %+v", d, x.Decision)
		}
		wantShadow(t, recipient, x.Decision, enforced.Decision)
		if fmt.Sprint(x.Rules) != fmt.Sprint(enforced.Rules) {
			t.Errorf("%s: the rules said %v, enforced %v", recipient, x.Rules, enforced.Rules)
		}
	}
}

// TestShadowIsNoOutage: nothing that sidegate lacks stops a message of a dry run.
func TestShadowIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := blockedInShadow(t, Default())
		dry := Default()
		dry.Shadow, dry.Invitations = true, InvitationsExclude
		f := w.filterWith(Options{Apps: map[string]Policy{"dry": dry}, Evidence: unreadable{}})
		w.dark()
		check := Check{App: "dry", Sender: "alice", Recipient: "bob", RoomType: Direct}
		unknown := Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotLoaded}
		wantShadow(t, "a check", f.CanDeliver(check), unknown)
		check.AtLeast = NewRevision(primary, blockList("dry", "bob"), 7)
		if d := f.CanDeliver(check); !d.Deliver || d.Unknown() {
			t.Errorf("with at_least: %+v", d)
		}
		decisions := make([]Decision, 1)
		sent := []Sent{{Sender: "alice", At: time.Now().Add(-time.Hour)}}
		if err := f.Visible(context.Background(), check, sent, decisions); err != nil {
			t.Fatal(err)
		}
		wantShadow(t, "a message of the past", decisions[0], unknown)
		if policy := f.Invitees(check, []string{"bob"}, decisions); policy != InvitationsInclude || !decisions[0].Unknown() {
			t.Errorf("invitations: %v, %+v", policy, decisions[0])
		}
		if f.Enforces("dry") || f.Enforces("none") {
			t.Error("an app in shadow, or none, enforces")
		}
	})
}

// unreadable is an [EvidenceStore] whose database does not answer.
type unreadable struct{}

func (unreadable) Get(context.Context, ListID, string) (Block, bool, error) {
	return Block{}, false, errDark
}

func (unreadable) Recall(context.Context, []Moment) ([]Interval, error) { return nil, errDark }

// TestShadowHitsDoNotAllocate: a dry run costs what the real one does.
func TestShadowHitsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	_, f, _ := blockedInShadow(t, Default())
	check := Check{App: "dry", Sender: "alice", Recipient: "bob", RoomType: Direct}
	f.CanDeliver(check)
	var differs bool
	if n := testing.AllocsPerRun(1000, func() { _, differs = f.CanDeliver(check).Would() }); n != 0 || !differs {
		t.Errorf("%v allocations, differs %v", n, differs)
	}
}
