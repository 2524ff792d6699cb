package filter

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// reading is a list as an evaluation has read it.
type reading struct {
	state  readState
	cause  Cause         // if unknown: why
	shared bool          // waited for at once where others are postponed
	listed bool          // the target was on it, if it is of the past
	asOf   cache.Instant // if known: it was true then or later
	view   cache.View
}

// readState is how far a reading has got.
type readState uint8

const (
	unread     readState = iota
	inMemory             // the view is found, and not judged yet
	notThere             // memory was looked at, and has no page
	known                // the view may be asked
	unknowable           // see reading.cause
)

// read reads a list that a rule asks whether target is on, unless it has been
// read before. False means that it is unknown; e.cause then says why.
func (e *evaluation) read(r *reading, list listName, target string) bool {
	if e.missed {
		return false
	}
	if r.state < known {
		e.fetch(r, list, target)
	}
	switch r.state {
	case known:
		e.asOf = min(e.asOf, r.asOf)
		return true
	case unknowable:
		e.failed(r.cause)
	}
	return false
}

// listName names a list within the app of the check.
type listName struct {
	kind  cache.Kind
	owner string
}

// hasSender reports whether the sender is on a known list.
func (e *evaluation) hasSender(r *reading) bool {
	if e.past != nil {
		return r.listed
	}
	return !r.view.None() && r.view.Has(e.printOfSender())
}

// hasRecipient reports whether the recipient is on a known list.
func (e *evaluation) hasRecipient(r *reading) bool {
	if e.past != nil {
		return r.listed
	}
	return !r.view.None() && r.view.Has(e.printOfRecipient())
}

// fetch takes a reading to known or unknowable, or sets e.missed.
func (e *evaluation) fetch(r *reading, list listName, target string) {
	if e.past != nil {
		e.recall(r, list, target)
		return
	}
	e.look(r, list)
	if !e.missed {
		e.record(r, list, target)
	}
}

// look looks into memory, and where that will not do has the page read.
func (e *evaluation) look(r *reading, list listName) {
	dir := e.app.lists[list.kind]
	if r.state == unread {
		r.find(dir, list.owner)
	}
	need, named := e.need(list)
	if r.state != inMemory || e.leftBehind(r.view) ||
		named && !(r.view.Current() && r.view.Version() >= need.Version && !need.Force) {
		if e.postpone && !r.shared && (!need.Force || e.wanted.all) {
			e.missed = true
			return
		}
		if why := e.load(r, list, named, need); why != CauseNone {
			r.state, r.cause = unknowable, why
			return
		}
	}
	age := r.view.Age(e.now)
	if age > e.filter.hard {
		// Not read again here: while the feed stands still, each check
		// would ask the database, which is what the bound is to prevent.
		r.state, r.cause = unknowable, CauseStale
		return
	}
	r.state, r.asOf = known, e.now-cache.Instant(age)
}

// leftBehind reports whether a page is past the hard bound although the database
// is followed: it is from before following last started over, and has not been
// read again since. Asking the database costs one read then, and the page is
// current again. While the feed itself stands still nothing is asked. Nearly every
// page is current, so that is looked at first.
func (e *evaluation) leftBehind(view cache.View) bool {
	return !view.Current() && view.Age(e.now) > e.filter.hard && e.filter.cache.Age() <= e.filter.hard
}

// find looks into memory only.
func (r *reading) find(dir *cache.Directory, owner string) {
	var ok bool
	r.state = notThere
	if r.view, ok = dir.Find(owner); ok {
		r.state = inMemory
	}
}

// take is find for a lookup that has been made.
func (r *reading) take(l *cache.Lookup) {
	r.state, r.view = notThere, l.View
	if l.Found {
		r.state = inMemory
	}
}

// load waits for a list and returns why it could not be had. All loads of a
// check share one deadline, which starts with the first, so that four lists do
// not wait four times.
func (e *evaluation) load(r *reading, list listName, named bool, need cache.Need) Cause {
	if !e.waiting {
		e.waiting, e.since = true, e.now
	}
	left := e.filter.load
	if named {
		left = e.filter.atLeast
	}
	left -= time.Duration(e.now - e.since)
	if named && need.Force && e.server == refuted {
		left = 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	err := ctx.Err()
	if err == nil {
		e.filter.metrics.waited(r.state == inMemory, named)
		need.Bulk = e.bulk
		r.view, err = e.app.lists[list.kind].Load(ctx, list.owner, need)
	}
	// The clock moves on: the lists read before the wait have grown older.
	e.now = e.filter.cache.Now()
	if need.Force {
		e.server = proofOf(err)
	}
	switch {
	case err == nil:
		r.state = inMemory
		if e.rec != nil {
			e.rec.loaded = true
		}
		return CauseNone
	case named:
		return CauseNotFreshEnough
	case !e.filter.cache.Synced():
		return CauseNotSynced
	}
	return CauseNotLoaded
}
