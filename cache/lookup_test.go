package cache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// TestFindAllIsFind compares over owners with a list and without, of pages in
// memory and not, of two directories, in blocks of every size.
func TestFindAllIsFind(t *testing.T) {
	db := newSimDB()
	owners := make([]string, 400)
	for i := range owners {
		owners[i] = "user-" + strconv.Itoa(i)
		if i%2 == 0 {
			db.write(blockKey(owners[i]), OpAdd, manyEntries(1+i)...)
		}
	}
	c := newTestCache(t, db)
	d, rooms := c.Directory("a", KindBlock), c.Directory("a", KindRoom)
	lookups := []Lookup{{Directory: d, Owner: owners[0], View: View{nth: 7}, Found: true}}
	if c.FindAll(lookups); lookups[0].Found || lookups[0].View != (View{}) {
		t.Errorf("before a server is followed: %+v", lookups[0])
	}
	follow(c, db)
	for _, o := range owners[:6] { // some of the sixteen pages
		mustLoad(t, c, o)
	}
	found := 0
	for n := range 3*lookupBlock + 2 {
		lookups := make([]Lookup, n)
		for i := range lookups {
			lookups[i] = Lookup{Directory: d, Owner: owners[rand.IntN(len(owners))], Target: PrintOf("t0")}
			if i%7 == 6 {
				lookups[i].Directory = rooms
			}
		}
		hits, misses := c.reads.sum()
		c.FindAll(lookups)
		for i, l := range lookups {
			v, ok := l.Directory.Find(l.Owner)
			if l.View != v || l.Found != ok || ok && v.Has(l.Target) != v.Contains("t0") {
				t.Fatalf("%d of %d, %s: %+v %v, want %+v %v", i, n, l.Owner, l.View, l.Found, v, ok)
			}
			if ok {
				found++
			}
		}
		now, gone := c.reads.sum()
		if now+gone-hits-misses != uint64(2*n) {
			t.Errorf("%d lists were asked for twice, %d were counted", n, now+gone-hits-misses)
		}
	}
	if found == 0 {
		t.Error("nothing was found: the comparison shows nothing")
	}
	// A page that files owners by another salt is not in memory.
	p := c.slotOf(d.keyOf(HashOwner(owners[0], db.identity.Salt))).Load()
	other := *p
	other.salt++
	c.slotOf(p.key).Store(&other)
	lookups[0] = Lookup{Directory: d, Owner: owners[0]}
	if c.FindAll(lookups); lookups[0].Found {
		t.Error("a page of another salt was asked")
	}
}

// TestReadersTakeNoLock reads while every lock there is is held: a reader that
// wanted one would never come back.
func TestReadersTakeNoLock(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("bob"), OpAdd, manyEntries(300)...)
	c := newTestCache(t, db)
	follow(c, db)
	mustLoad(t, c, "bob")
	d := c.Directory("a", KindBlock)
	for _, d := range c.spaces() {
		for i := range d.shards {
			d.shards[i].mu.Lock()
			defer d.shards[i].mu.Unlock()
		}
	}
	c.acct.mu.Lock()
	defer c.acct.mu.Unlock()
	c.acct.guard.Lock()
	defer c.acct.guard.Unlock()
	if d.shards[0].mu.TryLock() || c.acct.guard.TryRLock() {
		t.Fatal("the locks are not held: the test shows nothing")
	}
	lookups := []Lookup{{Directory: d, Owner: "bob", Target: PrintOf("t7")}, {Directory: c.Directory("a", KindRoom), Owner: "bob"}}
	c.acct.full.Store(true)
	for range 10 * sampleHits { // some of them are told to ristretto
		v, ok := d.Find("bob")
		c.FindAll(lookups)
		if !ok || !v.Contains("t7") || lookups[0].View != v || !v.Current() || v.Age(c.Now()) > time.Hour {
			t.Fatal("wrong answer")
		}
	}
}

// TestReadersShareNoLine: what readers write, two of them can write without
// taking a line of the CPU's cache from each other, and what they read of a page
// is one line that nobody writes.
func TestReadersShareNoLine(t *testing.T) {
	const line = 64
	var c counter
	if apart := uintptr(unsafe.Pointer(&c.cells[1])) - uintptr(unsafe.Pointer(&c.cells[0])); apart < 2*line {
		t.Errorf("two cells are %d bytes apart: the prefetcher fetches two lines", apart)
	}
	// Goroutines that live at the same time have stacks of their own.
	const readers = 64
	var all sync.WaitGroup
	begin, cells := make(chan struct{}), make(chan *counterCell, readers)
	for range readers {
		all.Go(func() {
			cells <- c.own()
			<-begin
			for range 100 {
				c.add(1, 0)
			}
		})
	}
	used := make(map[*counterCell]bool)
	for range readers {
		used[<-cells] = true
	}
	close(begin)
	all.Wait()
	if hits, _ := c.sum(); hits != 100*readers || len(used) < readers/4 {
		t.Errorf("%d of %d reads were counted, in %d cells", hits, 100*readers, len(used))
	}
	var p page
	if at := unsafe.Offsetof(p.key) + unsafe.Sizeof(p.key); at > line || unsafe.Offsetof(p.long) < line {
		t.Errorf("what a lookup reads of a page ends at byte %d", at)
	}
	var pages []*page // on the heap
	for range 100 {
		pages = append(pages, new(page))
	}
	for _, p := range pages {
		if at := uintptr(unsafe.Pointer(p)); at%line != 0 {
			t.Fatalf("malloc lays a page of %d bytes across lines", unsafe.Sizeof(*p))
		}
	}
}

// TestSampledHits: about one hit in sampleHits is told to ristretto, and of owners
// who are asked for in turn none is left out, however many they are.
func TestSampledHits(t *testing.T) {
	for _, owners := range []uint64{1, 2, 16, 64, 100, 4096} {
		told := make(map[uint64]int)
		const n = 1 << 20
		all := 0
		for i := range uint64(n) {
			if sampled(i) {
				told[i%owners]++
				all++
			}
		}
		if len(told) != int(owners) || all < n/sampleHits*9/10 || all > n/sampleHits*11/10 {
			t.Errorf("%d owners in turn: %d of %d hits are told, of %d owners", owners, all, n, len(told))
		}
	}
}

// TestPagesWeighWhatMallocGives holds what pages say that they weigh against what
// the heap grows by.
func TestPagesWeighWhatMallocGives(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes blocks larger")
	}
	for _, size := range []int{0, 1, 10, 120, 255, 400, 1000, 3000} {
		t.Run(fmt.Sprint(size, " entries a list"), func(t *testing.T) {
			pages := make([]*page, 500)
			before := heap()
			counted := int64(0)
			for i := range pages {
				lists := make([]lines, 1+i%(1+6000/(10+size)))
				for j := range lists {
					lists[j] = lines{hash: uint64(j) << 32, version: 1, prints: make([]uint64, size)}
				}
				p, err := newPage(&page{}, lists)
				if err != nil {
					t.Fatal(err)
				}
				pages[i] = p
				counted += p.bytes - 8 // the slot
			}
			grown := heap() - before
			if ratio := float64(counted) / float64(grown); ratio < 0.97 || ratio > 1.03 {
				t.Errorf("the pages count %d bytes, the heap has grown by %d", counted, grown)
			}
			runtime.KeepAlive(pages)
		})
	}
}

// heap is what is reachable, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
