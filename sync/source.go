package blocksync

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Source is the database as the follower sees it. Poll returns, from one
// snapshot of the primary, every change that became visible since the position
// from; the zero position asks for no changes, just for a place to start. The
// context carries the deadline. Poll is never called twice at a time.
type Source interface {
	Poll(ctx context.Context, from Position) (Batch, error)
}

// Batch is the answer to one poll.
type Batch struct {
	Position Position // the snapshot that the changes were read in
	Identity cache.Identity
	Recovery bool // the server is a standby: the rest is not to be trusted
	// Newer is a timeline of the same cluster that has superseded the server's: it is
	// an old primary, and not to be followed. 0 = none was seen.
	Newer  uint32
	Schema int // version of the schema, see postgres.SchemaVersion
	// Serves is the oldest version whose programs work with the schema; 0 = it does
	// not say, so that only programs of its own version do.
	Serves int
	MinXid uint64    // changes of older transactions may have been trimmed
	Clock  time.Time // the server's wall clock during the poll
	// Overflow says that more changed than one poll may carry. Changes is
	// then empty, and following has to start over.
	Overflow bool
	// Changes in no particular order but, per list, ascending in version.
	Changes []cache.Change
}
