package cache

import (
	"hash/maphash"
	"strings"
	"testing"
)

// Ids that differ little, or only in their length, have other fingerprints.
func TestPrintsTellIDsApart(t *testing.T) {
	seen := map[uint64]string{}
	see := func(id string) {
		print := printOf(id)
		if other, twice := seen[print]; twice && other != id {
			t.Fatalf("%q and %q are %x", id, other, print)
		}
		seen[print] = id
		if printOf(strings.Clone(id)) != print {
			t.Fatalf("%q has two fingerprints", id)
		}
	}
	for n := range 3 * printWords * 8 {
		see(strings.Repeat("\x00", n))
		see(strings.Repeat("a", n))
		one := []byte(strings.Repeat("a", n))
		for i := range one {
			one[i] = 'b'
			see(string(one))
			one[i] = 'a'
		}
	}
	if want := 2*3*printWords*8 - 1 + 3*printWords*8*(3*printWords*8-1)/2; len(seen) != want {
		t.Errorf("%d ids, want %d", len(seen), want)
	}
}

func TestPrintsFollowFromTheSeed(t *testing.T) {
	one, again, other := newPrinting([SeedBytes]byte{1}), newPrinting([SeedBytes]byte{1}), newPrinting([SeedBytes]byte{2})
	for _, id := range []string{"", "a", "alice", "alice-and-bob", strings.Repeat("x", 300)} {
		if one.print(id) != again.print(id) {
			t.Errorf("%q: two fingerprints under one seed", id)
		}
		if one.print(id) == other.print(id) {
			t.Errorf("%q: the seed makes no difference", id)
		}
	}
	if a, b := newPrinting(anySeed()), newPrinting(anySeed()); a.seed == b.seed {
		t.Error("two processes have one seed")
	}
}

// Ids that are counted up are spread over the range, so that the first guess in a
// sorted list is near.
func TestPrintsOfNumberedIDsAreSpread(t *testing.T) {
	const n, bins = 1 << 16, 1 << 8
	for seed := range byte(20) {
		p := newPrinting([SeedBytes]byte{seed, 7})
		var count, low [bins]int
		for i := range n {
			print := p.print(makerName(i))
			count[print>>56]++
			low[print&0xff]++ // of what a mark takes
		}
		for _, counts := range [][bins]int{count, low} {
			worst := 0
			for _, k := range counts {
				worst = max(worst, k)
			}
			if worst > 2*n/bins {
				t.Errorf("seed %d: %d of %d in one of %d parts", seed, worst, n, bins)
			}
		}
	}
}

// The secret is that of the first cache at the latest: pages that were made with
// another one would answer wrongly.
func TestTheSeedIsNotExchangedUnderACache(t *testing.T) {
	newTestCache(t, newSimDB())
	if adoptSeed([SeedBytes]byte{1}) {
		t.Error("another seed was taken although there is a cache")
	}
	if !adoptSeed(process.seed) {
		t.Error("the same seed was refused")
	}
}

func BenchmarkPrint(b *testing.B) {
	const id = "user-000000000000000042x"
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			printOf(id)
		}
	})
	b.Run("maphash", func(b *testing.B) {
		seed := maphash.MakeSeed()
		for b.Loop() {
			maphash.String(seed, id)
		}
	})
}
