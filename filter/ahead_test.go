package filter

import (
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// TestKindOf: the rules are asked about everybody who differs in more than what
// a kind is made of.
func TestKindOf(t *testing.T) {
	policy := twoWay()
	policy.Allowlist = true
	bubble(t, policy, func(t *testing.T, w *world, f *Filter) {
		w.put(blockList(one, "alice"), false, entries("carol", "dave")...)
		w.put(blockList(one, "bob"), false, entries("alice")...)
		w.put(blockList(one, "carol"), false, entries("alice")...)
		w.put(blockList(one, "erin"), true, entries("alice")...)
		for _, id := range []string{"alice", "bob", "carol", "dave", "erin", "frank"} {
			f.CanDeliver(direct(id, "alice"))
			f.CanDeliver(direct("alice", id))
		}
		check := direct("alice", "")
		e := evaluation{postpone: true}
		e.begin(f, &check, f.cache.Now())
		kindOf := func(recipient string) int {
			ahead := make([]cache.Lookup, 1)
			e.lookAheadOf([]string{recipient}, ahead)
			return e.kindOf(recipient, &ahead[0])
		}
		if kindOf("frank") != unlike {
			t.Error("the sender's list has not been read, and it is known who is on it")
		}
		e.sender.blocks.shared = true
		e.read(&e.sender.blocks, listName{cache.KindBlock, "alice"}, "")
		for recipient, want := range map[string]int{
			"frank": 0, "bob": blocksSender, "dave": blockedBySender, "carol": blocksSender | blockedBySender,
			"alice": unlike, // the sender
			"erin":  unlike, // in allowlist mode
		} {
			if got := kindOf(recipient); got != want {
				t.Errorf("%s is of kind %d, want %d", recipient, got, want)
			}
		}
		e.wanted.asked = true
		if kindOf("frank") != unlike {
			t.Error("a revision may ask something of the list")
		}
		e.wanted.asked = false
		if kind := e.kindOf("frank", &cache.Lookup{}); kind != unlike {
			t.Errorf("a list that is not in memory is of kind %d", kind)
		}
		advance(DefaultSoftBound + time.Millisecond)
		e.now = f.cache.Now()
		if kindOf("frank") != unlike {
			t.Error("a list past the soft bound: its age is part of the answer")
		}
	})
}

// TestAlikeForgets: an answer is of one instant, and one that says its age is of
// one recipient.
func TestAlikeForgets(t *testing.T) {
	var same alike
	same.learn(unlike, unlike, 5, plain)
	same.learn(0, 0, 5, plain)
	stale := plain
	stale.Stale = time.Second
	same.learn(1, 1, 5, stale)
	same.learn(2, 0, 5, plain) // an entry has expired while the rules were asked
	for _, c := range []struct {
		kind int
		now  cache.Instant
		want bool
	}{{0, 5, true}, {0, 6, false}, {1, 5, false}, {2, 5, false}, {unlike, 5, false}} {
		if d, ok := same.of(c.kind, c.now); ok != c.want || ok && d != plain {
			t.Errorf("kind %d at %d: %+v, %v", c.kind, c.now, d, ok)
		}
	}
	same.learn(1, 1, 6, plain)
	if _, ok := same.of(0, 6); ok {
		t.Error("an answer of an earlier instant was kept")
	}
}
