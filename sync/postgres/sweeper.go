package postgres

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// What the sweeper does if [SweeperOptions] says nothing else.
const (
	sweepInterval = 5 * time.Second
	sweepBatch    = 500
	trimInterval  = time.Minute
	trimKeep      = 2 * time.Hour
)

// Upkeep is what the sweeper needs; [*Store] has it.
type Upkeep interface {
	Expire(ctx context.Context, batch int) (int, error)
	Trim(ctx context.Context, keep time.Duration) (int64, error)
	ForgetKeys(ctx context.Context, batch int) (int, error)
	TrimHistory(ctx context.Context, app string, keep time.Duration, batch int) (int, error)
}

// Retention says how long is kept what is over.
type Retention struct {
	// Feed is how long the feed reaches back; 0 = 2 h. A sidecar that slept longer
	// reads its pages anew.
	Feed time.Duration
	// History is how long ended intervals are kept, by app; an app that is not here,
	// or has 0, keeps them for ever.
	History map[string]time.Duration
}

// SweeperOptions configures a [Sweeper].
type SweeperOptions struct {
	Store  Upkeep       // required
	Logger *slog.Logger // nil = slog.Default()
	// Interval is the pause between looks for expired entries; 0 = 5 s. It is no
	// bound on how long a block lasts: decisions and lists look at the expiry
	// themselves. It is when the row goes and the interval becomes history.
	Interval  time.Duration
	Retention Retention
}

// Sweeper ends expired entries, trims the feed and the history, and forgets the keys
// of requests that count once. Any number of processes may run one on the same
// database.
type Sweeper struct {
	store     Upkeep
	logger    *slog.Logger
	interval  time.Duration
	retention atomic.Pointer[Retention]

	failing bool
}

// NewSweeper makes a sweeper, which does nothing until [Sweeper.Run].
func NewSweeper(o SweeperOptions) *Sweeper {
	s := &Sweeper{store: o.Store, logger: o.Logger, interval: o.Interval}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.interval <= 0 {
		s.interval = sweepInterval
	}
	s.SetRetention(o.Retention)
	return s
}

// SetRetention changes how long is kept what is over, from the next minute on. The map
// must not be changed any more. Safe for concurrent use.
func (s *Sweeper) SetRetention(r Retention) {
	if r.Feed <= 0 {
		r.Feed = trimKeep
	}
	s.retention.Store(&r)
}

// Run sweeps until ctx ends and returns nil then. Failures are logged when they
// begin and when they end, and tried again at the next turn. Call it once.
func (s *Sweeper) Run(ctx context.Context) error {
	sweep, trim := time.NewTicker(s.interval), time.NewTicker(trimInterval)
	defer sweep.Stop()
	defer trim.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			s.report(ctx, "end expired entries", s.drain(ctx, s.store.Expire))
		case <-trim.C:
			kept := s.retention.Load()
			_, err := s.store.Trim(ctx, kept.Feed)
			s.report(ctx, "trim the feed", err)
			s.report(ctx, "forget keys", s.drain(ctx, s.store.ForgetKeys))
			s.trimHistory(ctx, kept.History)
		}
	}
}

func (s *Sweeper) trimHistory(ctx context.Context, history map[string]time.Duration) {
	for _, app := range slices.Sorted(maps.Keys(history)) {
		if keep := history[app]; keep > 0 {
			s.report(ctx, "trim history", s.drain(ctx, func(ctx context.Context, batch int) (int, error) {
				return s.store.TrimHistory(ctx, app, keep, batch)
			}))
		}
	}
}

// drain does everything that is due, batch by batch, so that no transaction
// holds much.
func (s *Sweeper) drain(ctx context.Context, due func(ctx context.Context, batch int) (int, error)) error {
	for ctx.Err() == nil {
		done, err := due(ctx, sweepBatch)
		if err != nil || done < sweepBatch {
			return err
		}
	}
	return nil
}

func (s *Sweeper) report(ctx context.Context, what string, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !s.failing:
		s.failing = true
		s.logger.WarnContext(ctx, "upkeep of the database fails", "doing", what, "error", err)
	case err == nil && s.failing:
		s.failing = false
		s.logger.InfoContext(ctx, "upkeep of the database works again")
	}
}
