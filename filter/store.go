package filter

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// ListID names one list.
type ListID struct {
	App   string
	Kind  cache.Kind
	Owner string
}

// Block is one entry of a list as the database holds it.
type Block struct {
	Owner     string
	Target    string
	CreatedAt time.Time
	ExpiresAt time.Time // zero = never
	Note      string    // "" = none
	Source    string    // the door it came in by: "native", "sql", a dialect …
	Actor     string    // who wrote it, as far as the credential tells; "" = unknown
}

// Addition asks for one entry to be on a list.
type Addition struct {
	Target    string
	ExpiresAt time.Time // zero = never
	Note      string
	// Keep leaves expiry and note of an entry that exists already as they
	// are; otherwise they are set.
	Keep bool
}

// Edit is one write to one list, all or nothing. No target is named twice.
type Edit struct {
	List   ListID
	Add    []Addition // in the order of the request
	Remove []string
	Source string
	Actor  string
	Once   Once
}

// Edited is what an Edit did.
type Edited struct {
	Identity cache.Identity // of the server that took the write
	Version  int64          // of the list after the edit
	Size     int            // of the list after the edit
	// Changes are the steps of the list's history that the edit made, in
	// order, ready for the cache. Empty if nothing changed.
	Changes []cache.Change
	// Added holds the state of every entry of Edit.Add after the edit, in
	// its order; Created tells, index by index, which of them are new.
	Added   []Block
	Created []bool
	// Removed holds the entries of Edit.Remove that were there, as they
	// were. Its order is that of Edit.Remove.
	Removed []Block
}

// ListQuery asks for a piece of a list, newest first: by creation, then by place
// in the request, then by target, each descending.
type ListQuery struct {
	List  ListID
	Limit int // 1 to MaxEntries
	// After continues behind this place, whose ID is a target; the zero Place
	// starts at the top.
	After Place
	// Of leaves out the targets that it does not pick; nil picks all.
	Of *Selection
}

// Selection picks some of the users that a query finds.
type Selection struct {
	// Users are the only ones wanted; nil = anybody.
	Users []string
	// Key, if not "", wants those whose metadata in the directory has one of
	// Values under it, or any value if Values is nil.
	Key    string
	Values []string
}

// Place is a place in one of the orders in which lists are read piece by piece.
// Its parts never change while what they name exists, so that reading on behind
// a place neither repeats nor leaves out what was there all the time, whoever
// writes meanwhile.
type Place struct {
	CreatedAt time.Time
	Order     int64  // among what is of the same instant, see the queries
	ID        string // of a user: whose is said by the queries
}

// IsZero reports whether p is the zero Place.
func (p Place) IsZero() bool { return p == Place{} }

// ListPage is a piece of a list.
type ListPage struct {
	Identity cache.Identity
	Version  int64 // of the list; 0 = it never had an entry
	Total    int   // live entries in the whole list
	Blocks   []Block
	Next     Place // zero = the end
}

// BlockedByQuery asks for a piece of all lists of a kind that a target is on,
// newest entry first: by creation, then by owner, both descending.
type BlockedByQuery struct {
	App    string
	Kind   cache.Kind
	Target string
	Limit  int // 1 to 1000
	// After continues behind this place, whose ID is an owner and whose Order
	// is 0; the zero Place starts at the top.
	After Place
	// Of leaves out the owners that it does not pick; nil picks all.
	Of *Selection
}

// BlockedByPage is a piece of the lists that a target is on.
type BlockedByPage struct {
	Blocks []Block // live entries, one per owner
	Next   Place   // zero = the end
}

// HistoryQuery asks for a piece of the intervals of a list, those under way
// included, newest first: by their beginning, then by target, both descending.
type HistoryQuery struct {
	List   ListID
	Target string // "" = every target
	// From and To leave out intervals that lie wholly before or after: those
	// that had ended by From and those that began after To. Zero = no bound.
	// With both at T, what is left was in force at T.
	From, To time.Time
	Limit    int // 1 to 1000
	// After continues behind this place, whose ID is a target and whose Order
	// is the store's; the zero Place starts at the top.
	After Place
}

// Interval is the time for which an entry was on a list, from its beginning on
// and without its end. An entry that is on the list now has an interval too,
// which is under way.
type Interval struct {
	Owner       string
	Target      string
	BlockedAt   time.Time
	UnblockedAt time.Time // zero = under way
	ExpiresAt   time.Time // when it was, or is, due to end by itself; zero = never
	Note        string    // the last one; "" = none
	Source      string    // the door by which it began
	Actor       string    // who began it, as far as the credential tells
	EndedSource string    // the door by which it ended, "expiry" if by itself; "" = under way
	EndedActor  string
}

// HistoryPage is a piece of a list's intervals.
type HistoryPage struct {
	Intervals []Interval
	Next      Place // zero = the end
}

// BlockStore writes and reads lists. Implementations are safe for concurrent
// use. Errors are of type *[Error] where the code below is named, anything
// else is unexpected:
//
//   - [CodeLimitExceeded] (Edit): the list would hold more than its app allows;
//     nothing was stored.
//   - [CodeStoreUnavailable]: the database did not take the statement; nothing
//     was stored.
//   - [CodeOutcomeUnknown] (Edit): the connection was lost before the answer;
//     the edit may have been stored. Repeating it is safe.
//   - [CodeReplayed] (Edit, SetAllowlistMode, UseOnce): the key has been taken
//     before; nothing was stored.
type BlockStore interface {
	Edit(ctx context.Context, edit Edit) (Edited, error)
	List(ctx context.Context, query ListQuery) (ListPage, error)
	// Get returns one live entry; ok is false if there is none.
	Get(ctx context.Context, list ListID, target string) (block Block, ok bool, err error)
	BlockedBy(ctx context.Context, query BlockedByQuery) (BlockedByPage, error)
	History(ctx context.Context, query HistoryQuery) (HistoryPage, error)
	// SetAllowlistMode returns an Edited for each owner; all or nothing.
	SetAllowlistMode(ctx context.Context, change ModeChange) ([]Edited, error)
	// AllowlistMode tells of each owner whether they are in allowlist mode.
	AllowlistMode(ctx context.Context, app string, owners []string) ([]bool, error)
	UseOnce(ctx context.Context, app string, once Once) error
}
