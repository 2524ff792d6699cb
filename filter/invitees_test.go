package filter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// invitation says what stands against an invitation, from the facts alone.
func (f facts) invitation() Reason {
	on := f[allow] == "on"
	switch {
	case f[same] == "yes":
		return ReasonSelf
	case f[exempt] == "sender":
		return ReasonExempt
	case on && f[rMode] == "unlisted":
		return ReasonNotOnAllowlist
	case f[rBlocks] == "yes" && !(on && f[rMode] != "blocks"):
		return ReasonRecipientBlockedSender
	case f[sBlocks] == "yes" && !(on && f[sMode] == "allow"):
		return ReasonSenderBlockedRecipient
	}
	return ReasonAllowed
}

// TestInvitees asks for every way in which two users can stand to each other, in
// apps of every policy: mode and on_block, which are about messages, count for
// nothing.
func TestInvitees(t *testing.T) {
	s := newScene(t)
	f := s.filterWith(Options{Apps: s.apps, SoftBound: time.Hour, HardBound: time.Hour, LoadTimeout: time.Minute})
	seen := make(map[Reason]bool)
	combine(map[int][]string{
		origin: {"client"}, inRoom: {"unnamed"}, roomType: {"direct"}, notifyBlocked: {"no"},
	}, func(fact facts) {
		check := s.check(fact)
		invitees := []string{check.Recipient, check.Sender, check.Recipient}
		decisions := make([]Decision, len(invitees))
		// What a message would say is of no account.
		ignored := check
		ignored.Recipient, ignored.Room, ignored.RoomType, ignored.FromServer, ignored.NotifyBlocked = "x", "closed", 0, true, true
		if mode := f.Invitees(ignored, invitees, decisions); mode != InvitationsInclude {
			t.Fatalf("invitations %v", mode)
		}
		want := fact.invitation()
		seen[want] = true
		refused := want > ReasonExempt && want != ReasonAllowed
		for _, i := range []int{0, 2} {
			if d := decisions[i]; d.Reason != want || d.Deliver == refused || d.Notify == refused {
				t.Fatalf("%s: %+v, want %v", fact, d, want)
			}
		}
		if d := decisions[1]; d.Reason != ReasonSelf || !d.Deliver {
			t.Fatalf("%s: the inviter themself: %+v", fact, d)
		}
	})
	for reason := range ReasonAllowed {
		about := reason != ReasonUnverifiedOrigin && reason != ReasonBannedInRoom && reason != ReasonRoomNotFiltered
		if seen[reason] != about {
			t.Errorf("%v was seen: %v", reason, seen[reason])
		}
	}
}

// TestInviteesPolicy: who asks is told what the app makes of it.
func TestInviteesPolicy(t *testing.T) {
	_, include := oneApp(t, Default())
	policy := Default()
	policy.Invitations = InvitationsExclude
	_, exclude := oneApp(t, policy)
	decisions := make([]Decision, 1)
	for f, want := range map[*Filter]Invitations{include: InvitationsInclude, exclude: InvitationsExclude} {
		if got := f.Invitees(Check{App: one, Sender: "alice"}, []string{"bob"}, decisions); got != want || decisions[0] != plain {
			t.Errorf("%v, %+v; want %v", got, decisions[0], want)
		}
		if got := f.Invitees(Check{App: "none", Sender: "alice"}, []string{"bob"}, decisions); got != 0 || decisions[0].Cause != CauseUnknownApp {
			t.Errorf("an app that is not there: %v, %+v", got, decisions[0])
		}
	}
}

// TestInviteesUnknown: a list that is unknown is answered as on_unknown says, and
// a block that is known decides although the other side's list is not.
func TestInviteesUnknown(t *testing.T) {
	for onUnknown, deliver := range map[OnUnknown]bool{OnUnknownError: false, OnUnknownDeliver: true, OnUnknownWithhold: false} {
		synctest.Test(t, func(t *testing.T) {
			policy := Default()
			policy.OnUnknown = onUnknown
			w, f := oneApp(t, policy)
			alice, bob, carol := userIn("alice", true), userIn("bob", false), userIn("carol", false)
			w.put(blockList(one, alice), false, entries(bob)...)
			w.hook = func(_ context.Context, _ string, _ cache.Kind, r cache.Range) error {
				if r.Lo>>63 == 0 {
					return errDark
				}
				return nil
			}
			decisions := make([]Decision, 2)
			f.Invitees(Check{App: one, Sender: alice}, []string{bob, carol}, decisions)
			if d := decisions[0]; d.Reason != ReasonSenderBlockedRecipient || d.Deliver {
				t.Errorf("%v: blocked by the inviter: %+v", onUnknown, d)
			}
			if d := decisions[1]; d.Reason != ReasonUnknown || d.Deliver != deliver || d.Unknown() != (onUnknown == OnUnknownError) {
				t.Errorf("%v: unknown: %+v", onUnknown, d)
			}
		})
	}
}

// TestInviteesAtLeast: the revision asks for the list that it names.
func TestInviteesAtLeast(t *testing.T) {
	w, f := oneApp(t, Default())
	decisions := make([]Decision, 2)
	check := Check{App: one, Sender: "alice"}
	f.Invitees(check, []string{"bob", "carol"}, decisions)
	change := w.put(blockList(one, "bob"), false, entries("alice")...)
	f.Invitees(check, []string{"bob", "carol"}, decisions)
	if decisions[0] != plain {
		t.Fatalf("without the revision: %+v; then this test shows nothing", decisions[0])
	}
	check.AtLeast = NewRevision(primary, blockList(one, "bob"), change.Version)
	f.Invitees(check, []string{"bob", "carol"}, decisions)
	if decisions[0].Reason != ReasonRecipientBlockedSender || decisions[1] != plain {
		t.Errorf("with the revision: %+v", decisions)
	}
}
