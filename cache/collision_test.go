package cache

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// TestOwnersWithOneHash: the hash that places lists spreads, and is no MAC: whoever
// learns the salt can make ids that share it. Their lists are told apart by a second
// hash, which is seeded for the process. Where that is the same as well there is no
// page: its owners are unknown, and none gets the answer of another.
func TestOwnersWithOneHash(t *testing.T) {
	named := func(owner, target string) lines {
		l := listOf(owner, 1, Entry{Target: target})
		one, err := prepare(&l, testSalt)
		if err != nil {
			t.Fatal(err)
		}
		one.hash = 1 << 40
		return one
	}
	build := func(lists ...lines) (*page, error) {
		slices.SortFunc(lists, compareLines)
		return newPage(&page{salt: testSalt, key: makeKey(0, 0, 0)}, lists)
	}
	a, b, nobody := "a", "b0", "n0"
	for i := 1; checkOf(b) == checkOf(a); i++ {
		b = fmt.Sprint("b", i)
	}
	for i := 1; checkOf(nobody) == checkOf(a) || checkOf(nobody) == checkOf(b); i++ {
		nobody = fmt.Sprint("n", i)
	}
	p, err := build(named(a, "alice"), named(b, "bob"))
	if err != nil {
		t.Fatal(err)
	}
	for owner, target := range map[string]string{a: "alice", b: "bob"} {
		i := p.findOwner(1<<40, owner)
		if i < 0 {
			t.Fatalf("%s is not found", owner)
		}
		if prints, _ := p.list(i); len(prints) != 1 || prints[0] != printOf(target) {
			t.Errorf("%s has the list of another", owner)
		}
	}
	if p.findOwner(1<<40, nobody) >= 0 {
		t.Error("an owner without a list has that of another")
	}
	// Without the second hash both lists stand under one mark.
	if markOf(1<<40, 0) != p.data[0]&^checkMask || p.data[0]&^checkMask != p.data[1]&^checkMask {
		t.Error("the hashes are not equal: this proves nothing")
	}
	twin := named(b, "bob")
	twin.check = checkOf(a)
	if _, err := build(named(a, "alice"), twin); !errors.Is(err, errMismatch) {
		t.Errorf("two lists under one mark: %v", err)
	}
}
