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

// Need says what a load must bring at least. The zero Need is met by any page
// that is in memory and not suspect.
type Need struct {
	// Version is the least version of the owner's list that will do.
	Version int64
	// Force reads the database even if the page is in memory.
	Force bool
}

// View is one owner's list as a page holds it: a value that stays as it is
// while the cache moves on. The zero View is not valid; an owner without a
// list has a View with Version 0. Views are safe for concurrent use and must
// not be kept: they keep their whole page alive.
type View struct {
	dir *Directory
	pg  *page
	rec *record // nil: the owner has no list
}
