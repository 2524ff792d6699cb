package cache

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"
)

// A page holds every list of one directory whose owner hash falls into one
// range of the hash space. An owner who is not in it has never had a list: that
// knowledge costs no byte. Pages are immutable (Invariant 4): a change makes a
// new page, readers hold no lock.
//
// What a lookup needs of the page itself is its first 64 bytes, one line of the
// CPU's cache; the padding keeps malloc from laying pages across lines. All else
// is in one block without pointers, which the garbage collector does not visit:
//
//	lists      marks, sorted: the top 48 bits of the owner's hash, and 16 of a
//	           seeded one against equal hashes
//	lists + 1  places, two to a word: where in the next part a list begins, and
//	           the flags below
//	...        the fingerprints of the short lists, one list behind the other,
//	           each sorted; for a long list one word, its index in long
//	2 × lists  version and digest of each: a lookup seldom asks for them. The
//	           digest cannot be computed again from fingerprints, which are
//	           seeded for this process.
//
// So a lookup meets memory four times: slot, page, mark and place side by side,
// list.
type page struct {
	data    []uint64
	lists   uint32
	entries uint32
	salt    int64  // of the owner hashes in it
	epoch   uint64 // see Cache.feed
	readAt  int64  // Instant before the query that read the page
	key     pageKey

	long  [][]uint64
	bytes int64 // what the page weighs, without what ristretto adds
	bits  uint8 // the directory had 1<<bits pages when this one was made
	_     [24]byte
}

const (
	flagExpiring  = 1 << 31 // the fingerprints are followed by as many expiries
	flagLong      = 1 << 30 // the list stands in page.long
	flagAllowlist = 1 << 29
	placeMask     = flagAllowlist - 1

	// checkMask is the part of a mark that is not of the hash.
	checkMask = 1<<16 - 1

	// maxListSize is the most entries a list can have.
	maxListSize = 3000
	// maxRead is the most that are read of one. Only somebody who went past the
	// triggers makes a list too long; then its entries count all the same, or
	// nobody in its page would have an answer.
	maxRead = 1 << 17
	// longList is the size from which a list gets a block of its own, so
	// that a neighbour's change does not copy it.
	longList = 256
)

const (
	pageBytes   = int64(unsafe.Sizeof(page{})) + 8 // and its slot
	recordBytes = int64(8 + 4 + 16)                // mark, place, version and digest
	sliceBytes  = int64(unsafe.Sizeof([]uint64{}))
)

// allocate returns room for n words in a block as large as malloc makes it
// anyway: its capacity is what it weighs.
func allocate(n int) []uint64 {
	if n == 0 {
		return nil
	}
	return slices.Grow([]uint64(nil), n)[:n]
}

// placeWords is how many words the places of n lists take.
func placeWords(n int) int { return (n + 2) / 2 }

// base is where in data the lists begin.
func (p *page) base() int { return int(p.lists) + placeWords(int(p.lists)) }

func (p *page) place(i int) uint32 {
	return uint32(p.data[int(p.lists)+i/2] >> (i % 2 * 32))
}

func (p *page) setPlace(i int, at uint32) {
	word := &p.data[int(p.lists)+i/2]
	shift := i % 2 * 32
	*word = *word&^(0xffffffff<<shift) | uint64(at)<<shift
}

// history is where in data the version of list i stands, and its digest behind
// it.
func (p *page) history(i int) int { return len(p.data) - 2*(int(p.lists)-i) }

func (p *page) version(i int) int64          { return int64(p.data[p.history(i)]) }
func (p *page) digest(i int) uint64          { return p.data[p.history(i)+1] }
func (p *page) flagged(i int, f uint32) bool { return p.place(i)&f != 0 }

// list returns the fingerprints of list i, sorted, and, if an entry of it
// expires, the expiries beside them.
func (p *page) list(i int) (prints, expiries []uint64) {
	from, to := p.place(i), p.place(i+1)
	base := p.base()
	all := p.data[base+int(from&placeMask) : base+int(to&placeMask)]
	if from&(flagLong|flagExpiring) == 0 {
		return all, nil
	}
	if from&flagLong != 0 {
		all = p.long[all[0]]
	}
	if from&flagExpiring != 0 {
		return all[:len(all)/2], all[len(all)/2:]
	}
	return all, nil
}

// find returns the index of an owner's list, -1 if the owner has none.
func (p *page) find(hash uint64, check uint16) int {
	mark := markOf(hash, check)
	if i := p.locate(mark); i < int(p.lists) && p.data[i] == mark {
		return i
	}
	return -1
}

// findOwner is find; it computes the owner's check only if there is something to
// compare it with.
func (p *page) findOwner(hash uint64, owner string) int {
	mark := markOf(hash, 0)
	i := p.locate(mark)
	if i == int(p.lists) || p.data[i]&^checkMask != mark {
		return -1
	}
	for mark |= uint64(checkOf(owner)); i < int(p.lists) && p.data[i] <= mark; i++ {
		if p.data[i] == mark {
			return i
		}
	}
	return -1
}

// markOf is what tells the lists of a page apart.
func markOf(hash uint64, check uint16) uint64 { return hash&^checkMask | uint64(check) }

// locate returns the first index whose mark is not below mark, or the number of
// lists. Marks are uniform within the page, so the first guess is off by a few
// places only; a page that someone crowded on purpose falls back to a binary
// search.
func (p *page) locate(mark uint64) int {
	marks := p.data[:p.lists]
	guess, _ := bits.Mul64(mark<<p.bits, uint64(len(marks)))
	i := int(guess)
	const near = 8
	for steps := 0; i > 0 && marks[i-1] >= mark; i-- {
		if steps++; steps > near {
			return search(marks, 0, i, mark)
		}
	}
	for steps := 0; i < len(marks) && marks[i] < mark; i++ {
		if steps++; steps > near {
			return search(marks, i, len(marks), mark)
		}
	}
	return i
}

// search returns the first index in [lo, hi) whose mark is not below mark, or
// hi.
func search(marks []uint64, lo, hi int, mark uint64) int {
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if marks[mid] < mark {
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
	if i := p.find(hash, check); i >= 0 {
		return p.version(i)
	}
	return 0
}

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

// compareLines is the order of the lists in a page.
func compareLines(a, b lines) int {
	return cmp.Compare(markOf(a.hash, a.check), markOf(b.hash, b.check))
}

// words is how much room a list takes in its page's block, beside its mark,
// place, version and digest.
func (l *lines) words() int {
	if len(l.prints) > longList {
		return 1
	}
	return len(l.prints) + len(l.expiries)
}

// newPage builds a page from lists in the order of compareLines. Two owners
// with the same mark cannot be told apart; then there is no page, and the answer
// for its owners is "unknown".
func newPage(like *page, lists []lines) (*page, error) {
	p := &page{
		key: like.key, bits: like.bits, salt: like.salt, readAt: like.readAt, epoch: like.epoch,
		lists: uint32(len(lists)),
	}
	words := 0
	for i := range lists {
		if i > 0 && compareLines(lists[i-1], lists[i]) == 0 {
			return nil, fmt.Errorf("%w: two owners with one hash", errMismatch)
		}
		words += lists[i].words()
	}
	if len(lists) > 0 {
		p.data = allocate(p.base() + words + 2*len(lists))
	}
	at := uint32(0)
	for i := range lists {
		at = p.put(i, at, &lists[i])
	}
	if len(lists) > 0 {
		p.setPlace(len(lists), at)
	}
	p.weigh()
	return p, nil
}

// put writes a list into a page in the making, as list i and where its room
// begins; it returns where the room of the next begins.
func (p *page) put(i int, at uint32, l *lines) (next uint32) {
	flags := uint32(0)
	if l.allowlist {
		flags |= flagAllowlist
	}
	if l.expiries != nil {
		flags |= flagExpiring
	}
	to := p.data[p.base()+int(at):]
	if n := len(l.prints); n > longList {
		flags |= flagLong
		at := slices.IndexFunc(p.long, func(l []uint64) bool { return l == nil })
		if at < 0 {
			at, p.long = len(p.long), append(p.long, nil)
		}
		p.long[at] = append(append(allocate(n + len(l.expiries))[:0], l.prints...), l.expiries...)
		to[0] = uint64(at)
	} else {
		copy(to[copy(to, l.prints):], l.expiries)
	}
	p.data[i] = markOf(l.hash, l.check)
	p.setPlace(i, at|flags)
	p.data[p.history(i)], p.data[p.history(i)+1] = uint64(l.version), l.digest
	p.entries += uint32(len(l.prints))
	return at + uint32(l.words())
}

// weigh sets what the page weighs: the blocks that malloc has made for it, whole.
func (p *page) weigh() {
	p.bytes = pageBytes + int64(cap(p.data))*8 + int64(cap(p.long))*sliceBytes
	for _, l := range p.long {
		p.bytes += int64(cap(l)) * 8
	}
}

// slot is the place of a page in its directory: the one truth of what can be
// reached.
type slot = atomic.Pointer[page]
