package blocksync

import (
	"context"

	"github.com/sidegate/sidegate/cache"
)

// Warm is memory that an earlier process has left. The follower asks for it before
// its first poll, asks the server what has changed since, and either resumes
// ([cache.Cache.Resume]) or refuses.
type Warm interface {
	// Stage brings what was left into the cache, where nobody is answered from it
	// yet; false means that there is nothing. It is called once.
	Stage(ctx context.Context) (Left, bool)
	// Accept says that the server continues where the earlier process ended: what is
	// staged counts from now on.
	Accept()
	// Refuse drops what is staged, because the server cannot be asked what has
	// changed since: it is another one, or its log does not reach back. The cause is
	// one of those of sidegate_sync_epochs_total.
	Refuse(cause string)
}

// Left says where an earlier process had come to.
type Left struct {
	Server cache.Identity
	// Position is what everything staged has been applied up to.
	Position Position
	// Through is a later position of the same server: what is staged may hold
	// changes up to there. A server that has not come that far has lost something,
	// whatever its identity says.
	Through Position
}

// stage begins where an earlier process ended, if one has left anything.
func (f *Follower) stage(ctx context.Context) {
	if f.opts.Warm == nil {
		return
	}
	left, ok := f.opts.Warm.Stage(ctx)
	if !ok || left.Position.IsZero() {
		return
	}
	f.resuming, f.identity, f.position, f.through = true, left.Server, left.Position, left.Through.Xmax
}

// Place returns the server that is followed and the position that has been reached
// on it; false before the first complete poll. Safe for concurrent use.
func (f *Follower) Place() (server cache.Identity, at Position, ok bool) {
	r := f.reached.Load()
	if r == nil {
		return server, at, false
	}
	return r.server, r.position, true
}
