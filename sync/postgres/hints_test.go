package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
)

// hinted runs hints of a store until the test ends. woken gets an element for
// each time that a poll was asked for, and never blocks.
func hinted(t *testing.T, store *postgres.Store, wake func()) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewRegistry()
	hints, err := postgres.NewHints(postgres.HintOptions{Store: store, Wake: wake, Metrics: postgres.NewHintMetrics(reg)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := hints.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return reg
}

func counted(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

const (
	hintsSent  = "sidegate_sync_hints_sent_total"
	hintsHeard = "sidegate_sync_hints_received_total"

	listening = `select exists (select from pg_stat_activity where datname = current_database() and query = 'listen sidegate_hint')`
)

// A write asks the others for a poll, and every door is heard.
func TestHintAfterAWrite(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	writer, reader := make(chan struct{}, 1000), make(chan struct{}, 1000)
	sender := hinted(t, f.Store, func() { writer <- struct{}{} })
	heard := hinted(t, openStore(t, f.dsn), func() { reader <- struct{}{} })
	<-writer // both listen, and have polled for what they were not told
	<-reader
	for name, write := range map[string]func() error{
		"one entry":   func() error { _, err := f.Edit(t.Context(), add("bob", "alice")); return err },
		"two entries": func() error { _, err := f.Edit(t.Context(), add("bob", "x", "y")); return err },
		"removal": func() error {
			_, err := f.Edit(t.Context(), filter.Edit{List: blockList("bob"), Remove: []string{"x"}})
			return err
		},
		"mode": func() error {
			_, err := f.SetAllowlistMode(t.Context(), filter.ModeChange{App: "default", Owners: []string{"bob"}, On: true})
			return err
		},
		"import": func() error {
			_, err := f.Import(t.Context(), filter.Import{App: "default", Mode: filter.ImportLists,
				Records: []filter.Record{{Kind: cache.KindBlock, Owner: "carl", Target: "dora"}}})
			return err
		},
	} {
		if err := write(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		select {
		case <-reader:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: no hint was heard", name)
		}
	}
	if counted(t, sender, hintsHeard) != 0 || counted(t, heard, hintsHeard) == 0 || counted(t, sender, hintsSent) == 0 {
		t.Errorf("heard by the writer itself %v, by the other %v", counted(t, sender, hintsHeard), counted(t, heard, hintsHeard))
	}
}

// However much is written, hints are few: the gap bounds them.
func TestStormOfWritesSendsFewHints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	reg := hinted(t, f.Store, func() {})
	begun := time.Now()
	var done atomic.Int64
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 60 {
				if _, err := f.Edit(t.Context(), add(fmt.Sprint("o", w), fmt.Sprint("t", i))); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	sent := counted(t, reg, hintsSent)
	if sent == 0 || sent > float64(time.Since(begun)/(10*time.Millisecond))+1 {
		t.Errorf("%d writes in %v sent %v hints", done.Load(), time.Since(begun), sent)
	}
}

// Without a single hint, and with a listening connection that dies again and
// again, following sees everything: the poll is the guarantee.
func TestLosingEveryHint(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	reader := openStore(t, f.dsn)
	c, err := cache.New(cache.Options{MaxBytes: 1 << 20, Apps: []string{"default"}, Loader: reader, Sizer: reader,
		LoadTimeout: time.Second, Metrics: cache.NewMetrics(prometheus.NewRegistry())})
	if err != nil {
		t.Fatal(err)
	}
	follower, err := blocksync.New(blocksync.Options{Source: reader, Cache: c, Metrics: blocksync.NewMetrics(prometheus.NewRegistry()),
		PollInterval: 5 * time.Millisecond, MinSchema: postgres.SchemaVersion, MaxSchema: postgres.SchemaVersion})
	if err != nil {
		t.Fatal(err)
	}
	reg := hinted(t, reader, follower.Wake) // the writer sends none
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = follower.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	f.waitUntil(listening)
	f.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen sidegate_hint'`)
	for i := range 20 {
		f.edit(add("bob", fmt.Sprint("t", i)))
	}
	last := one[string](f, `select pg_current_xact_id()::text`)
	identity := f.edit(add("bob", "last")).Identity
	var xid uint64
	fmt.Sscan(last, &xid)
	waiting, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for !follower.Reached(identity, xid) {
		if waiting.Err() != nil {
			t.Fatal("what was written was never seen")
		}
		one[bool](f, `select true`)
	}
	if n := counted(t, reg, hintsHeard); n != 0 {
		t.Errorf("%v hints were heard, the test shows nothing", n)
	}
	f.waitUntil(listening) // and it listens again
}

func TestHintsNeedTheirParts(t *testing.T) {
	t.Parallel()
	if _, err := postgres.NewHints(postgres.HintOptions{}); err == nil {
		t.Error("hints without a store")
	}
}
