package filter

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/cache"
)

// TestBatchIsManyChecks asks about every combination of facts, a thousand at a
// time, first with an empty memory.
func TestBatchIsManyChecks(t *testing.T) {
	s := newScene(t)
	f := s.filterWith(Options{Apps: s.apps, SoftBound: time.Hour, HardBound: time.Hour, LoadTimeout: time.Minute, AtLeastTimeout: time.Minute})
	var all []Check
	combine(nil, func(fact facts) { all = append(all, s.check(fact)) })
	n := 0
	for checks := range slices.Chunk(all, 1000) {
		decisions := make([]Decision, len(checks))
		f.Batch(checks, decisions)
		for i, check := range checks {
			if want := f.CanDeliver(check); decisions[i] != want {
				t.Fatalf("%+v:\n batch %+v\nsingle %+v", check, decisions[i], want)
			}
			n++
		}
	}
	if n != 165_888 {
		t.Errorf("compared %d combinations, want 165,888", n)
	}
	f.Batch(nil, nil)
}

// TestBatchSaysWhichCannotBeAsked: one check that makes no sense does not spoil
// the others, whatever stands before it.
func TestBatchSaysWhichCannotBeAsked(t *testing.T) {
	_, f := oneApp(t, Default())
	noApp, noRoom := direct("alice", "bob"), direct("alice", "bob")
	noApp.App, noRoom.RoomType = "other", 0
	decisions := make([]Decision, 4)
	f.Batch([]Check{noApp, direct("alice", "bob"), noRoom, direct("bob", "alice")}, decisions)
	unknown := Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseUnknownApp}
	wantDecision(t, "app", decisions[0], unknown)
	unknown.Cause = CauseInvalidRoomType
	wantDecision(t, "room type", decisions[2], unknown)
	wantDecision(t, "before", decisions[1], plain)
	wantDecision(t, "after", decisions[3], plain)
}

// TestBatchAtLeast: each check has a revision of its own.
func TestBatchAtLeast(t *testing.T) {
	w, f := oneApp(t, Default())
	f.CanDeliver(direct("alice", "bob"))
	f.CanDeliver(direct("alice", "carol"))
	bob := w.put(blockList(one, "bob"), false, entries("alice")...)
	w.put(blockList(one, "carol"), false, entries("alice")...)
	decisions := make([]Decision, 2)
	f.Batch([]Check{atLeast(direct("alice", "bob"), primary, blockList(one, "bob"), bob.Version), direct("alice", "carol")}, decisions)
	if decisions[0].Reason != ReasonRecipientBlockedSender || decisions[1].Reason != ReasonAllowed {
		t.Errorf("%+v, want the first to be read and the second not", decisions)
	}
}

// manyPages returns an app for each of n names, and checks that need a page each.
func manyPages(t testing.TB, n int) (*world, *Filter, []Check) {
	apps := make(map[string]Policy)
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("app-", i))
		apps[names[i]] = Default()
	}
	w := newWorld(t, names...)
	checks := make([]Check, n)
	for i, name := range names {
		checks[i] = Check{App: name, Sender: "alice", Recipient: "bob", RoomType: Direct}
	}
	return w, w.filter(apps), checks
}

// TestLateChecksWaitTogether: what a batch has to read is read at the same time,
// not more of it than maxWaiting, and one deadline ends all waiting.
func TestLateChecksWaitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pages = 100
		w, f, checks := manyPages(t, pages)
		decisions := make([]Decision, pages)
		var now, most atomic.Int64
		w.hook = func(ctx context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			advance(40 * time.Millisecond)
			return ctx.Err()
		}
		begun := time.Now()
		f.Batch(checks, decisions)
		took, known := time.Since(begun), 0
		for _, d := range decisions {
			if d == plain {
				known++
			} else {
				wantDecision(t, "too late", d, Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotLoaded})
			}
		}
		// Four rounds begin before the deadline of 150 ms, at 0, 40, 80 and 120.
		if known != 4*maxWaiting || most.Load() != maxWaiting || took != 160*time.Millisecond {
			t.Errorf("%d known after %v, %d reads at once; want %d, 160ms, %d", known, took, most.Load(), 4*maxWaiting, maxWaiting)
		}
		f.Batch(checks, decisions)
		if n := slices.IndexFunc(decisions[:known], func(d Decision) bool { return d != plain }); n >= 0 {
			t.Errorf("check %d was not kept in memory", n)
		}
	})
}

// TestLateRecipientsShareOneDeadline: the sender's list and the recipients' are
// waited for one after the other, within one deadline.
func TestLateRecipientsShareOneDeadline(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		w.hook = func(ctx context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			<-ctx.Done()
			return ctx.Err()
		}
		recipients := make([]string, 5000)
		for i := range recipients {
			recipients[i] = fmt.Sprint("recipient-", i)
		}
		decisions := make([]Decision, len(recipients))
		begun := time.Now()
		f.Fanout(Check{App: one, Sender: "alice", Room: "lobby", RoomType: Group}, recipients, decisions)
		if took := time.Since(begun); took != DefaultLoadTimeout {
			t.Errorf("waited %v, want %v", took, DefaultLoadTimeout)
		}
		for _, d := range decisions {
			wantDecision(t, "nothing answers", d, Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotLoaded})
		}
	})
}

// TestLatePanics: a panic of one check goes on in the goroutine that asked, when
// the others have ended.
func TestLatePanics(t *testing.T) {
	_, f := oneApp(t, Default())
	late := make([]int, 100)
	for i := range late {
		late[i] = i
	}
	var done atomic.Int64
	defer func() {
		if v := recover(); v == nil {
			t.Error("the panic was swallowed")
		}
		if n := done.Load(); n != 99 {
			t.Errorf("%d of 99 others were decided", n)
		}
	}()
	f.inTurns(late, func(i int) {
		if i == 40 {
			panic("forty")
		}
		done.Add(1)
	})
}

// TestManyAreCounted: each decision of a request counts once, at its door.
func TestManyAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := Default()
		closed.OnUnknown = OnUnknownWithhold
		w := newWorld(t, one, "closed")
		m := NewMetrics(nil)
		f := w.filterWith(Options{Apps: map[string]Policy{one: Default(), "closed": closed}, Metrics: m})
		w.put(blockList(one, "bob"), false, entries("alice")...)
		check := Check{App: one, Sender: "alice", RoomType: Group, API: APIFanout}
		f.Fanout(check, []string{"bob", "carol", "dave", "bob"}, make([]Decision, 4))
		checks := []Check{direct("alice", "bob"), direct("bob", "alice"), direct("bob", "bob")}
		for i := range checks {
			checks[i].API = APIBatch
		}
		f.Batch(checks, make([]Decision, 3))
		w.dark()
		check.App = "closed"
		f.Fanout(check, []string{"bob", "carol"}, make([]Decision, 2))
		for _, c := range []struct {
			api  API
			room RoomType
			what outcome
			want float64
		}{
			{APIFanout, Group, outcomeSilent, 4}, {APIFanout, Group, outcomeDeliver, 2}, {APIFanout, Direct, outcomeDrop, 0},
			{APIBatch, Direct, outcomeDrop, 1}, {APIBatch, Direct, outcomeDeliver, 2}, {APINative, Direct, outcomeDrop, 0},
		} {
			if got := testutil.ToFloat64(m.decisions[c.api][c.room][c.what]); got != c.want {
				t.Errorf("decisions{%v, %v, %s} = %v, want %v", c.api, c.room, outcomeNames[c.what], got, c.want)
			}
		}
		if got := testutil.ToFloat64(m.unknown[CauseNotLoaded]); got != 2 {
			t.Errorf("unknown = %v, want 2", got)
		}
		if got := testutil.ToFloat64(m.failModes[OnUnknownWithhold][CauseNotLoaded]); got != 2 {
			t.Errorf("failed closed = %v, want 2", got)
		}
	})
}
