package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/history"
)

var (
	soak     = flag.Duration("soak", 0, "how long TestSoak lets everything happen; 0 = it does not run")
	soakSeed = flag.Uint64("soakseed", 0, "which faults strike in TestSoak, in which order; 0 = others each time")
)

const (
	soakRests   = 4               // quiet points, at equal distances
	soakCalm    = 3 * time.Second // the longest time between faults, on top of healing
	soakHold    = 6 * time.Second // the longest time that a fault lasts
	fanoutPace  = 50 * time.Millisecond
	fanoutLists = 16
)

// soakRest is what a sidecar held at a quiet point, after a garbage collection.
type soakRest struct {
	goroutines, heap int64
}

// soakRun is a crowd and its faults.
type soakRun struct {
	*faultRun
	dice    *rand.Rand
	strikes map[string]int // by name
	hits    float64        // decisions while nobody reached the database
	rests   [][]soakRest   // by quiet point and sidecar
}

// TestSoak is a long life in short: two sidecars under mixed load, while their
// database is killed, frozen and restarted and their networks fail, in an order that
// a seed repeats. Every answer fits the history, no hit waited for the database, and
// at the last quiet point there is no more of anything than at the first.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("runs with make soak")
	}
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to repeat the faults: make soak SOAK=%v SEED=%d", *soak, seed)
	w := &soakRun{
		faultRun: newFaultScene(t, faultConfiguration+"ops: {tokens: [{name: staff, token: "+staffToken+", scopes: [staff]}]}\n"),
		dice:     rand.New(rand.NewPCG(seed, 0)), strikes: map[string]int{},
	}
	for _, s := range w.sidecars {
		s.loaded()
		w.give(&apiHand{w.faultWorld, s.sidecar}, 8)
		w.give(&apiHand{w.faultWorld, s.sidecar}, 8)
		w.guests = append(w.guests, func(ctx context.Context) { w.fansOut(ctx, s) })
	}
	w.give(&sqlHand{world: w.faultWorld}, 8)
	began := w.recorder.Now()
	for rest := range soakRests {
		w.begin()
		for until := began + *soak*time.Duration(rest+1)/soakRests; w.recorder.Now() < until; {
			w.hit()
		}
		w.healed()
		w.quiet()
		w.settled()
		w.rest()
	}
	w.summary(w.recorder.Now() - began)
}

// hit is one fault, of those that the dice say, and the healing before it.
func (w *soakRun) hit() {
	w.t.Helper()
	w.healed()
	fault := blows[w.dice.IntN(len(blows))]
	of := [][]int{{0}, {1}, {0, 1}}[w.dice.IntN(3)]
	calm, hold := w.span(soakCalm), w.span(soakHold)
	w.passes(calm)
	w.strikes[fault.name]++
	struck := w.round(func() struck {
		repair := fault.strike(w.faultRun, of)
		s := struck{repair: repair}
		if fault.apart {
			for _, i := range of {
				s.cut = append(s.cut, w.sidecars[i])
			}
		}
		until := w.recorder.Now() + hold
		s.held = func() bool { return w.recorder.Now() >= until }
		return s
	})
	w.hits += struck
}

func (w *soakRun) span(longest time.Duration) time.Duration {
	return time.Duration(w.dice.Int64N(int64(longest)))
}

func (w *soakRun) passes(d time.Duration) {
	until := w.recorder.Now() + d
	waitFor(w.t, "some time passes", func() bool { return w.recorder.Now() >= until })
}

var (
	heapAlloc  = regexp.MustCompile(`# HeapAlloc = (\d+)`)
	goroutines = regexp.MustCompile(`goroutine profile: total (\d+)`)
)

// rest takes down what each sidecar holds. The connections that were kept for the
// crowd are closed first, and their goroutines with them.
func (w *soakRun) rest() {
	w.t.Helper()
	var all []soakRest
	for _, s := range w.sidecars {
		profile := func(of string, figure *regexp.Regexp) int64 {
			a := s.get("ops", "/debug/pprof/"+of+"?debug=1&gc=1", "Authorization: Bearer "+staffToken)
			found := figure.FindStringSubmatch(a.body)
			if found == nil {
				w.t.Fatalf("the profile %s has no figure: %d %.200s", of, a.status, a.body)
			}
			n, err := strconv.ParseInt(found[1], 10, 64)
			w.do(err)
			return n
		}
		s.client.CloseIdleConnections()
		// Equal ten times in a row: nothing is on its way out any more.
		now, same := soakRest{}, 0
		waitFor(w.t, s.name+" is at rest", func() bool {
			before := now.goroutines
			now = soakRest{profile("goroutine", goroutines), profile("heap", heapAlloc)}
			if same++; now.goroutines != before {
				same = 0
			}
			return same == 10
		})
		all = append(all, now)
	}
	w.rests = append(w.rests, all)
}

// fansOut asks for many recipients of one sender at a time.
func (w *soakRun) fansOut(ctx context.Context, s *watched) {
	pace := time.NewTicker(fanoutPace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		first := rand.IntN(len(w.lists) - fanoutLists)
		w.fanOut(s, w.lists[first:first+fanoutLists])
	}
}

func (w *soakRun) fanOut(s *watched, to []*faultList) {
	number := rand.IntN(len(to[0].entries))
	target := to[0].entries[number].target()
	var owners []string
	for _, l := range to {
		owners = append(owners, l.owner)
	}
	body, err := json.Marshal(map[string]any{"sender": target, "room_type": "direct", "recipients": owners})
	if err != nil {
		w.complain("%v", err)
		return
	}
	req, err := http.NewRequest(http.MethodPost, s.urls["check"]+"/v1/can-deliver/fanout", strings.NewReader(string(body)))
	if err != nil {
		w.complain("%v", err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	begin := w.recorder.Now()
	a, err := s.do(req)
	end := w.recorder.Now()
	var answer struct {
		Checked    int
		StaleMS    int64 `json:"stale_ms"`
		Exceptions []struct {
			Index  int
			Reason string
		}
	}
	if err != nil || a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &answer) != nil || answer.Checked != len(to) {
		if err != nil || !a.unknown() { // all of them
			w.complain("fan-out: %v %v", a, err)
		}
		return
	}
	reads := make([]history.Read, len(to))
	for i := range reads {
		reads[i] = history.Read{By: s.name, Owner: owners[i], Target: target, Begin: begin, End: end, Answered: true, Age: w.soft}
		if answer.StaleMS > 0 {
			reads[i].Age = max(w.soft, time.Duration(answer.StaleMS+1)*time.Millisecond)
		}
	}
	for _, e := range answer.Exceptions {
		reads[e.Index].Answered, reads[e.Index].Listed = e.Reason != "unknown", e.Reason == dropped.Reason
	}
	for i := range reads {
		w.recorder.Read(reads[i])
	}
}

// summary judges everything and prints one page.
func (w *soakRun) summary(took time.Duration) {
	w.t.Helper()
	verdict := w.judge()
	for _, v := range verdict.Violations {
		w.complain("%v", v)
	}
	lost, over := w.lostWrites(), w.overLimit()
	if lost+over > 0 {
		w.t.Errorf("%d acknowledged writes lost, %d lists over the limit", lost, over)
	}
	reads := w.recorder.History().Reads
	unknown, unclear := unanswered(reads)
	inside, outside := w.latencies(reads)
	var page strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&page, format+"\n", args...) }
	line("%v of mixed load on %d sidecars, %d lists", took.Round(time.Second), len(w.sidecars), len(w.lists))
	line("  %v", &verdict)
	line("  %d acknowledged writes lost, %d lists over the limit, %d writes of unknown outcome", lost, over, w.doubts.Load())
	line("  %d unknown answers, of one list for up to %v; oldest answer %v; fresh again at most %v after a fault",
		unknown, figure(unclear), figure(verdict.MaxAge), figure(w.staleAfter(reads)))
	line("  %d faults:", len(w.faultRun.strikes))
	for _, b := range blows {
		line("    %3d  %s", w.strikes[b.name], b.name)
	}
	line("  of %.0f decisions while the database was away none waited for it", w.hits)
	line("  an answer from memory, as its client saw it:  p50 %v  p99 %v  while a fault lasts (%d)", percentile(inside, 50), percentile(inside, 99), len(inside))
	line("                                              p50 %v  p99 %v  otherwise (%d)", percentile(outside, 50), percentile(outside, 99), len(outside))
	for i, s := range w.sidecars {
		text := ""
		for _, r := range w.rests {
			text += fmt.Sprintf("   %d goroutines, %.1f MB", r[i].goroutines, float64(r[i].heap)/1e6)
		}
		line("  %s at rest:%s", s.name, text)
		first, last := w.rests[0][i], w.rests[soakRests-1][i]
		if last.goroutines > first.goroutines+5 {
			w.t.Errorf("%s has %d goroutines at the end, %d at the first quiet point", s.name, last.goroutines, first.goroutines)
		}
		if last.heap > first.heap*5/4+4<<20 {
			w.t.Errorf("%s holds %d bytes at the end, %d at the first quiet point", s.name, last.heap, first.heap)
		}
	}
	w.t.Logf("\n%s", &page)
}

// latencies returns how long plain decisions took that were answered, sorted: those
// that were asked while a fault lasted, and the others.
func (w *soakRun) latencies(reads []history.Read) (inside, outside []time.Duration) {
	strikes := w.faultRun.strikes
	for i := range reads {
		r := &reads[i]
		if !r.Answered || r.Whole || r.AtLeast > 0 {
			continue
		}
		next, _ := slices.BinarySearchFunc(strikes, r.Begin, func(s strike, at time.Duration) int { return cmp.Compare(s.end, at) })
		if took := r.End - r.Begin; next < len(strikes) && strikes[next].begin <= r.Begin {
			inside = append(inside, took)
		} else {
			outside = append(outside, took)
		}
	}
	slices.Sort(inside)
	slices.Sort(outside)
	return inside, outside
}

// percentile of what is sorted, with no more digits than mean something.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100].Round(time.Microsecond)
}
