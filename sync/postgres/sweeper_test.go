package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/sync/postgres"
)

// upkeep is a store whose answers a test decides.
type upkeep struct {
	expire func(batch int) (int, error)
	trim   func(keep time.Duration) (int64, error)
	forget func(batch int) (int, error) // nil: there is nothing to forget
}

func (u upkeep) Expire(_ context.Context, batch int) (int, error)          { return u.expire(batch) }
func (u upkeep) Trim(_ context.Context, keep time.Duration) (int64, error) { return u.trim(keep) }

func (u upkeep) ForgetKeys(_ context.Context, batch int) (int, error) {
	if u.forget == nil {
		return 0, nil
	}
	return u.forget(batch)
}

// sweep runs a sweeper for a while of simulated time.
func sweep(t *testing.T, o postgres.SweeperOptions, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := postgres.NewSweeper(o).Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestSweeperEmptiesBatchesAndTrims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due, looks := 1234, 0
		var kept []time.Duration
		keys, forgets := 700, 0
		store := upkeep{
			forget: func(batch int) (int, error) {
				forgets++
				n := min(keys, batch)
				keys -= n
				return n, nil
			},
			expire: func(batch int) (int, error) {
				looks++
				n := min(due, batch)
				due -= n
				return n, nil
			},
			trim: func(keep time.Duration) (int64, error) { kept = append(kept, keep); return 0, nil },
		}
		sweep(t, postgres.SweeperOptions{Store: store, Keep: time.Hour}, 121*time.Second)
		if due != 0 || looks != 24+2 {
			t.Errorf("%d left after %d looks, want 24 turns and two more batches at the first", due, looks)
		}
		if keys != 0 || forgets != 3 {
			t.Errorf("%d keys left after %d calls, want two batches at the first minute and one look at the second", keys, forgets)
		}
		if len(kept) != 2 || kept[0] != time.Hour {
			t.Errorf("trimmed with %v", kept)
		}
	})
}

func TestSweeperGoesOnAndLogsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		turns := 0
		store := upkeep{
			expire: func(int) (int, error) {
				if turns++; turns <= 5 {
					return 0, errors.New("away")
				}
				return 0, nil
			},
			trim: func(time.Duration) (int64, error) { return 0, nil },
		}
		sweep(t, postgres.SweeperOptions{Store: store, Interval: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))}, 10500*time.Millisecond)
		if turns != 10 {
			t.Errorf("%d turns", turns)
		}
		if text := log.String(); strings.Count(text, "\n") != 2 || strings.Count(text, "away") != 1 {
			t.Errorf("logged:\n%s", text)
		}
	})
}

// Stopping is not a failure.
func TestSweeperStopsQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		store := upkeep{
			expire: func(int) (int, error) { cancel(); return 0, ctx.Err() },
			trim:   func(time.Duration) (int64, error) { return 0, nil },
		}
		s := postgres.NewSweeper(postgres.SweeperOptions{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err := s.Run(ctx); err != nil || log.Len() > 0 {
			t.Errorf("%v, logged %q", err, log.String())
		}
	})
}
