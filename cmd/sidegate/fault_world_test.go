package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/history"
)

// faultWorld is what a fault happens to: sidecars that follow one database, and
// people who write by every way there is and read from every sidecar. Everything
// they do and see is recorded, and judged afterwards.
type faultWorld struct {
	t        *testing.T
	dsn      string // for the writers by SQL
	soft     time.Duration
	sidecars []*watched
	lists    []*faultList
	recorder *history.Recorder

	hands      []func(context.Context)
	guests     []func(context.Context) // come with the crowd and write nothing
	crowd      sync.WaitGroup
	leave      context.CancelFunc // asks the crowd to go
	patient    context.Context    // ends when even who waits has to go
	doubts     atomic.Int64       // writes of unknown outcome
	complaints atomic.Int64
	lost       atomic.Int64 // sessions of SQL writers that ended

	mu       sync.Mutex
	acked    []*atomic.Int64 // by writer
	refusals map[string]int  // by owner

	strikes []strike
}

// strike is a fault, from its beginning to its end.
type strike struct{ begin, end time.Duration }

// watched is a sidecar whose answers are counted.
type watched struct {
	*sidecar
	name           string
	answers, stale atomic.Int64
}

// newFaultWorld returns a world in which nobody does anything yet.
func newFaultWorld(t *testing.T, dsn string, soft time.Duration, sidecars ...*sidecar) *faultWorld {
	t.Helper()
	w := &faultWorld{t: t, dsn: dsn, soft: soft, recorder: history.NewRecorder(), leave: func() {}}
	for i, s := range sidecars {
		w.sidecars = append(w.sidecars, &watched{sidecar: s, name: fmt.Sprint("sidecar ", i+1)})
	}
	var end context.CancelFunc
	w.patient, end = context.WithCancel(context.Background())
	t.Cleanup(func() {
		w.leave()
		end()
		w.crowd.Wait()
	})
	return w
}

// give gives a writer lists of its own.
func (w *faultWorld) give(by hand, lists int) {
	var own []*faultList
	for range lists {
		own = append(own, newFaultList(fmt.Sprint("o", len(w.lists))))
		w.lists = append(w.lists, own[len(own)-1])
	}
	w.hands = append(w.hands, func(ctx context.Context) { w.writes(ctx, by, own) })
}

// begin lets the crowd in: the writers that were given lists, and readers of each
// sidecar, one of whom asks what may have to wait, if there is an api listener.
// They stay until quiet.
func (w *faultWorld) begin() {
	ctx, leave := context.WithCancel(context.Background())
	w.leave = leave
	w.mu.Lock()
	w.acked = nil
	w.mu.Unlock()
	for _, hand := range w.hands {
		w.crowd.Go(func() { hand(ctx) })
	}
	for _, guest := range w.guests {
		w.crowd.Go(func() { guest(ctx) })
	}
	for _, s := range w.sidecars {
		questions := []func(*watched, *faultList){w.askPlainly, w.askPlainly}
		if s.urls["api"] != "" {
			questions = append(questions, w.askDatabase)
		}
		for _, ask := range questions {
			w.crowd.Go(func() { w.reads(ctx, s, ask) })
		}
	}
	waitFor(w.t, "every writer writes", func() bool { return w.slowest() > 0 })
}

// quiet sends the crowd home. Nothing is under way when it returns.
func (w *faultWorld) quiet() {
	w.leave()
	w.crowd.Wait()
}

func (w *faultWorld) addWriter(acked *atomic.Int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = append(w.acked, acked)
}

// slowest is how many writes of the slowest writer have been acknowledged; 0
// until all writers are here.
func (w *faultWorld) slowest() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.acked) < len(w.hands) {
		return 0
	}
	least := w.acked[0].Load()
	for _, a := range w.acked {
		least = min(least, a.Load())
	}
	return least
}

// progress returns what tells whether every writer has been acknowledged that
// many writes from now on.
func (w *faultWorld) progress(writes int64) func() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	goals := make([]int64, len(w.acked))
	for i, a := range w.acked {
		goals[i] = a.Load() + writes
	}
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, a := range w.acked {
			if a.Load() < goals[i] {
				return false
			}
		}
		return true
	}
}

// healed waits until everything is as it was before the fault: every sidecar
// follows the database, writers get on, no answer is stale and every page is in
// memory.
func (w *faultWorld) healed() {
	w.t.Helper()
	for _, s := range w.sidecars {
		waitFor(w.t, s.name+" follows the database again", func() bool { return s.samples()[`sidegate_sync_state{state="synced"}`] == 1 })
	}
	// A write that began before its sidecar noticed the fault is not brought to
	// memory but by the feed, and the next one to the same list may find a gap
	// until then and drop the page. After this there is nothing more of the kind.
	waitFor(w.t, "every writer gets on", w.progress(2))
	for _, s := range w.sidecars {
		s.polled()
		s.polled() // this one has begun after the writes
	}
	for _, s := range w.sidecars {
		waitFor(w.t, s.name+" answers from fresh pages", func() bool {
			for _, l := range w.lists {
				if rd := w.readDecision(s, l.owner, l.entries[0].target(), nil); !rd.Answered || rd.Age > w.soft {
					return false
				}
			}
			return true
		})
	}
}

// polled waits for the end of a poll.
func (s *watched) polled() {
	s.t.Helper()
	const last = "sidegate_sync_last_success_timestamp_seconds"
	before := s.samples()[last]
	waitFor(s.t, s.name+" polls", func() bool { return s.samples()[last] > before })
}

// hits is an interval in which sidecars must answer from memory alone.
type hits struct {
	*watched
	before  map[string]float64
	answers int64
}

func (s *watched) countHits() hits {
	s.t.Helper()
	return hits{s, s.samples(), s.answers.Load()}
}

// hitsWanted is how many decisions an interval needs to say something.
const hitsWanted = 100

// enough reports whether the interval has seen enough answers: some more than
// are wanted, for the first of them were decided before it began.
func (h *hits) enough() bool { return h.watched.answers.Load() >= h.answers+hitsWanted+10 }

// waits is the number of lists in the interval that were not found in memory,
// so that their decision had to wait for the database, and that of decisions.
func (h *hits) waits() (waits, decisions float64) {
	h.t.Helper()
	after := h.samples()
	grown := func(name string) float64 { return after[name] - h.before[name] }
	for name := range after {
		if strings.HasPrefix(name, "sidegate_decisions_total{") {
			decisions += grown(name)
		}
	}
	return grown("sidegate_cache_requests_total") - grown("sidegate_cache_hits_total"), decisions
}

// check objects to every hit that waited and returns the number of decisions.
func (h *hits) check() float64 {
	h.t.Helper()
	waits, decisions := h.waits()
	if waits > 0 || decisions < hitsWanted {
		h.t.Errorf("%s: of %v decisions while the database was away, %v waited for it", h.name, decisions, waits)
	}
	return decisions
}

// settled waits until every sidecar agrees with the table about every pair there
// ever was, those included about which the writers know nothing. The crowd is
// quiet. The table is read by another way than the sidecars'.
func (w *faultWorld) settled() {
	w.t.Helper()
	for _, s := range w.sidecars {
		waitFor(w.t, s.name+" and the table agree", func() bool {
			table := map[string]bool{}
			for pair := range strings.Lines(psql(w.t, w.dsn, "SELECT owner || ' ' || target FROM sidegate.block")) {
				table[strings.TrimSpace(pair)] = true
			}
			for _, l := range w.lists {
				if !w.agrees(s, l, table) {
					return false
				}
			}
			return len(table) == 0 // nothing else stands there
		})
	}
}

// agrees compares one list with the table and takes it out of there.
func (w *faultWorld) agrees(s *watched, l *faultList, table map[string]bool) bool {
	whole := history.Read{By: s.name, Owner: l.owner, Whole: true, Answered: true, Begin: w.recorder.Now()}
	for i := range l.entries {
		e := &l.entries[i]
		for turn := range e.turn.Load() + 1 {
			rd := w.readDecision(s, l.owner, e.ofTurn(turn), nil)
			pair := rd.Owner + " " + rd.Target
			if !rd.Answered || rd.Listed != table[pair] {
				return false
			}
			if rd.Listed {
				whole.Set = append(whole.Set, rd.Target)
			}
			whole.Age = max(whole.Age, rd.Age)
			delete(table, pair)
		}
	}
	whole.End = w.recorder.Now()
	w.recorder.Read(whole)
	return true
}

// refused is how many writes to these lists were refused.
func (w *faultWorld) refused(lists ...*faultList) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lists {
		n += w.refusals[l.owner]
	}
	return n
}

func (w *faultWorld) refuse(l *faultList) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusals == nil {
		w.refusals = map[string]int{}
	}
	w.refusals[l.owner]++
}

// complain fails the test. A crowd that is unhappy says the same a thousand times.
func (w *faultWorld) complain(format string, args ...any) {
	const enough = 20
	if n := w.complaints.Add(1); n <= enough {
		w.t.Errorf(format, args...)
	} else {
		w.t.Fail()
	}
}
