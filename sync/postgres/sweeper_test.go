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
	// history is asked to trim; nil: there is nothing to trim.
	history func(app string, keep time.Duration, batch int) (int, error)
}

func (u upkeep) Expire(_ context.Context, batch int) (int, error)          { return u.expire(batch) }
func (u upkeep) Trim(_ context.Context, keep time.Duration) (int64, error) { return u.trim(keep) }

func (u upkeep) ForgetKeys(_ context.Context, batch int) (int, error) {
	if u.forget == nil {
		return 0, nil
	}
	return u.forget(batch)
}

func (u upkeep) TrimHistory(_ context.Context, app string, keep time.Duration, batch int) (int, error) {
	if u.history == nil {
		return 0, nil
	}
	return u.history(app, keep, batch)
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
		sweep(t, postgres.SweeperOptions{Store: store, Retention: postgres.Retention{Feed: time.Hour}}, 121*time.Second)
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

// History goes where an app says for how long it is kept; new settings hold from the
// next minute on.
func TestSweeperTrimsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due, minutes := map[string]int{"a": 700, "b": 3, "kept": 5}, 0
		var s *postgres.Sweeper
		s = postgres.NewSweeper(postgres.SweeperOptions{
			Store: upkeep{
				expire: func(int) (int, error) { return 0, nil },
				trim: func(keep time.Duration) (int64, error) {
					if minutes++; minutes == 2 {
						if due["a"] != 0 || due["b"] != 3 || keep != 2*time.Hour {
							t.Errorf("after a minute: %v, and the feed is kept for %v", due, keep)
						}
						s.SetRetention(postgres.Retention{History: map[string]time.Duration{"b": time.Minute}})
					}
					return 0, nil
				},
				history: func(app string, keep time.Duration, batch int) (int, error) {
					if keep != map[string]time.Duration{"a": time.Hour, "b": time.Minute}[app] {
						t.Errorf("%s is kept for %v", app, keep)
					}
					n := min(due[app], batch)
					due[app] -= n
					return n, nil
				},
			},
			Retention: postgres.Retention{History: map[string]time.Duration{"a": time.Hour, "kept": 0}},
		})
		ctx, cancel := context.WithTimeout(t.Context(), 190*time.Second)
		defer cancel()
		if err := s.Run(ctx); err != nil || due["b"] != 0 || due["kept"] != 5 {
			t.Errorf("%v, %v", due, err)
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
