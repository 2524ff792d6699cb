package cache

import "math"

// prepare takes one list in as a page read does.
func prepare(l *List, salt int64) (lines, error) {
	in := newIntake(salt, Range{Hi: math.MaxUint64})
	l.handTo(in)
	in.Done(Identity{}, 1)
	all, err := in.sorted()
	if err != nil {
		return lines{}, err
	}
	return all[0], nil // not freed: the list may be kept
}
