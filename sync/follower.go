package blocksync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Options configure a [Follower]. Source, Cache and Metrics are required.
type Options struct {
	Source  Source
	Cache   *cache.Cache
	Metrics *Metrics
	Logger  *slog.Logger // default: slog.Default()
	// PollInterval is the time between two polls, each varied by 20 % so that
	// many followers do not poll in step. Default 100 ms, at least 1 ms.
	PollInterval time.Duration
	// SoftBound and HardBound are the ages at which the state is called
	// lagging and stale. Defaults 2 s and 5 min. SoftBound ≤ HardBound.
	SoftBound, HardBound time.Duration
	// Warm is memory that an earlier process has left; nil = none.
	Warm Warm
	// MinSchema and MaxSchema are the schema versions that are understood. A newer
	// one is, too, if it says that it serves MaxSchema.
	MinSchema, MaxSchema int
}

const (
	defaultPollInterval = 100 * time.Millisecond
	defaultSoftBound    = 2 * time.Second
	defaultHardBound    = 5 * time.Minute

	// pollTimeout is the deadline of one poll: a connection that swallows
	// bytes is noticed within it.
	pollTimeout = time.Second
	// maxBackoff is the longest pause between polls that fail.
	maxBackoff = 2 * time.Second
)

func (o *Options) check() error {
	if o.Source == nil || o.Cache == nil || o.Metrics == nil {
		return errors.New("Source, Cache and Metrics are required")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.PollInterval == 0 {
		o.PollInterval = defaultPollInterval
	}
	if o.SoftBound == 0 {
		o.SoftBound = defaultSoftBound
	}
	if o.HardBound == 0 {
		o.HardBound = defaultHardBound
	}
	return o.pace().check()
}

// Pace is how often a follower polls and what it calls late, see [Options].
type Pace struct{ PollInterval, SoftBound, HardBound time.Duration }

func (o *Options) pace() *Pace { return &Pace{o.PollInterval, o.SoftBound, o.HardBound} }

func (p *Pace) check() error {
	if p.PollInterval < time.Millisecond {
		return fmt.Errorf("poll interval %v is below 1ms", p.PollInterval)
	}
	if p.SoftBound < 0 || p.SoftBound > p.HardBound {
		return fmt.Errorf("soft bound %v must not be above the hard bound %v", p.SoftBound, p.HardBound)
	}
	return nil
}

// Follower keeps a cache equal to a database. One loop serves start, poll and
// wake-up: poll, judge, apply, move on. Position and freshness move only after
// everything in a batch has been applied (I4); a poll that fails moves nothing
// and is repeated, and applying a change twice is harmless.
type Follower struct {
	opts     Options
	pace     atomic.Pointer[Pace]
	wake     chan struct{}
	position Position       // of the last complete poll; only run touches it
	identity cache.Identity // of the server that issued position
	failing  bool           // the last poll failed: log once, not each time
	timeouts int            // polls that ran out of time since the last that was complete
	probing  bool           // the poll under way only asks whether the server answers
	answers  bool           // it did, and the difference has not been read since
	resuming bool           // position and identity are those of an earlier process
	through  uint64         // transaction ids that the memory of that process may know of end here
	trusting bool           // the identity is not looked at; only a test does that
	refused  atomic.Pointer[refusal]
	last     atomic.Pointer[Position] // position, for Status
	reached  atomic.Pointer[reached]
	doubted  atomic.Bool // somebody has found memory to be wrong
}

// reached is a position that has been applied, and the server that issued it.
type reached struct {
	server   cache.Identity
	position Position
}

// Reached reports whether everything that a server had committed before one of
// its transactions began, which was committed itself, has been applied to the
// cache. It is false for any other server than the one that is followed: their
// transactions cannot be compared. Safe for concurrent use.
func (f *Follower) Reached(server cache.Identity, xid uint64) bool {
	r := f.reached.Load()
	return r != nil && r.server == server && r.position.Sees(xid)
}

// New returns a follower. It starts nothing.
func New(opts Options) (*Follower, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("blocksync: options: %w", err)
	}
	f := &Follower{opts: opts, wake: make(chan struct{}, 1)}
	f.pace.Store(opts.pace())
	opts.Metrics.observe(f)
	return f, nil
}

// SetPace changes how often is polled and what is called late; at once, also if
// the pause under way is a long one. An error changes nothing. Safe for concurrent
// use.
func (f *Follower) SetPace(p Pace) error {
	if err := p.check(); err != nil {
		return fmt.Errorf("blocksync: %w", err)
	}
	if *f.pace.Swap(&p) != p {
		f.Wake()
	}
	return nil
}

// Wake asks for a poll now instead of after the interval. It carries no truth:
// losing every wake-up costs latency and nothing else. Safe for concurrent use.
func (f *Follower) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Distrust has following start over at the next poll: everything in memory is
// suspect and read again, as if the server had changed. Safe for concurrent use.
func (f *Follower) Distrust() {
	f.doubted.Store(true)
	f.Wake()
}

// Run follows the feed until ctx ends; then it returns nil. No error of the
// database ends it: it backs off, keeps answering from the last good state, and
// shows the age of that. Call it once.
func (f *Follower) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	f.stage(ctx)
	backoff := f.pace.Load().PollInterval
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-f.wake:
		}
		err := f.poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		f.report(err)
		interval := f.pace.Load().PollInterval
		wait := interval
		if err != nil {
			backoff = min(2*backoff, max(maxBackoff, interval))
			wait = backoff
		} else {
			backoff = interval
		}
		timer.Reset(jitter(wait))
	}
}

// jitter varies a pause by 20 % either way.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5+1)
}

// poll takes one step: ask, judge, apply, move.
func (f *Follower) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	c := f.opts.Cache
	began := c.Now() // before the query: what was committed by now is in its snapshot (I2)
	wall := time.Now()
	batch, err := f.opts.Source.Poll(ctx, f.from())
	if err := f.weigh(err); err != nil {
		return err
	}
	if err := f.judge(&batch); err != nil {
		return err
	}
	f.measureClock(batch.Clock, wall)
	cause := f.discontinuity(&batch)
	if f.doubted.Swap(false) && cause == "" {
		cause = causeAudit
	}
	if cause != "" {
		f.startOver(&batch, began, cause)
	} else if f.resuming {
		f.opts.Warm.Accept()
		c.Resume(began, batch.Changes)
	} else {
		c.Apply(c.Epoch(), batch.Identity, batch.Changes)
		c.Fresh(began)
		f.opts.Metrics.observeDelays(batch.Changes, batch.Clock)
	}
	f.timeouts, f.probing, f.answers, f.resuming, f.through = 0, false, false, false, 0
	f.position = batch.Position
	f.last.Store(&batch.Position)
	f.reached.Store(&reached{batch.Identity, batch.Position})
	return nil
}

// triesBehind is how many polls run out of time before every second one only asks
// whether the server answers. If it does, and the difference still cannot be read
// after that, the difference is more than a poll can carry: asking for it again
// would take for ever. A server that is away for a while costs no new start.
const triesBehind = 3

var errBehind = errors.New("the server answers, but not what changed since the last poll")

// from is the position to ask from: nowhere, if this poll only asks for an answer.
func (f *Follower) from() Position {
	f.probing = f.timeouts >= triesBehind && !f.probing
	if f.probing {
		return Position{}
	}
	return f.position
}

// weigh looks at how a poll ended. It returns nil if its batch counts.
func (f *Follower) weigh(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.timeouts++
		f.answers = f.answers && !f.probing
	case err == nil && f.probing && !f.answers:
		f.answers = true
		return errBehind
	}
	return err
}

// measureClock compares the server's clock with ours at the middle of the poll.
func (f *Follower) measureClock(server time.Time, began time.Time) {
	if server.IsZero() {
		return
	}
	ahead := server.Sub(began.Add(time.Since(began) / 2))
	f.opts.Cache.SetClockOffset(ahead)
	f.opts.Metrics.clockOffset.Set(ahead.Seconds())
}

// discontinuity names why the batch does not continue our position, "" if it
// does: then, and only then, are its changes all that happened since.
func (f *Follower) discontinuity(b *Batch) string {
	switch {
	case f.position.IsZero():
		return causeStart
	case f.probing:
		return causeOverflow
	case b.Identity != f.identity && !f.trusting:
		return causeIdentity
	case b.Position.Xmax < max(f.position.Xmax, f.through):
		return causeRewound // a lost tail: transaction ids are used again
	case f.position.Xmin < b.MinXid:
		return causeTrimmed // the log no longer reaches back to us
	case b.Overflow:
		return causeOverflow
	}
	return ""
}

// startOver begins an epoch at the batch's position. What is in memory becomes
// suspect: it is answered from by its own age and read again.
func (f *Follower) startOver(b *Batch, began cache.Instant, cause string) {
	if f.resuming { // what is staged was never answered from: this is a cold start
		f.opts.Warm.Refuse(cause)
		cause = causeStart
	}
	f.opts.Cache.Reset(b.Identity, began)
	f.identity = b.Identity
	f.opts.Metrics.epochs[cause].Inc()
	if cause != causeStart {
		f.opts.Logger.Warn("following starts over: every list is read again", "cause", cause)
	}
}

// report counts and logs the end of a poll, errors when they begin and end.
func (f *Follower) report(err error) {
	m := f.opts.Metrics
	if err == nil {
		m.lastSuccess.SetToCurrentTime()
		if f.failing {
			m.reconnects.Inc()
			f.opts.Logger.Info("the database is followed again")
		}
		f.failing = false
		f.refused.Store(nil)
		return
	}
	var r *refusal
	if errors.As(err, &r) {
		f.refused.Store(r)
	}
	m.errors[causeOf(err)].Inc()
	if !f.failing {
		f.opts.Logger.Error("the database cannot be followed; answers come from memory and age", "error", err)
	}
	f.failing = true
}
