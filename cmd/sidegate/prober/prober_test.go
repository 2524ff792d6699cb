package prober

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestHonestSidecars: nobody who keeps their word is accused, and windows are what
// they are.
func TestHonestSidecars(t *testing.T) {
	began := time.Time{}
	within := func(from, to time.Duration, lag, otherwise time.Duration) func(time.Time) time.Duration {
		return func(now time.Time) time.Duration {
			if began.IsZero() {
				began = now
			}
			if at := now.Sub(began); at >= from && at < to {
				return otherwise + (at-from)*lag
			}
			return otherwise
		}
	}
	for _, tc := range []struct {
		name     string
		sidecar  sidecar
		p50, max time.Duration
	}{
		{"at once", sidecar{lag: always(0)}, 6 * time.Millisecond, 6 * time.Millisecond},
		{"a poll behind", sidecar{lag: always(100 * time.Millisecond)}, 110 * time.Millisecond, 115 * time.Millisecond},
		{"nearly too old, and needs not say so", sidecar{lag: always(1990 * time.Millisecond), mute: true}, 2150 * time.Millisecond, 2200 * time.Millisecond},
		{"cut off for ten seconds, and says so", sidecar{lag: within(10*time.Second, 20*time.Second, 1, 50*time.Millisecond)}, 60 * time.Millisecond, 11 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			began = time.Time{}
			w := newWorld()
			r, err := probeWorld(t, w, nil, &tc.sidecar)
			if err != nil || r.Verdict != Clean {
				t.Fatalf("%v, %+v", err, r)
			}
			got := r.Targets[0]
			if got.P50 > tc.p50 || got.Max > tc.max || got.Windows < 40 || r.Writes.Acknowledged < 60 || got.Silent || got.Behind {
				t.Errorf("%+v of %+v", got, r.Writes)
			}
			if left := w.entries(); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
}

// TestWrongAnswers: each kind of wrong answer is found, and blamed on who gave it.
func TestWrongAnswers(t *testing.T) {
	flips := 0
	for _, tc := range []struct {
		name     string
		interval time.Duration
		sidecar  sidecar
		want     Kind
	}{
		{"older than it says", time.Second, sidecar{lag: always(3 * time.Second), mute: true}, TooOld},
		{"older than it says, and all happens fast", 50 * time.Millisecond, sidecar{lag: always(3 * time.Second), mute: true}, TooOld},
		{"never hears of anything", time.Second, sidecar{lag: always(time.Hour), mute: true}, TooOld},
		{"goes back and forth", time.Second, sidecar{lag: func(time.Time) time.Duration {
			flips++
			return time.Duration(flips%2) * 1500 * time.Millisecond
		}}, FellBack},
		{"does not look at revisions", time.Second, sidecar{lag: always(300 * time.Millisecond), deaf: true}, AtLeast},
	} {
		t.Run(tc.name, func(t *testing.T) {
			metrics := NewMetrics(prometheus.NewRegistry())
			r, err := probeWorld(t, newWorld(), func(o *Options) { o.Metrics, o.Interval = metrics, tc.interval }, &sidecar{lag: always(0)}, &tc.sidecar)
			if err != nil || r.Verdict != Wrong {
				t.Fatalf("%v, %+v", err, r)
			}
			good, bad := r.Targets[0], r.Targets[1]
			if good.Wrong() > 0 {
				t.Errorf("accused is %+v", good)
			}
			// Who is too old while lists change fast may look as if it went back.
			if bad.Violations[tc.want] == 0 || bad.Violations[tc.want] != bad.Wrong() && tc.interval == time.Second {
				t.Errorf("found %v", bad.Violations)
			}
			if len(r.Violations) == 0 || r.Violations[0].Target != "b" || r.Violations[0].String() == "" {
				t.Errorf("told are %v", r.Violations)
			}
			if got := testutil.ToFloat64(metrics.violations.WithLabelValues("b", string(tc.want))); int(got) != bad.Violations[tc.want] {
				t.Errorf("counted are %v", got)
			}
		})
	}
}

// TestUnreached: who does not answer, or does not come to show the writes, is not
// wrong, and is not clean either.
func TestUnreached(t *testing.T) {
	for name, tc := range map[string]struct {
		sidecar sidecar
		check   func(TargetReport) bool
	}{
		"never there":   {sidecar{lag: always(0), broken: func(time.Time) error { return errLost }}, func(r TargetReport) bool { return r.Silent && r.Unreached > 0 }},
		"knows nothing": {sidecar{lag: always(0), broken: func(time.Time) error { return ErrUnknown }}, func(r TargetReport) bool { return r.Silent && r.Unknown > 0 }},
		"stays behind":  {sidecar{lag: always(time.Hour)}, func(r TargetReport) bool { return r.Behind && !r.Silent && r.Windows == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := probeWorld(t, newWorld(), nil, &tc.sidecar)
			if err != nil || r.Verdict != Unreached || r.Targets[0].Wrong() > 0 || !tc.check(r.Targets[0]) {
				t.Errorf("%v, %+v", err, r)
			}
		})
	}
}

// TestWritesThatFail: a refused write is made again and taints nothing; one whose
// outcome nobody knows, and that may happen later, costs the lists; afterwards
// nothing is left on any.
func TestWritesThatFail(t *testing.T) {
	every := func(n int, err error) func(int, string) error {
		return func(i int, _ string) error {
			if i > 6 && i%n == 0 { // the first six take the seat
				return err
			}
			return nil
		}
	}
	for name, tc := range map[string]struct {
		fail  func(int, string) error
		late  bool
		check func(Writes) bool
	}{
		"refused":        {every(3, fmt.Errorf("%w: busy", ErrRefused)), false, func(w Writes) bool { return w.Refused > 10 && w.Unknown == 0 }},
		"lost, not done": {every(41, errLost), false, func(w Writes) bool { return w.Unknown > 5 && w.Acknowledged > 200 }},
		"lost and done":  {every(41, errLost), true, func(w Writes) bool { return w.Unknown > 5 && w.Acknowledged > 200 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.fail, w.late = tc.fail, tc.late
			r, err := probeWorld(t, w, func(o *Options) { o.Interval = 100 * time.Millisecond }, &sidecar{lag: always(50 * time.Millisecond)})
			if err != nil || r.Targets[0].Wrong() > 0 || !tc.check(r.Writes) {
				t.Errorf("%v, %+v", err, r)
			}
			if left := w.entries(); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
}

// TestWithoutAStore: a prober that cannot write says so at once, unless it is
// patient, and goes on when it can.
func TestWithoutAStore(t *testing.T) {
	away := func(until int) func(int, string) error {
		return func(n int, _ string) error {
			if n <= until {
				return fmt.Errorf("%w: away", ErrRefused)
			}
			return nil
		}
	}
	w := newWorld()
	w.fail = away(1)
	if _, err := probeWorld(t, w, nil, &sidecar{lag: always(0)}); !errors.Is(err, ErrRefused) {
		t.Errorf("ended with %v", err)
	}
	w = newWorld()
	w.fail = away(20)
	r, err := probeWorld(t, w, func(o *Options) { o.Patient = true }, &sidecar{lag: always(0)})
	if err != nil || r.Verdict != Clean || r.Writes.Refused != 19 || r.Writes.Acknowledged < 30 {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestLongOutage: entries that end by themselves while nothing can be written accuse
// nobody, nor does a claim that has ended, and afterwards all goes on.
func TestLongOutage(t *testing.T) {
	w := newWorld()
	var began time.Time
	w.fail = func(n int, _ string) error {
		if n == 1 {
			began = time.Now()
		}
		if past := time.Since(began); past > 10*time.Minute && past < 80*time.Minute {
			return fmt.Errorf("%w: away", ErrRefused)
		}
		return nil
	}
	r, err := probeWorld(t, w, func(o *Options) { o.Interval, o.Duration = time.Minute, 2*time.Hour }, &sidecar{lag: always(50 * time.Millisecond)})
	if err != nil || r.Verdict != Clean || r.Writes.Refused < 60 || r.Writes.Acknowledged < 40 {
		t.Errorf("%v, %+v", err, r)
	}
	if left := w.entries(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// TestTwoProbersDoNotMeet: however many probe one app, each has lists of its own.
func TestTwoProbersDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.slow = 3 * time.Millisecond
		s := &sidecar{world: w, lag: always(20 * time.Millisecond)}
		const many = 12
		reports := make(chan Report, many)
		for range many {
			p, err := New(Options{
				Writer: w, Find: func(context.Context) ([]Target, error) { return []Target{s.target("a")}, nil },
				Interval: 100 * time.Millisecond, Duration: 2 * time.Second, SoftBound: softBound, Settle: soft, Grace: time.Second, Patient: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if err := p.Run(t.Context()); err != nil {
					t.Error(err)
				}
				reports <- p.Report()
			}()
		}
		for range many {
			if r := <-reports; r.Verdict != Clean || r.Writes.Unknown > 0 {
				t.Errorf("%+v", r)
			}
		}
		if left := w.entries(); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		owners := map[string]bool{}
		for _, e := range w.log {
			owners[e.pair.owner] = true
		}
		if most := Seats * (lists + 1); len(owners) > most {
			t.Errorf("%d lists were written, at most %d are meant", len(owners), most)
		}
	})
}

// TestLeftEntries: lists on which somebody who was killed left an entry are made
// empty and not used.
func TestLeftEntries(t *testing.T) {
	w := newWorld()
	for n := range Seats {
		if s := (&seat{number: n}); n%2 == 0 {
			w.listed[pair{s.owner(1), s.sender()}] = time.Now().Add(time.Hour)
		}
	}
	r, err := probeWorld(t, w, nil, &sidecar{lag: always(300 * time.Millisecond)})
	if err != nil || r.Verdict != Clean {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestFormerLife: what a sidecar that is cut off still knows of the prober who had the
// lists before is not held against it.
func TestFormerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for n := range Seats - 1 { // one seat is left, which is found at one of the tries
			owner, target := (&seat{number: n}).claim()
			w.listed[pair{owner, target}] = time.Now().Add(24 * 365 * time.Hour)
		}
		probe := func(s *sidecar) Report {
			p, err := New(Options{
				Writer: w, Find: func(context.Context) ([]Target, error) { return []Target{s.target("a")}, nil },
				Interval: 500 * time.Millisecond, Duration: 3 * time.Minute, SoftBound: softBound, Settle: soft, Grace: time.Second, Patient: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Run(t.Context()); err != nil {
				t.Error(err)
			}
			return p.Report()
		}
		if r := probe(&sidecar{world: w, lag: always(0)}); r.Verdict != Clean {
			t.Fatalf("%+v", r)
		}
		cut, back := time.Now().Add(-3*time.Second), time.Now().Add(50*time.Second)
		r := probe(&sidecar{world: w, lag: func(now time.Time) time.Duration {
			if now.Before(back) {
				return now.Sub(cut)
			}
			return 0
		}})
		if r.Targets[0].Wrong() > 0 || r.Verdict != Clean || r.Targets[0].Windows == 0 {
			t.Errorf("%+v", r)
		}
	})
}

// TestInterrupted: a prober that is ended from outside takes its entries away.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.slow = 10 * time.Millisecond
		s := &sidecar{world: w, lag: always(0)}
		ctx, cancel := context.WithCancel(t.Context())
		p, err := New(Options{
			Writer: w, Find: func(context.Context) ([]Target, error) { return []Target{s.target("a")}, nil },
			Interval: MinInterval, SoftBound: softBound, Settle: soft, Grace: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(3*time.Second+5*time.Millisecond, cancel) // in the middle of a write
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
		if r := p.Report(); r.Verdict != Clean || r.Writes.Unknown > 0 || r.Writes.Acknowledged < 100 {
			t.Errorf("%+v", r)
		}
		if left := w.entries(); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// TestTargetsComeAndGo: who is not found any more is not waited for, and who comes
// later is not blamed for what was written before.
func TestTargetsComeAndGo(t *testing.T) {
	w := newWorld()
	looks := 0
	a, b := &sidecar{world: w, lag: always(0)}, &sidecar{world: w, lag: always(100 * time.Millisecond)}
	r, err := probeWorld(t, w, func(o *Options) {
		o.FindEvery = 5 * time.Second
		o.Find = func(context.Context) ([]Target, error) {
			switch looks++; {
			case looks <= 2:
				return []Target{a.target("a")}, nil
			case looks == 3:
				return nil, errLost
			}
			return []Target{b.target("b")}, nil
		}
	})
	if err != nil || r.Verdict != Clean || len(r.Targets) != 2 {
		t.Fatalf("%v, %+v", err, r)
	}
	if b := r.Targets[1]; b.Max > 200*time.Millisecond || b.Windows < 10 {
		t.Errorf("%+v", b)
	}
}

// TestOptions: what makes no prober is refused.
func TestOptions(t *testing.T) {
	find := func(context.Context) ([]Target, error) { return nil, nil }
	for name, o := range map[string]Options{
		"nothing":      {},
		"no interval":  {Writer: newWorld(), Find: find, SoftBound: softBound, Grace: 1},
		"too rarely":   {Writer: newWorld(), Find: find, Interval: time.Hour, SoftBound: softBound, Grace: 1},
		"no bound":     {Writer: newWorld(), Find: find, Interval: time.Second, Grace: 1},
		"no end to it": {Writer: newWorld(), Find: find, Interval: time.Second, SoftBound: softBound},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, n := range []int{0, MaxTargets + 1} {
		p, err := New(Options{
			Writer: newWorld(), Interval: time.Second, SoftBound: softBound, Grace: 1,
			Find: func(context.Context) ([]Target, error) { return make([]Target, n), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); err == nil {
			t.Errorf("%d targets are read", n)
		}
	}
}

// A seat that was left hours ago may be somebody else's by now.
func TestSeatsLeftLongAgoAreLetBe(t *testing.T) {
	w := newWorld()
	first, stranger := "", pair{}
	w.fail = func(n int, owner string) error {
		switch {
		case n == 1:
			first = owner
		case n == 7: // the first write: nobody knows its outcome, so the seat is left
			return errLost
		case n == 250: // hours later
			stranger = pair{first, "another-claim"}
			w.listed[stranger] = time.Now().Add(24 * time.Hour)
			w.listed[pair{first, first + "-claim"}] = time.Now().Add(24 * time.Hour)
		}
		return nil
	}
	_, err := probeWorld(t, w, func(o *Options) { o.Duration, o.Interval = 6*time.Hour, time.Minute }, &sidecar{lag: always(0)})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.entries(); len(got) != 2 {
		t.Errorf("of what another prober has put there since, %v is left", got)
	}
}
