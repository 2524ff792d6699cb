package filter

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Record is one line of an export or an import: an entry of a list, or whether a
// user is in allowlist mode.
type Record struct {
	Kind  cache.Kind
	Owner string
	// Target is "" if the record is about the mode of its owner, which
	// Allowlist tells; then the kind is that of a block list.
	Target    string
	Allowlist bool

	CreatedAt time.Time // zero in an import = now
	ExpiresAt time.Time // zero = never
	Note      string    // "" = none
	// KeepExpiry and KeepNote leave those of an entry that exists already as
	// they are. Only imports have them.
	KeepExpiry, KeepNote bool
}

// ImportMode says what an import does with its lines.
type ImportMode uint8

// The modes of an import.
const (
	// ImportLists stores each list by itself: all of its records or none.
	ImportLists ImportMode = iota
	// ImportWhole stores everything or nothing.
	ImportWhole
	// ImportCheck stores nothing and tells what would be stored now.
	ImportCheck
)

// Import is a set of records to be stored in one transaction. No list has a
// target twice, and no owner a mode.
type Import struct {
	App     string
	Records []Record
	Mode    ImportMode
	Actor   string
}

// ImportOutcome is what became of one record.
type ImportOutcome uint8

// The outcomes of a record.
const (
	ImportUnchanged ImportOutcome = iota
	ImportCreated
	ImportUpdated
	// ImportOverLimit: its list would have held more than the app allows, and
	// has taken none of its records.
	ImportOverLimit
)

// Imported is what an Import did.
type Imported struct {
	Outcomes []ImportOutcome // parallel to the records
	Limit    int             // of the app
}

// TransferStore writes and reads lists by the thousand. Implementations are safe
// for concurrent use; errors are those of [BlockStore], except that a list over
// its limit is no error but an outcome.
type TransferStore interface {
	Import(ctx context.Context, lines Import) (Imported, error)
	// Mark begins a transaction and ends it, and returns the server that did and
	// the transaction: whoever sees it sees all that was committed before.
	Mark(ctx context.Context) (server cache.Identity, transaction uint64, err error)
	// Export begins to read all of an app. What it reads is of one instant.
	Export(ctx context.Context, app string) (RecordReader, error)
}

// RecordReader reads an export piece by piece, in the order of kind, owner and
// target; modes come last, so that whoever imports has the allowlists before
// they are asked. It is for one goroutine.
type RecordReader interface {
	// Next returns the next piece, which is valid until the following call;
	// an empty one is the end.
	Next(ctx context.Context) ([]Record, error)
	// Close ends the reading, wherever it is. It is idempotent.
	Close()
}
