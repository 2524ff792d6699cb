package main

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
)

// TestFaultFeedTrimmed: a sidecar stands still while the others write and the feed
// is trimmed past what it has read.
func TestFaultFeedTrimmed(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).crowded()
	changes := func() int {
		n, err := strconv.Atoi(psql(t, w.dsn, "SELECT count(*) FROM sidegate.change"))
		w.do(err)
		return n
	}
	var trimmed int
	for round := range chaosRounds(4) {
		w.healed()
		s := w.sidecars[round%2]
		before := s.epochs("trimmed")
		w.round(func() struck {
			s.signal(syscall.SIGSTOP)
			t.Cleanup(func() { _ = s.cmd.Process.Signal(syscall.SIGCONT) })
			frozen := changes()
			waitFor(t, "the others write", func() bool { return changes() > frozen+20 })
			waitFor(t, "the feed is trimmed", func() bool {
				psql(t, w.dsn, "SELECT sidegate.trim('0s', 100000)")
				return changes() < 10
			})
			trimmed++
			return struck{repair: func() { s.signal(syscall.SIGCONT) }}
		})
		waitFor(t, "the gap is noticed", func() bool { return s.epochs("trimmed") > before })
	}
	w.healed()
	w.report(fmt.Sprintf("noticed %d times in the very poll that lacked changes; every list was read again", trimmed))
}
