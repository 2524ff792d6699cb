package observetest

import (
	"testing"

	"github.com/sidegate/sidegate/deploy/observetest/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// TestBothAreScraped: everything else rests on it.
func TestBothAreScraped(t *testing.T) {
	w := harness.Shared(t)
	harness.WaitFor(t, "both are up", func() bool {
		up, err := w.Prometheus.Query(`sidegate_sync_state{job="sidegate",state="synced"} == 1`)
		return err == nil && len(up) == len(w.Sidecars())
	})
}
