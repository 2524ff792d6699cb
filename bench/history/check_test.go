package history

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// The hand-made histories below have one clock, in milliseconds, and one list,
// bob's, unless they say otherwise.

const ms = time.Millisecond

func block(target string, begin, end int) Write {
	return Write{Owner: "bob", Target: target, Listed: true, Begin: ms * time.Duration(begin), End: ms * time.Duration(end)}
}

func unblock(target string, begin, end int) Write {
	w := block(target, begin, end)
	w.Listed = false
	return w
}

func (w Write) version(v int64) Write { w.Version = v; return w }
func (w Write) with(o Outcome) Write  { w.Outcome = o; return w }
func (w Write) of(owner string) Write { w.Owner = owner; return w }
func (r Read) version(v int64) Read   { r.Version = v; return r }
func (r Read) atLeast(v int64) Read   { r.AtLeast = v; return r }
func (r Read) by(name string) Read    { r.By = name; return r }
func (r Read) epoch(n uint64) Read    { r.Epoch = n; return r }
func (r Read) of(owner string) Read   { r.Owner = owner; return r }
func (r Read) aged(age int) Read      { r.Age = ms * time.Duration(age); return r }
func (r Read) unanswered() Read       { r.Answered = false; return r }

// sees is a read by sidecar a that finds the target listed, misses one that does
// not, lists one of the whole list.
func sees(target string, begin, end int) Read {
	return Read{By: "a", Owner: "bob", Begin: ms * time.Duration(begin), End: ms * time.Duration(end),
		Answered: true, Target: target, Listed: true}
}

func misses(target string, begin, end int) Read {
	r := sees(target, begin, end)
	r.Listed = false
	return r
}

func lists(begin, end int, set ...string) Read {
	r := sees("", begin, end)
	r.Whole, r.Set, r.Target = true, set, ""
	return r
}

// judgement is a history and the kinds of what is wrong with it.
type judgement struct {
	name   string
	writes []Write
	reads  []Read
	want   string // kinds, in order of time
}

func (j judgement) check(t *testing.T) Report {
	t.Helper()
	h := History{Writes: j.writes, Reads: j.reads}
	report, err := h.Check()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, v := range report.Violations {
		kinds = append(kinds, v.Kind.String())
	}
	if got := strings.Join(kinds, " "); got != j.want {
		t.Errorf("found %q, want %q: %v", got, j.want, report.Violations)
	}
	return report
}

func TestOneEntry(t *testing.T) {
	alice := []Write{block("alice", 10, 20), unblock("alice", 50, 60)}
	for _, j := range []judgement{
		{"before", alice, []Read{misses("alice", 1, 5)}, ""},
		{"beside the write, seen", alice, []Read{sees("alice", 5, 12)}, ""},
		{"beside the write, not seen", alice, []Read{misses("alice", 15, 30)}, ""},
		{"after", alice, []Read{sees("alice", 25, 30), misses("alice", 70, 80)}, ""},
		{"of somebody else", alice, []Read{misses("carol", 25, 30)}, ""},
		{"block not noticed", alice, []Read{misses("alice", 25, 30)}, "stale"},
		{"unblock not noticed", alice, []Read{sees("alice", 61, 70)}, "stale"},
		{"not yet begun", alice, []Read{sees("alice", 1, 5)}, "future"},
		{"somebody else, never blocked", alice, []Read{sees("carol", 25, 30)}, "wrong"},
		{"listed by nobody", nil, []Read{sees("alice", 25, 30)}, "wrong"},
		{"the moment of the acknowledgement is beside it", alice, []Read{misses("alice", 20, 30)}, ""},
		{"the moment of the beginning is beside it", alice, []Read{sees("alice", 5, 10)}, ""},
	} {
		t.Run(j.name, func(t *testing.T) { j.check(t) })
	}
}

func TestAge(t *testing.T) {
	alice := []Write{block("alice", 10, 20), unblock("alice", 50, 60)}
	for _, j := range []judgement{
		{"claimed and true", alice, []Read{misses("alice", 25, 30).aged(10)}, ""},
		{"claimed to the millisecond", alice, []Read{misses("alice", 25, 30).aged(5)}, ""},
		{"too little", alice, []Read{misses("alice", 25, 30).aged(4)}, "stale"},
		{"from the beginning of the read, not its end", alice, []Read{misses("alice", 25, 49).aged(4)}, "stale"},
		{"as old as the history", alice, []Read{misses("alice", 55, 58).aged(1000)}, ""},
		{"old enough for both", alice, []Read{sees("alice", 70, 71).aged(15), misses("alice", 70, 71).aged(15)}, ""},
		{"an age does not excuse the future", alice, []Read{sees("alice", 1, 5).aged(1000)}, "future"},
	} {
		t.Run(j.name, func(t *testing.T) { j.check(t) })
	}
}

func TestListsDoNotGoBack(t *testing.T) {
	two := []Write{block("alice", 10, 40), block("carol", 50, 90)}
	for _, j := range []judgement{
		{"seen, then not", two, []Read{sees("alice", 11, 15), misses("alice", 16, 20)}, "fell"},
		{"at the same time", two, []Read{sees("alice", 11, 17), misses("alice", 16, 20)}, ""},
		{"what one has shown, one beside it does not take back", two,
			[]Read{misses("alice", 10, 15), sees("alice", 11, 13), misses("alice", 16, 20)}, "fell"},
		{"by another", two, []Read{sees("alice", 11, 15), misses("alice", 16, 20).by("b")}, ""},
		{"in another epoch", two, []Read{sees("alice", 11, 15).epoch(1), misses("alice", 16, 20).epoch(2)}, ""},
		{"with an age to spare", two, []Read{sees("alice", 41, 45), misses("alice", 46, 49).aged(100)}, "fell"},
		{"the later entry, then not the earlier", two,
			[]Read{sees("carol", 51, 55).aged(100), misses("alice", 56, 60).aged(100)}, "fell"},
		{"the earlier entry, then not the later", two,
			[]Read{sees("alice", 51, 55).aged(100), misses("carol", 56, 60).aged(100)}, ""},
		{"of another list", append([]Write{block("alice", 10, 40).of("dave")}, two...),
			[]Read{sees("alice", 11, 15), misses("alice", 16, 20).of("dave")}, ""},
		{"one that is wrong binds nobody", two, []Read{sees("carol", 1, 5), misses("carol", 6, 7), misses("alice", 8, 9)}, "future"},
		{"recorded in another order", two, []Read{misses("alice", 16, 20), sees("alice", 11, 15)}, "fell"},
	} {
		t.Run(j.name, func(t *testing.T) { j.check(t) })
	}
}

func TestTokens(t *testing.T) {
	writes := []Write{block("alice", 10, 20).version(1), block("carol", 30, 40).version(2), unblock("alice", 50, 60).version(5)}
	for _, j := range []judgement{
		{"kept", writes, []Read{sees("alice", 21, 25).atLeast(1).aged(100)}, ""},
		{"not kept", writes, []Read{misses("alice", 21, 25).atLeast(1).aged(100)}, "token"},
		{"of a later write to another entry", writes, []Read{misses("alice", 41, 45).atLeast(2).aged(100)}, "token"},
		{"of an earlier write", writes, []Read{sees("alice", 61, 65).atLeast(2).aged(100)}, ""},
		{"of the last", writes, []Read{sees("alice", 61, 65).atLeast(5).aged(100)}, "token"},
		{"of a write whose outcome was unknown", writes, []Read{misses("carol", 61, 65).atLeast(4).aged(100)}, "token"},
		{"without versions nobody can tell", []Write{block("alice", 10, 20)}, []Read{misses("alice", 21, 25).atLeast(1).aged(100)}, ""},
	} {
		t.Run(j.name, func(t *testing.T) { j.check(t) })
	}
}

func TestVersions(t *testing.T) {
	writes := []Write{block("alice", 10, 20).version(1), unblock("alice", 30, 40).version(2), block("carol", 50, 60).version(4)}
	for _, j := range []judgement{
		{"right", writes, []Read{misses("alice", 1, 5), sees("alice", 21, 25).version(1), misses("alice", 61, 65).version(4)}, ""},
		{"right answer, wrong version", writes, []Read{misses("alice", 41, 45).version(1)}, "wrong"},
		{"an old version", writes, []Read{sees("alice", 41, 45).version(1)}, "stale"},
		{"a later version", writes, []Read{misses("alice", 21, 25).version(2).aged(100)}, "future"},
		{"between two writes: that of an unknown one", writes, []Read{misses("alice", 45, 49).version(3)}, ""},
		{"falling, where the content does not tell", writes,
			[]Read{misses("alice", 51, 52).version(4), misses("alice", 53, 54).version(3)}, "fell"},
		{"falling in another epoch", writes,
			[]Read{misses("alice", 51, 52).version(4).epoch(1), misses("alice", 53, 54).version(3).epoch(2)}, ""},
		{"the store counts one twice", []Write{block("alice", 10, 20).version(1), block("carol", 30, 40).version(1)}, nil, "disorder"},
		{"the store counts backwards", []Write{block("alice", 10, 20).version(2), block("carol", 30, 40).version(1)}, nil, "disorder"},
	} {
		t.Run(j.name, func(t *testing.T) { j.check(t) })
	}
}

func TestWholeLists(t *testing.T) {
	writes := []Write{block("alice", 10, 20), block("carol", 30, 40), unblock("alice", 50, 60)}
	for _, j := range []judgement{
		{"right", writes, []Read{lists(1, 5), lists(21, 25, "alice"), lists(41, 45, "carol", "alice"), lists(61, 65, "carol")}, ""},
		{"one is missing", writes, []Read{lists(41, 45, "alice")}, "stale"},
		{"one is missing that was never alone", writes, []Read{lists(41, 45, "carol")}, "future"},
		{"one too many", writes, []Read{lists(41, 45, "alice", "carol", "dave")}, "wrong"},
		{"one twice", writes, []Read{lists(1, 5, "alice", "alice")}, "wrong"},
		{"between two writes", writes, []Read{lists(35, 55, "carol")}, ""},
		{"going back", writes, []Read{lists(31, 33, "alice", "carol"), lists(34, 38, "alice")}, "fell"},
	} {
		t.Run(j.name, func(t *testing.T) { j.check(t) })
	}
}

func TestUnknownOutcome(t *testing.T) {
	writes := []Write{
		block("alice", 10, 20), unblock("alice", 30, 40).with(Unknown), block("carol", 50, 60),
	}
	for _, j := range []judgement{
		{"it happened", writes, []Read{sees("alice", 21, 25), misses("alice", 41, 45)}, ""},
		{"it did not", writes, []Read{sees("alice", 100, 101)}, ""},
		{"it happened late, and was seen before", writes, []Read{sees("alice", 61, 62), misses("alice", 63, 64)}, ""},
		{"before it began it had not happened", writes, []Read{misses("alice", 25, 29)}, "stale"},
		{"another entry is not in doubt", writes, []Read{misses("carol", 61, 65)}, "stale"},
		{"a list without the doubtful", writes, []Read{lists(61, 65, "carol"), lists(61, 65, "carol", "alice")}, ""},
		{"a list that lacks what is certain", writes, []Read{lists(61, 65, "alice")}, "stale"},
		{"a later write does not settle it", append([]Write{unblock("alice", 70, 80)}, writes...), []Read{sees("alice", 90, 91)}, ""},
	} {
		t.Run(j.name, func(t *testing.T) { j.check(t) })
	}
}

func TestRefusedDidNotHappen(t *testing.T) {
	writes := []Write{block("alice", 10, 20).with(Refused)}
	judgement{"", writes, []Read{misses("alice", 21, 25)}, ""}.check(t)
	judgement{"", writes, []Read{sees("alice", 21, 25), lists(26, 27, "alice")}, "wrong wrong"}.check(t)
}

func TestNoAnswerIsNoLie(t *testing.T) {
	writes := []Write{block("alice", 10, 20)}
	report := judgement{"", writes, []Read{
		misses("alice", 21, 25).unanswered(), sees("alice", 1, 5).unanswered().version(9), sees("alice", 26, 27),
	}, ""}.check(t)
	if report.Reads != 3 || report.Answered != 1 || report.Decisive != 1 {
		t.Errorf("the figures are %v", &report)
	}
}

func TestFigures(t *testing.T) {
	report := judgement{"", []Write{
		block("alice", 10, 20), unblock("alice", 30, 40).with(Unknown), block("carol", 50, 60).with(Refused), block("dave", 70, 80),
	}, []Read{
		sees("alice", 25, 29),                   // decisive
		sees("alice", 81, 82),                   // in doubt
		misses("dave", 75, 76),                  // beside the write
		misses("dave", 95, 96).aged(20).by("b"), // old enough for both
		misses("carol", 95, 96),                 // decisive
		misses("dave", 95, 96).unanswered().aged(99),
		misses("dave", 95, 96),
	}, "stale"}.check(t)
	want := Report{Writes: 4, Done: 2, Refused: 1, Unknown: 1, Reads: 7, Answered: 6, Decisive: 2, MaxAge: 20 * ms}
	report.Violations, want.Violations = nil, nil
	if got := report.String(); got != want.String() || report.Done != 2 {
		t.Errorf("the report says\n%s\nwant\n%s", got, want.String())
	}
}

func TestEvidence(t *testing.T) {
	writes := []Write{block("alice", 10, 20).version(1), unblock("alice", 50, 60).version(2)}
	for _, tc := range []struct {
		read Read
		want string
	}{
		{misses("alice", 25, 30), "stale: bob→alice is not listed by a [0.025000s–0.030000s], age up to 0.000000s, " +
			"but block bob→alice [0.010000s–0.020000s] was acknowledged before that"},
		{sees("alice", 1, 5), "future: bob→alice is listed by a [0.001000s–0.005000s], age up to 0.000000s, " +
			"before block bob→alice [0.010000s–0.020000s]"},
		{misses("alice", 25, 30).atLeast(1).aged(50), "token: bob→alice is not listed by a [0.025000s–0.030000s], age up to 0.050000s, " +
			"with the token of block bob→alice [0.010000s–0.020000s]"},
		{lists(25, 30, "dave", "carol"), "wrong: bob lists 2 by a [0.025000s–0.030000s], age up to 0.000000s, which it never was"},
	} {
		h := History{Writes: writes, Reads: []Read{tc.read}}
		report, err := h.Check()
		if err != nil || len(report.Violations) != 1 || report.Violations[0].String() != tc.want {
			t.Errorf("%v %v\nwant %s", report.Violations, err, tc.want)
		}
	}
	fell := History{Writes: writes, Reads: []Read{sees("alice", 11, 12), misses("alice", 13, 14)}}
	report, err := fell.Check()
	if err != nil || len(report.Violations) != 1 || !strings.HasSuffix(report.Violations[0].String(), "after the same one had shown place 1 of 2") {
		t.Errorf("%v %v", report.Violations, err)
	}
}

// TestMalformed: what cannot be judged is not judged.
func TestMalformed(t *testing.T) {
	for name, h := range map[string]History{
		"a write ends before it begins": {Writes: []Write{block("alice", 20, 10)}},
		"a read ends before it begins":  {Reads: []Read{sees("alice", 20, 10)}},
		"two writes overlap":            {Writes: []Write{block("alice", 10, 20), block("carol", 15, 30)}},
		"one in doubt overlaps":         {Writes: []Write{block("alice", 10, 20).with(Unknown), block("carol", 15, 30)}},
	} {
		if _, err := h.Check(); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	lists := History{Writes: []Write{block("alice", 10, 20), block("carol", 15, 30).of("dave")}}
	if _, err := lists.Check(); err != nil {
		t.Errorf("writes to two lists may overlap: %v", err)
	}
}
