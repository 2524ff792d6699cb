package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFaultMemoryShort: a sidecar in a container that has room for a part of the
// lists, all of which are as long as a list may be. It keeps within its budget, is
// not killed, and what it has let go costs a read.
func TestFaultMemoryShort(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	const (
		limit = 84 << 20
		lists = 450
		full  = 3000
	)
	group := memoryGroup(t, limit)
	dsn := database(t)
	for first := 0; first < lists; first += 50 {
		psql(t, dsn, fmt.Sprintf("INSERT INTO sidegate.block (app, owner, target) SELECT 'default', 'o' || o, 't' || n FROM generate_series(%d, %d) o, generate_series(1, %d) n",
			first, first+49, full))
	}
	s := startLimited(t, group, dsn, "GOMEMLIMIT=", "GOGC=").ready()
	answers := 0
	for range 2 {
		for o := range lists {
			q := question{sender: fmt.Sprint("t", o%full+1), recipient: fmt.Sprint("o", o)}
			if got := s.decide(q); got != dropped {
				t.Fatalf("%+v: %+v", q, got)
			}
			q.sender = "nobody"
			if got := s.decide(q); got != allowed {
				t.Fatalf("%+v: %+v", q, got)
			}
			answers += 2
		}
	}
	m := s.samples()
	kept, budget, evicted := m["sidegate_cache_cost_bytes"], m["sidegate_cache_capacity_bytes"], m["sidegate_cache_evictions_total"]
	if kept > budget*11/10 {
		t.Errorf("%.0f bytes are kept, the budget is %.0f", kept, budget)
	}
	if held := m["sidegate_block_sets"]; held >= lists {
		t.Errorf("all of %.0f lists are in memory: this proves nothing", held)
	}
	if killed := oomKills(group); killed != "0" {
		t.Errorf("the kernel has killed %s processes", killed)
	}
	reportRow(t, faultFigures{
		Happened: fmt.Sprintf("%d lists of %d entries under a limit of %d MiB: at most %.1f of %.1f MB of the budget were used, %.0f pages let go, nothing was killed",
			lists, full, limit>>20, kept/1e6, budget/1e6, evicted),
		Rounds: 1, Answers: answers,
	})
}

var oomKill = regexp.MustCompile(`(?m)^oom_kill (\d+)$`)

// oomKills is how many processes of a control group the kernel has killed, "" if it
// does not say.
func oomKills(group string) string {
	for _, file := range []string{"memory.oom_control", "memory.events"} {
		text, err := os.ReadFile(filepath.Join(group, file))
		if found := oomKill.FindStringSubmatch(string(text)); err == nil && found != nil {
			return strings.TrimSpace(found[1])
		}
	}
	return ""
}
