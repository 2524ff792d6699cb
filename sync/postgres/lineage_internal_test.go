package postgres

import (
	"testing"

	"github.com/sidegate/sidegate/cache"
)

func server(system uint64, timeline uint32, incarnation byte) cache.Identity {
	return cache.Identity{System: system, Timeline: timeline, Incarnation: [16]byte{incarnation}}
}

func TestLineage(t *testing.T) {
	t.Parallel()
	var l lineage
	for i, step := range []struct {
		server cache.Identity
		newer  uint32
		why    string
	}{
		{server(7, 2, 1), 0, "the first"},
		{server(7, 2, 1), 0, "the same again"},
		{server(7, 3, 1), 0, "a promotion"},
		{server(7, 2, 1), 3, "the old primary"},
		{server(0, 2, 1), 0, "a provider hides who it is"},
		{server(7, 0, 1), 0, "a provider hides the timeline"},
		{server(8, 1, 1), 0, "another cluster, which cannot be compared"},
		{server(7, 2, 1), 3, "the old primary, and the other cluster has changed nothing"},
		{server(7, 3, 2), 0, "a TRUNCATE on the new one"},
		{server(7, 2, 1), 3, "the old primary has the old incarnation"},
		{server(7, 1, 3), 0, "a backup that somebody means: its incarnation is new"},
		{server(7, 1, 3), 0, "and goes on"},
	} {
		if got := l.see(step.server); got != step.newer {
			t.Errorf("%d, %s: superseded by %d, want %d", i, step.why, got, step.newer)
		}
	}
}

func TestLineageIsBounded(t *testing.T) {
	t.Parallel()
	var l lineage
	for i := range 3 * incarnationsKept {
		l.see(server(7, 2, byte(i)))
	}
	if n := len(l.clusters[7].incarnations); n != incarnationsKept {
		t.Errorf("%d incarnations are kept", n)
	}
	if newer := l.see(server(7, 1, byte(3*incarnationsKept-1))); newer != 2 {
		t.Error("the newest incarnation was forgotten")
	}
}
