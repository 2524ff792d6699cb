package filter

import (
	"testing"

	"github.com/sidegate/sidegate/cache"
)

// BenchmarkRefusedRead is a check whose list is not in memory, at a moment at which
// no read may begin: what thousands of misses a second cost while Postgres hangs.
func BenchmarkRefusedRead(b *testing.B) {
	w := newWorld(b, "spends", "misses")
	f := w.filter(map[string]Policy{"spends": Default(), "misses": Default()})
	w.limit(cache.LoadLimits{Rate: 1, Burst: 1})
	check := direct("alice", "bob")
	check.App = "spends"
	f.CanDeliver(check)
	w.dark() // for the read of each second that may begin
	check.App = "misses"
	b.ReportAllocs()
	for b.Loop() {
		if d := f.CanDeliver(check); d.Cause == CauseNone {
			b.Fatalf("it is decided: %+v", d)
		}
	}
}
