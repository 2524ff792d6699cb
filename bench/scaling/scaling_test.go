package scaling

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/generator"
	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// TestPlansCanBeMade: a shape that cannot be made would be found out after minutes.
func TestPlansCanBeMade(t *testing.T) {
	for _, quick := range []bool{true, false} {
		p := planFor(&study.Env{Quick: quick})
		for _, s := range append(p.sizes, p.longer) {
			shape := s.shape
			shape.Entries++ // the guest
			if err := shape.Valid(); err != nil || shape.Lists <= generator.Reserved {
				t.Errorf("%v: %v", s, err)
			}
		}
		for _, s := range p.databases {
			if err := s.shape.Valid(); err != nil {
				t.Error(err)
			}
		}
		if len(p.sizes) < 3 || p.sizes[len(p.sizes)/2].shape.Lists != p.longer.shape.Lists || p.changes[0] != 0 {
			t.Errorf("nothing to compare: %+v", p)
		}
	}
}

// TestRuleOf: from points that a rule has made, the rule is found.
func TestRuleOf(t *testing.T) {
	want := rule{fixed: 20 << 20, perList: 33, perEntry: 8.5}
	at := func(lists, each float64) point {
		return point{lists, lists * each, want.bytes(lists, lists*each)}
	}
	got := ruleOf(at(1e5, 3), at(1e6, 3), at(1e7, 3), at(1e6, 10))
	for name, d := range map[string]float64{
		"fixed": got.fixed - want.fixed, "list": got.perList - want.perList, "entry": got.perEntry - want.perEntry,
	} {
		if math.Abs(d) > 1e-3 {
			t.Errorf("%s is off by %g: %+v", name, d, got)
		}
	}
}

// measured is a size as it would be found.
func measured(lists, entries int, bytes int64) held {
	return held{
		size:    size{"n", seed.Shape{Lists: lists, Entries: entries}},
		started: []startup{{2 * time.Second, time.Second}, {4 * time.Second, 3 * time.Second}},
		memory:  memory{Resident: 2 * bytes, Peak: 3 * bytes}, released: bytes,
		http: []float64{8000, 8200}, rates: []float64{1, 2}, inside: []float64{400, 410},
	}
}

// TestRowsOfSizes: the rows compare what they say they compare.
func TestRowsOfSizes(t *testing.T) {
	sizes := []held{measured(100, 3, 1000), measured(1000, 3, 10_000), measured(10_000, 3, 120_000)}
	sizes[2].http = []float64{9600, 9840}
	l := &lab{env: &study.Env{}, plan: plan{sizes: make([]size, 3)}}
	l.found.held = append(sizes, measured(1000, 10, 20_000))
	l.tellSizes(sizes, l.found.held[3])
	want := map[string]float64{
		"growth-cpu": 1.2, "growth-cpu-inside": 1, "growth-memory": 1.2, "growth-start-generated": 0.1,
	}
	for _, r := range l.result.Rows {
		if m := study.Median(r.Values); math.Abs(m-want[r.ID]) > 1e-9 {
			t.Errorf("%s is %v, want %v", r.ID, m, want[r.ID])
		}
		delete(want, r.ID)
	}
	if len(want) > 0 || len(l.result.Charts) != 3 || len(l.result.Tables) != 1 {
		t.Errorf("missing: %v; %d charts, %d tables", want, len(l.result.Charts), len(l.result.Tables))
	}
	l.conclude()
	if n := len(l.result.Tables); n != 3 || !strings.Contains(strings.Join(l.result.Notes, ""), "By the sizing rule") {
		t.Errorf("%d tables, notes %q", n, l.result.Notes)
	}
}

// TestExample: the worked example follows from the rule.
func TestExample(t *testing.T) {
	r := rule{fixed: 10 << 20, perList: 8, perEntry: 8}
	table := r.example(findings{perConnection: 1 << 20, perChange: 1e6}, 10_000)
	var got []string
	for _, c := range table.Cells {
		got = append(got, c[len(c)-1])
	}
	// 500k lists of 12: 13 × 8 × 500k bytes; 200 connections of a MiB.
	want := []string{"49.6 MiB", "62.0 MiB", "260 MiB", "369 MiB", "0.3 cores"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNothingIsConcludedFromLess: a study that was cut short has no rule.
func TestNothingIsConcludedFromLess(t *testing.T) {
	l := &lab{env: &study.Env{}, plan: planFor(&study.Env{})}
	l.found.held = []held{measured(100, 3, 1000)}
	if l.conclude(); len(l.result.Tables)+len(l.result.Notes) > 0 {
		t.Errorf("%+v", l.result)
	}
}

// TestRowsOfChanges: the CPU at the most changes is held against that at none.
func TestRowsOfChanges(t *testing.T) {
	round := func(cpu time.Duration) []load.Round {
		return []load.Round{{Operations: 1000, Elapsed: time.Second, CPU: cpu}}
	}
	l := &lab{plan: planFor(&study.Env{})}
	l.tellChanges(map[int][]load.Round{0: round(8e6), 100: round(9e6), 1000: round(10e6)},
		map[int]float64{0: 1e6, 100: 3e6, 1000: 21e6})
	r := l.result.Rows[0]
	if r.ID != "changes-cpu" || r.Values[0] != 1.25 {
		t.Errorf("%+v", r)
	}
	if met, _ := r.Met(); met {
		t.Error("1.25 is called met")
	}
	if l.found.perChange != 20e3 {
		t.Errorf("a change costs %v ns", l.found.perChange)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.01234: "0.0123", 1.005: "1.00", 12.34: "12.3", 1234.5: "1234", -12.34: "-12.3",
	} {
		if got := figure(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if orDash(0) != "–" || orDash(1) != "1.00" || mebi(3<<19) != "1.50" {
		t.Error(orDash(0), orDash(1), mebi(3<<19))
	}
}
