package filter

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/cache"
)

// limit bounds the page reads of a world.
func (w *world) limit(l cache.LoadLimits) {
	w.t.Helper()
	if err := w.cache.SetLoadLimits(l); err != nil {
		w.t.Fatal(err)
	}
}

// TestNoHitWaitsWhileMissesDrown: while the database hangs, and far more is missed
// than may wait for it, what is in memory is decided without a wait: by the clock of
// the bubble, which stands still unless everybody waits, and by the counter.
func TestNoHitWaitsWhileMissesDrown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pages, held, rounds = 40, 4, 100
		w, f, checks := manyPages(t, pages)
		hits, misses := checks[:held], checks[held:]
		decisions := make([]Decision, held)
		f.Batch(hits, decisions) // from now on in memory
		w.limit(cache.LoadLimits{Queue: 8})
		w.hook = func(ctx context.Context, _ string, _ cache.Kind, _ cache.Range) error {
			<-ctx.Done()
			return ctx.Err()
		}
		waits := func() float64 { return testutil.ToFloat64(f.metrics.waits[waitMissing]) }
		before := waits()
		var drowning sync.WaitGroup
		for range 10 {
			for _, check := range misses {
				drowning.Go(func() {
					if d := f.CanDeliver(check); d.Cause != CauseNotLoaded {
						t.Errorf("a miss was answered %+v", d)
					}
				})
			}
		}
		synctest.Wait()
		missed := waits()
		if n := missed - before; n != 10*(pages-held) {
			t.Errorf("%v waits are counted, want one for each miss", n)
		}
		begun := time.Now()
		for range rounds {
			for i, check := range hits {
				wantDecision(t, "a hit", f.CanDeliver(check), plain)
				decisions[i] = Decision{}
			}
			f.Batch(hits, decisions)
			for _, d := range decisions {
				wantDecision(t, "a hit of a batch", d, plain)
			}
		}
		if d := time.Since(begun); d != 0 || waits() != missed {
			t.Errorf("hits waited %v, and %v of them are counted as having waited", d, waits()-missed)
		}
		drowning.Wait()
		if d := time.Since(begun); d > DefaultLoadTimeout {
			t.Errorf("the last miss was answered after %v", d)
		}
	})
}

// TestARefusedReadTellsNothing: who asks at a moment at which nothing can be read
// is told at once, as on_unknown says, and the same whether or not the recipient
// has blocked the sender.
func TestARefusedReadTellsNothing(t *testing.T) {
	for policy := OnUnknownError; policy <= OnUnknownWithhold; policy++ {
		synctest.Test(t, func(t *testing.T) {
			names := []string{"spends", "blocks", "does-not"}
			apps := make(map[string]Policy)
			for _, name := range names {
				p := Default()
				p.OnUnknown = policy
				apps[name] = p
			}
			w := newWorld(t, names...)
			w.put(ListID{App: "blocks", Kind: cache.KindBlock, Owner: "bob"}, false, cache.Entry{Target: "alice"})
			f := w.filter(apps)
			w.limit(cache.LoadLimits{Rate: 1, Burst: 1})
			check := direct("alice", "bob")
			check.App = "spends"
			wantDecision(t, "the one token", f.CanDeliver(check), plain)
			begun := time.Now()
			var told [2]Decision
			for i, name := range names[1:] {
				check.App = name
				told[i] = f.CanDeliver(check)
			}
			if told[0] != told[1] || told[0].Cause != CauseNotLoaded || time.Since(begun) != 0 {
				t.Errorf("on_unknown %v: %+v for a blocked sender and %+v for another, after %v",
					policy, told[0], told[1], time.Since(begun))
			}
			if told[0].Deliver != (policy == OnUnknownDeliver) {
				t.Errorf("on_unknown %v: %+v", policy, told[0])
			}
			if n := len(w.loads); n != 1 {
				t.Errorf("%d pages were read, want 1", n)
			}
		})
	}
}

// TestABatchLeavesRoomForChecks: what a batch misses takes no more than half of the
// time for which tokens are given out ahead, so that a check beside it gets one.
// Eight checks instead of a batch of eight leave none.
func TestABatchLeavesRoomForChecks(t *testing.T) {
	for name, together := range map[string]bool{"a batch": true, "as many checks": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, f, checks := manyPages(t, 9)
				w.limit(cache.LoadLimits{Rate: 20, Burst: 1})
				var wg sync.WaitGroup
				if many := checks[:8]; together {
					wg.Go(func() { f.Batch(many, make([]Decision, len(many))) })
				} else {
					for _, check := range many {
						wg.Go(func() { f.CanDeliver(check) })
					}
				}
				synctest.Wait()
				if d := f.CanDeliver(checks[8]); (d == plain) != together {
					t.Errorf("the check beside them: %+v", d)
				}
				wg.Wait()
			})
		})
	}
}
