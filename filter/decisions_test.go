package filter

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// onBlockOf is on_block in the words of the tables.
var onBlockOf = map[string]OnBlock{
	"reject": OnBlockReject, "drop": OnBlockDrop,
	"silent": OnBlockDeliverSilently, "deliver": OnBlockDeliver,
}

// scene is a world that holds, for every app that facts can ask for, a pair of
// users for every way in which two users can stand to each other.
type scene struct {
	*world
	apps map[string]Policy
	// senders and recipients by what decides of whom they are
	senders, recipients map[string]string
}

// appOf names the app that has the policy of the facts.
func appOf(f facts) string {
	return strings.Join([]string{f[mode], f[onBlock], f[allow], f[exempt]}, "/")
}

func pairOf(f facts) string {
	return strings.Join([]string{f[rMode], f[sMode], f[rBlocks], f[sBlocks]}, "/")
}

// eachOnce narrows all dimensions but the named ones to their first value.
func eachOnce(but ...int) map[int][]string {
	only := make(map[int][]string)
	for i, d := range dimensions {
		if !slices.Contains(but, i) {
			only[i] = d.values[:1]
		}
	}
	return only
}

func newScene(t testing.TB) *scene {
	s := &scene{
		apps: make(map[string]Policy), senders: make(map[string]string), recipients: make(map[string]string),
	}
	combine(eachOnce(rMode, sMode, rBlocks, sBlocks), func(f facts) {
		s.senders[pairOf(f)] = userIn("sender/"+pairOf(f), true)
		s.recipients[pairOf(f)] = userIn("recipient/"+pairOf(f), false)
	})
	combine(eachOnce(mode, onBlock, allow, exempt), func(f facts) { s.apps[appOf(f)] = s.policy(f) })
	s.world = newWorldFor(t, time.Minute, slices.Collect(maps.Keys(s.apps))...)
	for app := range s.apps {
		s.fill(app)
	}
	return s
}

func (s *scene) policy(f facts) Policy {
	p := Default()
	p.Mode, _ = ParseMode(f[mode])
	for t := Direct; t <= Open; t++ {
		p.Rooms[t].OnBlock = onBlockOf[f[onBlock]]
	}
	p.Allowlist = f[allow] == "on"
	switch f[exempt] {
	case "sender":
		p.Exempt = slices.Collect(maps.Values(s.senders))
	case "recipient":
		p.Exempt = slices.Collect(maps.Values(s.recipients))
	}
	return p
}

// fill writes the lists of all pairs, and of a room that no sender may speak
// in, into one app.
func (s *scene) fill(app string) {
	combine(eachOnce(rMode, sMode, rBlocks, sBlocks), func(f facts) {
		sender, recipient := s.senders[pairOf(f)], s.recipients[pairOf(f)]
		when := func(fact, target string) []cache.Entry {
			if fact == "no" {
				return entries("someone-else")
			}
			return entries("someone-else", target)
		}
		s.put(blockList(app, recipient), f[rMode] != "blocks", when(f[rBlocks], sender)...)
		s.put(blockList(app, sender), f[sMode] == "allow", when(f[sBlocks], recipient)...)
		if f[rMode] == "listed" {
			s.put(allowList(app, recipient), false, entries("someone-else", sender)...)
		} else {
			s.put(allowList(app, recipient), false, entries("someone-else")...)
		}
	})
	s.put(roomList(app, "welcome"), false, entries("someone-else")...)
	s.put(roomList(app, "banned"), false, entries(slices.Collect(maps.Values(s.senders))...)...)
}

// check is the question that the facts describe.
func (s *scene) check(f facts) Check {
	c := Check{
		App: appOf(f), Sender: s.senders[pairOf(f)], Recipient: s.recipients[pairOf(f)],
		FromServer: strings.HasPrefix(f[origin], "server"), Verify: strings.HasSuffix(f[origin], "_v"),
		NotifyBlocked: f[notifyBlocked] == "yes",
	}
	c.RoomType, _ = ParseRoomType(f[roomType])
	if f[inRoom] != "unnamed" {
		c.Room = f[inRoom]
	}
	if f[same] == "yes" {
		c.Recipient = c.Sender
	}
	return c
}

// TestEveryCombination compares all 165,888 combinations of facts with the
// tables in testdata, enforced and in shadow.
func TestEveryCombination(t *testing.T) {
	s, o := newScene(t), newOracle(t)
	f := s.filterWith(Options{Apps: s.apps, SoftBound: time.Hour, HardBound: time.Hour, LoadTimeout: time.Minute, AtLeastTimeout: time.Minute})
	n, shadow := 0, s.shadow(f)
	combine(nil, func(fact facts) {
		n++
		want := o.expect(fact)
		check := s.check(fact)
		d := f.CanDeliver(check)
		if got := spell(want.row, d); got != want || d.Degraded || d.Cause != CauseNone || d.Stale != 0 {
			t.Fatalf("%s\n got %+v\nwant %+v", fact, d, want)
		}
		checkRecorded(t, f, check, d)
		wantShadow(t, fact.String(), shadow.CanDeliver(check), d)
	})
	o.reasons.used()
	o.outcomes.used()
	if n != 165_888 {
		t.Errorf("compared %d combinations, want 165,888: a dimension was lost", n)
	}
}

// checkRecorded asks again with a recorder: the answer is the same, the rules
// had their turn in their order, and only the last of them matched.
func checkRecorded(t *testing.T, f *Filter, check Check, want Decision) {
	t.Helper()
	var rec recorder
	if got := f.decide(&check, &rec); got != want {
		t.Fatalf("recorded %+v, unrecorded %+v", got, want)
	}
	for i, r := range rec.rules {
		last := i == len(rec.rules)-1
		if int(r.rule) != i || (r.answer == yes) != (last && want.Reason != ReasonAllowed) {
			t.Fatalf("%+v: rules said %v", check, rec.rules)
		}
	}
	if want.Reason != ReasonAllowed && rec.rules[len(rec.rules)-1].rule != want.Reason {
		t.Fatalf("%+v: decided by %v, rules said %v", check, want.Reason, rec.rules)
	}
}

// TestPresets compares every preset with the table of what it promises.
func TestPresets(t *testing.T) {
	names := map[string]string{"(none)": "", "imkit": "imkit", "rongcloud": "rongcloud", "sendbird": "sendbird"}
	apps := make(map[string]Policy)
	for shown, name := range names {
		apps[shown], _ = Preset(name)
	}
	w := newWorld(t, slices.Collect(maps.Keys(apps))...)
	f := w.filter(apps)
	for app := range apps {
		w.put(blockList(app, "r-recipient"), false, entries("s-recipient")...)
		w.put(blockList(app, "s-sender"), false, entries("r-sender")...)
		w.put(blockList(app, "r-both"), false, entries("s-both")...)
		w.put(blockList(app, "s-both"), false, entries("r-both")...)
	}
	tb := readTable(t, "presets.txt", 2)
	if want := len(names) * 3 * 4; len(tb.rows) != want {
		t.Fatalf("presets.txt has %d rows, want %d", len(tb.rows), want)
	}
	for _, r := range tb.rows {
		room, blocks := r.when[0][0], r.when[1][0]
		check := Check{App: r.name, Sender: "s-" + blocks, Recipient: "r-" + blocks}
		check.RoomType, _ = ParseRoomType(room)
		d := f.CanDeliver(check)
		if outcomeNames[outcomeOf(&d)] != r.then[0] || d.Reason.String() != r.then[1] {
			t.Errorf("%s, %s, blocked by %s: %+v, want %v", r.name, room, blocks, d, r.then)
		}
	}
}
