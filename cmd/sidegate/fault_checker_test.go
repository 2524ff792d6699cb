package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// TestFaultCheckerFindsSkippedChanges: the judge of the fault tests would notice.
// A sidecar that leaves out each 50th change is found out: if it is left to the
// chain of versions to heal the list at its next change, and also if the changes
// that follow are mended, so that the program can tell only when that very entry
// changes again. The same sidecar without the fault is clean.
func TestFaultCheckerFindsSkippedChanges(t *testing.T) {
	t.Parallel()
	const soft = 50 * time.Millisecond
	for _, tc := range []struct {
		name        string
		every       int64 // 0 = nothing is skipped
		mend, found bool
	}{
		{name: "none"},
		{name: "each 50th", every: 50, found: true},
		{name: "each 50th, and the chain mended", every: 50, mend: true, found: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dsn := pgtest.Database(t)
			feed := &skipping{every: tc.every, mend: tc.mend, debts: map[string]*debt{}}
			s := insideSidecar(t, dsn, feed.over)
			w := newFaultWorld(t, dsn, soft, s)
			for range 3 {
				w.give(&sqlHand{world: w}, 20)
			}
			// The writers rest before each look: a write that is under way is not
			// recorded yet.
			var report history.Report
			for look := 0; look < 10 && len(report.Violations) == 0; look++ {
				w.begin()
				waitFor(t, "100 changes more", changesMore(feed, 100))
				w.quiet()
				report = w.judge()
			}
			seen := s.samples()
			t.Logf("%d changes, %d skipped, %v found by the chain, %v by the digest: %v", feed.seen.Load(), feed.skipped.Load(),
				seen["sidegate_sync_gaps_total"], seen["sidegate_digest_mismatches_total"], &report)
			if (len(report.Violations) > 0) != tc.found {
				t.Errorf("found %v", report.Violations)
			}
			for _, v := range report.Violations {
				if v.Kind != history.Stale {
					t.Errorf("a skipped change is %v", v)
				}
			}
			if skipped := feed.skipped.Load(); (skipped > 0) != (tc.every > 0) {
				t.Errorf("%d changes were skipped", skipped)
			}
		})
	}
}

func changesMore(feed *skipping, n int64) func() bool {
	goal := feed.seen.Load() + n
	return func() bool { return feed.seen.Load() >= goal }
}

// skipping is a feed that leaves changes out. Only the follower's goroutine
// polls it.
type skipping struct {
	blocksync.Source
	every         int64
	mend          bool
	seen, skipped atomic.Int64
	debts         map[string]*debt
}

// debt is how a list lags behind what its changes say of it.
type debt struct {
	version, instead int64 // who has the one should have the other
	size             int
	digest           uint64
}

func (s *skipping) over(source blocksync.Source) blocksync.Source {
	s.Source = source
	return s
}

func (s *skipping) Poll(ctx context.Context, from blocksync.Position) (blocksync.Batch, error) {
	batch, err := s.Source.Poll(ctx, from)
	if err != nil || s.every == 0 {
		s.seen.Add(int64(len(batch.Changes)))
		return batch, err
	}
	kept := batch.Changes[:0]
	for _, c := range batch.Changes {
		if s.seen.Add(1)%s.every == 0 {
			s.skipped.Add(1)
			s.skip(&c)
			continue
		}
		if s.mend {
			s.patch(&c)
		}
		kept = append(kept, c)
	}
	batch.Changes = kept
	return batch, nil
}

// skip notes what the list does not get.
func (s *skipping) skip(c *cache.Change) {
	d := s.debts[c.Owner]
	if d == nil {
		d = &debt{version: c.Prev, instead: c.Prev}
		s.debts[c.Owner] = d
	}
	if d.version != c.Prev {
		d.instead = c.Prev // something was applied since the last debt
	}
	d.version = c.Version
	for _, e := range c.Entries {
		d.digest ^= cache.EntryDigest(e)
		if c.Op == cache.OpAdd {
			d.size++
		} else {
			d.size--
		}
	}
}

// patch makes the change follow what the list holds.
func (s *skipping) patch(c *cache.Change) {
	d := s.debts[c.Owner]
	if d == nil {
		return
	}
	if c.Prev == d.version {
		c.Prev = d.instead
	}
	c.Size -= d.size
	c.Digest ^= d.digest
}

// insideSidecar runs the program within the test, with a feed of the test's over
// that of the database. It
// has no api listener: who writes by the API of a sidecar brings the change to
// its memory without the feed.
func insideSidecar(t *testing.T, dsn string, over func(blocksync.Source) blocksync.Source) *sidecar {
	t.Helper()
	cfg, err := config.Load(config.Source{Environ: []string{
		"SIDEGATE_POSTGRES_URL=" + dsn, "SIDEGATE_CHECK_LISTEN=127.0.0.1:0", "SIDEGATE_API_LISTEN=", "SIDEGATE_OPS_LISTEN=127.0.0.1:0",
		"SIDEGATE_SYNC_POLL_INTERVAL=10ms", "SIDEGATE_SYNC_SOFT_BOUND=50ms",
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s, err := buildSidegate(t.Context(), cfg, log, open{})
	if err != nil {
		t.Fatal(err)
	}
	s.follower, err = blocksync.New(blocksync.Options{
		Source: over(s.store), Cache: s.cache, Metrics: blocksync.NewMetrics(prometheus.NewRegistry()), Logger: log,
		PollInterval: cfg.Sync.PollInterval, SoftBound: cfg.Sync.SoftBound, HardBound: cfg.Sync.HardBound,
		MinSchema: postgres.SchemaVersion, MaxSchema: postgres.SchemaVersion,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the program ended with %v", err)
		}
	})
	urls := map[string]string{}
	for door, addresses := range s.status().Listeners {
		urls[door] = "http://" + addresses[0]
	}
	return newSidecar(&process{t: t}, urls).ready()
}
