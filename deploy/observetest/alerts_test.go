package observetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/deploy/observetest/harness"
)

// traffic asks both processes for decisions, and the node for a list, until the
// function that it returns is called. What is answered is not its business.
func traffic(w *harness.World) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	for n := range 8 {
		done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, _ = w.Sidecar.Check("alice", "bob")
				_, _ = w.Node.Check("alice", fmt.Sprintf("bob-%d", n))
				_, _ = w.Node.Lists(fmt.Sprintf("carol-%d", n))
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	return func() { cancel(); done.Wait() }
}

// TestPostgresDies is the outage that everything is built for: what is warned of,
// in the order of time, and that it is over when Postgres is back.
func TestPostgresDies(t *testing.T) {
	w := harness.Shared(t)
	p := w.Prometheus
	calm(t, w)
	if status, err := w.Node.Block("bob", "alice"); err != nil || status != 201 {
		t.Fatalf("block: %d, %v", status, err)
	}
	defer traffic(w)()
	p.WaitQuery(t, `sidegate:decisions_denied:ratio_rate30m > 0`)

	killed := time.Now()
	if err := w.Postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	fires := func(name string, of ...*harness.Sidecar) {
		t.Helper()
		a := p.WaitFiring(t, name, of...)
		t.Logf("%s fires after %v: %s", name, time.Since(killed).Round(time.Second), a.Annotations["summary"])
	}
	fires("SidegateFreshnessBurn")
	fires("SidegateNotSynced", w.Sidecar) // its memory is older than it may be
	fires("SidegateFailOpenActive")
	fires("SidegateSyncStalled", w.Node, w.Sidecar)
	a := p.WaitFiring(t, "SidegateNotSynced", w.Sidecar)
	if !strings.Contains(a.Annotations["description"], "but stale.") {
		t.Errorf("the description does not name the state: %s", a.Annotations["description"])
	}
	if status, err := w.Node.Check("alice", "bob"); err != nil || status != 200 {
		t.Errorf("the node, whose memory is within its bound, answers %d, %v", status, err)
	}

	back := time.Now()
	if err := w.Postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SidegateNotSynced", "SidegateSyncStalled", "SidegateFailOpenActive", "SidegateFreshnessBurn"} {
		p.WaitClear(t, "page", name)
		t.Logf("%s is clear %v after Postgres came back", name, time.Since(back).Round(time.Second))
	}
}

// calm waits until nothing pages, so that what a test sees is its own doing.
func calm(t *testing.T, w *harness.World) {
	t.Helper()
	for _, s := range w.Sidecars() {
		s.Started(t)
	}
	harness.WaitFor(t, "nothing pages", func() bool {
		all, err := w.Prometheus.Alerts()
		for _, a := range all {
			if a.Labels["severity"] == "page" {
				return false
			}
		}
		up, upErr := w.Prometheus.Query(`sidegate_sync_state{state="synced"} == 1`)
		return err == nil && upErr == nil && len(up) == len(w.Sidecars())
	})
}

// TestPostgresHangs: connections stay open and nobody answers. Callers wait for a
// connection and give up.
func TestPostgresHangs(t *testing.T) {
	w := harness.Shared(t)
	calm(t, w)
	defer traffic(w)()
	if err := w.Postgres.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := w.Prometheus.WaitFiring(t, "SidegateDBPoolSaturated", w.Node)
	t.Log(a.Annotations["description"])
	if a.Labels["pool"] == "sync" {
		t.Errorf("it fires for the follower's own connection: %v", a.Labels)
	}
	if err := w.Postgres.Thaw(); err != nil {
		t.Fatal(err)
	}
	w.Prometheus.WaitClear(t, "", "SidegateDBPoolSaturated")
}

// TestABadFileIsReloaded: the process says so and goes on with the old one.
func TestABadFileIsReloaded(t *testing.T) {
	w := harness.Shared(t)
	calm(t, w)
	good, err := os.ReadFile(w.Node.File)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text string) {
		t.Helper()
		if err := os.WriteFile(w.Node.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.Node.Signal(t, syscall.SIGHUP)
	}
	reload(string(good) + "chekc: {}\n")
	w.Prometheus.WaitFiring(t, "SidegateConfigReloadFailed", w.Node)
	if status, err := w.Node.Check("alice", "nobody"); err != nil || status != 200 {
		t.Errorf("with the old configuration: %d, %v", status, err)
	}
	reload(string(good))
	w.Prometheus.WaitClear(t, "", "SidegateConfigReloadFailed")
}

// TestAProcessIsKilled and comes back at its address.
func TestAProcessIsKilled(t *testing.T) {
	w := harness.Shared(t)
	calm(t, w)
	w.Sidecar.Kill(t)
	w.Prometheus.WaitFiring(t, "SidegateScrapeMissing", w.Sidecar)
	if others, err := w.Prometheus.Firing("SidegateAllMissing"); err != nil || len(others) > 0 {
		t.Errorf("one of two is there, and %v fires (%v)", others, err)
	}
	w.Sidecar.Restart(t)
	w.Prometheus.WaitClear(t, "", "SidegateScrapeMissing")
}

// TestTheSchemaIsTooOld: a step is taken back under processes that run. They do
// not follow what they do not understand, and go on when it is made again.
func TestTheSchemaIsTooOld(t *testing.T) {
	w := harness.Shared(t)
	calm(t, w)
	if err := w.Migrate("down"); err != nil {
		t.Fatal(err)
	}
	a := w.Prometheus.WaitFiring(t, "SidegateMigrationPending", w.Sidecars()...)
	t.Log(a.Annotations["description"])
	if err := w.Migrate("up"); err != nil {
		t.Fatal(err)
	}
	w.Prometheus.WaitClear(t, "", "SidegateMigrationPending", "SidegateNotSynced")
}

// TestEveryRuleIsEvaluated, on what real processes export.
func TestEveryRuleIsEvaluated(t *testing.T) {
	w := harness.Shared(t)
	calm(t, w)
	defer traffic(w)()
	for _, record := range []string{
		"sidegate:sync_age:seconds", "sidegate:sync_stale:bool", "sidegate:db_pool_use:ratio", "sidegate:cache_hits:ratio_rate10m",
		"sidegate:decisions_denied:ratio_rate30m", `slo:sli_error:ratio_rate5m{sloth_slo="decisions"}`, `slo:sli_error:ratio_rate5m{sloth_slo="freshness"}`,
		`slo:sli_error:ratio_rate5m{sloth_slo="latency"}`, "slo:period_error_budget_remaining:ratio",
	} {
		w.Prometheus.WaitQuery(t, record)
	}
	harness.WaitFor(t, "every rule was evaluated", func() bool {
		wrong, loaded, err := w.Prometheus.Unhealthy()
		if err == nil && loaded > 60 && len(wrong) == 0 {
			return true
		}
		for _, line := range wrong {
			if !strings.Contains(line, " is unknown: ") { // not evaluated yet
				t.Fatal(line)
			}
		}
		return false
	})
	// An age of a process that polls ten times a second is not that of the scrape.
	if ages := w.Prometheus.WaitQuery(t, "sidegate:sync_age:seconds"); len(ages) != len(w.Sidecars()) {
		t.Errorf("the ages are %v", ages)
	}
}

// TestMetricsAreClean: promtool finds nothing to say about a live scrape.
func TestMetricsAreClean(t *testing.T) {
	w := harness.Shared(t)
	promtool := harness.NeedTool(t, "promtool", "prometheus")
	for _, s := range w.Sidecars() {
		status, text := s.Get(t, "ops", "/metrics")
		cmd := exec.Command(promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || status != 200 || len(out) > 0 {
			t.Errorf("%s: %d, %v: %s", s.Name, status, err, out)
		}
	}
}
