package filter

import (
	"reflect"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// countedWorld answers for one app in which bob blocks alice.
func countedWorld(t testing.TB) (f *Filter, m *Metrics, reg *prometheus.Registry) {
	w := newWorld(t, one)
	w.put(blockList(one, "bob"), false, entries("alice")...)
	reg = newRegistry()
	m = NewMetrics(reg)
	f = w.filterWith(Options{Apps: map[string]Policy{one: Default()}, Metrics: m})
	f.CanDeliver(Check{App: one, Sender: "alice", Recipient: "bob", RoomType: Group}) // the page is read
	return f, m, reg
}

// dropped is how many drops in direct rooms a scrape would show.
func dropped(t testing.TB, m *Metrics, reg *prometheus.Registry) float64 {
	t.Helper()
	if _, err := reg.Gather(); err != nil {
		t.Fatal(err)
	}
	return testutil.ToFloat64(m.decisions[APINative][Direct][outcomeDrop])
}

// TestAskersCountAlone: what a check writes lies in lines of the cache that belong
// to its asker alone, and no counter that all share is touched until somebody asks.
func TestAskersCountAlone(t *testing.T) {
	if size := reflect.TypeFor[Counts]().Size(); size != countsSize || size%128 != 0 {
		t.Errorf("Counts have %d bytes, want %d, in pairs of lines", size, countsSize)
	}
	f, m, reg := countedWorld(t)
	seen := map[uintptr]bool{}
	for range 100 {
		c := f.NewCounts()
		defer f.CloseCounts(c)
		at := reflect.ValueOf(c).Pointer()
		if at%128 != 0 || seen[at] {
			t.Fatalf("Counts begin at %#x, in the middle of a pair of lines", at)
		}
		seen[at] = true
		f.CanDeliver(Check{App: one, Sender: "alice", Recipient: "bob", RoomType: Direct, Counts: c})
	}
	if n := testutil.ToFloat64(m.decisions[APINative][Direct][outcomeDrop]); n != 0 {
		t.Errorf("%v checks have written to a counter that all share", n)
	}
	if n := dropped(t, m, reg); n != 100 {
		t.Errorf("a scrape shows %v decisions, want 100", n)
	}
}

// TestAskersAreCollected: a scrape shows every decision once, whether its asker is
// still there or has gone.
func TestAskersAreCollected(t *testing.T) {
	f, m, reg := countedWorld(t)
	c := f.NewCounts()
	check := Check{App: one, Sender: "alice", Recipient: "bob", RoomType: Direct, Counts: c}
	f.CanDeliver(check)
	f.CanDeliver(check)
	if n := dropped(t, m, reg); n != 2 {
		t.Errorf("%v decisions, want 2", n)
	}
	f.CanDeliver(check)
	f.CloseCounts(c)
	f.CloseCounts(c)
	f.CloseCounts(nil)
	if n := dropped(t, m, reg); n != 3 || len(m.askers.open) != 0 {
		t.Errorf("%v decisions after the asker has gone, want 3; %d askers are left", n, len(m.askers.open))
	}
	// Many decisions of one request are counted together, by their own door.
	other := check
	other.API = APIBatch
	f.CanDeliver(other)
	if n := testutil.ToFloat64(m.decisions[APIBatch][Direct][outcomeDrop]); n != 1 {
		t.Errorf("%v decisions of another door, want 1", n)
	}
}

// TestScrapesBesideAskers: nothing is lost or counted twice while all come and go.
func TestScrapesBesideAskers(t *testing.T) {
	f, m, reg := countedWorld(t)
	const askers, rounds, each = 8, 20, 50
	var asking, scraping sync.WaitGroup
	over := make(chan struct{})
	scraping.Go(func() {
		for last := 0.0; ; {
			select {
			case <-over:
				return
			default:
			}
			n := dropped(t, m, reg)
			if n < last {
				t.Errorf("a counter went from %v to %v", last, n)
			}
			last = n
		}
	})
	for range askers {
		asking.Go(func() {
			for range rounds {
				c := f.NewCounts()
				for range each {
					f.CanDeliver(Check{App: one, Sender: "alice", Recipient: "bob", RoomType: Direct, Counts: c})
				}
				f.CloseCounts(c)
			}
		})
	}
	asking.Wait()
	close(over)
	scraping.Wait()
	if n := dropped(t, m, reg); n != askers*rounds*each {
		t.Errorf("%v decisions, want %d", n, askers*rounds*each)
	}
}

// TestScrapeHoldsUpNoCheck: checks are counted while somebody holds the lock of the
// metrics for as long as they like.
func TestScrapeHoldsUpNoCheck(t *testing.T) {
	f, m, reg := countedWorld(t)
	c := f.NewCounts()
	defer f.CloseCounts(c)
	m.askers.mu.Lock()
	for range 2 * sampleEvery { // timed ones among them
		f.CanDeliver(Check{App: one, Sender: "alice", Recipient: "bob", RoomType: Direct, Counts: c})
	}
	if m.askers.mu.TryLock() {
		t.Error("the lock was not held: nothing was shown")
	}
	m.askers.mu.Unlock()
	if n := dropped(t, m, reg); n != 2*sampleEvery {
		t.Errorf("%v decisions, want %d", n, 2*sampleEvery)
	}
}
