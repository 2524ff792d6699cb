package filter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/cache"
)

var notFresh = Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotFreshEnough}

// atLeast returns a check that asks for a version of a list.
func atLeast(check Check, server cache.Identity, list ListID, version int64) Check {
	check.AtLeast = NewRevision(server, list, version)
	return check
}

// TestAtLeastReadsWhatIsOlder: a page older than the revision is read at once,
// a page that will do is not, and without the revision the change is not seen:
// the guard is what shows it.
func TestAtLeastReadsWhatIsOlder(t *testing.T) {
	w, f := oneApp(t, Default())
	bob := blockList(one, "bob")
	wantDecision(t, "before the block", f.CanDeliver(direct("alice", "bob")), plain)
	change := w.put(bob, false, entries("alice")...)

	wantDecision(t, "without the revision", f.CanDeliver(direct("alice", "bob")), plain)
	check := atLeast(direct("alice", "bob"), primary, bob, change.Version)
	blocked := Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender}
	reads := w.loadsOf(cache.KindBlock)
	wantDecision(t, "with the revision", f.CanDeliver(check), blocked)
	wantDecision(t, "again, now from memory", f.CanDeliver(check), blocked)
	if n := w.loadsOf(cache.KindBlock) - reads; n != 1 {
		t.Errorf("%d reads for two checks with the same revision, want 1", n)
	}
}

// TestAtLeastConcernsItsListOnly: the revision of a list that the decision does
// not need asks nothing.
func TestAtLeastConcernsItsListOnly(t *testing.T) {
	w, f := oneApp(t, Default())
	wantDecision(t, "load", f.CanDeliver(direct("alice", "bob")), plain)
	w.dark()
	for name, list := range map[string]ListID{
		"the sender's list, one way":   blockList(one, "alice"),
		"somebody else's list":         blockList(one, "carol"),
		"the recipient's other list":   allowList(one, "bob"),
		"a room of the same name":      roomList(one, "bob"),
		"the room that was not named":  roomList(one, "lobby"),
		"the recipient's at version 0": blockList(one, "bob"),
	} {
		version := int64(5)
		if name == "the recipient's at version 0" {
			version = 0
		}
		wantDecision(t, name, f.CanDeliver(atLeast(direct("alice", "bob"), primary, list, version)), plain)
	}
}

// TestAtLeastOfEachList: each list that a decision reads can be asked for.
func TestAtLeastOfEachList(t *testing.T) {
	for name, c := range map[string]struct {
		list   ListID
		target string
		mode   bool // of the recipient
		want   Reason
	}{
		"recipient's blocks": {blockList(one, "bob"), "alice", false, ReasonRecipientBlockedSender},
		"sender's blocks":    {blockList(one, "alice"), "bob", false, ReasonSenderBlockedRecipient},
		"room":               {roomList(one, "lobby"), "alice", false, ReasonBannedInRoom},
		"recipient's allows": {allowList(one, "bob"), "alice", true, ReasonAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := oneApp(t, twoWay())
			w.put(blockList(one, "bob"), c.mode)
			check := direct("alice", "bob")
			check.Room = "lobby"
			before := f.CanDeliver(check).Reason
			if before == c.want {
				t.Fatalf("%v before anything was written", before)
			}
			change := w.put(c.list, false, entries(c.target)...)
			if got := f.CanDeliver(check).Reason; got != before {
				t.Fatalf("%v without the revision: the page was read for another reason", got)
			}
			if got := f.CanDeliver(atLeast(check, primary, c.list, change.Version)).Reason; got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestAtLeastIsNotMasked: a freshness that was asked for and cannot be had is
// said, under every policy.
func TestAtLeastIsNotMasked(t *testing.T) {
	for policy := OnUnknownError; policy <= OnUnknownWithhold; policy++ {
		t.Run(policy.String(), func(t *testing.T) {
			p := Default()
			p.OnUnknown = policy
			bubble(t, p, func(t *testing.T, w *world, f *Filter) {
				check := atLeast(direct("alice", "bob"), primary, blockList(one, "bob"), 9)
				wantDecision(t, "a version that does not exist", f.CanDeliver(check), notFresh)
				w.dark()
				wantDecision(t, "the database is away", f.CanDeliver(check), notFresh)
				if d := f.CanDeliver(direct("alice", "bob")); d != plain {
					t.Errorf("without the revision: %+v", d)
				}
			})
		})
	}
}

// TestAtLeastOutranksOtherCauses: of several unknown lists the one that was
// asked for names the cause.
func TestAtLeastOutranksOtherCauses(t *testing.T) {
	p := twoWay()
	p.OnUnknown = OnUnknownDeliver
	bubble(t, p, func(t *testing.T, w *world, f *Filter) {
		w.dark()
		for _, asked := range []string{"alice", "bob"} {
			check := atLeast(direct("alice", "bob"), primary, blockList(one, asked), 1)
			wantDecision(t, "neither list is loaded, asked for "+asked, f.CanDeliver(check), notFresh)
		}
	})
}

// TestKnownBlockDespiteAtLeast: the sender's known block withholds whatever a
// newer version of the recipient's list would say.
func TestKnownBlockDespiteAtLeast(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		w.put(blockList(one, "alice"), false, entries("bob")...)
		f.CanDeliver(direct("alice", "bob"))
		w.dark()
		wantDecision(t, "two-way", f.CanDeliver(atLeast(direct("alice", "bob"), primary, blockList(one, "bob"), 9)),
			Decision{Action: ActionDrop, Reason: ReasonSenderBlockedRecipient})
	})
}

// TestAtLeastOfAnotherServer: a revision from before a failover forces one read
// and is then satisfied, whatever its version says.
func TestAtLeastOfAnotherServer(t *testing.T) {
	w, f := oneApp(t, Default())
	lost := primary
	lost.Timeline = 5
	f.CanDeliver(direct("alice", "bob"))
	w.put(blockList(one, "bob"), false, entries("alice")...) // memory does not know
	reads := w.loadsOf(cache.KindBlock)
	wantDecision(t, "forced", f.CanDeliver(atLeast(direct("alice", "bob"), lost, blockList(one, "bob"), 1000)),
		Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender})
	if n := w.loadsOf(cache.KindBlock) - reads; n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
}

// TestAtLeastOfAServerNotFollowedYet: the write went to a server that this
// process has not begun to follow; what the old one says must not pass for it.
func TestAtLeastOfAServerNotFollowedYet(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, w *world, f *Filter) {
		f.CanDeliver(direct("alice", "bob"))
		promoted := primary
		promoted.Timeline++
		w.identity = promoted
		change := w.put(blockList(one, "bob"), false, entries("alice")...)
		check := atLeast(direct("alice", "bob"), promoted, blockList(one, "bob"), change.Version)
		wantDecision(t, "before the failover is noticed", f.CanDeliver(check), notFresh)
		w.cache.Reset(promoted, w.cache.Now())
		wantDecision(t, "after", f.CanDeliver(check), Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender})
	})
}

// TestAtLeastAfterALostTail: the promoted server reached the same version with
// other content. A page from before is of that version and must not do.
func TestAtLeastAfterALostTail(t *testing.T) {
	w, f := oneApp(t, Default())
	bob := blockList(one, "bob")
	w.put(bob, false, entries("lost")...)
	f.CanDeliver(direct("alice", "bob")) // version 1 of the old server is in memory

	promoted := primary
	promoted.Timeline++
	w.identity = promoted
	w.lists = make(map[ListID]cache.List)
	change := w.put(bob, false, entries("alice")...) // version 1 of the new one
	w.cache.Reset(promoted, w.cache.Now())
	wantDecision(t, "without the revision, until the page is read again", f.CanDeliver(direct("alice", "bob")), plain)
	wantDecision(t, "with it", f.CanDeliver(atLeast(direct("alice", "bob"), promoted, bob, change.Version)),
		Decision{Action: ActionDrop, Reason: ReasonRecipientBlockedSender})
}

// TestAtLeastTimeout: a waiter gives up after AtLeastTimeout, which is longer
// than the timeout of an ordinary load.
func TestAtLeastTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one)
		f := w.filterWith(Options{
			Apps: map[string]Policy{one: Default()}, LoadTimeout: 10 * time.Millisecond, AtLeastTimeout: 30 * time.Millisecond,
		})
		released := make(chan struct{})
		w.hook = func(_ context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			<-released // longer than anyone waits
			return nil
		}
		leader := make(chan Decision)
		go func() { leader <- f.CanDeliver(direct("alice", "bob")) }()
		synctest.Wait() // the read is under way, and shared from here on

		for _, c := range []struct {
			check Check
			waits time.Duration
			want  Decision
		}{
			{direct("carol", "bob"), 10 * time.Millisecond, Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotLoaded}},
			{atLeast(direct("carol", "bob"), primary, blockList(one, "bob"), 1), 30 * time.Millisecond, notFresh},
		} {
			begun := time.Now()
			wantDecision(t, "waiter", f.CanDeliver(c.check), c.want)
			if took := time.Since(begun); took != c.waits {
				t.Errorf("waited %v, want %v", took, c.waits)
			}
		}
		close(released)
		wantDecision(t, "leader", <-leader, plain)
	})
}
