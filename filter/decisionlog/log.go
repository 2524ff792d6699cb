package decisionlog

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// queueLength is how many records may wait to be written: enough for the largest
// fan-out there is, 10,000 recipients, if every one of them is an exception. A
// record waiting takes some 300 bytes, 1.3 kB at the most.
const queueLength = 1 << 14

// spareRecords is how many records are kept for use and reuse, half a megabyte of
// them: while no more are waiting, nothing is allocated.
const spareRecords = 1 << 10

// Options configure a [Log].
type Options struct {
	// Path is the file that lines are appended to; it is made with mode 0640 if it
	// is not there. A named pipe must have its reader. Required, unless Output is
	// set.
	Path string
	// Output is written to instead of a file. If it can be given a deadline, as
	// an [os.File] may, Run ends although nobody reads it.
	Output io.Writer
	// Sample is the share of plain deliveries that is recorded, from 0 to 1.
	Sample float64
	// Rate is the most records a second, with as many at once; 0 = no limit. Plain
	// deliveries get no more than leaves half of that for the rest.
	Rate int
	// Names names users and rooms. Required.
	Names *border.Names
	// Metrics counts records; nil counts where nobody looks.
	Metrics *Metrics
	// Logger hears when writing begins to fail and when it works again. Default
	// slog.Default().
	Logger *slog.Logger
}

// Log is a decision log. A nil *Log is one that is off.
type Log struct {
	opts    Options
	limit   *rate.Limiter // nil: there is none
	metrics *Metrics
	queue   chan *record
	spare   chan *record

	reopen atomic.Bool
	wake   chan struct{} // tells the writer of reopen while nothing is decided
	sink   sink
}

// New makes a log. It opens nothing and starts nothing.
func New(opts Options) (*Log, error) {
	switch {
	case (opts.Path == "") == (opts.Output == nil):
		return nil, errors.New("decision log: either a path or an output is required")
	case opts.Names == nil:
		return nil, errors.New("decision log: names are required")
	case !(opts.Sample >= 0 && opts.Sample <= 1):
		return nil, errors.New("decision log: the sample is a share from 0 to 1")
	case opts.Rate < 0:
		return nil, errors.New("decision log: the rate must not be negative")
	}
	if opts.Metrics == nil {
		opts.Metrics = NewMetrics(nil)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	l := &Log{
		opts: opts, metrics: opts.Metrics,
		queue: make(chan *record, queueLength), wake: make(chan struct{}, 1),
		spare: make(chan *record, spareRecords),
		sink:  sink{path: opts.Path, out: opts.Output, metrics: opts.Metrics, log: opts.Logger},
	}
	for range spareRecords {
		l.spare <- &record{text: make([]byte, 0, 128)}
	}
	if opts.Rate > 0 {
		l.limit = rate.NewLimiter(rate.Limit(opts.Rate), opts.Rate)
	}
	return l, nil
}

// Open opens the file. It comes before Run, so that a path that cannot be written
// to is an error of the start.
func (l *Log) Open() error { return l.sink.open() }

// Close closes the file of a log whose Run will not be called.
func (l *Log) Close() error { return l.sink.close() }

// Reopen closes the file and opens its path anew, before the next line is written:
// whoever has moved the file away finds nothing more in it.
func (l *Log) Reopen() {
	l.reopen.Store(true)
	select {
	case l.wake <- struct{}{}:
	default: // the writer has yet to look
	}
}

// Wants reports whether a decision is to be recorded: every one that is not a plain
// delivery, and a sample of those that are. It allocates nothing.
func (l *Log) Wants(d *filter.Decision) bool {
	return l != nil && (Exception(d) || l.opts.Sample > 0 && rand.Float64() < l.opts.Sample)
}

// Exception reports whether a decision is anything but a plain delivery, or would
// have been if its app enforced its policy.
func Exception(d *filter.Decision) bool {
	_, differs := d.Would()
	return differs || !d.Deliver || !d.Notify || d.Degraded
}

// About is what a record says besides the check and its decision.
type About struct {
	ID    ID           // zero: the record is given one
	Many  bool         // the request was about many, of which this is one:
	Index int          // its place among them
	Trace border.Trace // of the request
}

// Record queues the record of a decision, or counts it as dropped. It never waits
// and keeps nothing of what it is given. A nil log records nothing.
func (l *Log) Record(check *filter.Check, d *filter.Decision, about About) {
	if l == nil {
		return
	}
	now, plain := time.Now(), !Exception(d)
	if !l.allows(now, plain) {
		l.metrics.dropped[dropRate].Inc()
		return
	}
	if plain && len(l.queue) >= queueLength/2 {
		l.metrics.dropped[dropQueue].Inc()
		return
	}
	if about.ID.IsZero() {
		about.ID = NewID(now)
	}
	r := l.unused()
	r.fill(check, d, about)
	r.at = now
	select {
	case l.queue <- r:
	default:
		l.metrics.dropped[dropQueue].Inc()
		l.reuse(r)
	}
}

// allows reports whether the rate has room for one more record. Plain deliveries are
// by far the most and are a sample anyway: half of the burst, and of the queue, is
// not for them, so that no denial is lost for their sake.
func (l *Log) allows(now time.Time, plain bool) bool {
	if l.limit == nil {
		return true
	}
	if plain && l.limit.TokensAt(now) < float64(l.limit.Burst()/2+1) {
		return false
	}
	return l.limit.AllowN(now, 1)
}

// unused returns a record to be filled.
func (l *Log) unused() *record {
	select {
	case r := <-l.spare:
		return r
	default: // a burst
		return new(record)
	}
}

// reuse takes a record back.
func (l *Log) reuse(r *record) {
	select {
	case l.spare <- r:
	default: // it was made for a burst
	}
}
