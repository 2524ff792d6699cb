package cache

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var everywhere = Range{Hi: math.MaxUint64}

// someLists returns lists of every shape: empty, with and without expiries, some
// of both, in allowlist mode.
func someLists(n int) []List {
	rnd := rand.New(rand.NewPCG(5, uint64(n)))
	out := make([]List, n)
	for i := range out {
		l := List{Owner: fmt.Sprintf("owner%d", i), Version: int64(1 + i), Allowlist: i%7 == 3}
		for t := range i % 23 {
			e := Entry{Target: fmt.Sprintf("target%d", t)}
			if i%3 == 1 || i%3 == 2 && rnd.IntN(2) == 0 {
				e.Expires = 1 + rnd.Int64N(1e15)
			}
			l.Entries = append(l.Entries, e)
		}
		l.Size, l.Digest = len(l.Entries), ListDigest(l.Allowlist, l.Entries)
		out[i] = l
	}
	return out
}

// take hands lists to a new intake, from one buffer that is written over, as a
// connection's is.
func take(lists []List) *intake {
	in := newIntake(testSalt, everywhere)
	var buf []byte
	for _, l := range lists {
		buf = append(buf[:0], l.Owner...)
		in.List(Header{Owner: buf, Version: l.Version, Size: l.Size, Digest: l.Digest, Allowlist: l.Allowlist})
		for _, e := range l.Entries {
			buf = append(buf[:0], e.Target...)
			in.Entry(buf, e.Expires)
		}
	}
	in.Done(Identity{System: 1}, len(lists))
	return in
}

func TestAnIntakeHoldsWhatItWasHanded(t *testing.T) {
	lists := someLists(300)
	for range 3 { // the second time in blocks that were used before
		in := take(lists)
		all, err := in.sorted()
		if err != nil || len(all) != len(lists) || !slices.IsSortedFunc(all, compareLines) {
			t.Fatalf("%d lists: %v", len(all), err)
		}
		p, err := newPage(&page{salt: testSalt, key: makeKey(0, 0, 0)}, all)
		if err != nil {
			t.Fatal(err)
		}
		in.free()
		take(someLists(31)).free() // writes over what the page must not share
		for i := range lists {
			checkPageHas(t, p, &lists[i])
		}
	}
}

func checkPageHas(t *testing.T, p *page, want *List) {
	t.Helper()
	hash, check := HashOwner(want.Owner, testSalt), checkOf(want.Owner)
	if v := p.versionOf(hash, check); v != want.Version {
		t.Fatalf("%s has version %d, want %d", want.Owner, v, want.Version)
	}
	prints, expiries := p.list(p.find(hash, check))
	if len(prints) != want.Size || !slices.IsSorted(prints) {
		t.Fatalf("%s has %d fingerprints, want %d sorted ones", want.Owner, len(prints), want.Size)
	}
	for _, e := range want.Entries {
		i := indexPrint(prints, printOf(e.Target))
		if i < 0 {
			t.Fatalf("%s lacks %s", want.Owner, e.Target)
		}
		if e.Expires != 0 && (expiries == nil || int64(expiries[i]) != e.Expires) ||
			e.Expires == 0 && expiries != nil && expiries[i] != 0 {
			t.Fatalf("%s: another expiry of %s", want.Owner, e.Target)
		}
	}
}

// What does not add up makes no page, whatever it is.
func TestAnIntakeRefusesWhatDoesNotAddUp(t *testing.T) {
	long := listOf("long", 1, manyEntries(maxRead+1)...)
	for name, spoil := range map[string]func(in *intake){
		"an entry before any list":     func(in *intake) { in.Entry([]byte("a"), 0); in.Done(Identity{}, 0) },
		"an entry behind the end":      func(in *intake) { in.Done(Identity{}, 0); in.Entry([]byte("a"), 0) },
		"no end":                       func(in *intake) { in.List(Header{Owner: []byte("o")}) },
		"a list that was not counted":  func(in *intake) { in.List(Header{Owner: []byte("o")}); in.Done(Identity{}, 0) },
		"a list that did not come":     func(in *intake) { in.Done(Identity{}, 1) },
		"an entry that did not come":   func(in *intake) { in.List(Header{Owner: []byte("o"), Size: 1}); in.Done(Identity{}, 1) },
		"a digest that differs":        func(in *intake) { in.List(Header{Owner: []byte("o"), Digest: 1}); in.Done(Identity{}, 1) },
		"more entries than a list has": func(in *intake) { long.handTo(in); in.Done(Identity{}, 1) },
		"a size that is below nothing": func(in *intake) { in.List(Header{Owner: []byte("o"), Size: -1}); in.Done(Identity{}, 1) },
		"a list from another range":    func(in *intake) { in.reach = Range{Lo: 1}; in.List(Header{Owner: []byte("o")}); in.Done(Identity{}, 1) },
		"an expiry that is not counted": func(in *intake) {
			l := listOf("o", 1, Entry{Target: "t", Expires: 5})
			l.Entries[0].Expires = 6
			l.handTo(in)
			in.Done(Identity{}, 1)
		},
	} {
		in := newIntake(testSalt, everywhere)
		spoil(in)
		if all, err := in.sorted(); !errors.Is(err, errMismatch) || all != nil {
			t.Errorf("%s: %d lists, %v", name, len(all), err)
		}
	}
	in := newIntake(testSalt, everywhere)
	in.List(Header{Owner: []byte("o")})
	in.Done(Identity{}, 1)
	if all, err := in.sorted(); err != nil || len(all) != 1 {
		t.Errorf("an empty list: %v", err)
	}
}

// TestAnIntakeAllocatesNothing: between the wire and the page there is no copy of
// an id.
func TestAnIntakeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and empties pools")
	}
	owner, target := []byte("user-0000000000000000001"), []byte("user-0000000000000000002")
	digest := EntryDigest(Entry{Target: string(target)})
	in := newIntake(testSalt, everywhere)
	once := func() {
		for range 64 {
			in.List(Header{Owner: owner, Version: 1, Size: 1, Digest: digest})
			in.Entry(target, 0)
		}
		in.Done(Identity{}, 64)
		if _, err := in.sorted(); err != nil {
			t.Fatal(err)
		}
		in.lists, in.room.words = in.lists[:0], in.room.words[:0]
	}
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations for 64 lists", n)
	}
}

func FuzzIntake(f *testing.F) {
	f.Add([]byte("owner\x03abc"), int64(0), uint64(1), 2)
	f.Add([]byte{}, int64(5), uint64(0), 0)
	f.Fuzz(func(t *testing.T, ids []byte, expires int64, digest uint64, size int) {
		// Whatever comes, in whatever order: a list is taken if and only if it
		// is what its header says.
		l := List{Owner: string(ids), Version: 1, Size: size, Digest: digest}
		for i := range ids {
			e := Entry{Target: string(ids[i:])}
			if i%2 == 0 {
				e.Expires = expires
			}
			l.Entries = append(l.Entries, e)
		}
		right := l
		right.Size, right.Digest = len(l.Entries), ListDigest(false, l.Entries)
		for _, one := range []*List{&l, &right} {
			in := newIntake(testSalt, everywhere)
			one.handTo(in)
			in.Done(Identity{}, 1)
			all, err := in.sorted()
			fits := one.Size == right.Size && one.Digest == right.Digest && len(one.Entries) <= maxRead
			if (err == nil) != fits {
				t.Fatalf("%d entries, header says %d: %v", len(one.Entries), one.Size, err)
			}
			if fits && (len(all) != 1 || len(all[0].prints) != one.Size) {
				t.Fatalf("%d fingerprints, want %d", len(all[0].prints), one.Size)
			}
			in.free()
		}
	})
}

// BenchmarkIntake is what a page of 64 lists of 10, and one of a list of 3,000,
// cost from the wire on.
func BenchmarkIntake(b *testing.B) {
	for name, lists := range map[string][]List{
		"64 lists of 10": benchLists(64, 10), "2,048 lists of 10": benchLists(2048, 10), "a list of 3,000": benchLists(1, 3000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			reads, entries := 0, 0
			for i := range lists {
				entries += lists[i].Size
			}
			for b.Loop() {
				in := take(lists)
				all, err := in.sorted()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := newPage(&page{salt: testSalt, key: makeKey(0, 0, 0)}, all); err != nil {
					b.Fatal(err)
				}
				in.free()
				reads++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(reads*entries), "ns/entry")
		})
	}
}

func benchLists(n, size int) []List {
	out := make([]List, n)
	for i := range out {
		entries := make([]Entry, size)
		for j := range entries {
			entries[j].Target = fmt.Sprintf("user-%019d", i*size+j)
		}
		out[i] = listOf(fmt.Sprintf("user-%019d", i), 1, entries...)
	}
	return out
}
