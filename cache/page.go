package cache

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"
)

// A page holds every list of one directory whose owner hash falls into one
// range of the hash space. An owner who is not in it has never had a list: that
// knowledge costs no byte. Pages are immutable (Invariant 4): a change makes a
// new page, readers hold no lock. The one exception is the epoch, which says
// under which identity of the database the whole page was last proved.
type page struct {
	key    pageKey
	bits   uint8  // the directory had 1<<bits pages when this one was made
	salt   int64  // of the owner hashes in it
	readAt int64  // Instant before the query that read the page
	epoch  uint64 // see Cache.feed

	records []record // sorted by (hash, check)
	words   []uint64 // the short lists, one behind the other
	long    [][]uint64
	entries int
	bytes   int64 // what the page weighs, without what ristretto adds
}

// record is one owner in a page: 32 bytes. The digest is kept because it cannot
// be computed again from fingerprints, which are seeded for this process.
type record struct {
	hash    uint64 // HashOwner
	version int64
	digest  uint64
	offset  uint32 // of the list in words, or its index in long
	sizeAnd uint16 // size of the list and the flags below
	check   uint16 // of a seeded hash of the owner, against equal hashes
}

const (
	flagExpiring  = 1 << 15 // the fingerprints are followed by as many expiries
	flagLong      = 1 << 14 // the list stands in page.long
	flagAllowlist = 1 << 13
	sizeMask      = flagAllowlist - 1

	// maxListSize is the most entries a list can have.
	maxListSize = 3000
	// longList is the size from which a list gets a block of its own, so
	// that a neighbour's change does not copy it.
	longList = 256
)

const (
	pageBytes   = int64(unsafe.Sizeof(page{})) + 16 // and its slot, and malloc's rounding
	recordBytes = int64(unsafe.Sizeof(record{}))
	sliceBytes  = int64(unsafe.Sizeof([]uint64{}))
)

func (r *record) size() int         { return int(r.sizeAnd & sizeMask) }
func (r *record) has(f uint16) bool { return r.sizeAnd&f != 0 }

// list returns the fingerprints of a record, sorted, and, if an entry of it
// expires, the expiries beside them.
func (p *page) list(r *record) (prints, expiries []uint64) {
	n := r.size()
	w := n
	if r.has(flagExpiring) {
		w = 2 * n
	}
	var all []uint64
	if r.has(flagLong) {
		all = p.long[r.offset]
	} else {
		all = p.words[r.offset : int(r.offset)+w]
	}
	if r.has(flagExpiring) {
		return all[:n], all[n:]
	}
	return all, nil
}

// find returns the record of an owner, nil if the owner has no list. Hashes are
// uniform within the page, so the first guess is off by a few places only; a
// page that someone crowded on purpose falls back to a binary search.
func (p *page) find(hash uint64, check uint16) *record {
	n := len(p.records)
	if n == 0 {
		return nil
	}
	guess, _ := bits.Mul64(hash<<p.bits, uint64(n))
	i := int(guess)
	const near = 8
	for steps := 0; i > 0 && p.records[i-1].hash >= hash; i-- {
		if steps++; steps > near {
			i = p.search(0, i, hash)
			break
		}
	}
	for steps := 0; i < n && p.records[i].hash < hash; i++ {
		if steps++; steps > near {
			i = p.search(i, n, hash)
			break
		}
	}
	for ; i < n && p.records[i].hash == hash; i++ {
		if p.records[i].check == check {
			return &p.records[i]
		}
	}
	return nil
}

// search returns the first index in [lo, hi) whose hash is not below hash, or
// hi.
func (p *page) search(lo, hi int, hash uint64) int {
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if p.records[mid].hash < hash {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// indexPrint returns the place of a fingerprint in a sorted list, -1 if it is
// not in it.
func indexPrint(prints []uint64, print uint64) int {
	n := len(prints)
	if n == 0 {
		return -1
	}
	guess, _ := bits.Mul64(print, uint64(n))
	i := int(guess)
	for i > 0 && prints[i] > print {
		i--
	}
	for i < n-1 && prints[i] < print {
		i++
	}
	if prints[i] == print {
		return i
	}
	return -1
}

// versionOf returns the version of an owner's list, 0 if there is none.
func (p *page) versionOf(hash uint64, check uint16) int64 {
	if r := p.find(hash, check); r != nil {
		return r.version
	}
	return 0
}

// seedPrints is the process's seed of all fingerprints: what collides in one
// process does not collide in the next, and nobody outside can aim at it.
var seedPrints = maphash.MakeSeed()

func printOf(id string) uint64    { return maphash.String(seedPrints, id) }
func checkOf(owner string) uint16 { return uint16(maphash.String(seedPrints, owner)) }

// lines is one list in the making: fingerprints and expiries (0 = never),
// parallel and sorted by fingerprint.
type lines struct {
	hash      uint64
	version   int64
	digest    uint64
	prints    []uint64
	expiries  []uint64 // nil if nothing expires
	check     uint16
	allowlist bool
}

// errMismatch is wrapped where what the database returned contradicts itself.
var errMismatch = errors.New("header and rows disagree")

// sort restores the order by fingerprint.
func (l *lines) sort() {
	if l.expiries == nil {
		slices.Sort(l.prints)
		return
	}
	type entry struct{ print, expiry uint64 }
	all := make([]entry, len(l.prints))
	for i := range all {
		all[i] = entry{l.prints[i], l.expiries[i]}
	}
	slices.SortFunc(all, func(a, b entry) int {
		if a.print < b.print {
			return -1
		}
		if a.print > b.print {
			return 1
		}
		return 0
	})
	for i, e := range all {
		l.prints[i], l.expiries[i] = e.print, e.expiry
	}
}

// compareLines is the order of the records in a page.
func compareLines(a, b lines) int {
	switch {
	case a.hash != b.hash && a.hash < b.hash, a.hash == b.hash && a.check < b.check:
		return -1
	case a.hash == b.hash && a.check == b.check:
		return 0
	}
	return 1
}

// newPage builds a page from lists in the order of compareLines. Two owners
// with the same hash and the same check cannot be told apart; then there is no
// page, and the answer for its owners is "unknown", never somebody else's list.
func newPage(like *page, lists []lines) (*page, error) {
	p := &page{key: like.key, bits: like.bits, salt: like.salt, readAt: like.readAt, epoch: like.epoch}
	words := 0
	for i := range lists {
		if i > 0 && compareLines(lists[i-1], lists[i]) == 0 {
			return nil, fmt.Errorf("%w: two owners with one hash", errMismatch)
		}
		if len(lists[i].prints) <= longList {
			words += len(lists[i].prints) + len(lists[i].expiries)
		}
	}
	p.records = make([]record, 0, len(lists))
	p.words = make([]uint64, 0, words)
	for i := range lists {
		p.add(&lists[i])
	}
	p.bytes = pageBytes + int64(len(p.records))*recordBytes + int64(len(p.words))*8
	for _, l := range p.long {
		p.bytes += sliceBytes + int64(len(l))*8
	}
	return p, nil
}

// add appends a list to a page in the making.
func (p *page) add(l *lines) {
	n := len(l.prints)
	r := record{hash: l.hash, check: l.check, version: l.version, digest: l.digest, sizeAnd: uint16(n)}
	if l.allowlist {
		r.sizeAnd |= flagAllowlist
	}
	if l.expiries != nil {
		r.sizeAnd |= flagExpiring
	}
	if n > longList {
		r.sizeAnd |= flagLong
		r.offset = uint32(len(p.long))
		p.long = append(p.long, append(append(make([]uint64, 0, n+len(l.expiries)), l.prints...), l.expiries...))
	} else {
		r.offset = uint32(len(p.words))
		p.words = append(append(p.words, l.prints...), l.expiries...)
	}
	p.entries += n
	p.records = append(p.records, r)
}

// slot is the place of a page in its directory: the one truth of what can be
// reached.
type slot = atomic.Pointer[page]
