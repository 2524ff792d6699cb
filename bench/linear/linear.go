package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Kind is what a request asks.
type Kind uint8

// The kinds of requests.
const (
	Add    Kind = iota + 1
	Remove      // of one target
	List        // the whole list
	Decide      // is Target on the list, at AtLeast or later?
)

// Op is a request to one list, and its answer.
type Op struct {
	Client     int
	Owner      string
	Kind       Kind
	Target     string        // of all but List
	Call, End  time.Duration // on one clock; End means nothing if Unknown
	IfNot      int64         // List: the version that the client has; 0 = none
	AtLeast    int64         // Decide: the version of the token
	TokenSince time.Duration // Decide: when the write that gave the token was requested

	// The answer. Unknown: it was lost, and nothing below counts.
	Unknown bool
	Changed bool     // Add, Remove: the list is another one now
	Full    bool     // Add: refused, the list holds Size entries
	Size    int      // if Full
	Version int64    // of the list; 0 = not shown
	Same    bool     // List: still at IfNot
	Set     []string // List: in any order, unless Same
	Listed  bool     // Decide
}

// String describes a request for the evidence against an answer.
func (o *Op) String() string {
	name := map[Kind]string{Add: "add", Remove: "remove", List: "list", Decide: "decide"}[o.Kind]
	asked := fmt.Sprintf("client %d, %v to %v: %s %s%s", o.Client, o.Call, o.End, name, o.Owner, strings.TrimSuffix("→"+o.Target, "→"))
	switch {
	case o.Unknown:
		return asked + ": no answer"
	case o.Kind == List && o.Same:
		return fmt.Sprintf("%s: still version %d", asked, o.IfNot)
	case o.Kind == List:
		return fmt.Sprintf("%s: %q at version %d", asked, o.Set, o.Version)
	case o.Kind == Decide:
		return fmt.Sprintf("%s, at least version %d: listed %v", asked, o.AtLeast, o.Listed)
	case o.Full:
		return fmt.Sprintf("%s: full with %d", asked, o.Size)
	}
	return fmt.Sprintf("%s: changed %v, version %d", asked, o.Changed, o.Version)
}

// Report is what [Check] found.
type Report struct {
	Lists, Ops, Unknown int
	// Wrong are the lists whose answers no order explains, with their requests in
	// the order of asking.
	Wrong map[string][]Op
	// Undecided are the lists for which patience ended before the search.
	Undecided []string
}

func (r *Report) String() string {
	return fmt.Sprintf("%d requests to %d lists, %d without an answer: %d lists cannot be explained, %d undecided",
		r.Ops, r.Lists, r.Unknown, len(r.Wrong), len(r.Undecided))
}

// Check judges the lists one by one, for what happens to one means nothing for
// another. Each is empty at version 0 before its first request and holds at most
// limit entries. The search takes up to patience for each list. It is not safe
// for use while ops is being written to.
func Check(ops []Op, limit int, patience time.Duration) Report {
	r := Report{Ops: len(ops), Wrong: map[string][]Op{}}
	lists := map[string][]Op{}
	for i := range ops {
		lists[ops[i].Owner] = append(lists[ops[i].Owner], ops[i])
		if ops[i].Unknown {
			r.Unknown++
		}
	}
	r.Lists = len(lists)
	for owner, of := range lists {
		m := model(limit, given(of))
		slices.SortFunc(of, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
		asked := make([]porcupine.Operation, len(of))
		for i := range of {
			asked[i] = of[i].operation()
		}
		switch porcupine.CheckOperationsTimeout(m, asked, patience) {
		case porcupine.Illegal:
			r.Wrong[owner] = of
		case porcupine.Unknown:
			r.Undecided = append(r.Undecided, owner)
		}
	}
	slices.Sort(r.Undecided)
	return r
}

func (o *Op) operation() porcupine.Operation {
	p := porcupine.Operation{ClientId: o.Client, Input: o, Output: o, Call: int64(o.Call), Return: int64(o.End)}
	if o.Unknown {
		p.Return = math.MaxInt64
	}
	if o.Kind == Decide {
		p.Call = int64(min(o.Call, o.TokenSince))
	}
	return p
}

// state is a list at a moment. It is compared by ==.
type state struct {
	version int64
	size    int
	set     string // the targets, sorted, each followed by a line feed, which no id holds
}

func (s state) holds(target string) bool {
	return strings.Contains("\n"+s.set, "\n"+target+"\n")
}

// changed is the list with one target more or less.
func (s state) changed(target string) state {
	targets := slices.Collect(strings.Lines(s.set))
	line := target + "\n"
	if i, there := slices.BinarySearch(targets, line); there {
		targets = slices.Delete(targets, i, i+1)
	} else {
		targets = slices.Insert(targets, i, line)
	}
	return state{s.version + 1, len(targets), strings.Join(targets, "")}
}

func setOf(targets []string) string {
	var b strings.Builder
	for _, t := range slices.Sorted(slices.Values(targets)) {
		b.WriteString(t)
		b.WriteByte('\n')
	}
	return b.String()
}

// given are the versions that changes were answered with. No two changes have one
// version, so a change whose answer was lost had none of these. That it cannot be
// tried there is what keeps the search short: it fits at every moment otherwise.
func given(ops []Op) map[int64]bool {
	versions := map[int64]bool{}
	for i := range ops {
		if o := &ops[i]; !o.Unknown && o.Changed {
			versions[o.Version] = true
		}
	}
	return versions
}

func model(limit int, given map[int64]bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(now, input, _ any) (bool, any) {
			o := input.(*Op)
			fits, after := step(now.(state), o, limit)
			if changed := after.version > now.(state).version; changed && o.Unknown && given[after.version] {
				return false, after
			}
			return fits, after
		},
	}
}

// step tells whether the answer fits a list in this state, and what it is then.
func step(s state, o *Op, limit int) (fits bool, after state) {
	after = s
	switch o.Kind {
	case Add, Remove:
		full := o.Kind == Add && !s.holds(o.Target) && s.size >= limit
		changes := !full && s.holds(o.Target) == (o.Kind == Remove)
		if changes {
			after = s.changed(o.Target)
		}
		if o.Unknown {
			return true, after
		}
		if o.Full || full {
			return o.Full && full && o.Size == s.size, after
		}
		return o.Changed == changes && (o.Version == 0 || o.Version == after.version), after
	case List:
		switch {
		case o.Unknown:
			return true, s
		case o.Same:
			return s.version == o.IfNot, s
		}
		return s.version == o.Version && s.set == setOf(o.Set), s
	case Decide:
		return o.Unknown || s.version >= o.AtLeast && s.holds(o.Target) == o.Listed, s
	}
	return false, s
}
