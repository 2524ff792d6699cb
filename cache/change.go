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

// Loaded is the answer to one page read: every list whose owner hash lies in
// the range, and who answered.
type Loaded struct {
	Identity Identity
	// Count is the number of lists in the range, counted by the database in
	// the same snapshot: a page has no other proof of which owners it holds.
	Count int
	Lists []List
}

// Loader reads lists from the database. Load returns all lists of (app, kind)
// whose owner hash lies in r, empty ones that have a version included, from one
// snapshot and with one statement. It is called from many goroutines; ctx
// carries the deadline of the shared load. Any error means that nothing is
// known about the range.
type Loader interface {
	Load(ctx context.Context, app string, kind Kind, r Range) (Loaded, error)
}
