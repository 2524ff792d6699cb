package prober

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is a store and the sidecars that follow it, in the fake time of synctest.
// Each hears of a write a fixed lag later.
type world struct {
	mu       sync.Mutex
	log      []event
	listed   map[pair]time.Time // until when
	requests int
	fail     func(n int, owner string) error // of the n-th request; nil = none does
	late     bool                            // what failed happens all the same
	slow     time.Duration                   // of a write, before it happens and after it
}

type pair struct{ owner, target string }

type event struct {
	at     time.Time
	pair   pair
	listed bool
}

func newWorld() *world { return &world{listed: map[pair]time.Time{}} }

func (w *world) write(owner, target string, until time.Time, on bool) (Written, error) {
	time.Sleep(w.slow)
	w.mu.Lock()
	w.requests++
	var err error
	if w.fail != nil {
		err = w.fail(w.requests, owner)
	}
	key := pair{owner, target}
	_, was := w.listed[key]
	if err == nil || w.late {
		if on {
			w.listed[key] = until
		} else {
			delete(w.listed, key)
		}
		w.log = append(w.log, event{time.Now(), key, on})
	}
	n := len(w.log)
	w.mu.Unlock()
	time.Sleep(w.slow)
	if err != nil {
		return Written{}, err
	}
	return Written{Changed: was != on, Revision: strings.Repeat("x", n)}, nil
}

func (w *world) Block(_ context.Context, owner, target string, until time.Time) (Written, error) {
	return w.write(owner, target, until, true)
}

func (w *world) Unblock(_ context.Context, owner, target string) (Written, error) {
	return w.write(owner, target, time.Time{}, false)
}

// entries are the lists that have one, without those that the world began with.
func (w *world) entries() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []string
	for key := range maps.Keys(w.listed) {
		left = append(left, key.owner+" "+key.target)
	}
	slices.Sort(left)
	return left
}

// seen is what somebody knows who has followed the log up to a moment, and has read
// some of it.
func (w *world) seen(q Question, upTo time.Time, read int) (on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range w.log {
		if (!e.at.After(upTo) || i < read) && e.pair == (pair{q.Recipient, q.Sender}) {
			on = e.listed
		}
	}
	return on
}

// sidecar answers as the log was lag ago. It says its age if that is over two
// seconds, keeps its word about revisions, and answers after a millisecond.
type sidecar struct {
	world  *world
	lag    func(asked time.Time) time.Duration
	mute   bool // never says its age
	deaf   bool // does not look at revisions
	broken func(asked time.Time) error
	read   map[string]int // by list, how much of the log it has read from the store
}

const soft = 2 * time.Second

func softBound() time.Duration { return soft }

func (s *sidecar) target(name string) Target {
	return Target{Name: name, Ask: func(_ context.Context, q Question) (Answer, error) {
		time.Sleep(time.Millisecond / 2)
		now := time.Now()
		lag := s.lag(now)
		time.Sleep(time.Millisecond / 2)
		if s.broken != nil {
			if err := s.broken(now); err != nil {
				return Answer{}, err
			}
		}
		a := Answer{Blocked: s.world.seen(q, now.Add(-lag), s.reads(q))}
		if lag > soft && !s.mute {
			a.Age = lag
		}
		return a, nil
	}}
}

// reads returns how much of the log has been read for the questions about a list:
// what was read for one is there for the next.
func (s *sidecar) reads(q Question) int {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if s.read == nil {
		s.read = map[string]int{}
	}
	if !s.deaf {
		s.read[q.Recipient] = max(s.read[q.Recipient], len(q.AtLeast))
	}
	return s.read[q.Recipient]
}

func always(lag time.Duration) func(time.Time) time.Duration {
	return func(time.Time) time.Duration { return lag }
}

// probeWorld runs a prober in a bubble and returns what it reports.
func probeWorld(t *testing.T, w *world, change func(*Options), sidecars ...*sidecar) (r Report, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var targets []Target
		for i, s := range sidecars {
			s.world = w
			targets = append(targets, s.target(string(rune('a'+i))))
		}
		opts := Options{
			Writer: w, Find: func(context.Context) ([]Target, error) { return targets, nil },
			Interval: 500 * time.Millisecond, Duration: 30 * time.Second, SoftBound: softBound, Settle: 2 * soft, Grace: time.Second,
		}
		if change != nil {
			change(&opts)
		}
		p, e := New(opts)
		if e != nil {
			err = e
			return
		}
		err = p.Run(t.Context())
		r = p.Report()
	})
	return r, err
}

var errLost = errors.New("the connection was lost")
