package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Caller asks one server over one connection. It is used by one goroutine at a
// time.
type Caller interface {
	// Do carries out one exchange and returns how many operations were in it:
	// one, or as many as are sent together. An answer that is not the expected
	// one is an error.
	Do() (int, error)
	// Close ends the connection, and a Do that waits for an answer. It may be
	// called more than once.
	Close() error
}

// Contestant is a server and a way to ask it.
type Contestant struct {
	Name string
	// Open makes the callers; Turns closes them. They stay open over all rounds,
	// as the connections of a client do.
	Open func(ctx context.Context) ([]Caller, error)
	// PIDs are the processes whose CPU time is the server's; none means that it
	// is not read.
	PIDs func() []int
}

// Plan says how long is measured.
type Plan struct {
	Rounds int           // of each contestant
	Each   time.Duration // the length of a round
	Warmup time.Duration // of each contestant, before the first round
}

// Round is what one round has shown.
type Round struct {
	Operations int
	Elapsed    time.Duration
	CPU        time.Duration // of the server, user and kernel; 0 if not read
	P50, P99   time.Duration // of an exchange, from a sample
}

// Rate returns the operations a second.
func (r Round) Rate() float64 { return float64(r.Operations) / r.Elapsed.Seconds() }

// CPUPerOperation returns the server's CPU time for one operation in nanoseconds.
func (r Round) CPUPerOperation() float64 { return float64(r.CPU) / float64(r.Operations) }

// Median50 returns the median time of an exchange in microseconds.
func (r Round) Median50() float64 { return float64(r.P50) / float64(time.Microsecond) }

// Results are the rounds of each contestant by its name, in turn: rounds with the
// same index were run one after the other.
type Results map[string][]Round

// Turns runs the rounds of a plan. On an error of any caller it ends early and
// returns that error.
func Turns(ctx context.Context, plan Plan, contestants ...Contestant) (results Results, err error) {
	entered := make([]*entrant, 0, len(contestants))
	defer func() {
		for _, e := range entered {
			err = errors.Join(err, e.close())
		}
	}()
	for _, c := range contestants {
		callers, err := c.Open(ctx)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", c.Name, err)
		}
		e := &entrant{Contestant: c, callers: callers}
		entered = append(entered, e)
		// At once: servers close connections that have been opened and are not used.
		if plan.Warmup > 0 {
			if _, err := e.round(ctx, plan.Warmup); err != nil {
				return nil, fmt.Errorf("warm up %s: %w", e.Name, err)
			}
		}
	}
	results = make(Results, len(entered))
	for turn := range plan.Rounds {
		for i := range entered {
			e := entered[(turn+i)%len(entered)]
			r, err := e.round(ctx, plan.Each)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", e.Name, turn+1, err)
			}
			results[e.Name] = append(results[e.Name], r)
		}
	}
	return results, nil
}

// entrant is a contestant with its callers.
type entrant struct {
	Contestant
	callers []Caller
}

func (e *entrant) close() error {
	var errs []error
	for _, c := range e.callers {
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
