package prober

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Kind is a rule that an answer has broken.
type Kind string

// The rules.
const (
	// TooOld: it lacks a write that was acknowledged longer ago than the answer
	// admits to be old.
	TooOld Kind = "too_old"
	// AtLeast: it lacks the write whose revision was asked with.
	AtLeast Kind = "at_least"
	// FellBack: it takes back what the same target had shown.
	FellBack Kind = "fell_back"
)

// kinds are all of them.
var kinds = []Kind{TooOld, AtLeast, FellBack}

// Violation is one answer that broke a rule.
type Violation struct {
	At      time.Time
	Target  string
	Kind    Kind
	Listed  bool          // the answer said that the sender is blocked
	Since   time.Duration // from the last acknowledgement to the question
	Claimed time.Duration // the age that the answer admitted, or could have unsaid
}

// String says what happened in a sentence without an id.
func (v Violation) String() string {
	state, wrote := "not blocked", "block"
	if v.Listed {
		state, wrote = "blocked", "unblock"
	}
	switch v.Kind {
	case AtLeast:
		return fmt.Sprintf("answered %q to a question with the revision of the %s", state, wrote)
	case FellBack:
		return fmt.Sprintf("answered %q after it had shown the %s", state, wrote)
	}
	return fmt.Sprintf("answered %q %s after the %s was acknowledged, and claimed to be at most %s old",
		state, Shown(v.Since), wrote, Shown(v.Claimed))
}

// Verdict is what a run comes to.
type Verdict string

// The verdicts, the worst last.
const (
	Clean Verdict = "clean"
	// Unreached: a target did not answer at the end, or did not show the last
	// writes, or there were no writes. What was answered was not wrong.
	Unreached Verdict = "unreached"
	Wrong     Verdict = "wrong"
)

// Writes counts writes by what became of them.
type Writes struct {
	Acknowledged int
	Refused      int // nothing was stored
	Unknown      int // it may have been stored
	LastError    string
}

// TargetReport is what was found of one target.
type TargetReport struct {
	Name string
	// Windows is how many writes were seen to arrive; the quantiles are of the
	// time from acknowledgement to the end of the first answer that had it, at most
	// 5 % too long.
	Windows            int
	P50, P95, P99, Max time.Duration
	MaxAt              time.Time     // when the longest ended
	MaxAge             time.Duration // the largest age that was claimed, said or not
	Reads              int
	Unknown, Unreached int // reads without an answer, or with one that knows nothing
	LastError          string
	Behind             bool // at the end, a write was not shown
	Silent             bool // the last read was not answered
	Violations         map[Kind]int
}

// Wrong is how many answers broke a rule.
func (t *TargetReport) Wrong() (n int) {
	for _, count := range t.Violations {
		n += count
	}
	return n
}

// Report is what a run has found so far.
type Report struct {
	Verdict    Verdict
	Began      time.Time
	Took       time.Duration
	Writes     Writes
	Targets    []TargetReport
	Violations []Violation // the first of them
}

// Report returns what has been found so far.
func (p *Prober) Report() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := Report{
		Verdict: Clean, Began: p.clock, Took: p.now(), Writes: p.writes, Violations: slices.Clone(p.wrong),
	}
	wrong := 0
	for _, t := range p.order {
		f := t.figures
		f.Name, f.Windows, f.Violations = t.Name, t.windows.n, maps.Clone(f.Violations)
		f.P50, f.P95, f.P99 = t.windows.quantile(0.5), t.windows.quantile(0.95), t.windows.quantile(0.99)
		if p.targets[t.Name] == t {
			f.Behind, f.Silent = p.behind(t), !t.answers
		}
		if f.Behind || f.Silent {
			r.Verdict = Unreached
		}
		wrong += f.Wrong()
		r.Targets = append(r.Targets, f)
	}
	if r.Writes.Acknowledged == 0 {
		r.Verdict = Unreached
	}
	if wrong > 0 {
		r.Verdict = Wrong
	}
	return r
}

// windows counts times in buckets that grow by 5 %, so that a run may last for ever.
type windows struct {
	n       int
	longest time.Duration
	buckets [400]int32
}

const (
	shortest = 100 * time.Microsecond // of the first bucket
	growth   = 1.05
)

func (w *windows) add(d time.Duration) {
	w.n++
	w.longest = max(w.longest, d)
	i := 0
	if d > shortest {
		i = min(int(math.Ceil(math.Log(float64(d)/float64(shortest))/math.Log(growth))), len(w.buckets)-1)
	}
	w.buckets[i]++
}

// quantile returns a time that a share of all is not above; 0 if there are none.
func (w *windows) quantile(share float64) time.Duration {
	wanted := int32(math.Ceil(share * float64(w.n)))
	for i, n := range w.buckets {
		if wanted -= n; wanted <= 0 && w.n > 0 {
			return min(time.Duration(float64(shortest)*math.Pow(growth, float64(i))), w.longest)
		}
	}
	return w.longest
}

// Shown is a duration as people read it: three figures.
func Shown(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
