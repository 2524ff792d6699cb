package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/history"
)

// termedAtOnce is how many sidecars run on the database at a time.
const termedAtOnce = 4

// termedSoft is the default of sync.soft_bound.
const termedSoft = 2 * time.Second

// termed is a sidecar that is told to stop while it is written to.
type termed struct {
	*sidecar
	name          string
	recorder      *history.Recorder
	acked, doubts atomic.Int64
	home          atomic.Int64 // writers who have gone home
	gone          atomic.Bool
	known         [3]known // by each of its writers
}

// known is what a writer knows of its own lists. It goes home after the first
// request without an answer: from then on nobody answers.
type known struct {
	there  map[string]bool // pairs of owner and target
	doubts []doubt
}

// doubt is something that was asked for as a whole, and nobody knows whether it was
// done.
type doubt struct{ coming, going []string }

// TestFaultTerminated: sidecars are told to stop (SIGTERM) at random moments while
// they are written to, entry by entry, by batches and by imports. They end well,
// what was acknowledged is in the database, a batch is there whole or not at all,
// and every header counts the rows of its list.
func TestFaultTerminated(t *testing.T) {
	t.Parallel()
	rounds := termedAtOnce
	if *chaos {
		rounds = 1000
	}
	dsn := database(t)
	figures := faultFigures{Rounds: rounds}
	recorder := history.NewRecorder()
	var acked, doubts int64
	for first := 0; first < rounds; first += termedAtOnce {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			var all []*termed
			for i := range min(termedAtOnce, rounds-first) {
				all = append(all, &termed{name: fmt.Sprint("r", first+i), recorder: recorder})
			}
			figures.Lost += terminate(t, dsn, all)
			for _, s := range all {
				acked += s.acked.Load()
				doubts += s.doubts.Load()
			}
		})
		if t.Failed() {
			return
		}
	}
	recorded := recorder.History()
	verdict, err := recorded.Check()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdict.Violations {
		t.Error(v)
	}
	figures.Happened = fmt.Sprintf("each ended with exit code 0; %d requests to write were acknowledged, %d not answered", acked, doubts)
	figures.Answers, figures.Wrong = verdict.Answered, len(verdict.Violations)
	reportRow(t, figures)
}

// terminate starts sidecars, lets people write to them, stops them, and returns the
// number of acknowledged writes that are not in the database.
func terminate(t *testing.T, dsn string, all []*termed) (lost int) {
	t.Helper()
	var processes []*process
	for range all {
		processes = append(processes, start(t, t.TempDir(), anyPort, "serve", "--postgres-url", dsn))
	}
	var people sync.WaitGroup
	defer people.Wait()
	for i, s := range all {
		s.sidecar = bound(processes[i])
		for i, write := range []func(*known){s.writeEntries, s.writeBatches, s.writeImports} {
			s.known[i].there = map[string]bool{}
			people.Go(func() {
				defer s.home.Add(1)
				write(&s.known[i])
			})
		}
		people.Go(s.askEntries)
	}
	for _, s := range all {
		moment := rand.Int64N(40)
		waitFor(t, "enough is written", func() bool { return s.acked.Load() >= moment || s.home.Load() == int64(len(s.known)) })
		s.signal(syscall.SIGTERM)
	}
	people.Wait()
	for _, s := range all {
		if code := s.wait(); code != exitOK {
			t.Errorf("%s: exit code %d", s.name, code)
		}
	}
	table := map[string]bool{}
	for pair := range strings.Lines(psql(t, dsn, "SELECT owner || ' ' || target FROM sidegate.block")) {
		table[strings.TrimSpace(pair)] = true
	}
	for _, s := range all {
		lost += s.compare(table)
	}
	for pair := range table {
		t.Errorf("%s: stored, and nobody asked for it", pair)
	}
	if wrong := psql(t, dsn, "SELECT count(*) FROM sidegate.owner WHERE sidegate.repair(app, kind, owner)"); wrong != "0" {
		t.Errorf("%s headers do not count the rows of their lists", wrong)
	}
	psql(t, dsn, "TRUNCATE sidegate.block")
	return lost
}

// send makes a request to write and tells what became of it. A request that is
// refused promises that nothing was stored.
func (s *termed) send(method, path, kind, body string) history.Outcome {
	req, err := http.NewRequest(method, s.urls["api"]+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return history.Refused
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	a, err := s.do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		s.gone.Store(true) // nobody listens any more
		return history.Refused
	case err == nil && (a.status == http.StatusOK || a.status == http.StatusCreated):
		s.acked.Add(1)
		return history.Done
	case err == nil && a.status != http.StatusServiceUnavailable:
		s.t.Errorf("%s %s: %v", method, path, a)
		return history.Unknown
	case err == nil && !strings.Contains(a.body, "outcome_unknown"):
		return history.Refused
	}
	s.doubts.Add(1)
	return history.Unknown
}

func (s *termed) entriesOf() string { return s.name + ".entries" }

// writeEntries blocks and unblocks. Its list has one writer, so that history can
// judge it.
func (s *termed) writeEntries(k *known) {
	owner := s.entriesOf()
	for {
		target := fmt.Sprint("t", rand.IntN(8))
		pair := owner + " " + target
		w := history.Write{Owner: owner, Target: target, Listed: !k.there[pair], Begin: s.recorder.Now()}
		method, d := http.MethodDelete, doubt{going: []string{pair}}
		if w.Listed {
			method, d = http.MethodPut, doubt{coming: []string{pair}}
		}
		w.Outcome = s.send(method, blockPath("default", owner, target), "", "")
		w.End = s.recorder.Now()
		s.recorder.Write(w)
		if !k.learn(w.Outcome, d) || s.gone.Load() {
			return
		}
	}
}

// writeBatches makes each batch add five entries and remove those of the one before.
func (s *termed) writeBatches(k *known) {
	owner := s.name + ".batches"
	var coming, going []string
	for n := 0; ; n++ {
		going, coming = coming, nil
		for i := range 5 {
			coming = append(coming, fmt.Sprintf("b%d-%d", n, i))
		}
		body, err := json.Marshal(map[string][]string{"add": coming, "remove": append([]string{}, going...)})
		if err != nil {
			s.t.Error(err)
			return
		}
		outcome := s.send(http.MethodPost, listPath("default", owner)+":batch", "application/json", string(body))
		if !k.learn(outcome, doubt{pairs(owner, coming), pairs(owner, going)}) || s.gone.Load() {
			return
		}
		if outcome == history.Refused {
			coming = going // they are still what the next one is to remove
		}
	}
}

// writeImports sends thirty lines at a time, ten to each of three new lists.
func (s *termed) writeImports(k *known) {
	for n := 0; ; n++ {
		var lines strings.Builder
		var lists []doubt
		for l := range 3 {
			owner := fmt.Sprintf("%s.imports%d.%d", s.name, n, l)
			var coming []string
			for i := range 10 {
				coming = append(coming, fmt.Sprintf("i%d-%d", n, i))
				fmt.Fprintf(&lines, "{\"owner\":%q,\"target\":%q}\n", owner, coming[i])
			}
			lists = append(lists, doubt{coming: pairs(owner, coming)})
		}
		outcome := s.send(http.MethodPost, "/v1/apps/default/import", "application/x-ndjson", lines.String())
		if !k.learn(outcome, lists...) || s.gone.Load() {
			return
		}
	}
}

func pairs(owner string, targets []string) (pairs []string) {
	for _, t := range targets {
		pairs = append(pairs, owner+" "+t)
	}
	return pairs
}

// learn takes down what became of a request and tells whether to go on, which takes
// an answer.
func (k *known) learn(outcome history.Outcome, parts ...doubt) bool {
	switch outcome {
	case history.Unknown:
		k.doubts = append(k.doubts, parts...)
		return false
	case history.Done:
		for _, d := range parts {
			for _, pair := range d.coming {
				k.there[pair] = true
			}
			for _, pair := range d.going {
				delete(k.there, pair)
			}
		}
	}
	return true
}

// askEntries asks what the sidecar enforces of the list that writeEntries writes.
func (s *termed) askEntries() {
	pace := time.NewTicker(readPace)
	defer pace.Stop()
	for ; ; <-pace.C {
		rd := history.Read{By: s.name, Owner: s.entriesOf(), Target: fmt.Sprint("t", rand.IntN(8)), Begin: s.recorder.Now()}
		a, err := s.request(http.MethodGet, "check", question{sender: rd.Target, recipient: rd.Owner}.path())
		if err != nil {
			return
		}
		rd.End = s.recorder.Now()
		var d struct {
			verdict
			StaleMS int64 `json:"stale_ms"`
		}
		if a.status == http.StatusOK {
			if err := json.Unmarshal([]byte(a.body), &d); err != nil || d.verdict != allowed && d.verdict != dropped {
				s.t.Errorf("%v: %v", a, err)
			}
			rd.Answered, rd.Listed = true, d.verdict == dropped
			rd.Age = max(termedSoft, time.Duration(d.StaleMS+1)*time.Millisecond)
		}
		s.recorder.Read(rd)
	}
}

// compare takes what the writers know out of the table, and counts the acknowledged
// writes that are not there.
func (s *termed) compare(table map[string]bool) (lost int) {
	all := func(pairs []string, there bool) bool {
		return !slices.ContainsFunc(pairs, func(p string) bool { return table[p] != there })
	}
	for i := range s.known {
		k := &s.known[i]
		for _, d := range k.doubts {
			switch done := all(d.coming, true) && all(d.going, false); {
			case done:
				k.learn(history.Done, d)
			case !all(d.coming, false) || !all(d.going, true):
				s.t.Errorf("%s: half of it was done: %v", s.name, d)
			}
		}
		for pair := range k.there {
			if !table[pair] {
				s.t.Errorf("%s: acknowledged, and not stored", pair)
				lost++
			}
			delete(table, pair)
		}
	}
	return lost
}
