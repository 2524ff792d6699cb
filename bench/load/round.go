package load

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// sampleEvery is the share of exchanges that are timed: the clock is read
	// twice for it, on the same cores as the server.
	sampleEvery = 16
	// maxSamples bounds what one caller keeps of a round.
	maxSamples = 1 << 14
)

// errNothing: a round in which nothing was answered says nothing.
var errNothing = errors.New("nothing was answered in this round")

// round lets all callers ask for a while.
func (e *entrant) round(ctx context.Context, length time.Duration) (Round, error) {
	if e.Drive != nil {
		return e.driven(ctx, length)
	}
	var over atomic.Bool
	shares := make([]share, len(e.callers))
	before, err := e.cpu()
	if err != nil {
		return Round{}, err
	}
	asked := ownCPU()
	begun := time.Now()
	var asking sync.WaitGroup
	failed := make(chan struct{}, len(e.callers))
	for i, c := range e.callers {
		asking.Go(func() {
			if shares[i].ask(c, &over); shares[i].err != nil {
				failed <- struct{}{}
			}
		})
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-failed:
	case <-ctx.Done():
	}
	over.Store(true)
	e.finish(&asking)
	elapsed := time.Since(begun)
	after, err := e.cpu()
	if err := errors.Join(err, ctx.Err()); err != nil {
		return Round{}, err
	}
	r, err := sum(shares)
	r.Elapsed, r.CPU, r.Client = elapsed, after-before, ownCPU()-asked
	return r, err
}

// finish waits for the callers. Those that have no answer after a while lose their
// connections, which ends the measurement.
func (e *entrant) finish(asking *sync.WaitGroup) {
	late := time.AfterFunc(patience, func() { _ = e.close() })
	defer late.Stop()
	asking.Wait()
}

// cpu is what the server has used since it was started.
func (e *entrant) cpu() (time.Duration, error) {
	if e.PIDs == nil {
		return 0, nil
	}
	return CPU(e.PIDs()...)
}

// share is the part of one caller in a round.
type share struct {
	operations int
	samples    []time.Duration
	err        error
}

func (s *share) ask(c Caller, over *atomic.Bool) {
	var n int
	for i := 0; s.err == nil && !over.Load(); i++ {
		if i%sampleEvery != 0 || len(s.samples) == maxSamples {
			n, s.err = c.Do()
		} else {
			begun := time.Now()
			n, s.err = c.Do()
			s.samples = append(s.samples, time.Since(begun))
		}
		s.operations += n
	}
}

func sum(shares []share) (r Round, err error) {
	var samples []time.Duration
	for _, s := range shares {
		if s.err != nil {
			return Round{}, s.err
		}
		r.Operations += s.operations
		samples = append(samples, s.samples...)
	}
	if r.Operations == 0 {
		return Round{}, errNothing
	}
	slices.Sort(samples)
	r.P50, r.P99 = samples[len(samples)/2], samples[len(samples)*99/100]
	return r, nil
}
