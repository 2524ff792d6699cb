package blocksync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// Incarnation is the database as an auditor uses it. BumpIncarnation gives it
// another identity, so that every process that follows it starts over.
type Incarnation interface {
	BumpIncarnation(ctx context.Context) error
}

// AuditOptions configure an [Auditor]. Follower and Metrics are required.
type AuditOptions struct {
	// Follower is the one whose cache is audited.
	Follower *Follower
	Metrics  *AuditMetrics
	// Incarnation is used when too much is wrong. If it is nil, which a process that
	// may not write leaves it, this process starts over alone.
	Incarnation Incarnation
	Logger      *slog.Logger // default: slog.Default()
	// Samples is how many pages are compared a second, see [Auditor.SetSamples].
	Samples float64
}

const (
	// maxSamples is the most samples a second.
	maxSamples = 100

	// suspectAfter pages that differ within the last suspectWithin samples, and the
	// whole cache is suspect: one is a fault in one place, three are not chance.
	suspectAfter  = 3
	suspectWithin = 1000
	// suspectPause is the least time between two new starts for that reason, and
	// bumpPause between those of the whole fleet: whatever makes lists differ again
	// and again must not have everything read again and again.
	suspectPause = 10 * time.Minute
	bumpPause    = time.Hour
	bumpTimeout  = 5 * time.Second

	// auditPending bounds the samples that wait for the feed to pass them, and with
	// it what they weigh. While the feed stands still none is added.
	auditPending = 32
	// auditPatience is how long samples give way to those who wait for a page: then
	// one is taken all the same.
	auditPatience = 10 * time.Second
	// auditJudge is how often is looked whether the feed has passed a sample.
	auditJudge = 100 * time.Millisecond
	// auditLook is how often is looked whether somebody still waits.
	auditLook = 5 * time.Millisecond
	// A database that fails or is slow is left alone for a while, each time longer.
	auditRetryMin = time.Second
	auditRetryMax = 30 * time.Second
	// renewTimeout is how long it may take to read a page again that is wrong.
	renewTimeout = 5 * time.Second
	// auditQuiet is the least time between two messages of what was found.
	auditQuiet = 10 * time.Second
)

// Auditor compares pages of memory, chosen at random, with the database, all the
// time. What differs is read again; if that is not one page alone, everything is.
// It is the last line: nothing that it finds should ever happen.
type Auditor struct {
	opts    AuditOptions
	cache   *cache.Cache
	samples atomic.Uint64 // float64 bits
	wake    chan struct{}

	// The rest is for the loop alone.
	pending []*cache.Sample
	retry   time.Duration // pause after the next failure
	late    time.Time     // when a sample was due that had to give way
	found   []uint64      // the samples, by number, that found something
	number  uint64        // of samples that were judged
	epoch   uint64        // that found is of
	quiet   time.Time     // until then nothing is logged
	silent  int           // findings that were not logged
	suspect time.Time     // when everything was last called suspect
	bumped  time.Time     // when the fleet last started over by our doing
}

// NewAuditor returns an auditor. It starts nothing.
func NewAuditor(opts AuditOptions) (*Auditor, error) {
	if opts.Follower == nil || opts.Metrics == nil {
		return nil, errors.New("blocksync: auditor: Follower and Metrics are required")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	a := &Auditor{opts: opts, cache: opts.Follower.opts.Cache, wake: make(chan struct{}, 1), retry: auditRetryMin}
	if err := a.SetSamples(opts.Samples); err != nil {
		return nil, err
	}
	return a, nil
}

// SetSamples changes how many pages are compared a second, 0 to 100; 0 = none. It is
// an upper bound: samples give way to those who wait for a page, stop while the
// database is slow or away, and not more than 32 are taken between two polls. Safe
// for concurrent use.
func (a *Auditor) SetSamples(perSecond float64) error {
	if !(perSecond >= 0 && perSecond <= maxSamples) {
		return fmt.Errorf("blocksync: %v samples a second are out of range: 0 to %d", perSecond, maxSamples)
	}
	a.samples.Store(math.Float64bits(perSecond))
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return nil
}

// Run takes samples until ctx ends; then it returns nil. Call it once.
func (a *Auditor) Run(ctx context.Context) error {
	due := time.Now().Add(jitter(a.pause()))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := time.Until(due)
		if len(a.pending) > 0 {
			wait = min(wait, auditJudge)
		}
		timer.Reset(max(0, wait))
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
			due = time.Now().Add(jitter(a.pause()))
			continue
		case <-timer.C:
		}
		a.judge(ctx)
		if !time.Now().Before(due) {
			due = time.Now().Add(jitter(a.take(ctx)))
		}
	}
}

// never is longer than any pause between two samples.
const never = 24 * time.Hour

// pause is the time between two samples.
func (a *Auditor) pause() time.Duration {
	perSecond := math.Float64frombits(a.samples.Load())
	if perSecond <= 1/never.Seconds() {
		return never
	}
	return time.Duration(float64(time.Second) / perSecond)
}

// take takes a sample and returns how long to wait before the next.
func (a *Auditor) take(ctx context.Context) time.Duration {
	pause := a.pause()
	if len(a.pending) == auditPending || pause == never {
		return pause // a feed that does not pass them leaves nothing to compare with
	}
	urgent := !a.late.IsZero() && time.Since(a.late) >= auditPatience
	s, err := a.cache.Sample(ctx, urgent)
	switch {
	case errors.Is(err, cache.ErrBusy):
		if a.late.IsZero() {
			a.late = time.Now()
		}
		return auditLook
	case errors.Is(err, cache.ErrNothingToSample):
		return pause
	case err != nil && ctx.Err() == nil:
		a.opts.Metrics.errors.Inc()
		a.late = time.Time{}
		wait := max(a.retry, pause)
		a.retry = min(2*a.retry, auditRetryMax)
		return wait
	case err == nil:
		a.late, a.retry = time.Time{}, auditRetryMin
		a.pending = append(a.pending, s)
	}
	return pause
}

// judge judges the samples that the feed has passed.
func (a *Auditor) judge(ctx context.Context) {
	waiting := a.pending[:0]
	for _, s := range a.pending {
		v, done := s.Judge()
		if !done {
			waiting = append(waiting, s)
			continue
		}
		a.weigh(ctx, s, &v)
	}
	clear(a.pending[len(waiting):]) // they hold pages
	a.pending = waiting
}

// weigh does what a verdict asks for.
func (a *Auditor) weigh(ctx context.Context, s *cache.Sample, v *cache.Verdict) {
	if !v.Judged {
		return
	}
	m := a.opts.Metrics
	m.samples.Inc()
	m.lastSuccess.SetToCurrentTime()
	a.number++
	torn := v.Wrong[cache.MismatchRows] > 0
	if !v.Right() {
		for how, lists := range v.Wrong {
			if lists > 0 {
				m.mismatches[how].Inc()
			}
		}
		a.tell(s, v)
	}
	if torn || v.Right() && !v.Outdated {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	if err := s.Renew(ctx); err != nil {
		m.errors.Inc()
	}
	if !v.Right() && a.tooMany() {
		a.distrust(ctx)
	}
}

// tell logs what was found, now and then. The page is named by the hashes of its
// owners: their ids are not kept in memory.
func (a *Auditor) tell(s *cache.Sample, v *cache.Verdict) {
	if time.Now().Before(a.quiet) {
		a.silent++
		return
	}
	differ := make([]string, 0, cache.Mismatches)
	for how, lists := range v.Wrong {
		if lists > 0 {
			differ = append(differ, fmt.Sprintf("%v=%d", cache.Mismatch(how), lists))
		}
	}
	reach := s.Reach()
	a.opts.Logger.Error("lists in memory are not what the database holds",
		"app", s.App(), "kind", s.Kind().String(), "lists", differ,
		"owner_hash_from", int64(reach.Lo), "owner_hash_to", int64(reach.Hi),
		"version_in_memory", v.Memory, "version_in_database", v.Database, "not_told", a.silent)
	a.quiet, a.silent = time.Now().Add(auditQuiet), 0
}

// tooMany notes that the present sample found something, and reports whether too
// many have lately. What was found before following last started over has been
// answered by that.
func (a *Auditor) tooMany() bool {
	if epoch := a.cache.Epoch(); epoch != a.epoch {
		a.epoch, a.found = epoch, nil
	}
	a.found = append(a.found, a.number)
	for a.found[0]+suspectWithin <= a.number {
		a.found = a.found[1:]
	}
	return len(a.found) >= suspectAfter
}

// distrust has everything read again: by all processes if this one may write and
// has not asked for it lately, else by this one.
func (a *Auditor) distrust(ctx context.Context) {
	now := time.Now()
	if !a.suspect.IsZero() && now.Sub(a.suspect) < suspectPause {
		return
	}
	a.suspect, a.found = now, nil
	m, log := a.opts.Metrics, a.opts.Logger
	if a.opts.Incarnation != nil && (a.bumped.IsZero() || now.Sub(a.bumped) >= bumpPause) {
		ctx, cancel := context.WithTimeout(ctx, bumpTimeout)
		defer cancel()
		err := a.opts.Incarnation.BumpIncarnation(ctx)
		if err == nil {
			a.bumped = now
			m.suspects[scopeFleet].Inc()
			log.Error("too many lists in memory are wrong; every process reads all lists again")
			a.opts.Follower.Wake()
			return
		}
		log.Error("too many lists in memory are wrong, and the other processes could not be told", "error", err)
	}
	m.suspects[scopeProcess].Inc()
	log.Error("too many lists in memory are wrong; this process reads all lists again")
	a.opts.Follower.Distrust()
}
