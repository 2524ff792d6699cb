package filter

import (
	"fmt"
	"slices"
	"testing"
)

// hits are checks that are answered from memory, one for every path through the
// rules that reads lists.
func hits(t testing.TB) (*Filter, map[string]Check) {
	policy := twoWay()
	policy.Exempt = []string{"moderator"}
	w, f := oneApp(t, policy)
	w.put(blockList(one, "bob"), false, entries("alice")...)
	w.put(blockList(one, "carol"), true, entries("alice")...)
	w.put(allowList(one, "carol"), false, entries("alice")...)
	w.put(blockList(one, "dave"), false, entries("erin")...)
	w.put(roomList(one, "lobby"), false, entries("mallory")...)
	inRoom := direct("mallory", "bob")
	inRoom.Room = "lobby"
	group := direct("erin", "dave")
	group.RoomType = Group
	checks := map[string]Check{
		"allowed, two lists":       direct("erin", "bob"),
		"recipient blocked sender": direct("alice", "bob"),
		"sender blocked recipient": direct("dave", "erin"),
		"on the allowlist":         direct("alice", "carol"),
		"not on the allowlist":     direct("erin", "carol"),
		"banned":                   inRoom,
		"silent":                   group,
		"exempt":                   direct("moderator", "bob"),
		"self":                     direct("bob", "bob"),
	}
	for _, check := range checks {
		f.CanDeliver(check)
	}
	w.dark() // a check that is not a hit is unknown from here on
	return f, checks
}

func TestHitsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f, checks := hits(t)
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			var d Decision
			if n := testing.AllocsPerRun(1000, func() { d = f.CanDeliver(check) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if d.Reason == ReasonUnknown {
				t.Errorf("not a hit: %+v", d)
			}
		})
	}
}

// TestManyHitsDoNotAllocate: neither the number of recipients nor that of checks
// costs an allocation.
func TestManyHitsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f, checks := hits(t)
	var batch []Check
	var recipients []string
	for _, check := range checks {
		batch = append(batch, check)
		recipients = append(recipients, check.Recipient)
	}
	batch, recipients = slices.Repeat(batch, 100), slices.Repeat(recipients, 100)
	decisions := make([]Decision, len(batch))
	inRoom := Check{App: one, Sender: "erin", Room: "lobby", RoomType: Direct, API: APIFanout}
	f.CanDeliver(Check{App: one, Sender: "erin", Recipient: "dave", RoomType: Direct})
	for name, decide := range map[string]func(){
		"fan-out": func() { f.Fanout(inRoom, recipients, decisions) },
		"batch":   func() { f.Batch(batch, decisions) },
	} {
		if n := testing.AllocsPerRun(100, decide); n != 0 {
			t.Errorf("%s: %v allocations for %d hits", name, n, len(decisions))
		}
		for _, d := range decisions {
			if d.Reason == ReasonUnknown {
				t.Fatalf("%s: not a hit: %+v", name, d)
			}
		}
	}
}

// BenchmarkHit is one check between users whose pages are in memory, with
// metrics on.
func BenchmarkHit(b *testing.B) {
	const users = 1 << 14
	ids := make([]string, users)
	for i := range ids {
		ids[i] = fmt.Sprintf("user-%08d-of-benchmark", i)
	}
	for _, mode := range []Mode{ModeOneWay, ModeTwoWay} {
		b.Run(mode.String(), func(b *testing.B) {
			policy := Default()
			policy.Mode = mode
			w, f := oneApp(b, policy)
			for i, id := range ids {
				w.put(blockList(one, id), false, entries(ids[(i+1)%users], ids[(i+7)%users])...)
			}
			for _, id := range ids {
				f.CanDeliver(direct(id, ids[0]))
				f.CanDeliver(direct(ids[0], id))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i = (i + 4097) % users
				f.CanDeliver(direct(ids[i], ids[(i*7)%users]))
			}
		})
	}
}
