package cache

import (
	"context"
	"sync/atomic"
	"time"
)

// suspension is how long the machine was suspended since the cache was made. Go's
// monotonic clock stands still meanwhile (CLOCK_MONOTONIC of clock_gettime(2)), and
// an age that is measured on it would leave out hours in which lists changed.
type suspension struct {
	total atomic.Int64 // nanoseconds
	// unseen is how far the clock that counts suspension is ahead of the one that
	// does not, from any moment; false if this system has no such clock.
	unseen func() (ahead time.Duration, ok bool)
	first  time.Duration // what unseen said at first
}

const (
	// suspendTick is how often it is looked: so much time after waking up at most,
	// ages do not count the suspension yet.
	suspendTick = 100 * time.Millisecond
	// suspendTold is the shortest suspension that the log is told of. What is
	// shorter is no more than the time between two readings of a clock.
	suspendTold = time.Second
)

func (s *suspension) begin(unseen func() (time.Duration, bool)) {
	s.unseen = unseen
	s.first, _ = unseen()
}

// look adds what it finds and returns it, 0 if there was no suspension. It never
// takes anything away. It is called by one goroutine.
func (s *suspension) look() time.Duration {
	ahead, ok := s.unseen()
	was := s.total.Load()
	if !ok || int64(ahead-s.first) <= was {
		return 0
	}
	s.total.Store(int64(ahead - s.first))
	return ahead - s.first - time.Duration(was)
}

// elapsed is the time since the cache was made, suspension included.
func (c *Cache) elapsed() time.Duration {
	return time.Since(c.started) + time.Duration(c.suspended.total.Load())
}

// watchSuspension looks for suspensions until ctx ends.
func (c *Cache) watchSuspension(ctx context.Context) error {
	tick := time.NewTicker(suspendTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if d := c.suspended.look(); d >= suspendTold {
				c.opts.Logger.Warn("the machine was suspended; the age of the lists counts it", "seconds", d.Seconds())
			}
		}
	}
}
