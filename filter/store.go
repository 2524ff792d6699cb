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

// ListQuery asks for a piece of a list, newest first.
type ListQuery struct {
	List  ListID
	Limit int // 1 to 1000
	// After continues behind this place; the zero Place starts at the top.
	After Place
}

// Place is the place of an entry in the order "newest first": by creation,
// then by its place in its request, then by target, each descending.
type Place struct {
	CreatedAt time.Time
	Order     int
	Target    string
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
type BlockStore interface {
	Edit(ctx context.Context, edit Edit) (Edited, error)
	List(ctx context.Context, query ListQuery) (ListPage, error)
	// Get returns one live entry; ok is false if there is none.
	Get(ctx context.Context, list ListID, target string) (block Block, ok bool, err error)
}
