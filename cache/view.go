package cache

import (
	"errors"
	"time"
)

// ErrUnavailable is returned by [Directory.Load] when the list could not be
// read: the database did not answer in time, is not the one that is followed,
// or too many loads are under way. The error wraps the cause, which is for
// logs, never for clients.
var ErrUnavailable = errors.New("cache: list is not in memory and could not be loaded")

// ErrNotFresh is returned by [Directory.Load] when the database answered, but
// with an older version than was asked for.
var ErrNotFresh = errors.New("cache: list is older than asked for")

// ErrUnreadable is wrapped by the errors of a [Loader] that was answered and cannot
// make sense of the answer. Other errors count as signs of a database that does not
// keep up, and fewer reads are begun for a while.
var ErrUnreadable = errors.New("cache: the answer cannot be read")

// Need says what a load must bring at least, and for whom. The zero Need is met by
// any page that is in memory and not suspect.
type Need struct {
	// Version is the least version of the owner's list that will do.
	Version int64
	// Force reads the database even if the page is in memory.
	Force bool
	// Bulk says that the read is for a request about many lists. Such reads leave
	// room for those that are not.
	Bulk bool
}

// Print is the fingerprint of the id of a target. It means something in this
// process only.
type Print uint64

// PrintOf returns the fingerprint of an id. Who asks many lists about one target
// computes it once.
func PrintOf(target string) Print { return Print(printOf(target)) }

// View is one owner's list as a page holds it: a value that stays as it is
// while the cache moves on. The zero View is not valid; an owner without a
// list has a View with Version 0. Views are safe for concurrent use and must
// not be kept: they keep their whole page alive.
type View struct {
	cache *Cache
	pg    *page
	nth   int // list of the page, from 1 on; 0: the owner has none
	// asOf is an Instant: every change committed before it is in the page. How
	// far the feed has come is looked at before the page is; afterwards it may
	// have gone on, past changes that made another page of this one.
	asOf int64
}

// Contains reports whether the target is on the list now. An entry is gone the
// moment its expiry passes by the database's clock, as far as that is known.
// The chance that a target that is not on the list is taken for one that is, is
// at most 3000 in 2⁶⁴; that an owner without a list is taken for another one in
// memory, 1 in 2⁶⁴ for each list there is.
func (v View) Contains(target string) bool {
	return v.nth > 0 && v.Has(PrintOf(target))
}

// Has is [View.Contains] for a target whose fingerprint is at hand.
func (v View) Has(target Print) bool {
	if v.nth == 0 {
		return false
	}
	prints, expiries := v.pg.list(v.nth - 1)
	i := indexPrint(prints, uint64(target))
	if i < 0 || expiries == nil || expiries[i] == 0 {
		return i >= 0
	}
	return int64(expiries[i]) > v.cache.databaseClock().UnixMicro()
}

// None reports that the owner never had a list: then nobody is on it.
func (v View) None() bool { return v.nth == 0 }

// Allowlist reports whether the owner is in allowlist mode.
func (v View) Allowlist() bool { return v.nth > 0 && v.pg.flagged(v.nth-1, flagAllowlist) }

// Version returns the version of the list, 0 for an owner who never had one.
func (v View) Version() int64 {
	if v.nth == 0 {
		return 0
	}
	return v.pg.version(v.nth - 1)
}

// Current reports whether the view's page was read since following last started
// over. The version of a list in a page that was not may name another content
// than the same version does now.
func (v View) Current() bool { return v.pg.epoch == v.cache.epochNow() }

// Age returns an upper bound of the age of what the view says: every change
// committed that long before now is in it. It is measured on one monotonic
// clock, whatever clocks other machines have.
func (v View) Age(now Instant) time.Duration {
	return max(0, time.Duration(int64(now)-v.asOf))
}

// proved returns the Instant up to which a page is known to hold every change. The
// page was looked at after f and after asOf, which f had reached by then. Epochs
// before f reach no further any more.
func (f *feed) proved(p *page, asOf int64) int64 {
	if p.epoch == f.epoch {
		return max(p.readAt, asOf)
	}
	for older := f.older.Load(); older != nil; older = older.older.Load() {
		if older.epoch == p.epoch {
			return max(p.readAt, older.asOf.Load())
		}
	}
	return p.readAt
}
