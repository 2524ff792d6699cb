package history

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecorderKeepsEverything(t *testing.T) {
	const clients, each = 8, 100
	r := NewRecorder()
	var done sync.WaitGroup
	for range clients {
		done.Go(func() {
			for range each {
				begin := r.Now()
				r.Write(Write{Begin: begin, End: r.Now()})
				r.Read(Read{Begin: begin, End: r.Now()})
				_ = r.History() // somebody looks meanwhile
			}
		})
	}
	done.Wait()
	h := r.History()
	if len(h.Writes) != clients*each || len(h.Reads) != clients*each {
		t.Fatalf("%d writes and %d reads were kept, want %d each", len(h.Writes), len(h.Reads), clients*each)
	}
	for _, w := range h.Writes {
		if w.End < w.Begin {
			t.Fatalf("the clock went back: %v", &w)
		}
	}
}

func TestHistoryIsACopy(t *testing.T) {
	r := NewRecorder()
	r.Write(Write{Owner: "bob"})
	h := r.History()
	h.Writes[0].Owner = "dave"
	r.Write(Write{Owner: "carol"})
	if got := r.History().Writes[0].Owner; got != "bob" || len(h.Writes) != 1 {
		t.Errorf("the recorder shares its memory: %q, %d", got, len(h.Writes))
	}
}

func TestClockStartsWithTheRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder()
		time.Sleep(time.Second)
		if now := r.Now(); now != time.Second {
			t.Errorf("a second later it is %v", now)
		}
	})
}
