package history

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"sort"
	"time"
)

// timeline is the history of one list. A place in it is a number of writes: at
// place i the first i of the writes that are done have taken effect.
type timeline struct {
	writes []Write                  // done, in their order
	turns  map[string][]turn        // what each target's entry did
	doubt  map[string]time.Duration // since when a target may be listed or not: a write of unknown outcome

	// digests are those of the list at each place, without the doubtful targets.
	digests []uint64
	// versioned: every write has a version, so a version names a place.
	versioned bool
}

// turn is a write to a target, by the place behind it.
type turn struct {
	place  int
	listed bool
}

// newTimeline replays the writes to one list.
func newTimeline(writes []Write) (*timeline, error) {
	writes = slices.Clone(writes)
	slices.SortFunc(writes, func(a, b Write) int { return cmp.Compare(a.Begin, b.Begin) })
	l := &timeline{turns: map[string][]turn{}, doubt: map[string]time.Duration{}, versioned: true}
	for i := range writes {
		w := &writes[i]
		if i > 0 && w.Begin < writes[i-1].End {
			return nil, fmt.Errorf("%w: %v and %v overlap, their order is not known", errMalformed, &writes[i-1], w)
		}
		switch w.Outcome {
		case Done:
			l.writes = append(l.writes, *w)
			l.turns[w.Target] = append(l.turns[w.Target], turn{len(l.writes), w.Listed})
			l.versioned = l.versioned && w.Version > 0
		case Unknown:
			if _, ok := l.doubt[w.Target]; !ok {
				l.doubt[w.Target] = w.Begin
			}
		}
	}
	l.digest()
	return l, nil
}

var seed = maphash.MakeSeed()

// digest sums up what is on the list at each place: XOR over its targets, so
// that a write costs one step.
func (l *timeline) digest() {
	l.digests = make([]uint64, 1, len(l.writes)+1)
	listed := map[string]bool{}
	for i := range l.writes {
		w, sum := &l.writes[i], l.digests[i]
		if _, doubt := l.doubt[w.Target]; !doubt && listed[w.Target] != w.Listed {
			sum ^= maphash.String(seed, w.Target)
			listed[w.Target] = w.Listed
		}
		l.digests = append(l.digests, sum)
	}
}

// digestOf is the digest of a list that was answered. A target that is named
// twice is no list of ours; it must not cancel itself out.
func (l *timeline) digestOf(set []string) (sum uint64, ok bool) {
	seen := make(map[string]struct{}, len(set))
	for _, target := range set {
		if _, twice := seen[target]; twice {
			return 0, false
		}
		seen[target] = struct{}{}
		if _, doubt := l.doubt[target]; !doubt {
			sum ^= maphash.String(seed, target)
		}
	}
	return sum, true
}

// ackedBefore is the place that every answer as of a moment must have reached.
func (l *timeline) ackedBefore(at time.Duration) int {
	return sort.Search(len(l.writes), func(i int) bool { return l.writes[i].End >= at })
}

// begunBefore is the last place that an answer given at a moment can be at.
func (l *timeline) begunBefore(at time.Duration) int {
	return sort.Search(len(l.writes), func(i int) bool { return l.writes[i].Begin > at })
}

// ofVersion is the place of a version. A version between those of two writes
// belongs to one whose outcome is unknown: for the targets that are not in
// doubt, its place is that of the write before. It needs versioned.
func (l *timeline) ofVersion(v int64) int {
	return sort.Search(len(l.writes), func(i int) bool { return l.writes[i].Version > v })
}

// firstListed returns the first place of a range at which a target is on the list
// or is not, -1 if there is none.
func (l *timeline) firstListed(target string, listed bool, from, to int) int {
	turns := l.turns[target]
	i := sort.Search(len(turns), func(i int) bool { return turns[i].place > from })
	if before := i > 0 && turns[i-1].listed; from <= to && before == listed {
		return from
	}
	for ; i < len(turns) && turns[i].place <= to; i++ {
		if turns[i].listed == listed {
			return turns[i].place
		}
	}
	return -1
}

// firstWhole returns the first place of a range with a digest, -1 if there is
// none. A range is as long as there were writes beside the read.
func (l *timeline) firstWhole(sum uint64, from, to int) int {
	for at := from; at <= to; at++ {
		if l.digests[at] == sum {
			return at
		}
	}
	return -1
}

// disorder finds writes whose version is not above that of the one before: the
// database has counted one version twice, or acknowledged in another order than
// it committed.
func (l *timeline) disorder() (found []Violation) {
	newest := int64(0)
	for i := range l.writes {
		w := &l.writes[i]
		if w.Version == 0 {
			continue
		}
		if w.Version <= newest {
			found = append(found, Violation{Kind: Disorder, Write: *w,
				Text: fmt.Sprintf("%v has version %d; an earlier one had %d", w, w.Version, newest)})
		}
		newest = max(newest, w.Version)
	}
	return found
}
