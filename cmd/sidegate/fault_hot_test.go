package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sidegate/sidegate/bench/history"
)

// TestFaultHotOwner: one list is written to as fast as one person at the database
// can, over and over, while it is asked about, entries that never change included.
// What is enforced follows, and memory does not grow with the number of changes.
func TestFaultHotOwner(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	const changes = 10_000
	dsn := database(t)
	s := startSidecar(t, dsn, faultConfiguration).ready()
	s.loaded()
	w := newFaultWorld(t, dsn, faultBound, s)
	l := newFaultList("hot")
	w.lists = append(w.lists, l)
	var acked atomic.Int64
	ended := make(chan struct{})
	w.hands = append(w.hands, func(ctx context.Context) {
		w.addWriter(&acked)
		defer close(ended)
		hand := &sqlHand{world: w}
		defer hand.rest()
		for n := range changes {
			if ctx.Err() != nil {
				return
			}
			e := &l.entries[n%2]
			record := history.Write{Owner: l.owner, Target: e.target(), Listed: !e.listed, Begin: w.recorder.Now()}
			got := hand.write(w.patient, record.Owner, record.Target, record.Listed)
			record.End, record.Outcome, record.Version = w.recorder.Now(), got.outcome, got.version
			w.recorder.Write(record)
			if got.outcome != history.Done {
				w.complain("a change of the hot list: %v", got)
				return
			}
			e.listed = record.Listed
			l.touched.Store(int32(n % 2))
			acked.Add(1)
		}
	})
	before, memory := s.samples(), residentMB(t, s.process)
	w.struck()
	w.begin()
	// One wait could be longer than patience for one thing.
	for at := acked.Load(); ; {
		waitFor(t, "the list is written to", func() bool { return hasClosed(ended) || acked.Load() > at })
		if at = acked.Load(); hasClosed(ended) {
			break
		}
	}
	w.repaired()
	after, grown := s.samples(), residentMB(t, s.process)-memory
	if grown > 64 {
		t.Errorf("the process grew by %d MB", grown)
	}
	loads := after["sidegate_load_duration_seconds_count"] - before["sidegate_load_duration_seconds_count"]
	if loads > float64(changes)/10 {
		t.Errorf("%v reads of the list for %d changes", loads, changes)
	}
	w.report(fmt.Sprintf("%d changes of one list, one after the other; it was read again %.0f times, and the process grew by %d MB", acked.Load(), loads, max(grown, 0)))
}

func hasClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
