package filter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// fanout decides and checks that every recipient got what a single check gives.
// It names everybody more than once: the first are decided before it is known
// which lists are wanted, the others are looked up ahead and, if they are alike,
// not asked about again.
func fanout(t *testing.T, f *Filter, check Check, recipients []string) []Decision {
	t.Helper()
	n := len(recipients)
	many := slices.Repeat(recipients, 1+(stride+n-1)/n)
	decisions := make([]Decision, len(many))
	f.Fanout(check, many, decisions)
	for i, recipient := range recipients {
		check.Recipient = recipient
		want := f.CanDeliver(check)
		for at := i; at < len(many); at += n {
			if decisions[at] != want {
				t.Fatalf("%+v, recipient %d:\nfan-out %+v\n single %+v", check, at, decisions[at], want)
			}
		}
	}
	return decisions[:n]
}

// TestFanoutIsManyChecks sends messages of every kind to everybody there is, and
// compares with asking for each.
func TestFanoutIsManyChecks(t *testing.T) {
	s := newScene(t)
	f := s.filterWith(Options{Apps: s.apps, SoftBound: time.Hour, HardBound: time.Hour, LoadTimeout: time.Minute, AtLeastTimeout: time.Minute})
	everybody := slices.Sorted(maps.Values(s.recipients))
	seen := make(map[Reason]bool)
	combine(map[int][]string{
		same: {"no"}, exempt: {"none", "sender"}, origin: {"client", "server"}, onBlock: {"reject", "silent", "deliver"},
		roomType: {"direct", "group"}, notifyBlocked: {"no"},
	}, func(fact facts) {
		check := s.check(fact)
		for _, d := range fanout(t, f, check, append(everybody, check.Sender)) {
			seen[d.Reason] = true
		}
	})
	for reason := range ReasonUnknown {
		if !seen[reason] {
			t.Errorf("no fan-out came to %v: the comparison shows nothing of it", reason)
		}
	}
}

// TestFanoutOfUnknownLists does the same with every subset of the lists
// unreadable: an unknown list of one side must not colour the other's.
func TestFanoutOfUnknownLists(t *testing.T) {
	for _, dark := range subsetsToTry() {
		t.Run(fmt.Sprintf("subset %04b", dark), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				f := s.filterWith(Options{Apps: s.apps, SoftBound: 1e6 * time.Hour, HardBound: 1e6 * time.Hour})
				s.hook = func(_ context.Context, _ string, kind cache.Kind, r cache.Range) error {
					if dark&darkOf(kind, r) != 0 {
						return errDark
					}
					return nil
				}
				everybody := slices.Sorted(maps.Values(s.recipients))
				combine(map[int][]string{
					same: {"no"}, exempt: {"none"}, origin: {"client"}, onBlock: {"silent", "drop"}, roomType: {"direct"},
					allow: {"on"}, notifyBlocked: {"no"},
				}, func(fact facts) { fanout(t, f, s.check(fact), everybody) })
			})
		})
	}
}

// TestFanoutReadsEachListOnce: the lists of the sender and the room are read
// once, and none is read that no rule needs.
func TestFanoutReadsEachListOnce(t *testing.T) {
	recipients := []string{userIn("r", false), userIn("s", false), userIn("t", false)}
	decisions := make([]Decision, len(recipients))
	sender := userIn("alice", true)
	for name, c := range map[string]struct {
		change                func(*Policy, *Check)
		blocks, allows, rooms int // pages
	}{
		"two-way, in a room":     {func(*Policy, *Check) {}, 4, 0, 1},
		"one-way":                {func(p *Policy, c *Check) { p.Mode, c.Room = ModeOneWay, "" }, 3, 0, 0},
		"exempt":                 {func(p *Policy, _ *Check) { p.Exempt = []string{sender} }, 0, 0, 0},
		"from the server":        {func(_ *Policy, c *Check) { c.FromServer = true }, 0, 0, 0},
		"rooms are not filtered": {func(p *Policy, _ *Check) { p.Rooms[Direct].OnBlock = OnBlockDeliver }, 0, 0, 1},
		"banned":                 {func(_ *Policy, c *Check) { c.Room = "closed" }, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			policy, check := twoWay(), Check{App: one, Sender: sender, Room: "lobby", RoomType: Direct}
			c.change(&policy, &check)
			w, f := oneApp(t, policy)
			w.put(roomList(one, "closed"), false, entries(sender)...)
			many := slices.Repeat(recipients, 40) // more than are staged at once
			f.Fanout(check, many, make([]Decision, len(many)))
			pages := make(map[string]bool)
			for _, id := range recipients {
				pages[fmt.Sprint(cache.HashOwner(id, primary.Salt)>>60)] = true
			}
			wantBlocks := c.blocks
			if c.blocks > 1 {
				wantBlocks = c.blocks - len(recipients) + len(pages) // some may share a page
			}
			if got := w.loadsOf(cache.KindBlock); got != wantBlocks {
				t.Errorf("%d pages of block lists were read, want %d", got, wantBlocks)
			}
			if got := w.loadsOf(cache.KindAllow); got != c.allows {
				t.Errorf("%d pages of allowlists were read, want %d", got, c.allows)
			}
			if got := w.loadsOf(cache.KindRoom); got != c.rooms {
				t.Errorf("%d pages of rooms were read, want %d", got, c.rooms)
			}
		})
	}
	f := newWorld(t, one).filter(map[string]Policy{one: Default()})
	f.Fanout(Check{App: "none", Sender: sender, RoomType: Direct}, recipients, decisions)
	for _, d := range decisions {
		wantDecision(t, "an app that is not there", d, Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseUnknownApp})
	}
	f.Fanout(Check{App: one, Sender: sender, RoomType: Direct}, nil, nil)
}

// TestFanoutAges: the age of an answer is that of its oldest list, and lists
// grow older while others are waited for.
func TestFanoutAges(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		alice, bob, carol := userIn("alice", true), userIn("bob", false), userIn("carol", true)
		for cache.HashOwner(carol, primary.Salt)>>60 == cache.HashOwner(alice, primary.Salt)>>60 {
			carol = userIn(carol, true)
		}
		f.CanDeliver(direct(alice, bob))
		advance(DefaultSoftBound)
		w.hook = func(ctx context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			advance(100 * time.Millisecond)
			return ctx.Err()
		}
		decisions := make([]Decision, 2)
		f.Fanout(direct(alice, ""), []string{bob, carol}, decisions)
		wantDecision(t, "from memory", decisions[0], plain)
		stale := plain
		stale.Stale = DefaultSoftBound + 100*time.Millisecond
		wantDecision(t, "alice's list from memory, carol's waited for", decisions[1], stale)
	})
}

// TestFanoutAtLeast: the revision asks for the list that it names, whoever's
// side it is on, and nothing of the other recipients.
func TestFanoutAtLeast(t *testing.T) {
	for name, c := range map[string]struct {
		list   ListID
		target string
		want   map[string]Reason
	}{
		"a recipient's": {blockList(one, "bob"), "alice", map[string]Reason{"bob": ReasonRecipientBlockedSender}},
		"the sender's":  {blockList(one, "alice"), "carol", map[string]Reason{"carol": ReasonSenderBlockedRecipient}},
		"the room's": {roomList(one, "lobby"), "alice", map[string]Reason{
			"bob": ReasonBannedInRoom, "carol": ReasonBannedInRoom, "dave": ReasonBannedInRoom,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := oneApp(t, twoWay())
			recipients := []string{"bob", "carol", "dave"}
			check := Check{App: one, Sender: "alice", Room: "lobby", RoomType: Direct}
			fanout(t, f, check, recipients)
			change := w.put(c.list, false, entries(c.target)...)
			reads := len(w.loads)
			for i, d := range fanout(t, f, check, recipients) {
				wantDecision(t, "without the revision: "+recipients[i], d, plain)
			}
			check.AtLeast = NewRevision(primary, c.list, change.Version)
			for i, d := range fanout(t, f, check, recipients) {
				want, ok := c.want[recipients[i]]
				if !ok {
					want = ReasonAllowed
				}
				if d.Reason != want {
					t.Errorf("%s: %v, want %v", recipients[i], d.Reason, want)
				}
			}
			if n := len(w.loads) - reads; n != 1 {
				t.Errorf("%d pages were read, want the one that was asked for", n)
			}
		})
	}
}

// TestFanoutAtLeastOfAnotherServer: one read proves the server for all lists, or
// fails for all: a revision from before a failover must not read every page anew.
func TestFanoutAtLeastOfAnotherServer(t *testing.T) {
	other := primary
	other.Timeline++
	recipients := make([]string, 200)
	for i := range recipients {
		recipients[i] = fmt.Sprint("recipient-", i)
	}
	check := Check{App: one, Sender: "alice", RoomType: Direct, AtLeast: NewRevision(other, blockList(one, "bob"), 9)}
	bubble(t, Default(), func(t *testing.T, w *world, f *Filter) {
		decisions := make([]Decision, len(recipients))
		f.Fanout(direct("alice", ""), recipients, decisions) // all pages are in memory
		checks := make([]Check, len(recipients))
		for i := range checks {
			checks[i] = check
			checks[i].Recipient = recipients[i]
		}
		for name, decide := range map[string]func(){
			"fan-out": func() { f.Fanout(check, recipients, decisions) },
			"batch":   func() { f.Batch(checks, decisions) },
		} {
			reads := len(w.loads)
			w.identity = primary
			decide()
			for i, d := range decisions {
				wantDecision(t, name+" after the failover: "+recipients[i], d, plain)
			}
			if n := len(w.loads) - reads; n != 1 {
				t.Errorf("%s: %d reads prove one server, want 1", name, n)
			}
			reads, w.identity = len(w.loads), other
			decide()
			for i, d := range decisions {
				wantDecision(t, name+" before it is noticed: "+recipients[i], d, notFresh)
			}
			if n := len(w.loads) - reads; n > 3 { // the attempts of one flight
				t.Errorf("%s: %d reads of a server that is not followed", name, n)
			}
		}
	})
}
