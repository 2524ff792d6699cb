package scaling

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/generator"
	"github.com/sidegate/sidegate/bench/history"
	blocksync "github.com/sidegate/sidegate/sync"
)

// attest runs a sidecar, in front of which a source may lie, lets witnesses look
// for a while, and returns what they report.
func attest(t *testing.T, length time.Duration, source func(*generator.World) blocksync.Source) history.Report {
	t.Helper()
	world, err := generator.New(small)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSidecar(world, source(world), setup{
		Shape: small, MaxBytes: budget(small), Poll: time.Millisecond, Soft: time.Nanosecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	waitFor(t, "the lists", s.cache.Preloaded)
	over, end := context.WithTimeout(ctx, length)
	defer end()
	report, err := witness(over, direct{world}, s.address().String(), small)
	stop()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return report
}

func waitFor(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// direct commits without a process in between.
type direct struct{ *generator.World }

func (d direct) commit(_ context.Context, list int) (written, error) {
	version, listed := d.Commit(list)
	return written{version, listed}, nil
}

// testify lets witnesses look, each time longer and at a new sidecar, until what
// they report is enough: a slow machine needs longer to see as much.
func testify(t *testing.T, source func(*generator.World) blocksync.Source, enough func(history.Report) bool) history.Report {
	t.Helper()
	for length := 100 * time.Millisecond; length < time.Minute; length *= 2 {
		if report := attest(t, length, source); enough(report) {
			return report
		}
	}
	t.Fatal("the witnesses have not seen enough")
	return history.Report{}
}

// TestWitnessesOfTheTruth: the program is never older than it says.
func TestWitnessesOfTheTruth(t *testing.T) {
	got := testify(t, func(w *generator.World) blocksync.Source { return w },
		func(r history.Report) bool { return r.Decisive > 100 || len(r.Violations) > 0 })
	if len(got.Violations) > 0 {
		t.Errorf("%v: %v", &got, got.Violations[0])
	}
	if got.MaxAge <= 0 {
		t.Error("no answer has told its age")
	}
}

// TestWitnessesOfALie: a source that calls itself fresh and holds changes back is
// found out. Without it nothing shows that the witnesses can see.
func TestWitnessesOfALie(t *testing.T) {
	got := testify(t, func(w *generator.World) blocksync.Source { return &late{World: w} },
		func(r history.Report) bool { return len(r.Violations) > 0 })
	for _, v := range got.Violations {
		if v.Kind != history.Stale {
			t.Errorf("%v", v)
		}
	}
}

// late holds back every change for many polls.
type late struct {
	*generator.World
	held []blocksync.Batch // only the follower asks, one poll after the other
}

const latePolls = 40

func (l *late) Poll(ctx context.Context, from blocksync.Position) (blocksync.Batch, error) {
	now, err := l.World.Poll(ctx, from)
	l.held = append(l.held, now)
	now.Changes = nil
	if len(l.held) > latePolls {
		now.Changes = l.held[0].Changes
		l.held = l.held[1:]
	}
	return now, err
}
