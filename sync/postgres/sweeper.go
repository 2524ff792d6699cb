package postgres

import (
	"context"
	"log/slog"
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
}

// SweeperOptions configures a [Sweeper].
type SweeperOptions struct {
	Store  Upkeep       // required
	Logger *slog.Logger // nil = slog.Default()
	// Interval is the pause between looks for expired entries; 0 = 5 s. It is no
	// bound on how long a block lasts: decisions and lists look at the expiry
	// themselves. It is when the row goes and the interval becomes history.
	Interval time.Duration
	// Keep is how long the feed reaches back; 0 = 2 h. A sidecar that slept
	// longer reads its pages anew.
	Keep time.Duration
}

// Sweeper ends expired entries, trims the feed and forgets the keys of requests
// that count once. Any number of processes may
// run one on the same database.
type Sweeper struct {
	store          Upkeep
	logger         *slog.Logger
	interval, keep time.Duration

	failing bool
}

// NewSweeper makes a sweeper, which does nothing until [Sweeper.Run].
func NewSweeper(o SweeperOptions) *Sweeper {
	s := &Sweeper{store: o.Store, logger: o.Logger, interval: o.Interval, keep: o.Keep}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.interval <= 0 {
		s.interval = sweepInterval
	}
	if s.keep <= 0 {
		s.keep = trimKeep
	}
	return s
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
			_, err := s.store.Trim(ctx, s.keep)
			s.report(ctx, "trim the feed", err)
			s.report(ctx, "forget keys", s.drain(ctx, s.store.ForgetKeys))
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
