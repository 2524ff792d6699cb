package cache

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

const testSalt = 42

// buildPage makes a page of the whole hash space, so that any owner fits.
func buildPage(t testing.TB, lists ...List) *page {
	t.Helper()
	all := make([]lines, 0, len(lists))
	for i := range lists {
		l, err := prepare(&lists[i], testSalt)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	slices.SortFunc(all, compareLines)
	p, err := newPage(&page{salt: testSalt, key: makeKey(0, 0, 0)}, all)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func listOf(owner string, version int64, entries ...Entry) List {
	return List{Owner: owner, Version: version, Size: len(entries), Entries: entries, Digest: ListDigest(false, entries)}
}

func (p *page) has(owner, target string) bool {
	r := p.find(HashOwner(owner, p.salt), checkOf(owner))
	if r < 0 {
		return false
	}
	prints, _ := p.list(r)
	return indexPrint(prints, printOf(target)) >= 0
}

func manyEntries(n int) []Entry {
	out := make([]Entry, n)
	for i := range out {
		out[i].Target = "t" + strconv.Itoa(i)
	}
	return out
}

func TestPageFindsEveryOwnerAndNoOther(t *testing.T) {
	for _, n := range []int{0, 1, 2, 64, 500} {
		var lists []List
		for i := range n {
			lists = append(lists, listOf("o"+strconv.Itoa(i), 1, Entry{Target: "t" + strconv.Itoa(i)}))
		}
		p := buildPage(t, lists...)
		for i := range n {
			o := "o" + strconv.Itoa(i)
			if !p.has(o, "t"+strconv.Itoa(i)) || p.has(o, "t"+strconv.Itoa(i+1)) {
				t.Fatalf("%d lists: wrong answer for %s", n, o)
			}
			if p.find(HashOwner("x"+o, testSalt), checkOf("x"+o)) >= 0 {
				t.Fatalf("%d lists: found an owner without a list", n)
			}
		}
	}
}

func TestPageWithCrowdedHashes(t *testing.T) {
	// Hashes that are all in one corner of the range defeat the guess.
	var all []lines
	for i := range 1000 {
		all = append(all, lines{hash: 1<<63 + uint64(i)<<16, version: 1})
	}
	p, err := newPage(&page{salt: testSalt}, all)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if at := p.find(1<<63+uint64(i)<<16, 0); at != i {
			t.Fatalf("list %d found at %d", i, at)
		}
	}
	for _, hash := range []uint64{0, 1 << 16, 1<<63 - 1, 1<<63 + 1000<<16, ^uint64(0)} {
		if p.find(hash, 0) >= 0 {
			t.Errorf("found %d, which is not there", hash)
		}
	}
}

func TestEqualHashesAreToldApartByTheCheck(t *testing.T) {
	one := lines{hash: 7 << 16, check: 1, version: 1, prints: []uint64{10}}
	two := lines{hash: 7 << 16, check: 2, version: 2, prints: []uint64{20}}
	p, err := newPage(&page{}, []lines{one, two})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []lines{one, two} {
		if r := p.find(7<<16, l.check); r < 0 || p.version(r) != l.version {
			t.Errorf("check %d: list %d", l.check, r)
		}
	}
	if p.find(7<<16, 3) >= 0 {
		t.Error("a third owner with that hash got a stranger's list")
	}
	if _, err := newPage(&page{}, []lines{one, one}); err == nil {
		t.Error("two owners that cannot be told apart made a page")
	}
}

func TestPrepareRefusesRowsThatDoNotAddUp(t *testing.T) {
	good := listOf("o", 3, Entry{Target: "x"}, Entry{Target: "y", Expires: 5})
	if _, err := prepare(&good, testSalt); err != nil {
		t.Fatal(err)
	}
	long := listOf("o", 3, manyEntries(maxListSize+1)...)
	if _, err := prepare(&long, testSalt); err != nil {
		t.Errorf("a list that is too long has no answer: %v", err)
	}
	for name, spoil := range map[string]func(*List){
		"a row is missing":    func(l *List) { l.Entries = l.Entries[:1] },
		"size is wrong":       func(l *List) { l.Size++ },
		"other target":        func(l *List) { l.Entries[0].Target = "z" },
		"other expiry":        func(l *List) { l.Entries[1].Expires++ },
		"mode missing":        func(l *List) { l.Allowlist = true },
		"more than is read":   func(l *List) { *l = listOf("o", 1, manyEntries(maxRead+1)...) },
		"digest of the empty": func(l *List) { l.Digest = 0 },
	} {
		l := listOf("o", 3, Entry{Target: "x"}, Entry{Target: "y", Expires: 5})
		spoil(&l)
		if _, err := prepare(&l, testSalt); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestStepsEqualTheModel drives pages with random changes and compares them,
// owner by owner and entry by entry, with a plain map.
func TestStepsEqualTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		db := newSimDB()
		p := &page{salt: testSalt, key: makeKey(0, 0, 0)}
		owners := []string{"o1", "o2", "o3", "o4"}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			k := blockKey(rapid.SampledFrom(owners).Draw(t, "owner"))
			c := randomChange(t, db, k)
			next, v := p.step(&c, 0)
			if v != stepped {
				t.Fatalf("%c of %d entries at version %d: verdict %d", c.Op, len(c.Entries), c.Version, v)
			}
			if again, v := next.step(&c, 0); v != known || again != next {
				t.Fatalf("the same change twice: verdict %d", v)
			}
			comparePage(t, db, next)
			p = next
		}
	})
}

// randomChange commits a change that is possible for the list.
func randomChange(t *rapid.T, db *simDB, k listKey) Change {
	have := map[string]int64{}
	if l := db.lists[k]; l != nil {
		have = maps.Clone(l.entries)
	}
	expiry := rapid.SampledFrom([]int64{0, 0, 1 << 60, 1<<60 + 1})
	n := rapid.SampledFrom([]int{1, 1, 2, 5, 150}).Draw(t, "entries")
	var in, out []Entry
	for i := 0; len(out) < n; i++ {
		target := fmt.Sprintf("t%d", i)
		if e, ok := have[target]; ok {
			in = append(in, Entry{target, e})
		} else {
			out = append(out, Entry{target, expiry.Draw(t, "expires")})
		}
	}
	if len(in) > n {
		in = in[len(in)-n:]
	}
	switch op := rapid.SampledFrom([]Op{OpAdd, OpAdd, OpRemove, OpUpdate, OpMode}).Draw(t, "op"); {
	case op == OpMode:
		return db.write(k, OpMode)
	case op == OpRemove && len(in) > 0:
		return db.write(k, OpRemove, in...)
	case op == OpUpdate && len(in) > 0:
		for i := range in {
			in[i].Expires = expiry.Draw(t, "new expiry")
		}
		return db.write(k, OpUpdate, in...)
	}
	return db.write(k, OpAdd, out...)
}

// comparePage compares a page with the lists of app "a", entry by entry and
// byte by byte of its accounting.
func comparePage(t *rapid.T, db *simDB, p *page) {
	entries := 0
	for k, l := range db.lists {
		r := p.find(HashOwner(k.owner, p.salt), checkOf(k.owner))
		if r < 0 || r != p.findOwner(HashOwner(k.owner, p.salt), k.owner) {
			t.Fatalf("%s is not in the page", k.owner)
		}
		prints, expiries := p.list(r)
		want := l.state(k.owner)
		if p.version(r) != want.Version || p.digest(r) != want.Digest || len(prints) != want.Size || p.flagged(r, flagAllowlist) != want.Allowlist {
			t.Fatalf("%s: %+v, want %+v", k.owner, p.lines(r), want)
		}
		if !slices.IsSorted(prints) {
			t.Fatalf("%s: fingerprints out of order", k.owner)
		}
		for _, e := range want.Entries {
			i := indexPrint(prints, printOf(e.Target))
			if i < 0 {
				t.Fatalf("%s: %s is missing", k.owner, e.Target)
			}
			if expiries == nil && e.Expires != 0 || expiries != nil && int64(expiries[i]) != e.Expires {
				t.Fatalf("%s: %s has another expiry", k.owner, e.Target)
			}
		}
		entries += len(want.Entries)
	}
	if int(p.entries) != entries {
		t.Fatalf("the page counts %d entries, there are %d", p.entries, entries)
	}
	// A page that was stepped is laid out like one that was read.
	var all []lines
	for i := range int(p.lists) {
		all = append(all, p.lines(i))
	}
	anew, err := newPage(p, all)
	if err != nil || !slices.Equal(anew.data[:anew.base()], p.data[:p.base()]) || len(anew.data) != len(p.data) {
		t.Fatalf("%v: stepped\n%x\nread\n%x", err, p.data, anew.data)
	}
	if left := p.bytes - anew.bytes; left < -4*sliceBytes || left > 4*sliceBytes {
		t.Fatalf("the page counts %d bytes, %d when read", p.bytes, anew.bytes)
	}
}

func TestStepVerdicts(t *testing.T) {
	db := newSimDB()
	k := blockKey("o")
	first := db.write(k, OpAdd, Entry{Target: "x"})
	p, v := (&page{salt: testSalt}).step(&first, 0)
	if v != stepped {
		t.Fatal("the first change of a list does not fit an empty page")
	}
	second := db.write(k, OpAdd, Entry{Target: "y"})
	third := db.write(k, OpRemove, Entry{Target: "x"})
	bulk := db.write(k, OpReload, Entry{Target: "z"})

	forged := first
	forged.Digest++
	wrong := second
	wrong.Digest++
	short := second
	short.Size++
	absent := second
	absent.Op, absent.Entries = OpRemove, []Entry{{Target: "q"}}

	for _, row := range []struct {
		name string
		c    Change
		want verdict
	}{
		{"a change that is in already", first, known},
		{"same version, other digest", forged, mismatch},
		{"the next one", second, stepped},
		{"one is missing before it", third, gap},
		{"too much to list", bulk, reload},
		{"a step that ends at another digest", wrong, mismatch},
		{"a step that ends at another size", short, mismatch},
		{"a removal of what is not there", absent, mismatch},
	} {
		next, v := p.step(&row.c, 0)
		if v != row.want {
			t.Errorf("%s: verdict %d, want %d", row.name, v, row.want)
		}
		if v != stepped && next != p {
			t.Errorf("%s: the page changed", row.name)
		}
	}
	if v := first; v.Version != 1 || p.has("o", "y") {
		t.Error("a step changed the page it started from")
	}
}

func TestStepKeepsTheEpoch(t *testing.T) {
	db := newSimDB()
	c := db.write(blockKey("o"), OpAdd, Entry{Target: "x"})
	p, _ := (&page{salt: testSalt, epoch: 3, readAt: 9}).step(&c, 0)
	if p.epoch != 3 || p.readAt != 9 {
		t.Errorf("one owner's change made the page of epoch %d, read at %d", p.epoch, p.readAt)
	}
}

func TestSplitKeepsEveryList(t *testing.T) {
	db := newSimDB()
	var lists []List
	for i := range 300 {
		k := blockKey("o" + strconv.Itoa(i))
		db.write(k, OpAdd, manyEntries(1+i*3)...)
		lists = append(lists, db.lists[k].state(k.owner))
	}
	p := buildPage(t, lists...)
	children := p.split(4)
	if len(children) != 16 {
		t.Fatalf("%d children", len(children))
	}
	total := 0
	for i, child := range children {
		if child.key.number() != uint64(i) || child.key.bits() != 4 {
			t.Errorf("child %d is page %d of %d bits", i, child.key.number(), child.key.bits())
		}
		total += int(child.lists)
	}
	if total != 300 {
		t.Errorf("%d lists after the split", total)
	}
	for i := range 300 {
		o := "o" + strconv.Itoa(i)
		child := children[HashOwner(o, testSalt)>>60]
		if !child.has(o, "t"+strconv.Itoa(i*3)) || child.has(o, "t"+strconv.Itoa(i*3+1)) {
			t.Errorf("%s is not what it was", o)
		}
	}
}

func TestKeysAreUniqueOverSpacesAndSizes(t *testing.T) {
	seen := map[pageKey]string{}
	for space := range 5 {
		for bits := uint8(shardBits); bits <= 10; bits++ {
			for no := range uint64(1) << bits {
				k := makeKey(space, bits, no)
				name := fmt.Sprint(space, bits, no)
				if other, dup := seen[k]; dup {
					t.Fatalf("%s and %s have one key", name, other)
				}
				seen[k] = name
				if k.space() != space || k.bits() != bits || k.number() != no {
					t.Fatalf("%s reads as %d %d %d", name, k.space(), k.bits(), k.number())
				}
			}
		}
	}
	top := makeKey(7, maxBits, 1<<maxBits-1)
	if top.space() != 7 || top.bits() != maxBits || top.number() != 1<<maxBits-1 {
		t.Error("the largest key does not read back")
	}
}

func BenchmarkPageStep(b *testing.B) {
	db := newSimDB()
	var lists []List
	for i := range 64 {
		k := blockKey("o" + strconv.Itoa(i))
		db.write(k, OpAdd, manyEntries(10)...)
		lists = append(lists, db.lists[k].state(k.owner))
	}
	p := buildPage(b, lists...)
	c := db.write(blockKey("o7"), OpAdd, Entry{Target: "new"})
	for b.Loop() {
		p.step(&c, 0)
	}
}
