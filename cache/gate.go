package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// gate decides which page reads are made. Whoever misses a page is told at once
// either that it will be read, after a wait that leaves time to read it, or that it
// will not. Nothing piles up behind a database that has become slow: a read that
// would come too late takes the place of one that would not, and a statement that
// is given up in the middle costs the database its work and us a connection.
//
// A read that is let in takes a token of the [pace] and one of the slots, which are
// as many as there are connections for reads, and waits for both no longer than the
// deadline of the read allows. Reads for a request about many recipients may use
// one half of the queue and of that time, so that such a request never keeps a
// single check out. The keeper's reads take a slot in turn with all others, and no
// token: nobody waits for them, and there are never more than two.
//
// It is safe for concurrent use. Its lock is held for some words only, and nothing
// else is locked under it.
type gate struct {
	slots   *semaphore.Weighted
	limit   time.Duration // of a read with its wait
	metrics *Metrics

	mu      sync.Mutex
	pace    pace
	lanes   int // slots there are
	queue   int // reads that may wait
	waiting int // reads let in that have no slot yet
	running int // slots taken
	typical time.Duration
}

// cause says why a read was refused. It is a label of a metric.
type cause uint8

const (
	causeRate  cause = iota // no token in time
	causeQueue              // the queue is full
	causeLate               // the slot would come, or came, too late
	causes
)

var causeNames = [causes]string{"rate", "queue", "late"}

// errShed is wrapped by the errors of all reads that were refused. They are made
// beforehand: when thousands a second are refused, each should cost next to nothing.
var errShed = fmt.Errorf("%w: the page read was refused", ErrUnavailable)

var (
	errRate  = fmt.Errorf("%w: more are asked for than may begin at the present rate", errShed)
	errQueue = fmt.Errorf("%w: too many wait for their turn", errShed)
	errLate  = fmt.Errorf("%w: its turn would come too late", errShed)
)

// shed is the flights of reads that never began, one for each cause: whoever waits
// for one is told at once, and no memory is spent on it.
var shed = func() (flights [causes]*flight) {
	ended := make(chan struct{})
	close(ended)
	for why, err := range [causes]error{causeRate: errRate, causeQueue: errQueue, causeLate: errLate} {
		flights[why] = &flight{done: ended, err: err}
	}
	return flights
}()

// typicalShare: how much one read moves what is typical, as its reciprocal.
const typicalShare = 8

// bulkShare of the queue, and of the time to wait, is for reads of requests about
// many recipients, as its reciprocal.
const bulkShare = 2

// LoadLimits bound the page reads of a cache. Zero fields mean their defaults.
type LoadLimits struct {
	// Rate is the most page reads that begin a second, and Burst the most that
	// begin at once after a rest. Defaults 10,000 and 500. While the database is
	// slow fewer begin: see DESIGN.md.
	Rate, Burst int
	// Queue is how many page reads may wait for their turn; more are refused at
	// once. Default 256. Callers that share a read count once.
	Queue int
}

const (
	defaultLoadRate  = 10_000
	defaultLoadBurst = 500
	defaultLoadQueue = 256
)

func (l *LoadLimits) complete() error {
	if min(l.Rate, l.Burst, l.Queue) < 0 {
		return errors.New("the limits of loads must not be negative")
	}
	for _, f := range []struct {
		field     *int
		otherwise int
	}{{&l.Rate, defaultLoadRate}, {&l.Burst, defaultLoadBurst}, {&l.Queue, defaultLoadQueue}} {
		if *f.field == 0 {
			*f.field = f.otherwise
		}
	}
	return nil
}

// newGate makes a gate out of complete options.
func newGate(o *Options) *gate {
	return &gate{
		slots: semaphore.NewWeighted(o.MaxLoads), lanes: int(o.MaxLoads), limit: o.LoadTimeout, metrics: o.Metrics,
		pace: newPace(float64(o.Loads.Rate), o.Loads.Burst), queue: o.Loads.Queue,
	}
}

// SetLoadLimits changes the limits from now on. Reads that wait keep their turn.
func (c *Cache) SetLoadLimits(l LoadLimits) error {
	if err := l.complete(); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	g := c.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = l.Queue
	g.pace.set(float64(l.Rate), l.Burst, time.Now())
	return nil
}

// ticket lets one read in. Whoever has one calls enter, once.
type ticket struct {
	gate *gate
	due  time.Time // of its token
}

// admit lets a read in, or says at once why not. It never waits.
func (g *gate) admit(bulk bool) (t ticket, ok bool, why cause) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	queue, patience := g.queue, max(0, g.limit-g.typical)
	if bulk {
		queue, patience = queue/bulkShare, patience/bulkShare
	}
	ahead := g.waiting + g.running - g.lanes // beyond those that run at once
	if ahead >= 0 {
		if g.waiting >= queue {
			return ticket{}, false, g.refuse(causeQueue)
		}
		if time.Duration(ahead/g.lanes+1)*g.typical > patience {
			return ticket{}, false, g.refuse(causeLate)
		}
	}
	why = causeRate
	if g.waiting >= queue {
		patience, why = 0, causeQueue
	}
	due, ok := g.pace.reserve(now, patience)
	if !ok {
		return ticket{}, false, g.refuse(why)
	}
	g.waiting++
	return ticket{gate: g, due: now.Add(due)}, true, 0
}

func (g *gate) refuse(why cause) cause {
	g.metrics.loadsShed[why].Inc()
	return why
}

// enter waits for the turn of a read, no longer than ctx, which has the deadline of
// the read. Unless it returns an error the slot has to be left.
func (t ticket) enter(ctx context.Context) error {
	g := t.gate
	begun := time.Now()
	err := g.await(ctx, t.due.Sub(begun))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if err == nil {
		g.running++
		return nil
	}
	g.refuse(causeLate)
	return errLate
}

// await waits for the token and a slot. A slot that comes when too little time is
// left to read is given to the next.
func (g *gate) await(ctx context.Context, due time.Duration) error {
	if due > 0 && !pause(ctx, due) {
		return ctx.Err()
	}
	if g.slots.TryAcquire(1) {
		return nil
	}
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	if by, ok := ctx.Deadline(); ok && time.Until(by) < g.usual() {
		g.slots.Release(1)
		return errLate
	}
	return nil
}

// usual returns what reads take of late.
func (g *gate) usual() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.typical
}

// leave gives the slot of a read back that somebody waited for, and learns what
// the database took for it.
func (g *gate) leave(took time.Duration, failed bool) {
	g.mu.Lock()
	g.running--
	g.typical += (took - g.typical) / typicalShare
	g.pace.ended(time.Now(), took, g.limit, failed)
	g.mu.Unlock()
	g.slots.Release(1)
}

// again takes a token for another attempt of a read that is under way; false means
// that there is none.
func (g *gate) again() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.pace.reserve(time.Now(), 0)
	return ok
}

// enterAhead waits for a slot for a read that nobody waits for, until ctx ends;
// leaveAhead gives it back. What such a read takes says nothing of others: it is of
// many pages.
func (g *gate) enterAhead(ctx context.Context) error {
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running++
	return nil
}

// tryAhead takes such a slot if there is one now.
func (g *gate) tryAhead() bool {
	if !g.slots.TryAcquire(1) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running++
	return true
}

func (g *gate) leaveAhead() {
	g.mu.Lock()
	g.running--
	g.mu.Unlock()
	g.slots.Release(1)
}

// state returns the reads a second that may begin now, and how many wait.
func (g *gate) state() (rate float64, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pace.rate(time.Now()), g.waiting
}
