package filter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/cache"
)

var plain = Decision{Deliver: true, Notify: true, Reason: ReasonAllowed}

// bubble runs a test in virtual time.
func bubble(t *testing.T, policy Policy, test func(t *testing.T, w *world, f *Filter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, f := oneApp(t, policy)
		test(t, w, f)
	})
}

// TestAges walks one hit through the states: answered, answered with its age,
// unknown, and well again once the feed is.
func TestAges(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, w *world, f *Filter) {
		check := direct("alice", "bob")
		wantDecision(t, "loaded", f.CanDeliver(check), plain)
		w.dark() // from here on memory is all there is

		advance(DefaultSoftBound)
		wantDecision(t, "at the soft bound", f.CanDeliver(check), plain)

		advance(time.Nanosecond)
		stale := plain
		stale.Stale = DefaultSoftBound + 1
		wantDecision(t, "past the soft bound", f.CanDeliver(check), stale)

		advance(DefaultHardBound - DefaultSoftBound - 1)
		stale.Stale = DefaultHardBound
		wantDecision(t, "at the hard bound", f.CanDeliver(check), stale)

		advance(time.Nanosecond)
		before := w.loadsOf(cache.KindBlock)
		wantDecision(t, "past the hard bound", f.CanDeliver(check),
			Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseStale})
		if n := w.loadsOf(cache.KindBlock) - before; n != 0 {
			t.Errorf("a check past the hard bound read %d pages; it must not put the database in every check's way", n)
		}

		w.fresh()
		wantDecision(t, "after a poll", f.CanDeliver(check), plain)
	})
}

// TestAgeIsOfTheOldestList: a two-way decision is as old as the older of its
// lists. After a change of server the page read again is young, the other is
// as old as the last poll of the server before.
func TestAgeIsOfTheOldestList(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		alice, bob := userIn("alice", true), userIn("bob", false)
		wantDecision(t, "loaded", f.CanDeliver(direct(alice, bob)), plain)
		advance(10 * time.Second)

		promoted := primary
		promoted.Timeline++
		w.identity = promoted
		w.cache.Reset(promoted, w.cache.Now())
		if _, err := w.cache.Directory(one, cache.KindBlock).Load(context.Background(), bob, cache.Need{}); err != nil {
			t.Fatal(err)
		}
		stale := plain
		stale.Stale = 10 * time.Second
		wantDecision(t, "alice's list is older", f.CanDeliver(direct(alice, bob)), stale)
		wantDecision(t, "and so it is the other way round", f.CanDeliver(direct(bob, alice)), stale)
	})
}

// TestAPageLeftBehindIsRead: a page from before following last started over,
// which has not been read again since, is past the hard bound in time although
// the feed is well. A check then reads it; while the feed stands still, it does
// not.
func TestAPageLeftBehindIsRead(t *testing.T) {
	for name, alive := range map[string]bool{"the feed is well": true, "the feed stands still": false} {
		bubble(t, Default(), func(t *testing.T, w *world, f *Filter) {
			check := direct("alice", "bob")
			wantDecision(t, "loaded", f.CanDeliver(check), plain)
			w.identity.Started++
			w.cache.Reset(w.identity, w.cache.Now())
			advance(DefaultHardBound + time.Second)
			if alive {
				w.fresh()
			}
			before := w.loadsOf(cache.KindBlock)
			want := Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseStale}
			if alive {
				want = plain
			}
			wantDecision(t, name, f.CanDeliver(check), want)
			if read := w.loadsOf(cache.KindBlock) - before; read != 0 != alive {
				t.Errorf("%s: %d pages were read", name, read)
			}
		})
	}
}

// TestAgeGrowsWhileWaiting: a list found in memory grows older while the check
// waits for the next one.
func TestAgeGrowsWhileWaiting(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		alice, bob := userIn("alice", true), userIn("bob", false)
		f.CanDeliver(direct(bob, bob+"x")) // bob's page, and one more
		advance(DefaultSoftBound)
		w.hook = func(ctx context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			advance(100 * time.Millisecond)
			return ctx.Err()
		}
		stale := plain
		stale.Stale = DefaultSoftBound + 100*time.Millisecond
		wantDecision(t, "bob's list from memory, alice's waited for", f.CanDeliver(direct(alice, bob)), stale)
	})
}

// TestKnownBlockDespiteStaleness: what is certain is said at any age below the
// hard bound, with the age.
func TestKnownBlockDespiteStaleness(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, w *world, f *Filter) {
		w.put(blockList(one, "bob"), false, entries("alice")...)
		blocked := Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender}
		wantDecision(t, "young", f.CanDeliver(direct("alice", "bob")), blocked)
		w.dark()
		advance(time.Minute)
		blocked.Stale = time.Minute
		wantDecision(t, "old", f.CanDeliver(direct("alice", "bob")), blocked)
	})
}

// TestExpiry: an entry stops counting the moment it expires, by the database's
// clock, without a word from the database.
func TestExpiry(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		at := time.Now().Add(time.Second)
		gone := cache.Entry{Target: "alice", Expires: at.UnixMicro()}
		w.put(blockList(one, "bob"), false, gone)
		w.put(roomList(one, "lobby"), false, gone)
		w.put(blockList(one, "carol"), true)
		w.put(allowList(one, "carol"), false, gone)
		lobby := direct("alice", "dave")
		lobby.Room = "lobby"
		f.CanDeliver(direct("alice", "bob")) // the pages are in memory from here on
		f.CanDeliver(direct("alice", "dave"))
		f.CanDeliver(lobby)
		f.CanDeliver(direct("alice", "carol"))
		w.dark()

		advance(time.Second - time.Microsecond)
		for name, c := range map[string]struct {
			check Check
			want  Reason
		}{
			"block": {direct("alice", "bob"), ReasonRecipientBlockedSender},
			"ban":   {lobby, ReasonBannedInRoom},
			"allow": {direct("alice", "carol"), ReasonAllowed},
		} {
			if d := f.CanDeliver(c.check); d.Reason != c.want {
				t.Errorf("%s, a microsecond before: %v, want %v", name, d.Reason, c.want)
			}
		}
		advance(time.Microsecond)
		for name, c := range map[string]struct {
			check Check
			want  Reason
		}{
			"block": {direct("alice", "bob"), ReasonAllowed},
			"ban":   {lobby, ReasonAllowed},
			"allow": {direct("alice", "carol"), ReasonNotOnAllowlist},
		} {
			if d := f.CanDeliver(c.check); d.Reason != c.want {
				t.Errorf("%s, at the instant: %v, want %v", name, d.Reason, c.want)
			}
		}
	})
}

// TestOneDeadlineForAllLoads: a check whose lists are all out of reach gives up
// after one timeout, not after one for each list.
func TestOneDeadlineForAllLoads(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		w.hook = func(ctx context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			<-ctx.Done()
			return ctx.Err()
		}
		check := direct(userIn("alice", true), userIn("bob", false))
		check.Room = "lobby"
		begun := time.Now()
		wantDecision(t, "nothing answers", f.CanDeliver(check),
			Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotLoaded})
		if took := time.Since(begun); took != DefaultLoadTimeout {
			t.Errorf("waited %v, want %v", took, DefaultLoadTimeout)
		}
	})
}
