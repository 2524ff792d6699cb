package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// The data of TestAcceptMemory, and what the program may take for it. Memory
// beside the budget is what an idle process has, and room for requests, page
// reads under way and garbage: a third of it is used. Without evictions the
// process would grow by 8 MiB.
const (
	memoryLists   = 1000
	memoryEntries = 600
	memoryBudget  = 256 << 10
	memoryRoom    = 5 << 20
)

// TestAcceptMemory asks for twenty times more lists than the budget has room
// for. Every answer is right, ristretto's evictions are what makes room, and
// neither the pages nor the process outgrow what they were given.
func TestAcceptMemory(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	// Without the triggers, whose history and rooms are not needed here; the
	// headers are what the triggers would have made.
	psql(t, dsn, "SET session_replication_role = replica",
		fmt.Sprintf("INSERT INTO sidegate.block (app, owner, target) SELECT 'default', 'o' || o, 't' || n FROM generate_series(1, %d) o, generate_series(1, %d) n",
			memoryLists, memoryEntries),
		`INSERT INTO sidegate.owner (app, kind, owner, version, size, digest)
			SELECT app, kind, owner, 1, count(*), bit_xor(sidegate.entry_digest(target, expires_at)) FROM sidegate.block GROUP BY app, kind, owner`)
	s := startSidecar(t, dsn, fmt.Sprintf("cache: {max_bytes: %d}", memoryBudget)).ready()
	s.askEach(100) // what the first requests allocate is there before the measurement
	idle := s.resident()

	s.askEach(memoryLists)

	m := s.samples()
	if m["sidegate_cache_capacity_bytes"] != memoryBudget {
		t.Errorf("the capacity is %v", m["sidegate_cache_capacity_bytes"])
	}
	if room := m["sidegate_cache_cost_bytes"]; room == 0 || room > memoryBudget*21/20 {
		t.Errorf("the pages in memory take %v bytes, the budget is %d", room, memoryBudget)
	}
	// Each list was read and most had to go again.
	if gone := m["sidegate_cache_evictions_total"]; gone < memoryLists/2 {
		t.Errorf("only %v pages were evicted", gone)
	}
	after := s.resident()
	t.Logf("%d lists of %d entries (%d KiB of fingerprints alone) through a budget of %d KiB: %v pages of %v bytes in memory, %v evictions; the process has %d KiB, idle it had %d KiB",
		memoryLists, memoryEntries, memoryLists*memoryEntries*8>>10, memoryBudget>>10,
		m["sidegate_cache_pages"], m["sidegate_cache_cost_bytes"], m["sidegate_cache_evictions_total"], after>>10, idle>>10)
	if after > idle+memoryBudget+memoryRoom && !raceEnabled {
		t.Errorf("the process has %d KiB, more than idle (%d KiB) with budget (%d KiB) and room (%d KiB)", after>>10, idle>>10, memoryBudget>>10, memoryRoom>>10)
	}
}

// askEach asks about every list, from a few clients at once, both for a target
// that is on it and for one that is not.
func (s *sidecar) askEach(lists int) {
	s.t.Helper()
	const clients = 4
	var done sync.WaitGroup
	for c := range clients {
		done.Go(func() {
			for i := c + 1; i <= lists; i += clients {
				for sender, want := range map[string]verdict{fmt.Sprint("t", 1+rand.N(memoryEntries)): dropped, "stranger": allowed} {
					q := question{sender: sender, recipient: fmt.Sprint("o", i)}
					a, err := s.known(q)
					if err != nil {
						s.t.Error(err)
						return
					}
					if got, ok := a.verdict(s.t); !ok || got != want {
						s.t.Errorf("%+v: %v", q, a)
					}
				}
			}
		})
	}
	done.Wait()
}

var residentLine = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident is the memory of the process that is in RAM, in bytes.
func (s *sidecar) resident() int {
	s.t.Helper()
	if runtime.GOOS != "linux" {
		return 0 // only Linux tells in a file; the metrics have to do
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	kib, err := strconv.Atoi(residentLine.FindStringSubmatch(string(status))[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return kib << 10
}
