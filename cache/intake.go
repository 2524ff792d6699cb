package cache

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"
)

// intake is the answer to one page read on its way into pages. Ids are hashed as
// they arrive and not kept: between the connection and the page there is no
// string, no list and no entry, only fingerprints, one list behind the other in
// one block that the next read uses again.
type intake struct {
	salt  int64
	reach Range
	lists []lines
	room  arena // of the fingerprints
	dates arena // of the expiries

	open   bool   // a list has been begun
	size   int    // of that list, by its header
	digest uint64 // of its entries, as far as they have come

	identity Identity
	count    int
	done     bool
	err      error // the first thing that was wrong
}

// arena is the block from which the parts of lists are cut.
type arena struct {
	words []uint64
	from  int // where the part under way begins
}

func (a *arena) part() []uint64 { return a.words[a.from:len(a.words):len(a.words)] }

// intakes are kept for the next read: a storm of misses, or loading everything
// ahead, makes pages and next to nothing else.
var intakes = sync.Pool{New: func() any { return new(intake) }}

// keptWords bounds the block that is kept.
const keptWords = 1 << 17

func newIntake(salt int64, reach Range) *intake {
	in := intakes.Get().(*intake)
	in.salt, in.reach = salt, reach
	return in
}

// free gives the intake up, and with it all that lists points to: pages hold
// copies.
func (in *intake) free() {
	if cap(in.room.words) > keptWords {
		return
	}
	*in = intake{
		lists: in.lists[:0],
		room:  arena{words: in.room.words[:0]},
		dates: arena{words: in.dates.words[:0]},
	}
	intakes.Put(in)
}

// text lends bytes as a string for the time of a call.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// List implements [Intake].
func (in *intake) List(h Header) {
	in.end()
	owner := text(h.Owner)
	l := lines{
		hash: HashOwner(owner, in.salt), check: checkOf(owner),
		version: h.Version, digest: h.Digest, allowlist: h.Allowlist,
	}
	if !in.reach.holds(l.hash) {
		in.refuse("a list outside of the range")
	}
	if h.Size > maxRead {
		in.refuse("header says %d entries", h.Size)
	}
	in.lists = append(in.lists, l)
	in.open, in.size, in.digest = true, h.Size, 0
	if h.Allowlist {
		in.digest = allowlistDigest
	}
	in.room.from, in.dates.from = len(in.room.words), len(in.dates.words)
}

// Entry implements [Intake].
func (in *intake) Entry(target []byte, expires int64) {
	n := len(in.room.words) - in.room.from
	if !in.open || n >= maxRead {
		in.refuse("an entry that belongs to no list")
		return
	}
	e := Entry{Target: text(target), Expires: expires}
	in.digest ^= EntryDigest(e)
	in.room.words = append(in.room.words, printOf(e.Target))
	dated := len(in.dates.words) > in.dates.from
	if expires != 0 && !dated { // the first: those before it never expire
		in.dates.words = append(in.dates.words, make([]uint64, n)...)
	}
	if expires != 0 || dated {
		in.dates.words = append(in.dates.words, uint64(expires))
	}
}

// Done implements [Intake].
func (in *intake) Done(identity Identity, count int) {
	in.end()
	in.identity, in.count, in.done = identity, count, true
}

// end checks the list under way against its header.
func (in *intake) end() {
	if !in.open {
		return
	}
	in.open = false
	l := &in.lists[len(in.lists)-1]
	l.prints = in.room.part()
	if dates := in.dates.part(); len(dates) > 0 {
		l.expiries = dates
	}
	if len(l.prints) != in.size {
		in.refuse("%d rows, header says %d", len(l.prints), in.size)
	} else if in.digest != l.digest {
		in.refuse("digest of %d rows", in.size)
	}
	l.sort()
}

func (in *intake) refuse(why string, args ...any) {
	if in.err == nil {
		in.err = fmt.Errorf("%w: "+why, append([]any{errMismatch}, args...)...)
	}
}

// sorted returns the lists in the order of [compareLines], valid until free, if
// all that arrived adds up.
func (in *intake) sorted() ([]lines, error) {
	switch {
	case in.err != nil:
		return nil, in.err
	case !in.done:
		return nil, fmt.Errorf("%w: an answer without an end", errMismatch)
	case in.count != len(in.lists):
		return nil, fmt.Errorf("%w: %d lists, counted %d", errMismatch, len(in.lists), in.count)
	}
	if !slices.IsSortedFunc(in.lists, compareLines) { // the database reads in this order
		slices.SortFunc(in.lists, compareLines)
	}
	return in.lists, nil
}
