package cache

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// variety fills a database with lists of every form: of one entry and of many, with
// and without expiries, emptied, in allowlist mode, and pages with a hole where a long
// list was.
func variety(db *simDB) {
	soon := time.Now().Add(time.Hour).UnixMicro()
	for i := range 400 {
		k := listKey{[]string{"a", "b"}[i%2], Kind(i % 3), "o" + strconv.Itoa(i)}
		entries := manyEntries(1 + i%7)
		if i%50 == 0 {
			entries = manyEntries(longList + 10)
		}
		if i%4 == 0 {
			for j := range entries {
				entries[j].Expires = soon * int64(j%2)
			}
		}
		db.write(k, OpAdd, entries...)
		switch i % 10 {
		case 3:
			db.write(k, OpRemove, entries...)
		case 7:
			db.write(k, OpMode)
		}
	}
}

// full returns a cache that runs and has all of the database in memory.
func full(t testing.TB, db *simDB) *Cache {
	t.Helper()
	c := newTestCache(t, db)
	runCache(t, c)
	follow(c, db)
	preloaded(t, c)
	return c
}

// saved is a warm file of a cache, up to a place in the database's log.
func saved(t testing.TB, c *Cache, db *simDB, place int) []byte {
	t.Helper()
	var out bytes.Buffer
	at := strconv.Itoa(place)
	got, err := c.Save(t.Context(), &out, SaveOptions{
		Place:   Place{Identity: db.identity, Position: at},
		Through: func() (string, bool) { return at + "+", true },
		Pause:   func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Bytes != int64(out.Len()) || got.Pages == 0 {
		t.Fatalf("%+v of %d bytes", got, out.Len())
	}
	return out.Bytes()
}

// reopened opens a file for a new cache.
func reopened(t testing.TB, file []byte) *WarmFile {
	t.Helper()
	w, err := OpenWarm(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// staging returns a cache that runs and has staged a file.
func staging(t testing.TB, db *simDB, file []byte, change ...func(*Options)) (*Cache, Place, Warmth) {
	t.Helper()
	w := reopened(t, file)
	c := newTestCache(t, db, append(change, func(o *Options) { o.Warm = w })...)
	runCache(t, c)
	at, got, err := c.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c, at, got
}

func TestWarmStart(t *testing.T) {
	db := newSimDB()
	variety(db)
	first := full(t, db)
	changes, place := db.since(0)
	// What is applied while it is written, or just before, may be in the file or not.
	ahead := db.write(blockKey("ahead"), OpAdd, manyEntries(3)...)
	first.Apply(first.Epoch(), db.identity, []Change{ahead})
	file := saved(t, first, db, place)

	db.write(blockKey("ahead"), OpRemove, Entry{Target: "t1"})
	for _, c := range changes {
		if c.Version == 1 && len(c.Entries) == 3 {
			db.write(listKey{c.App, c.Kind, c.Owner}, OpAdd, Entry{Target: "late"})
		}
	}
	db.write(blockKey("o0"), OpReload)
	loads := db.loadCount()
	c, at, got := staging(t, db, file)
	if at.Identity != db.identity || at.Position != strconv.Itoa(place) || at.Through != strconv.Itoa(place)+"+" {
		t.Errorf("the file is up to %+v", at)
	}
	if s := first.Stats(); got.Pages != s.Pages || got.Lists != s.Lists || got.Entries != s.Entries {
		t.Errorf("staged %+v of %+v", got, s)
	}
	if _, ok := c.Directory("a", KindBlock).Find("o0"); ok || c.Synced() {
		t.Error("somebody is answered from what is staged")
	}
	since, _ := db.since(place)
	c.Resume(c.Now(), since)
	if n := checkEqual(t, c, db); n < 350 {
		t.Errorf("%d lists are in memory", n)
	}
	preloaded(t, c)
	if n := checkEqual(t, c, db); n != 401 {
		t.Errorf("%d lists are in memory in the end", n)
	}
	// A page whose list was to be read again is, and nothing else.
	if n := db.loadCount() - loads; n != 1 {
		t.Errorf("%d reads", n)
	}
	waitFor(t, "the accountant", c.acct.idle)
	if ghosts, leaks := audit(c); ghosts+leaks > 0 {
		t.Errorf("%d ghosts, %d leaks", ghosts, leaks)
	}
	if v, _ := c.Directory("a", KindBlock).Find("ahead"); v.Age(c.Now()) > time.Minute || !v.Current() {
		t.Errorf("%v old", v.Age(c.Now()))
	}
	if again := saved(t, c, db, place); len(again) == 0 {
		t.Error("what was started warm cannot be saved")
	}
}

// A list that somebody has made longer than any may be is answered from, so it must
// not cost the next start its warmth.
func TestAWarmStartWithAListThatIsTooLong(t *testing.T) {
	db := newSimDB()
	db.write(blockKey("long"), OpAdd, manyEntries(maxListSize+1)...)
	first := newTestCache(t, db)
	follow(first, db)
	mustLoad(t, first, "long")
	c, _, got := staging(t, db, saved(t, first, db, 1))
	c.Resume(c.Now(), nil)
	if v, ok := c.Directory("a", KindBlock).Find("long"); !ok || !v.Contains("t0") || got.Entries != maxListSize+1 {
		t.Errorf("%+v is staged", got)
	}
}

// A start that turns out cold leaves nothing behind.
func TestDiscardLeavesNothing(t *testing.T) {
	db := newSimDB()
	variety(db)
	c, _, _ := staging(t, db, saved(t, full(t, db), db, 0))
	c.Discard()
	if s := c.Stats(); s.Pages != 0 {
		t.Errorf("%+v", s)
	}
	db.restart()
	follow(c, db)
	preloaded(t, c)
	checkEqual(t, c, db)
	waitFor(t, "the accountant", c.acct.idle)
	if ghosts, leaks := audit(c); ghosts+leaks > 0 {
		t.Errorf("%d ghosts, %d leaks", ghosts, leaks)
	}
}

// What is suspect is not known to hold what was applied, so it is not written; and
// what is saved is of one epoch.
func TestOnlyTheEpochIsSaved(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 4000)
	c := full(t, db)
	pauses := 0
	_, err := c.Save(t.Context(), new(bytes.Buffer), SaveOptions{
		Place: Place{Identity: db.identity}, Through: func() (string, bool) { return "", true },
		Pause: func(context.Context) error {
			if pauses++; pauses == 1 {
				c.Reset(db.identity, c.Now())
			}
			return nil
		},
	})
	if !errors.Is(err, ErrMoved) || pauses == 0 {
		t.Errorf("following starts over meanwhile: %v after %d pauses", err, pauses)
	}
	preloaded(t, c)
	other := db.identity
	other.Timeline++
	if _, err := c.Save(t.Context(), new(bytes.Buffer), SaveOptions{Place: Place{Identity: other}}); !errors.Is(err, ErrMoved) {
		t.Errorf("another server: %v", err)
	}
	// Of two pages one is suspect.
	d := c.Directory("a", KindBlock)
	h := HashOwner(owners[0], testSalt)
	at := d.shardOf(h).table.Load().at(h)
	old := *at.Load()
	old.epoch--
	at.Store(&old)
	all := c.Stats()
	_, _, got := staging(t, db, saved(t, c, db, 0))
	if got.Pages != all.Pages-1 || got.Lists >= all.Lists {
		t.Errorf("%+v of %+v were saved", got, all)
	}
}

// Each bit that is flipped and each byte that is missing costs a cold start and
// nothing else.
func TestADamagedFileIsRefused(t *testing.T) {
	db := newSimDB()
	variety(db)
	file := saved(t, full(t, db), db, 0)
	random := rand.New(rand.NewPCG(1, 2))
	var spoilt [][]byte
	for range 60 {
		flipped := slices.Clone(file)
		flipped[random.IntN(len(file))] ^= 1 << random.IntN(8)
		spoilt = append(spoilt, flipped, file[:random.IntN(len(file))])
	}
	for i := range blockHeader + len(warmMagic) + 16 { // what is not under a checksum
		flipped := slices.Clone(file)
		flipped[i] ^= 0x40
		spoilt = append(spoilt, flipped)
	}
	spoilt = append(spoilt, append(slices.Clone(file), 0))
	c := newTestCache(t, db)
	runCache(t, c)
	for i, bad := range spoilt {
		w, err := OpenWarm(bytes.NewReader(bad), int64(len(bad)))
		if err == nil {
			c.opts.Warm = w
			_, _, err = c.Stage(t.Context())
		}
		// The last word of a block's header is not used.
		if err == nil && i >= 120 && i < 120+len(warmMagic)+16+blockHeader {
			if at := i - 120; at >= len(warmMagic)+16+12 {
				c.Discard()
				continue
			}
		}
		if !errors.Is(err, ErrWarmDamaged) && !errors.Is(err, ErrWarmFormat) {
			t.Fatalf("file %d of %d bytes: %v", i, len(bad), err)
		}
		if s := c.Stats(); s.Pages > 0 || c.staged != nil {
			t.Fatalf("file %d: %d pages are left", i, s.Pages)
		}
	}
}

// What a file says of its own length is not believed.
func TestAFileAllocatesNoMoreThanItsSize(t *testing.T) {
	file := append([]byte(warmMagic), nativeEndian.AppendUint64(littleEndian.AppendUint64(nil, WarmFormat), warmOrder)...)
	file = littleEndian.AppendUint32(littleEndian.AppendUint32(file, blockHead), 0xffffffff)
	file = append(file, make([]byte, 100)...)
	grown := testing.AllocsPerRun(1, func() {
		w := &WarmFile{from: bytes.NewReader(file), left: int64(len(file))}
		if err := w.open(); !errors.Is(err, ErrWarmDamaged) || cap(w.words) > 0 {
			t.Errorf("%v, %d words", err, cap(w.words))
		}
	})
	if grown > 20 {
		t.Errorf("%v allocations", grown)
	}
}

// A smaller budget takes what fits; the rest is read when it is asked for.
func TestASmallerBudgetTakesWhatFits(t *testing.T) {
	db := newSimDB()
	owners := fill(db, 6000)
	all := full(t, db)
	const budget = 1 << 20
	c, _, got := staging(t, db, saved(t, all, db, 0), func(o *Options) { o.MaxBytes = budget })
	c.Resume(c.Now(), nil)
	if got.Lists == 0 || got.Lists > 5000 {
		t.Errorf("%+v", got)
	}
	for _, o := range owners[:500] {
		if v := mustLoad(t, c, o); !v.Contains("t19") || v.Contains("t20") {
			t.Fatalf("%s has another list", o)
		}
	}
	waitFor(t, "the accountant", c.acct.idle)
	if s := c.Stats(); s.Bytes > budget*11/10 {
		t.Errorf("%d bytes for a budget of %d", s.Bytes, budget)
	}
	checkEqual(t, c, db)
}

// Apps come and go between two processes.
func TestAWarmStartWithOtherApps(t *testing.T) {
	db := newSimDB()
	variety(db)
	db.write(listKey{"new", KindBlock, "o0"}, OpAdd, manyEntries(2)...)
	c, _, got := staging(t, db, saved(t, full(t, db), db, 0), func(o *Options) { o.Apps = []string{"new", "b"} })
	c.Resume(c.Now(), nil)
	if got.Lists == 0 || got.Lists > 210 {
		t.Errorf("%+v", got)
	}
	preloaded(t, c)
	if v := mustLoadOf(t, c, "new", "o0"); !v.Contains("t1") || v.Contains("t2") {
		t.Error("the new app has another list")
	}
	if c.Directory("a", KindBlock) != nil {
		t.Error("an app that is gone is there")
	}
}

func mustLoadOf(t *testing.T, c *Cache, app, owner string) View {
	t.Helper()
	v, err := c.Directory(app, KindBlock).Load(t.Context(), owner, Need{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What a page looks like in memory, and what a fingerprint is, are the format of the
// file. If this fails, they have changed: raise WarmFormat, and put the new sum here.
func TestTheFormatIsPinned(t *testing.T) {
	random := newPrinting([SeedBytes]byte{42})
	var lists []lines
	for i := range 3 {
		l := lines{hash: uint64(i+1) << 40, check: uint16(random.print(makerName(i))), version: 7, digest: 9, allowlist: i == 1}
		for j := range []int{2, 5, longList + 1}[i] {
			l.prints = append(l.prints, random.print(strconv.Itoa(j)))
			l.expiries = append(l.expiries, uint64(j))
		}
		l.sort()
		lists = append(lists, l)
	}
	p, err := newPage(&page{key: makeKey(3, shardBits, 0), bits: shardBits}, lists)
	if err != nil {
		t.Fatal(err)
	}
	words := p.appendTo(nil, 5)
	var le []byte
	for _, w := range words {
		le = littleEndian.AppendUint64(le, w)
	}
	const want = 0xd587c415
	if sum := crc32.Checksum(le, castagnoli); sum != want || WarmFormat != 1 {
		t.Errorf("format %d with the sum %#x, want 1 with %#x", WarmFormat, sum, want)
	}
	q, directory, number, rest, err := readPage(words)
	if err != nil || directory != 5 || number != 0 || len(rest) != 0 || q.bytes != p.bytes || !slices.Equal(q.data, p.data) {
		t.Errorf("it is read as %+v, %v", q, err)
	}
}

// Headers implements [HeaderReader].
func (db *simDB) Headers(_ context.Context, app string, kind Kind, r Range, each func(Header)) error {
	for _, l := range db.snapshot(app, kind, r).Lists {
		each(Header{Owner: []byte(l.Owner), Version: l.Version, Size: l.Size, Digest: l.Digest})
	}
	return nil
}

// What was changed behind the log while no process ran is in no poll. It is found by
// comparing headers; without that it stays.
func TestWhatTheLogDoesNotSayIsFound(t *testing.T) {
	for _, compared := range []bool{true, false} {
		db := newSimDB()
		variety(db)
		file := saved(t, full(t, db), db, 0)
		db.write(blockKey("o0"), OpAdd, Entry{Target: "restored"})
		db.write(blockKey("never seen"), OpAdd, Entry{Target: "restored"})
		c, _, _ := staging(t, db, file, func(o *Options) {
			if compared {
				o.Headers = db
			}
		})
		c.Resume(c.Now(), nil)
		preloaded(t, c)
		if compared {
			waitFor(t, "what differs to be read again", func() bool {
				return mustLoad(t, c, "o0").Contains("restored") && mustLoad(t, c, "never seen").Contains("restored")
			})
			checkEqual(t, c, db)
		} else if mustLoad(t, c, "o0").Contains("restored") {
			t.Error("it is found without comparing headers, so this test shows nothing")
		}
		if n := testutil.ToFloat64(c.metrics.warmReread); n > 2 || n < 1 && compared {
			t.Errorf("compared: %v, %v pages were read again", compared, n)
		}
	}
}
