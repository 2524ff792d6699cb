package filter

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// evaluation is one check on its way through the rules. It lives on the stack
// of the caller.
type evaluation struct {
	filter *Filter
	app    *app
	room   *room
	check  *Check
	rec    *recorder // nil in a check

	now cache.Instant
	age time.Duration // upper bound over the lists read so far

	// The recipient's block list serves two rules and is read once.
	recipient     cache.View
	recipientRead answer // no: not yet

	cause      Cause // why a list is unknown; CauseNone: none is
	banUnknown bool  // the unknown list, or one of them, is the room's

	// When this check began to wait for the database, if it has: no pointer
	// may go from here to a context, or every check would be allocated.
	waiting bool
	since   cache.Instant
}

// recipientBlocks returns the recipient's block list; false: it is unknown.
func (e *evaluation) recipientBlocks() (cache.View, bool) {
	if e.recipientRead == no {
		var ok bool
		e.recipientRead = unknown
		if e.recipient, ok = e.list(cache.KindBlock, e.check.Recipient); ok {
			e.recipientRead = yes
		}
	}
	return e.recipient, e.recipientRead == yes
}

// list returns a list. False means that it is unknown; e.cause then says why.
func (e *evaluation) list(kind cache.Kind, owner string) (cache.View, bool) {
	dir := e.app.lists[kind]
	need, named := e.need(kind, owner)
	view, ok := dir.Find(owner)
	if named {
		ok = ok && !need.Force && view.Current() && view.Version() >= need.Version
	}
	if !ok {
		if view, ok = e.load(dir, owner, need, named); !ok {
			e.recordList(kind, owner, view, 0)
			return cache.View{}, false
		}
	}
	age := view.Age(e.now)
	if age > e.filter.hard {
		// Not read again here: while the feed stands still, each check
		// would ask the database, which is what the bound is to prevent.
		e.failed(CauseStale)
		e.recordList(kind, owner, cache.View{}, age)
		return cache.View{}, false
	}
	e.age = max(e.age, age)
	e.recordList(kind, owner, view, age)
	return view, true
}

// need says what AtLeast asks of a list; named is false if it asks nothing of
// this one.
//
// Versions of two servers cannot be compared, nor, if the salt is another one,
// the hashes of the owners. So a revision of a server that is not the one
// followed asks to read, once, every list of its kind that the decision needs.
// If it is from before a failover or restore, what the present server says is
// all there is. If this process has yet to notice the failover, the read comes
// back with the other identity, is refused by the cache, and the check is
// answered CauseNotFreshEnough.
func (e *evaluation) need(kind cache.Kind, owner string) (need cache.Need, named bool) {
	asked := &e.check.AtLeast
	if asked.IsZero() || asked.Kind != kind {
		return cache.Need{}, false
	}
	server := e.filter.cache.Identity()
	if asked.Server != hashIdentity(server) {
		return cache.Need{Force: true}, true
	}
	if asked.Owner != cache.HashOwner(owner, server.Salt) {
		return cache.Need{}, false
	}
	return cache.Need{Version: asked.Version}, true
}

// load waits for a list. All loads of a check share one deadline, which starts
// with the first, so that four lists do not wait four times.
func (e *evaluation) load(dir *cache.Directory, owner string, need cache.Need, named bool) (cache.View, bool) {
	if !e.waiting {
		e.waiting, e.since = true, e.now
	}
	left := e.filter.load
	if named {
		left = e.filter.atLeast
	}
	left -= time.Duration(e.now - e.since)
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	var view cache.View
	err := ctx.Err()
	if err == nil {
		view, err = dir.Load(ctx, owner, need)
	}
	e.passed()
	switch {
	case err == nil:
		return view, true
	case named:
		e.failed(CauseNotFreshEnough)
	case !e.filter.cache.Synced():
		e.failed(CauseNotSynced)
	default:
		e.failed(CauseNotLoaded)
	}
	return cache.View{}, false
}

// passed moves the evaluation's clock on after a wait: the lists read before it
// have grown older since.
func (e *evaluation) passed() {
	later := e.filter.cache.Now()
	if e.age > 0 {
		e.age += time.Duration(later - e.now)
	}
	e.now = later
}

// failed notes why a list is unknown. The first cause stands, but what the
// caller asked for explicitly comes before all others.
func (e *evaluation) failed(why Cause) {
	if e.cause == CauseNone || why == CauseNotFreshEnough {
		e.cause = why
	}
}
