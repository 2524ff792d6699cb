package cache

import (
	"context"
	"time"
)

// Kind says which of the three kinds of list is meant. The kind is part of
// every key: the lists of two kinds never meet.
type Kind uint8

// The kinds of list.
const (
	// KindBlock lists whom the owner, a user, has blocked.
	KindBlock Kind = iota
	// KindAllow lists who may write to the owner while the owner is in
	// allowlist mode.
	KindAllow
	// KindRoom lists who may not speak in the owner, a room.
	KindRoom

	// Kinds is the number of kinds.
	Kinds = 3
)

// String returns the name of the kind as the database spells it: "block",
// "allow" or "room".
func (k Kind) String() string {
	switch k {
	case KindBlock:
		return "block"
	case KindAllow:
		return "allow"
	case KindRoom:
		return "room"
	}
	return "unknown"
}

// ParseKind is the inverse of [Kind.String]; ok is false for any other name.
func ParseKind(name string) (kind Kind, ok bool) {
	for k := range Kind(Kinds) {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// Identity names a database server together with the incarnation of the data
// on it. Two reads that carry the same identity were answered by one server
// with one linear history; positions, versions and pages of different
// identities cannot be compared. The zero Identity stands for "none known".
//
// A part that a provider forbids to read stays zero.
type Identity struct {
	System      uint64   // system identifier of the cluster
	Timeline    uint32   // grows by a promotion or a point-in-time recovery
	Started     int64    // start of the postmaster, microseconds since 1970
	Incarnation [16]byte // renewed by TRUNCATE, restore and mass repair
	Relation    uint32   // OID of sidegate.owner
	Salt        int64    // salt of the owner hash, fixed at migration
}

// Op says what a [Change] did to its list.
type Op byte

// The kinds of change.
const (
	OpAdd    Op = 'A' // the entries were added
	OpRemove Op = 'R' // the entries were removed
	OpUpdate Op = 'U' // the entries, already listed, have this expiry now
	OpMode   Op = 'M' // allowlist mode was switched; there are no entries
	OpReload Op = 'L' // too much changed to list it: read the list again
)

// Entry is one line of a list.
type Entry struct {
	Target  string
	Expires int64 // microseconds since 1970; 0 = never
}

// Change is one step in the history of one list. Version, Size, Digest and
// Allowlist describe the list after the step, Prev the version before it.
type Change struct {
	App       string
	Kind      Kind
	Owner     string
	Prev      int64
	Version   int64
	Size      int
	Digest    uint64
	Allowlist bool
	Op        Op
	Entries   []Entry
	At        time.Time // when the database recorded it, by its clock
}

// List is a whole list as one snapshot of the database holds it. A list whose
// entries have all gone is still one: it has a version.
type List struct {
	Owner     string
	Version   int64
	Size      int
	Digest    uint64
	Allowlist bool
	Entries   []Entry
}

// Range is an inclusive range of owner hashes (see [HashOwner]), a power of two
// wide and aligned to its width.
type Range struct{ Lo, Hi uint64 }

// Header is what a list says about itself, beside its entries.
type Header struct {
	Owner     []byte
	Version   int64
	Size      int // number of entries
	Digest    uint64
	Allowlist bool
}

// Intake takes in the answer to one page read as it arrives, so that nothing
// of it has to be held twice. It keeps none of the bytes that it is handed: they
// may be overwritten after each call. It is for one goroutine. What is wrong with
// the answer, an entry too few, a digest that differs, is found by the intake;
// whoever reads hands on what there is.
type Intake interface {
	// List begins a list and ends the one before it.
	List(h Header)
	// Entry adds an entry to the list that was begun last. Expires is in
	// microseconds since 1970, 0 = never. The order of entries has no meaning.
	Entry(target []byte, expires int64)
	// Done says who answered, and how many lists there are in the range, counted
	// by the database in the same snapshot: a page has no other proof of which
	// owners it holds. It is called once; an answer without it is refused.
	Done(identity Identity, count int)
}

// Loader reads lists from the database. Load hands all lists of (app, kind)
// whose owner hash lies in r, empty ones that have a version included, to the
// intake, from one snapshot and with one statement. It is called from many
// goroutines; ctx carries the deadline of the shared load. Any error means that
// nothing is known about the range, whatever has been handed over.
type Loader interface {
	Load(ctx context.Context, app string, kind Kind, r Range, into Intake) error
}

// Loaded is the whole answer to one page read. As an [Intake] it collects what a
// loader hands over.
type Loaded struct {
	Identity Identity
	Count    int // as the database counts, see [Intake]
	Lists    []List
}

// List implements [Intake].
func (l *Loaded) List(h Header) {
	l.Lists = append(l.Lists, List{
		Owner: string(h.Owner), Version: h.Version, Size: h.Size, Digest: h.Digest, Allowlist: h.Allowlist,
	})
}

// Entry implements [Intake].
func (l *Loaded) Entry(target []byte, expires int64) {
	last := &l.Lists[len(l.Lists)-1]
	last.Entries = append(last.Entries, Entry{Target: string(target), Expires: expires})
}

// Done implements [Intake].
func (l *Loaded) Done(identity Identity, count int) { l.Identity, l.Count = identity, count }

// Whole makes a [Loader] of a function that returns a whole answer at once, for
// lists that are not read from a wire.
type Whole func(ctx context.Context, app string, kind Kind, r Range) (Loaded, error)

// Load implements [Loader].
func (f Whole) Load(ctx context.Context, app string, kind Kind, r Range, into Intake) error {
	answer, err := f(ctx, app, kind, r)
	if err != nil {
		return err
	}
	for i := range answer.Lists {
		answer.Lists[i].handTo(into)
	}
	into.Done(answer.Identity, answer.Count)
	return nil
}

func (l *List) handTo(into Intake) {
	into.List(Header{
		Owner: []byte(l.Owner), Version: l.Version, Size: l.Size, Digest: l.Digest, Allowlist: l.Allowlist,
	})
	for _, e := range l.Entries {
		into.Entry([]byte(e.Target), e.Expires)
	}
}
