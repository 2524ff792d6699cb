package filter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// The four lists that a decision can need, as a subset names them.
const (
	darkRoom = 1 << iota
	darkRecipientBlocks
	darkRecipientAllows
	darkSenderBlocks
	subsets = 1 << iota
)

// subsetsToTry are all of them or, in short mode, a few: the race detector looks at
// goroutines, which are the same whatever is unknown.
func subsetsToTry() []int {
	if testing.Short() {
		return []int{0, darkRoom | darkRecipientAllows, subsets - 1}
	}
	var all []int
	for dark := range subsets {
		all = append(all, dark)
	}
	return all
}

// darkOf tells which of the lists a page of a scene holds: recipients are in the
// lower half of the pages, senders in the upper.
func darkOf(kind cache.Kind, r cache.Range) int {
	switch {
	case kind == cache.KindRoom:
		return darkRoom
	case kind == cache.KindAllow:
		return darkRecipientAllows
	case r.Lo>>63 == 0:
		return darkRecipientBlocks
	}
	return darkSenderBlocks
}

// worlds returns every combination of facts that is possible if the lists of
// the subset may hold anything.
func worlds(fact facts, dark int) []facts {
	rooms, rModes, listed := []string{fact[inRoom]}, []string{fact[rMode]}, "unlisted"
	if fact[rMode] == "listed" {
		listed = "listed"
	}
	if dark&darkRoom != 0 && fact[inRoom] != "unnamed" {
		rooms = []string{"welcome", "banned"}
	}
	switch {
	case dark&darkRecipientBlocks != 0 && dark&darkRecipientAllows != 0:
		rModes = []string{"blocks", "listed", "unlisted"}
	case dark&darkRecipientBlocks != 0:
		rModes = []string{"blocks", listed}
	case dark&darkRecipientAllows != 0 && fact[rMode] != "blocks":
		rModes = []string{"listed", "unlisted"}
	}
	only := make(map[int][]string)
	for i, v := range fact {
		only[i] = []string{v}
	}
	only[inRoom], only[rMode] = rooms, rModes
	if dark&darkRecipientBlocks != 0 {
		only[rBlocks] = []string{"no", "yes"}
	}
	if dark&darkSenderBlocks != 0 {
		only[sMode], only[sBlocks] = []string{"blocks", "allow"}, []string{"no", "yes"}
	}
	var all []facts
	combine(only, func(f facts) { all = append(all, f) })
	return all
}

// blocking are the reasons that come to the room's on_block.
var blocking = []string{"not_on_allowlist", "recipient_blocked_sender", "sender_blocked_recipient"}

// allowed returns the decisions that may be given although the subset is
// unknown. There are none, unless every possible world has the same reason, or
// withholds, or comes to the room's on_block.
func (o *oracle) allowed(fact facts, dark int) []expected {
	var all []expected
	alike, withheld, blocked := true, true, true
	for _, possible := range worlds(fact, dark) {
		want := o.expect(possible)
		want.row = ""
		all = append(all, want)
		alike = alike && want.reason == all[0].reason
		withheld = withheld && want.deliver == "no"
		blocked = blocked && slices.Contains(blocking, want.reason)
	}
	if alike || withheld || blocked {
		return all
	}
	return nil
}

// TestUnknownLists makes every subset of the lists unreadable and compares with
// what could be concluded by enumerating what the lists might hold.
func TestUnknownLists(t *testing.T) {
	for _, dark := range subsetsToTry() {
		t.Run(fmt.Sprintf("subset %04b", dark), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { unknownSubset(t, dark) })
		})
	}
}

func unknownSubset(t *testing.T, dark int) {
	s, o := newScene(t), newOracle(t)
	f := s.filterWith(Options{Apps: s.apps, SoftBound: 1e6 * time.Hour, HardBound: 1e6 * time.Hour})
	shadow := s.shadow(f)
	s.hook = func(_ context.Context, _ string, kind cache.Kind, r cache.Range) error {
		if dark&darkOf(kind, r) != 0 {
			return errDark
		}
		return nil
	}
	// Neither of two ways to withhold, nor whom an app exempts, nor two more
	// room types say anything new about lists.
	only := map[int][]string{
		same: {"no"}, exempt: {"none"}, origin: {"client"}, onBlock: {"drop", "silent", "deliver"},
		roomType: {"direct", "group"}, notifyBlocked: {"no"},
	}
	combine(only, func(fact facts) {
		allowed := o.allowed(fact, dark)
		d := f.CanDeliver(s.check(fact))
		wantShadow(t, fact.String(), shadow.CanDeliver(s.check(fact)), d)
		switch {
		case allowed == nil:
			wantDecision(t, fact.String(), d, Decision{
				Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotLoaded,
			})
		case !slices.Contains(allowed, spell("", d)):
			t.Errorf("%s\n got %+v\nwant one of %+v", fact, d, allowed)
		case d.Cause != CauseNone && d.Reason != ReasonUnknown:
			t.Errorf("%s: known, yet with a cause: %+v", fact, d)
		}
	})
}

// TestOnlyNeededListsAreRead asks about every combination with an empty memory
// and compares the lists that were read with the ones the rules need.
func TestOnlyNeededListsAreRead(t *testing.T) {
	s := newScene(t)
	f := s.filterWith(Options{Apps: s.apps, SoftBound: time.Hour, HardBound: time.Hour})
	need := map[string]string{ // reason, or where it does not say enough, facts → lists
		"self": "", "exempt": "", "unverified_origin": "",
		"banned_in_room": "room", "room_not_filtered": "",
		"not_on_allowlist":         "blocks(r) allows(r)",
		"recipient_blocked_sender": "blocks(r)",
	}
	combine(map[int][]string{notifyBlocked: {"no"}}, func(fact facts) {
		check := s.check(fact)
		var rec recorder
		reason := f.decide(&check, &rec).Reason.String()
		want, ok := need[reason]
		if !ok { // all rules were asked
			want = "blocks(r)"
			if fact[roomType] == "direct" && fact[allow] == "on" && fact[rMode] != "blocks" {
				want += " allows(r)"
			}
			if fact[mode] == "two_way" {
				want += " blocks(s)"
			}
		}
		if fact[inRoom] != "unnamed" && want != "room" && !slices.Contains([]string{"self", "exempt", "unverified_origin"}, reason) {
			want = strings.TrimSpace("room " + want)
		}
		if got := listsRead(&check, &rec); got != want {
			t.Fatalf("%s: read %q, want %q", fact, got, want)
		}
	})
}

func listsRead(check *Check, rec *recorder) string {
	var names []string
	for _, l := range rec.lists {
		who := map[string]string{check.Recipient: "(r)", check.Sender: "(s)"}[l.owner]
		switch l.kind {
		case cache.KindRoom:
			names = append(names, "room")
		case cache.KindAllow:
			names = append(names, "allows"+who)
		default:
			names = append(names, "blocks"+who)
		}
	}
	return strings.Join(names, " ")
}

// TestNoReadBehindTheDecision counts page reads: a rule that matched early must
// not have touched the database for a later one.
func TestNoReadBehindTheDecision(t *testing.T) {
	w, f := oneApp(t, twoWay())
	w.put(blockList(one, "bob"), false, entries("alice")...)
	if d := f.CanDeliver(direct("alice", "bob")); d.Reason != ReasonRecipientBlockedSender {
		t.Fatalf("%+v", d)
	}
	if blocks, allows, rooms := w.loadsOf(cache.KindBlock), w.loadsOf(cache.KindAllow), w.loadsOf(cache.KindRoom); blocks != 1 || allows+rooms != 0 {
		t.Errorf("%d pages of blocks, %d of allowlists, %d of rooms were read; want bob's alone", blocks, allows, rooms)
	}
	if d := f.CanDeliver(direct("carol", "carol")); d.Reason != ReasonSelf || w.loadsOf(cache.KindBlock) != 1 {
		t.Errorf("a note to self read a list: %+v", d)
	}
}

// TestOnUnknown is what an app makes of an unknown list, for every policy and
// room.
func TestOnUnknown(t *testing.T) {
	base := Decision{Reason: ReasonUnknown, Cause: CauseNotLoaded, Degraded: true}
	delivered, silent, rejected, dropped := base, base, base, base
	delivered.Deliver, delivered.Notify = true, true
	silent.Deliver = true
	rejected.Action, dropped.Action = ActionReject, ActionDrop
	errored := Decision{Reason: ReasonUnknown, Cause: CauseNotLoaded, Action: ActionReject}
	cases := []struct {
		policy  OnUnknown
		onBlock OnBlock
		want    Decision
	}{
		{OnUnknownError, OnBlockReject, errored},
		{OnUnknownError, OnBlockDrop, errored},
		{OnUnknownError, OnBlockDeliverSilently, errored},
		{OnUnknownError, OnBlockDeliver, errored},
		{OnUnknownDeliver, OnBlockReject, delivered},
		{OnUnknownDeliver, OnBlockDrop, delivered},
		{OnUnknownDeliver, OnBlockDeliverSilently, delivered},
		{OnUnknownDeliver, OnBlockDeliver, delivered},
		{OnUnknownWithhold, OnBlockReject, rejected},
		{OnUnknownWithhold, OnBlockDrop, dropped},
		{OnUnknownWithhold, OnBlockDeliverSilently, silent},
		{OnUnknownWithhold, OnBlockDeliver, delivered},
	}
	for _, c := range cases {
		t.Run(c.policy.String()+" "+c.onBlock.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				policy := Default()
				policy.OnUnknown = c.policy
				policy.Rooms[Group].OnBlock = c.onBlock
				w, f := oneApp(t, policy)
				w.dark()
				check := Check{App: one, Sender: "alice", Recipient: "bob", Room: "lobby", RoomType: Group}
				d := f.CanDeliver(check)
				wantDecision(t, "unknown", d, c.want)
				policy.Shadow = true
				wantShadow(t, "in shadow", w.filter(map[string]Policy{one: policy}).CanDeliver(check), d)
				if d.Unknown() != (c.policy == OnUnknownError) {
					t.Errorf("Unknown() = %v under %v", d.Unknown(), c.policy)
				}
				check.NotifyBlocked = true
				if got := f.CanDeliver(check).Notify; got != d.Deliver {
					t.Errorf("with notify_blocked: notify %v, deliver %v", got, d.Deliver)
				}
			})
		})
	}
}

// TestNotSynced: before a server is followed nothing can be read, and the cause
// says why.
func TestNotSynced(t *testing.T) {
	w, _ := oneApp(t, Default())
	idle, err := cache.New(cache.Options{
		MaxBytes: 1 << 20, Apps: []string{one}, Loader: cache.Whole(w.Load), Metrics: cache.NewMetrics(newRegistry()),
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Cache: idle, Apps: map[string]Policy{one: Default()}})
	if err != nil {
		t.Fatal(err)
	}
	unknown := Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseNotSynced}
	wantDecision(t, "before the first poll", f.CanDeliver(direct("alice", "bob")), unknown)
	idle.Reset(primary, idle.Now())
	wantDecision(t, "after it", f.CanDeliver(direct("alice", "bob")),
		Decision{Deliver: true, Notify: true, Reason: ReasonAllowed})
}

// TestInvalidChecks: a mistake of the program that asks is unknown, never
// delivered.
func TestInvalidChecks(t *testing.T) {
	_, f := oneApp(t, Default())
	other := direct("alice", "bob")
	other.App = "other"
	wantDecision(t, "unknown app", f.CanDeliver(other),
		Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseUnknownApp})
	for _, room := range []RoomType{0, Open + 1, 255} {
		check := direct("alice", "bob")
		check.RoomType = room
		wantDecision(t, room.String(), f.CanDeliver(check),
			Decision{Action: ActionReject, Reason: ReasonUnknown, Cause: CauseInvalidRoomType})
	}
	if !f.HasApp(one) || f.HasApp("other") || f.HasApp("") {
		t.Error("HasApp does not tell the configured app from others")
	}
}
