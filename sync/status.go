package blocksync

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// State says how far the cache can be trusted.
type State uint8

// The states.
const (
	// Starting: no poll is complete yet; memory is empty.
	Starting State = iota
	// Synced: the age is within the soft bound.
	Synced
	// Lagging: above the soft bound, within the hard bound. Answers from
	// memory say how old they are.
	Lagging
	// Stale: above the hard bound. Answers from memory count as unknown.
	Stale
	// WrongServer: the database answers, but it is a standby or an old primary, or
	// has a schema that this program does not understand. Memory ages as when
	// lagging.
	WrongServer

	states = 5
)

var stateNames = [states]string{"starting", "synced", "lagging", "stale", "wrong_server"}

// String returns the state as metrics and the status page spell it.
func (s State) String() string { return stateNames[s] }

// Status is the follower's state at a moment.
type Status struct {
	State State
	// Age bounds how old an answer from memory may be: every change that was
	// committed that long ago is in it. It is measured on one monotonic
	// clock. Without a complete poll it is the largest Duration.
	Age      time.Duration
	Epoch    uint64
	Position Position
	Refused  string // why the database is refused, in WrongServer
}

// Status returns the present state. It is safe for concurrent use.
func (f *Follower) Status() Status {
	c := f.opts.Cache
	s := Status{Epoch: c.Epoch(), Age: math.MaxInt64}
	if p := f.last.Load(); p != nil {
		s.Position = *p
	}
	if c.Synced() {
		s.Age = c.Age()
	}
	refused := f.refused.Load()
	if refused != nil {
		s.Refused = refused.Error()
	}
	pace := f.pace.Load()
	switch {
	case s.Age > pace.HardBound && c.Synced():
		s.State = Stale
	case refused != nil:
		s.State = WrongServer
	case !c.Synced():
		s.State = Starting
	case s.Age > pace.SoftBound:
		s.State = Lagging
	default:
		s.State = Synced
	}
	return s
}

// refusal is an answer that must not be followed.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

// judge refuses the answer of a server that cannot be followed.
func (f *Follower) judge(b *Batch) error {
	if b.Recovery {
		return &refusal{"the database is a standby, whose snapshots do not list running transactions; point postgres.url at the primary"}
	}
	if b.Newer > 0 {
		return &refusal{fmt.Sprintf("the database is on timeline %d, but timeline %d of the same cluster was followed before: "+
			"it is an old primary after a failover, or a backup; point postgres.url at the new primary, "+
			"or run sidegate db bump-incarnation there if going back is meant", b.Identity.Timeline, b.Newer)}
	}
	f.opts.Metrics.schema.Set(float64(b.Schema))
	newer := b.Schema > f.opts.MaxSchema
	if served := b.Serves > 0 && b.Serves <= f.opts.MaxSchema; b.Schema < f.opts.MinSchema || newer && !served {
		if b.Schema == 0 {
			return &refusal{"the database has no sidegate schema yet; run: sidegate migrate up"}
		}
		return &refusal{fmt.Sprintf("the database has schema version %d; this program understands %d to %d",
			b.Schema, f.opts.MinSchema, f.opts.MaxSchema)}
	}
	return nil
}

// causeOf sorts an error into the closed set of the metric's label.
func causeOf(err error) string {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return causeRefused
	case errors.Is(err, context.DeadlineExceeded):
		return causeTimeout
	}
	return causeConnection
}
