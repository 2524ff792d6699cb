package overload

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/served"
)

// round lets the callers of a side ask for a while, each at its pace, and adds what
// is seen to r.
func (s *side) round(ctx context.Context, length time.Duration, program *served.Program, r *round) (err error) {
	hits, other, err := s.callers(ctx, program.Check)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(append(hits, other...))) }()
	counted, err := countsOf(ctx, program)
	if err != nil {
		return err
	}
	before, err := load.CPU(program.PIDs()...)
	if err != nil {
		return err
	}
	asks, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var asking sync.WaitGroup
	var beside atomic.Int64
	times := make([][]time.Duration, len(hits))
	errs := make([]error, len(hits)+len(other))
	for i, c := range hits {
		asking.Go(func() {
			errs[i] = paced(asks, c, time.Second*hitCallers/hitRate, func(took time.Duration) { times[i] = append(times[i], took) })
		})
	}
	for i, c := range other {
		asking.Go(func() {
			errs[len(hits)+i] = paced(asks, c, time.Second*sideCallers/sideRate, func(time.Duration) { beside.Add(1) })
		})
	}
	asking.Wait()
	after, err := load.CPU(program.PIDs()...)
	if err := errors.Join(errors.Join(errs...), err); err != nil {
		return err
	}
	now, err := countsOf(ctx, program)
	if err != nil {
		return err
	}
	for _, t := range times {
		r.hits = append(r.hits, t...)
	}
	r.beside += int(beside.Load())
	r.cpu += after - before
	r.counts = r.counts.plus(now.minus(counted))
	return nil
}

// paced asks once in every interval, at a moment of its own, until ctx ends. What
// could not be asked in time, because an answer was waited for, is asked at once.
func paced(ctx context.Context, c load.Caller, interval time.Duration, answered func(took time.Duration)) error {
	next := time.Now().Add(rand.N(interval))
	for {
		if !pause(ctx, time.Until(next)) {
			return nil
		}
		next = next.Add(interval)
		begun := time.Now()
		if _, err := c.Do(); err != nil {
			return err
		}
		answered(time.Since(begun))
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
