package postgres

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// auditPause is the shortest pause between two pieces, and a piece is followed by
	// at least auditRest times as long as it took: a round that is late takes no more
	// than a fifth of one connection.
	auditPause = 100 * time.Millisecond
	auditRest  = 4
	// auditLook is the longest time for which a process does not look how the rounds
	// stand, which others may work on.
	auditLook = 30 * time.Second
	// auditFirst is the longest pause before the first look: a start has other things
	// to do.
	auditFirst = 5 * time.Second
	// auditFailed is the pause after a failure.
	auditFailed = 5 * time.Second
	// auditLines is how many damaged lists of a round a process names in its log.
	auditLines = 20
)

// Auditing is what the auditor needs; [*Store] has it.
type Auditing interface {
	AuditTurn(ctx context.Context, period time.Duration, repair bool) (AuditTurn, error)
}

// AuditSettings say how the database is audited.
type AuditSettings struct {
	Period time.Duration // in which everything is compared once; 0 = there is no audit
	Repair bool          // what differs is repaired, and not only reported
}

// AuditorOptions configure an [Auditor]. Store and Metrics are required.
type AuditorOptions struct {
	Store    Auditing
	Metrics  *AuditMetrics
	Logger   *slog.Logger           // nil = slog.Default()
	Name     func(id string) string // how the log names a user; nil = not at all
	Settings AuditSettings
}

// Auditor audits the database piece by piece, for ever. Any number of processes may
// run one on the same database: each piece is done by whoever comes first.
type Auditor struct {
	store    Auditing
	metrics  *AuditMetrics
	logger   *slog.Logger
	name     func(id string) string
	settings atomic.Pointer[AuditSettings]
	changed  chan struct{} // holds one element while new settings have not been seen

	failing bool
	round   time.Time // that the lines belong to
	lines   int       // logged of it
	ended   time.Time // when the last round did that was reported, or when this process began
}

// NewAuditor makes an auditor, which does nothing until [Auditor.Run].
func NewAuditor(o AuditorOptions) (*Auditor, error) {
	if o.Store == nil || o.Metrics == nil {
		return nil, errors.New("postgres: auditor: a store and metrics are required")
	}
	a := &Auditor{store: o.Store, metrics: o.Metrics, logger: o.Logger, name: o.Name, changed: make(chan struct{}, 1)}
	if a.logger == nil {
		a.logger = slog.Default()
	}
	if a.name == nil {
		a.name = func(string) string { return "" }
	}
	a.Set(o.Settings)
	return a, nil
}

// Set changes the settings, at once. Safe for concurrent use.
func (a *Auditor) Set(s AuditSettings) {
	a.settings.Store(&s)
	a.metrics.period.Set(s.Period.Seconds())
	select {
	case a.changed <- struct{}{}:
	default: // there are newer ones already to be seen
	}
}

// Run audits until ctx ends and returns nil then. Failures are logged when they begin
// and when they end; what was done before stays done. Call it once.
func (a *Auditor) Run(ctx context.Context) error {
	a.ended = a.metrics.begin()
	timer := time.NewTimer(min(auditFirst, a.settings.Load().Period/100))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-a.changed:
		}
		wait := auditLook
		if s := a.settings.Load(); s.Period > 0 {
			wait = a.turn(ctx, *s)
		}
		timer.Reset(wait + rand.N(wait/10+1))
	}
}

// turn takes one turn and returns how long to wait for the next.
func (a *Auditor) turn(ctx context.Context, s AuditSettings) time.Duration {
	began := time.Now()
	turn, err := a.store.AuditTurn(ctx, s.Period, s.Repair)
	took := time.Since(began)
	switch {
	case ctx.Err() != nil:
		return auditFailed
	case err != nil:
		if !a.failing {
			a.logger.WarnContext(ctx, "the audit of the database fails", "error", err)
		}
		a.failing = true
		return auditFailed
	case a.failing:
		a.failing = false
		a.logger.InfoContext(ctx, "the audit of the database works again")
	}
	a.metrics.count(&turn)
	a.report(ctx, &turn)
	if turn.Wait > 0 {
		return min(turn.Wait, auditLook)
	}
	return max(auditPause, auditRest*took)
}

// report writes what an operator has to know: each damaged list, as far as they are
// few, and how a round ended that found any.
func (a *Auditor) report(ctx context.Context, turn *AuditTurn) {
	if turn.Round != nil && !turn.Round.Began.Equal(a.round) {
		a.round, a.lines = turn.Round.Began, 0
	}
	for _, d := range turn.Damage {
		if a.lines++; a.lines > auditLines {
			break
		}
		if d.Reason == DamageLimit {
			a.logger.WarnContext(ctx, "a list has more entries than any may have; all of them count",
				"app", d.App, "kind", d.Kind, "owner", a.name(d.Owner), "size", d.Size, "rows", d.Rows)
			continue
		}
		a.logger.ErrorContext(ctx, "the database was changed behind its triggers: a list is not what its header says",
			"app", d.App, "kind", d.Kind, "owner", a.name(d.Owner), "size", d.Size, "rows", d.Rows,
			"reason", d.Reason, "repaired", d.Repaired)
	}
	if turn.StartedOver {
		a.logger.ErrorContext(ctx, "lists of the database were set back, as by a restore; every list is read again everywhere")
	}
	// Of a round that ended before this process began, others have told.
	r := turn.Round
	if r == nil || !r.Ended.After(a.ended) {
		return
	}
	a.ended = r.Ended
	if r.Damaged+r.Oversize > 0 {
		a.logger.WarnContext(ctx, "a round of the audit has found damage", "lists", r.Lists, "damaged", r.Damaged,
			"repaired", r.Repaired, "oversize", r.Oversize)
	}
}
