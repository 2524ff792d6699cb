package history

import (
	"cmp"
	"fmt"
	"slices"
)

// judge places the reads of one list by one answerer, in the order of time.
func (r *Report) judge(l *timeline, reads []Read) {
	slices.SortFunc(reads, func(a, b Read) int { return cmp.Compare(a.Begin, b.Begin) })
	// What a read has shown binds those that began after it had ended: ended
	// runs behind, and is always over reads that were judged before.
	ended := make([]int, len(reads))
	for i := range ended {
		ended[i] = i
	}
	slices.SortFunc(ended, func(a, b int) int { return cmp.Compare(reads[a].End, reads[b].End) })
	shown := make([]shown, len(reads))
	var floor mark
	for i := range reads {
		rd := &reads[i]
		for ; reads[ended[0]].End < rd.Begin; ended = ended[1:] {
			floor.raise(shown[ended[0]])
		}
		if !rd.Answered {
			continue
		}
		r.Answered++
		r.MaxAge = max(r.MaxAge, rd.Age)
		v := l.place(rd, floor)
		shown[i] = v.shown
		if v.decisive {
			r.Decisive++
		}
		if v.kind != 0 {
			r.Violations = append(r.Violations, Violation{Kind: v.kind, Read: *rd, Text: l.evidence(rd, &v)})
		}
	}
}

// shown is what a read proves of its answerer: this place was reached, and this
// version, 0 if the answer did not say.
type shown struct {
	place   int
	version int64
}

// mark is the most that an answerer has shown.
type mark struct{ shown }

func (m *mark) raise(s shown) {
	m.place, m.version = max(m.place, s.place), max(m.version, s.version)
}

// verdict is where an answer belongs.
type verdict struct {
	shown
	kind     Kind // 0: it can be true
	decisive bool
	bounds
}

// bounds are the places that an answer may have.
type bounds struct {
	acked, begun int // not before, not behind
	floor, token int // not before either
}

func (b bounds) from() int { return max(b.acked, b.floor, b.token) }

// place finds the first place that an answer fits. An answer that fits none
// proves nothing, so it does not raise the floor: one wrong answer is one
// violation.
func (l *timeline) place(rd *Read, floor mark) verdict {
	v := verdict{bounds: bounds{
		acked: l.ackedBefore(rd.Begin - rd.Age), begun: l.begunBefore(rd.End), floor: floor.place,
	}}
	if rd.AtLeast > 0 && l.versioned {
		v.token = l.ofVersion(rd.AtLeast)
	}
	if rd.Version > 0 && rd.Version < floor.version {
		v.kind = Fell
		return v
	}
	find := l.finder(rd)
	at := find(v.from(), v.begun)
	if at < 0 {
		v.kind = l.cause(&v.bounds, find)
		return v
	}
	v.shown = shown{at, rd.Version}
	if !rd.Whole {
		other := *rd
		other.Listed = !rd.Listed
		v.decisive = l.finder(&other)(v.from(), v.begun) < 0
	}
	return v
}

// cause says which of the rules left no place: the last that had to be asked.
func (l *timeline) cause(b *bounds, find finder) Kind {
	switch {
	case find(max(b.acked, b.floor), b.begun) >= 0:
		return Token
	case find(b.acked, b.begun) >= 0:
		return Fell
	case find(0, b.acked-1) >= 0:
		return Stale
	case find(b.begun+1, len(l.writes)) >= 0:
		return Future
	}
	return Wrong
}

// finder returns the first place, of those from one to another, at which the
// list is as it was answered; -1 if it never is.
type finder func(from, to int) int

func (l *timeline) finder(rd *Read) finder {
	content := l.content(rd)
	if rd.Version == 0 || !l.versioned {
		return content
	}
	only := l.ofVersion(rd.Version)
	return func(from, to int) int {
		if only < from || only > to {
			return -1
		}
		return content(only, only)
	}
}

func (l *timeline) content(rd *Read) finder {
	if rd.Whole {
		sum, ok := l.digestOf(rd.Set)
		return func(from, to int) int {
			if !ok {
				return -1
			}
			return l.firstWhole(sum, from, to)
		}
	}
	if since, doubt := l.doubt[rd.Target]; doubt && rd.End >= since {
		return func(from, to int) int {
			if from > to {
				return -1
			}
			return from
		}
	}
	return func(from, to int) int { return l.firstListed(rd.Target, rd.Listed, from, to) }
}

// evidence says what contradicts an answer.
func (l *timeline) evidence(rd *Read, v *verdict) string {
	switch at := v.acked; {
	case v.kind == Stale && at > 0:
		return fmt.Sprintf("%v, but %v was acknowledged before that", rd, &l.writes[at-1])
	case v.kind == Future && v.begun < len(l.writes):
		return fmt.Sprintf("%v, before %v", rd, &l.writes[v.begun])
	case v.kind == Fell:
		return fmt.Sprintf("%v, after the same one had shown place %d of %d", rd, v.floor, len(l.writes))
	case v.kind == Token:
		return fmt.Sprintf("%v, with the token of %v", rd, &l.writes[v.token-1])
	}
	return fmt.Sprintf("%v, which it never was", rd)
}
