package prober

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// The bounds of a [Prober].
const (
	// MaxTargets is how many targets are read at a time; the metrics have
	// series for each.
	MaxTargets = 64
	// MinInterval is the shortest time between two writes.
	MinInterval = 10 * time.Millisecond
)

// Prefix begins the id of every user that a prober writes.
const Prefix = "sidegate-probe-"

// Writer writes block lists of one app. Its errors wrap [ErrRefused] if nothing was
// stored for certain; after any other the write may have happened, or still may.
type Writer interface {
	// Block puts a target on a list until a moment.
	Block(ctx context.Context, owner, target string, until time.Time) (Written, error)
	// Unblock takes it off again; that it was not there is no error.
	Unblock(ctx context.Context, owner, target string) (Written, error)
}

// ErrRefused says of a write that it did not and will not happen.
var ErrRefused = errors.New("not written")

// Written is the acknowledgement of a write.
type Written struct {
	Changed  bool // the list is another one than before
	Revision string
}

// Target is a sidecar, which has to be one process.
type Target struct {
	// Name is for people and metrics: the number of names in the life of a
	// process must be bounded.
	Name string
	// Ask asks for a decision. It returns when ctx ends at the latest. Errors
	// that wrap ErrUnknown say that the target answered and did not know.
	Ask func(ctx context.Context, q Question) (Answer, error)
}

// ErrUnknown says that a target gave an answer without a decision.
var ErrUnknown = errors.New("the decision is unknown")

// Question asks whether the sender may write to the recipient.
type Question struct {
	Sender, Recipient string
	AtLeast           string // a revision; "" = none
}

// Answer is what a target decided.
type Answer struct {
	Blocked bool          // the sender stands on the recipient's list
	Age     time.Duration // at most this old by its own word; 0 = it said nothing
}

// Options configure a [Prober].
type Options struct {
	// Writer writes. Required.
	Writer Writer
	// Find returns the targets, at most MaxTargets. It is asked again every
	// FindEvery, if that is not 0. Required.
	Find      func(ctx context.Context) ([]Target, error)
	FindEvery time.Duration
	// Interval is the time between two writes, at least MinInterval.
	Interval time.Duration
	// Duration ends the run; 0 = when the context of Run ends.
	Duration time.Duration
	// Patient waits while targets are not found or lists cannot be written, instead
	// of failing.
	Patient bool
	// SoftBound returns the age, above 0, that an answer may have now without a
	// word. Required.
	SoftBound func() time.Duration
	// Settle is how long Run waits at the end for answers that have the last
	// writes; 0 = it does not.
	Settle time.Duration
	// Grace is how long a write that is under way at the end may take, and then
	// those that take away what is left. Above 0.
	Grace time.Duration
	// Metrics and Logger may be nil.
	Metrics *Metrics
	Logger  *slog.Logger
}

// Prober probes. [Prober.Report] may be called at any time; a Prober is run once.
type Prober struct {
	opts  Options
	clock time.Time // the zero of all durations here

	mu      sync.Mutex
	seat    *seat // nil while there is none
	left    []*seat
	changed chan struct{} // closed at every acknowledgement and every new seat
	targets map[string]*target
	order   []*target // all there ever were
	writes  Writes
	wrong   []Violation
}

// New makes a prober. It starts nothing.
func New(opts Options) (*Prober, error) {
	switch {
	case opts.Writer == nil || opts.Find == nil || opts.SoftBound == nil:
		return nil, errors.New("prober: a writer, targets and a soft bound are required")
	case opts.Interval < MinInterval:
		return nil, errors.New("prober: the interval is below its minimum of " + MinInterval.String())
	case opts.Grace <= 0:
		return nil, errors.New("prober: the grace is not above zero")
	}
	if opts.Metrics == nil {
		opts.Metrics = NewMetrics(nil)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Prober{opts: opts, clock: time.Now(), changed: make(chan struct{}), targets: map[string]*target{}}, nil
}

// now is the time on the prober's clock, which nobody can set.
func (p *Prober) now() time.Duration { return time.Since(p.clock) }

// Run probes until the duration is over or ctx ends. Afterwards no entry of the
// prober is on a list, unless the error says that. Other errors: the targets were
// not found, or, without Patient, no list could be written from the start.
func (p *Prober) Run(ctx context.Context) error {
	p.mu.Lock()
	p.clock = time.Now()
	p.mu.Unlock()
	if p.opts.Duration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, p.opts.Duration)
		defer stop()
	}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	crew := &readers{p: p, running: map[string]context.CancelFunc{}}
	defer crew.wait() // last: after stop
	defer stop()
	err := crew.find(ctx, reading)
	switch {
	case err == nil:
	case !p.opts.Patient:
		return err
	default:
		p.lament(ctx, err)
	}
	err = p.takeSeat(ctx)
	if err != nil && !p.opts.Patient && ctx.Err() == nil {
		return errors.Join(err, p.tidy(ctx))
	}
	p.probe(ctx, func() {
		if err := crew.find(ctx, reading); err != nil {
			p.lament(ctx, err)
		}
	})
	p.settle(ctx)
	stop()
	crew.wait()
	return p.tidy(ctx)
}

// probe writes at every tick until ctx ends.
func (p *Prober) probe(ctx context.Context, find func()) {
	tick := time.NewTicker(p.opts.Interval)
	defer tick.Stop()
	var look <-chan time.Time
	if p.opts.FindEvery > 0 {
		again := time.NewTicker(p.opts.FindEvery)
		defer again.Stop()
		look = again.C
	}
	for ctx.Err() == nil {
		p.write(ctx)
		select {
		case <-look:
			find()
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// lament says that targets were not found.
func (p *Prober) lament(ctx context.Context, err error) {
	if ctx.Err() == nil {
		p.opts.Logger.Warn("the targets of the probe were not found; those known before are read on", "error", err)
	}
}

// settle waits until every target shows the last writes, but not for ever. What is
// not there in time is reported as that. ctx may have ended.
func (p *Prober) settle(ctx context.Context) {
	if p.opts.Settle <= 0 {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Settle)
	defer stop()
	tick := time.NewTicker(minPause)
	defer tick.Stop()
	for !p.settled() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Prober) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.targets {
		if p.behind(t) {
			return false
		}
	}
	return true
}

// behind reports whether a target has yet to show a write. The caller holds the
// lock.
func (p *Prober) behind(t *target) bool {
	for i := range t.entries {
		if p.seat != nil && !t.shows(p.seat, i) {
			return true
		}
	}
	return false
}

// announce wakes the readers. The caller holds the lock.
func (p *Prober) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}
