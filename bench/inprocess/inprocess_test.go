package inprocess

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidegate/sidegate/bench/report"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/cache"
)

// fasthttp keeps the date of answers in a goroutine that nothing ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

var small = seed.Shape{Lists: 3000, Entries: 10, Idle: 3000}

// TestEveryWayAnswersAlike: what is compared answers the same questions, and
// rightly.
func TestEveryWayAnswersAlike(t *testing.T) {
	crowd := newCrowd(small)
	m, err := gather(t.Context(), crowd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	}()
	const n = 1 << 12
	q, flat := draw(small, n), newFlatIndex(crowd)
	lists := oneWay(m.cache.Directory(seed.App, cache.KindBlock))
	blocked := 0
	for i, p := range small.Pairs(n, n) {
		sender, recipient := q.at(i)
		either := p.Blocked || small.Has(p.Sender, p.Recipient)
		for name, answer := range map[string]struct{ got, want bool }{
			"one way":            {lists(sender, recipient), p.Blocked},
			"flat index":         {flat.has(sender, recipient), p.Blocked},
			"CanDeliver":         {check(m.oneWay)(sender, recipient), p.Blocked},
			"two way":            {twoWay(m.cache)(sender, recipient), either},
			"CanDeliver two way": {check(m.twoWay)(sender, recipient), either},
		} {
			if answer.got != answer.want {
				t.Fatalf("%s: %s to %s is %v", name, sender, recipient, answer.got)
			}
		}
		if p.Blocked {
			blocked++
		}
	}
	if blocked < n/20 {
		t.Errorf("%d of %d questions are about an entry: the comparison shows little", blocked, n)
	}
	for i := 0; i < n; i += 1000 {
		want := 0
		for j := range 1000 {
			if flat.has(q.at(i + j)) {
				want++
			}
		}
		if _, got := batches(m.oneWay, q).ask(i); got != want {
			t.Errorf("a batch says that %d of 1,000 are blocked, want %d", got, want)
		}
	}
}

// TestStudyYieldsItsTargets runs a glance over few lists.
func TestStudyYieldsItsTargets(t *testing.T) {
	env := &study.Env{Quick: true, Scratch: t.TempDir(), Log: t.Logf}
	result, err := measure(t.Context(), env, small, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]study.Row)
	for _, r := range result.Rows {
		if len(r.Values) != env.Rounds() {
			t.Errorf("%s has %d values", r.ID, len(r.Values))
		}
		found[r.ID] = r
	}
	for _, target := range report.Targets {
		if r, ok := found[target.ID]; target.Study == Study.Name && (!ok || (target.AtMost == nil) != (r.AtMost == nil)) {
			t.Errorf("target %s: row %+v", target.ID, r)
		}
	}
}

func TestSplitIDs(t *testing.T) {
	ids := splitIDs([]byte(`["ab","","c"]`), nil)
	if len(ids) != 3 || string(ids[0]) != "ab" || len(ids[1]) != 0 || string(ids[2]) != "c" {
		t.Errorf("%q", ids)
	}
}

func TestFiguresOfCounting(t *testing.T) {
	printed := "goos: linux\nBenchmarkCount/own-1-2   \t 12 \t 21.5 ns/op\t 22.25 cpu-ns/op\nBenchmarkCount/own-1   \t 9 \t 30 ns/op\t 24 cpu-ns/op\nPASS\n"
	if got := countingFigures(printed); !slices.Equal(got, []float64{22.25, 24}) {
		t.Errorf("read %v", got)
	}
	if got := countingFigures("PASS\nok\n"); got != nil {
		t.Errorf("read %v out of nothing", got)
	}
	if got := lastLine("a\nb: no such\n"); got != "b: no such" {
		t.Errorf("last line %q", got)
	}
}
