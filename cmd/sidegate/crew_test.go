package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// TestCrew: what stays is not disturbed, what goes ends, what is new begins, and at
// the end all have ended.
func TestCrew(t *testing.T) {
	var c crew
	var running [4]atomic.Int32
	var begun [4]atomic.Int32
	of := func(some ...int) map[any]loop {
		loops := map[any]loop{}
		for _, i := range some {
			loops[i] = func(ctx context.Context) error {
				begun[i].Add(1)
				running[i].Add(1)
				defer running[i].Add(-1)
				<-ctx.Done()
				return nil
			}
		}
		return loops
	}
	are := func(a, b, d int32) func() bool {
		return func() bool { return running[1].Load() == a && running[2].Load() == b && running[3].Load() == d }
	}
	c.set(of(1))
	c.set(of(1, 2)) // before it runs
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx) }()
	waitFor(t, "1 and 2 run", are(1, 1, 0))
	c.set(of(2, 3))
	waitFor(t, "2 and 3 run", are(0, 1, 1))
	c.set(of(2, 3))
	cancel()
	if err := <-ended; err != nil || !are(0, 0, 0)() {
		t.Errorf("run = %v", err)
	}
	if begun[2].Load() != 1 || begun[3].Load() != 1 {
		t.Errorf("loops that stayed were begun %d and %d times", begun[2].Load(), begun[3].Load())
	}
	c.set(of(1)) // too late
	if !are(0, 0, 0)() {
		t.Error("something runs after the end")
	}
}

// TestCrewFails: a loop that cannot go on ends the others.
func TestCrewFails(t *testing.T) {
	var c crew
	broken := errors.New("broken")
	c.set(map[any]loop{
		1: func(ctx context.Context) error { <-ctx.Done(); return nil },
		2: func(context.Context) error { return broken },
	})
	if err := c.run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("run = %v", err)
	}
}
