package observetest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidegate/sidegate/deploy/observetest/harness"
)

// step is between the points of a picture: no sample of a rule falls between two.
const step = harness.ScrapeInterval / 2

// TestDashboards: every expression that is shipped speaks of what there is, this
// Prometheus takes it, and every query of every panel has an answer that is a
// number: in health, where many a picture shows zero, and after Postgres was away.
func TestDashboards(t *testing.T) {
	w := harness.Shared(t)
	begin := time.Now()
	w.Prometheus.WaitQuery(t, `count(sidegate_sync_state{state="synced"} == 1) == 2`) // a rate begins at what was scraped first
	traffic(t, w, "before")
	waitForRates(t, w, begin)
	healthy := time.Now()
	t.Run("health", func(t *testing.T) { panelsAnswer(t, w, begin, healthy) })

	outage(t, w)
	traffic(t, w, "after")
	waitForRates(t, w, healthy)
	end := time.Now()
	t.Run("after an outage", func(t *testing.T) { panelsAnswer(t, w, healthy, end) })
	t.Run("names", func(t *testing.T) { namesExist(t, w, begin) })
	t.Run("a choice is kept to", func(t *testing.T) { chosenOnly(t, w, begin, end) })
}

// panelsAnswer draws every panel.
func panelsAnswer(t *testing.T, w *harness.World, from, to time.Time) {
	for _, a := range dashboards(t) {
		if !a.panel {
			continue
		}
		expr := chosen(a.expr, nil)
		found, err := w.Prometheus.Lines(expr, from, to, step)
		if err != nil {
			t.Errorf("%s: %v", a.where, err)
		} else if numbers(found) == 0 {
			t.Errorf("%s: no number in the %d series of\n%s", a.where, len(found), expr)
		}
		if a.table { // a scrape that came too late takes a line away until the next
			harness.WaitFor(t, a.where+" has a line for each process", func() bool {
				now, err := w.Prometheus.Query(expr)
				return err == nil && len(now) == len(w.Sidecars())
			})
		}
	}
}

// misspelt is where a slip in the name of a metric may be.
var misspelt = regexp.MustCompile(`\b(sidegate[_:]|slo:|process_|go_|up\b)`)

// namesExist looks at everything that is shipped: dashboards, rules, pages.
func namesExist(t *testing.T, w *harness.World, since time.Time) {
	all, recorded := everything(t)
	words := vocabularyOf(t, w, since, recorded)
	for _, a := range all {
		expr := chosen(a.expr, nil)
		for _, wrong := range words.check(expr) {
			t.Errorf("%s: %s", a.where, wrong)
		}
		if slip := misspelt.ReplaceAllString(expr, "${1}x"); slip != expr && len(words.check(slip)) == 0 {
			t.Errorf("%s: nobody finds the slip in %s", a.where, slip)
		}
		// A newer parser has taken it; the one that Debian ships must, too.
		if _, err := w.Prometheus.Query(expr); err != nil {
			t.Errorf("%s: %v", a.where, err)
		}
	}
}

// chosenOnly: with one pod chosen, no panel shows another.
func chosenOnly(t *testing.T, w *harness.World, begin, end time.Time) {
	for _, a := range dashboards(t) {
		if !a.panel {
			continue // the list of pods to choose from
		}
		lines, err := w.Prometheus.Lines(chosen(a.expr, map[string]string{"pod": w.Sidecar.Name}), begin, end, step)
		if err != nil {
			t.Errorf("%s: %v", a.where, err)
		}
		for _, l := range lines {
			if pod, ok := l.Labels["pod"]; ok && pod != w.Sidecar.Name {
				t.Errorf("%s: the pod %s was not chosen and is shown", a.where, pod)
			}
		}
	}
}

func numbers(lines []harness.Line) (n int) {
	for _, l := range lines {
		n += l.Numbers
	}
	return n
}

// vocabularyOf is what Prometheus has of the processes and of the rules. What neither
// of the two processes has because it is not configured, such as certificates, is
// known from the reference, which is made from what the program registers. A rule
// that has recorded nothing yet is known by its name.
func vocabularyOf(t *testing.T, w *harness.World, since time.Time, recorded map[string]bool) vocabulary {
	t.Helper()
	series, err := w.Prometheus.Series(`{__name__!=""}`, since)
	if err != nil {
		t.Fatal(err)
	}
	words := vocabulary{}
	for _, labels := range series {
		name := labels["__name__"]
		if words[name] == nil {
			words[name] = map[string]bool{}
		}
		for label := range labels {
			words[name][label] = true
		}
	}
	for name := range recorded {
		if words[name] == nil {
			t.Logf("%s has recorded nothing", name)
			words[name] = words["up"]
		}
	}
	for name, labels := range reference(t) {
		if words[name] == nil && words[name+"_bucket"] == nil {
			t.Logf("%s is not shown by either process", name)
			words[name] = maps.Clone(words["up"])
			for _, label := range labels {
				words[name][label] = true
			}
		}
	}
	return words
}

// traffic is a little of everything that is counted: decisions of each kind at each
// door and in each room, reads and writes, among them some that are refused.
//
// The sender is blocked by half of those she writes to, and has not been before.
func traffic(t *testing.T, w *harness.World, sender string) {
	t.Helper()
	for i := range 8 {
		if status, err := w.Node.Block(fmt.Sprintf("bob%d", i), sender); err != nil || status >= 300 {
			t.Fatalf("block: %d, %v", status, err)
		}
	}
	if status, err := w.Node.Block("bob", strings.Repeat("x", 1000)); err != nil || status != http.StatusBadRequest {
		t.Fatalf("an id that is too long: %d, %v", status, err)
	}
	w.Node.Get(t, "api", "/v1/apps/default/users/bob1/blocks")
	harness.WaitFor(t, "the other process has heard of the blocks", func() bool {
		_, body, err := w.Sidecar.Post("check", "/v1/can-deliver", `{"sender":"`+sender+`","recipient":"bob7","room_type":"direct"}`)
		return err == nil && strings.Contains(body, `"drop"`)
	})
	var done sync.WaitGroup
	for _, s := range w.Sidecars() {
		done.Go(func() { ask(t, s, sender) })
	}
	done.Wait()
}

// ask has a process decide. Of single decisions one in 64 is timed.
func ask(t *testing.T, s *harness.Sidecar, sender string) {
	for i := range 200 {
		if _, err := s.Check(sender, fmt.Sprintf("bob%d", i%16)); err != nil {
			t.Error(err)
			return
		}
	}
	for _, room := range []string{"direct", "group", "open"} {
		for path, body := range map[string]string{
			"/v1/can-deliver/fanout": `{"sender":"` + sender + `","room_type":"` + room + `","recipients":["bob1","bob2","carol"]}`,
			"/v1/can-deliver/batch":  `{"checks":[{"sender":"` + sender + `","recipient":"bob1","room_type":"` + room + `"},{"sender":"bob1","recipient":"carol","room_type":"` + room + `"}]}`,
		} {
			if status, answer, err := s.Post("check", path, body); err != nil || status != http.StatusOK {
				t.Errorf("%s: %d %s %v", path, status, answer, err)
			}
		}
	}
}

// outage takes Postgres away until the sidecar's memory is too old for it, and its
// app delivers unchecked; then it brings Postgres back.
func outage(t *testing.T, w *harness.World) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.Postgres.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "a write is refused", func() bool {
		status, err := w.Node.Block("bob", "carol")
		return err == nil && status >= 500
	})
	harness.WaitFor(t, "memory is too old", func() bool {
		_, body, err := w.Sidecar.Post("check", "/v1/can-deliver", `{"sender":"alice","recipient":"bob1","room_type":"direct"}`)
		return err == nil && strings.Contains(body, `"degraded"`)
	})
	if err := w.Postgres.Start(ctx); err != nil {
		t.Fatal(err)
	}
	harness.WaitFor(t, "a write is taken again", func() bool {
		status, err := w.Node.Block("bob", "carol")
		return err == nil && status < 300
	})
	for _, s := range w.Sidecars() {
		harness.WaitFor(t, s.Name+" follows again", func() bool {
			found, err := w.Prometheus.Query(`sidegate_sync_state{state="synced",pod="` + s.Name + `"} == 1`)
			return err == nil && len(found) == 1
		})
	}
}

// waitForRates waits until what was done since a time has reached Prometheus, and
// the rules have looked at it.
func waitForRates(t *testing.T, w *harness.World, since time.Time) {
	t.Helper()
	for _, expr := range []string{
		`count(increase(sidegate_decisions_total{api="batch",outcome="deliver",room="direct"}[%[1]s]) > 0) == 2`,
		`count(last_over_time(sidegate:sync_apply_delay:p99_rate5m[%[1]s])) == 2`,
		`count(last_over_time(slo:period_error_budget_remaining:ratio[%[1]s])) == 3`,
	} {
		harness.WaitFor(t, "an answer to "+expr, func() bool {
			found, err := w.Prometheus.Query(fmt.Sprintf(expr, time.Since(since).Round(time.Second)+time.Second))
			return err == nil && len(found) > 0
		})
	}
}
