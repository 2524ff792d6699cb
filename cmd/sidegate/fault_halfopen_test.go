package main

import (
	"strings"
	"testing"
)

// TestFaultConnectionsHalfOpen: every connection to the database dies without a
// sign, with what was on its way; new ones work, if somebody makes one. The
// poller does, after one poll that failed, or a few on a machine that is busy:
// more would mean that it waits for the dead one.
func TestFaultConnectionsHalfOpen(t *testing.T) {
	failed := func(s *watched) (polls float64) {
		for name, n := range s.samples() {
			if strings.HasPrefix(name, "sidegate_sync_errors_total{") {
				polls += n
			}
		}
		return polls
	}
	before := map[*watched]float64{}
	survives(t, func(w *faultRun, round int) struck {
		for i, s := range w.sidecars {
			now := failed(s)
			if round > 0 && now-before[s] > 3 {
				t.Errorf("%s: %v polls failed until one made a new connection", s.name, now-before[s])
			}
			before[s] = now
			w.networks[i].sever()
		}
		return struck{cut: w.sidecars, held: agesShow(w.sidecars), repair: func() {}}
	})
}
