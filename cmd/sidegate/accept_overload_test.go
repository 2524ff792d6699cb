package main

import (
	"strings"
	"testing"
)

// TestAcceptRefusedReads: a process whose memory holds nothing, and that may read
// one page a second, refuses the other reads. Who asks is told the same about a
// blocked sender and another, the refusals are counted with their cause, and a
// reload lifts the limit.
func TestAcceptRefusedReads(t *testing.T) {
	t.Parallel()
	const rest = "ops: {tokens: [{name: staff, token: " + staffToken + ", scopes: [staff]}]}\ncache: {max_bytes: 1KiB, load_rate: RATE, load_burst: RATE}\n"
	limited := func(rate string) string { return strings.ReplaceAll(rest, "RATE", rate) }
	s := startSidecar(t, database(t), limited("1")).ready()
	s.block("default", "bob", "alice")
	blocked, unlisted := question{sender: "alice", recipient: "bob"}, question{sender: "zoe", recipient: "bob"}
	var told [2]answer
	for i, q := range []question{blocked, unlisted} {
		waitFor(t, "a read to be refused", func() bool {
			told[i] = s.get("check", q.path())
			return told[i].unknown()
		})
		checkUnknown(t, told[i])
	}
	if told[0].status != told[1].status || told[0].body != told[1].body {
		t.Errorf("a refused read tells a blocked sender from another: %v and %v", told[0], told[1])
	}
	samples := s.samples()
	if n := samples[`sidegate_loads_shed_total{cause="rate"}`]; n < 2 || samples["sidegate_load_rate_limit"] > 1 {
		t.Errorf("%v reads are counted as refused at %v a second", n, samples["sidegate_load_rate_limit"])
	}
	s.configure(limited("100000"))
	if a := s.reload(); a.status != 200 || !strings.Contains(a.body, `"cache.load_rate"`) {
		t.Errorf("the reload: %v", a)
	}
	s.enforced(blocked, dropped)
	s.enforced(unlisted, allowed)
}
