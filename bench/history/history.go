package history

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Outcome is what the writer learnt about a write.
type Outcome uint8

// The outcomes.
const (
	// Done: the write was acknowledged.
	Done Outcome = iota
	// Refused: the answer promised that nothing was stored.
	Refused
	// Unknown: it may have been stored, may be stored yet, or never.
	Unknown
)

// Write is one attempt to put an entry on a list or to take it off. Times are
// those of one monotonic clock, see [Recorder.Now]: Begin before the request was
// sent, End after its answer had come.
type Write struct {
	Owner, Target string
	Listed        bool // on the list afterwards
	Begin, End    time.Duration
	Outcome       Outcome
	// Version is the list's version after a write that is done; 0 = not told.
	Version int64
}

// Read is one question about a list, and its answer.
type Read struct {
	// By names the answerer. What one has shown it does not take back: two
	// processes with a memory each are two.
	By string
	// Epoch is the answerer's; lists may go back where it changes. 0 if it is
	// not known: then they must never go back.
	Epoch uint64

	Owner      string
	Begin, End time.Duration
	// AtLeast is the version of the token that the read carried; 0 = none. It is
	// judged where every write that is done has its version.
	AtLeast int64

	// Answered: there was an answer. Otherwise nothing below counts.
	Answered bool
	// Age is how old the answer claims to be at the most.
	Age time.Duration
	// Version is that of the list as it was answered; 0 = not shown. It names a
	// place where every write that is done has its version.
	Version int64

	// Whole: the question was what is on the list, and the answer is Set, in any
	// order. Otherwise it was whether Target is, and the answer is Listed.
	Whole  bool
	Set    []string
	Target string
	Listed bool
}

// History is everything that was recorded, in any order. Lists are empty before
// their first write.
type History struct {
	Writes []Write
	Reads  []Read
}

// Report is the verdict on a history.
type Report struct {
	Writes, Done, Refused, Unknown int
	Reads, Answered                int
	// Decisive answers are those whose opposite would have been a violation. A
	// check with few of them says little.
	Decisive int
	// MaxAge is the largest age that an answer claimed.
	MaxAge time.Duration
	// Violations are in the order of time; empty if every answer can be true.
	Violations []Violation
}

// String says the figures in one line.
func (r *Report) String() string {
	return fmt.Sprintf("%d writes (%d refused, %d unknown), %d reads (%d answered, %d decisive), age up to %v, %d violations",
		r.Writes, r.Refused, r.Unknown, r.Reads, r.Answered, r.Decisive, r.MaxAge.Round(time.Millisecond), len(r.Violations))
}

// errMalformed is wrapped by the error of a history that cannot be judged.
var errMalformed = errors.New("history: malformed")

// Check judges the history. It fails only if the history itself makes no sense:
// something ends before it begins, or two writes to one list overlap, so that
// their order is not known.
func (h *History) Check() (Report, error) {
	r := Report{Writes: len(h.Writes), Reads: len(h.Reads)}
	owners, err := h.byOwner()
	if err != nil {
		return r, err
	}
	for _, o := range owners {
		line, err := newTimeline(o.writes)
		if err != nil {
			return r, err
		}
		r.countWrites(o.writes)
		r.Violations = append(r.Violations, line.disorder()...)
		for _, reads := range o.reads {
			r.judge(line, reads)
		}
	}
	slices.SortFunc(r.Violations, func(a, b Violation) int { return cmp.Compare(a.at(), b.at()) })
	return r, nil
}

func (r *Report) countWrites(writes []Write) {
	for i := range writes {
		switch writes[i].Outcome {
		case Done:
			r.Done++
		case Refused:
			r.Refused++
		default:
			r.Unknown++
		}
	}
}

// answerer is who must not take back what was shown, and for how long.
type answerer struct {
	by    string
	epoch uint64
}

// owned is everything about one list.
type owned struct {
	writes []Write
	reads  map[answerer][]Read
}

// byOwner sorts the history into lists: what happens to one says nothing about
// another.
func (h *History) byOwner() (map[string]*owned, error) {
	owners := map[string]*owned{}
	of := func(owner string) *owned {
		if owners[owner] == nil {
			owners[owner] = &owned{reads: map[answerer][]Read{}}
		}
		return owners[owner]
	}
	for _, w := range h.Writes {
		if w.End < w.Begin {
			return nil, fmt.Errorf("%w: %v ends before it begins", errMalformed, &w)
		}
		o := of(w.Owner)
		o.writes = append(o.writes, w)
	}
	for _, rd := range h.Reads {
		if rd.End < rd.Begin {
			return nil, fmt.Errorf("%w: %v ends before it begins", errMalformed, &rd)
		}
		o, who := of(rd.Owner), answerer{rd.By, rd.Epoch}
		o.reads[who] = append(o.reads[who], rd)
	}
	return owners, nil
}
