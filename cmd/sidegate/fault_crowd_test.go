package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/filter"
)

// The people of a fault test: writers, each with lists that nobody else writes
// to, so that the order of the writes to a list is known; and readers. Their
// pace leaves the machine time for the program.
const (
	writePace = 25 * time.Millisecond
	readPace  = 8 * time.Millisecond
)

// faultList is the block list of one owner.
type faultList struct {
	owner   string
	entries [4]faultEntry
	touched atomic.Int32 // the entry that was written last
	newest  atomic.Pointer[revision]
}

// faultEntry is one place of a list, taken by one target after another: once a
// write to a target has an unknown outcome, nobody can tell what became of it,
// and the next target takes its place.
type faultEntry struct {
	number int
	turn   atomic.Int32
	listed bool // the writer's alone
}

// revision is what a write returned.
type revision struct {
	token   string
	version int64
}

func newFaultList(owner string) *faultList {
	l := &faultList{owner: owner}
	for i := range l.entries {
		l.entries[i].number = i
	}
	return l
}

func (e *faultEntry) target() string { return e.ofTurn(e.turn.Load()) }

func (e *faultEntry) ofTurn(turn int32) string { return fmt.Sprintf("t%d.%d", e.number, turn) }

// written is what a writer was told.
type written struct {
	outcome history.Outcome
	version int64
	token   string
}

// hand is a way to write.
type hand interface {
	write(ctx context.Context, owner, target string, listed bool) written
	rest() // after the last write
}

// writes is a writer's life: it blocks and unblocks until ctx ends.
func (w *faultWorld) writes(ctx context.Context, by hand, lists []*faultList) {
	defer by.rest()
	var acked atomic.Int64
	w.addWriter(&acked)
	pace := time.NewTicker(writePace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		l := lists[rand.N(len(lists))]
		i := rand.N(len(l.entries))
		e := &l.entries[i]
		record := history.Write{Owner: l.owner, Target: e.target(), Listed: !e.listed, Begin: w.recorder.Now()}
		got := by.write(w.patient, record.Owner, record.Target, record.Listed)
		record.End, record.Outcome, record.Version = w.recorder.Now(), got.outcome, got.version
		w.recorder.Write(record)
		switch got.outcome {
		case history.Done:
			e.listed = !e.listed
			l.touched.Store(int32(i))
			if got.token != "" {
				l.newest.Store(&revision{got.token, got.version})
			}
			acked.Add(1)
		case history.Refused:
			w.refuse(l)
		case history.Unknown:
			e.turn.Add(1)
			e.listed = false
			w.doubts.Add(1)
		}
	}
}

// apiHand writes by the API of a sidecar.
type apiHand struct {
	world *faultWorld
	*sidecar
}

func (h *apiHand) rest() {}

func (h *apiHand) write(_ context.Context, owner, target string, listed bool) written {
	method, want := http.MethodDelete, http.StatusOK
	if listed {
		method, want = http.MethodPut, http.StatusCreated
	}
	a, err := h.request(method, "api", blockPath("default", owner, target))
	var problem struct{ Code string }
	if a.status == http.StatusServiceUnavailable {
		_ = json.Unmarshal([]byte(a.body), &problem) // without a code it is refused below
	}
	token := a.header.Get("Sidegate-Revision")
	switch {
	case err == nil && a.status == want && token != "":
		parsed, err := filter.ParseRevision(token)
		if err != nil {
			h.world.complain("%s %s→%s: %v", method, owner, target, err)
		}
		return written{history.Done, parsed.Version, token}
	case problem.Code == "outcome_unknown":
		return written{outcome: history.Unknown}
	case problem.Code == "store_unavailable":
		return written{outcome: history.Refused}
	}
	h.world.complain("%s %s→%s: %v %v", method, owner, target, a, err)
	return written{outcome: history.Unknown}
}

// reads is a reader's life: it asks one sidecar until ctx ends.
func (w *faultWorld) reads(ctx context.Context, s *watched, ask func(*watched, *faultList)) {
	pace := time.NewTicker(readPace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
			ask(s, w.lists[rand.N(len(w.lists))])
		}
	}
}

// askPlainly asks what memory holds; half of the time about what was written
// last.
func (w *faultWorld) askPlainly(s *watched, l *faultList) {
	e := &l.entries[rand.N(len(l.entries))]
	if rand.N(2) == 0 {
		e = &l.entries[l.touched.Load()]
	}
	w.readDecision(s, l.owner, e.target(), nil)
}

// askDatabase asks what may have to wait for the database: with the token of the
// last write, or for the whole list.
func (w *faultWorld) askDatabase(s *watched, l *faultList) {
	if newest := l.newest.Load(); newest != nil && rand.N(4) > 0 {
		w.readDecision(s, l.owner, l.entries[l.touched.Load()].target(), newest)
	} else {
		w.readStore(s, l.owner)
	}
}

var unknown = regexp.MustCompile(`"code":"(unknown|not_fresh_enough)"`)

// readDecision asks whether a target's message reaches the owner.
func (w *faultWorld) readDecision(s *watched, owner, target string, since *revision) history.Read {
	rd := history.Read{By: s.name, Owner: owner, Target: target}
	q := question{sender: target, recipient: owner}
	if since != nil {
		q.atLeast, rd.AtLeast = since.token, since.version
	}
	rd.Begin = w.recorder.Now()
	a, err := s.request(http.MethodGet, "check", q.path())
	rd.End = w.recorder.Now()
	var d struct {
		verdict
		StaleMS int64 `json:"stale_ms"`
	}
	switch {
	case err == nil && a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &d) == nil && (d.verdict == allowed || d.verdict == dropped):
		rd.Answered, rd.Listed, rd.Age = true, d.verdict == dropped, w.soft
		if d.StaleMS > 0 {
			rd.Age = time.Duration(d.StaleMS+1) * time.Millisecond // it is cut to whole milliseconds
			s.stale.Add(1)
		}
		s.answers.Add(1)
	case err == nil && a.status == http.StatusServiceUnavailable && unknown.MatchString(a.body):
		// It is no answer, and recorded as such.
	default:
		w.complain("%v: %v %v", &rd, a, err)
	}
	w.recorder.Read(rd)
	return rd
}

// readStore asks for a whole list, which is read from the database: as of the
// moment, whichever sidecar is asked.
func (w *faultWorld) readStore(s *watched, owner string) {
	rd := history.Read{By: "the database", Owner: owner, Whole: true, Begin: w.recorder.Now()}
	a, err := s.request(http.MethodGet, "api", listPath("default", owner)+"?limit=1000")
	rd.End = w.recorder.Now()
	var list struct{ Blocks []struct{ Target string } }
	switch {
	case err == nil && a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &list) == nil:
		rd.Answered = true
		rd.Version, err = strconv.ParseInt(strings.Trim(strings.SplitN(a.header.Get("ETag"), "-", 2)[0], `"`), 10, 64)
		for _, b := range list.Blocks {
			rd.Set = append(rd.Set, b.Target)
		}
	case err == nil && a.status == http.StatusServiceUnavailable:
	default:
		err = fmt.Errorf("%v: %v %w", &rd, a, err)
	}
	if err != nil {
		w.complain("%v", err)
	}
	w.recorder.Read(rd)
}
