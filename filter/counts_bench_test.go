//go:build unix

package filter

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"
)

// reportCPU reports the CPU time of an operation, which holds better than wall
// time on a machine that is shared. Workers each carry out all operations.
func reportCPU(b *testing.B, workers int) (stop func()) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N*workers), "cpu-ns/op") }
}

// BenchmarkCount is what counting adds to a check: the dice that decides whether it
// is timed, the clock and the histogram if so, and the counter. Shared is for those
// who have no Counts.
func BenchmarkCount(b *testing.B) {
	f, m, _ := countedWorld(b)
	d := f.CanDeliver(Check{App: one, Sender: "alice", Recipient: "bob", RoomType: Direct})
	for _, cores := range []int{1, 2} {
		for name, own := range map[string]bool{"own": true, "shared": false} {
			b.Run(fmt.Sprintf("%s-%d", name, cores), func(b *testing.B) {
				defer reportCPU(b, cores)()
				var asking sync.WaitGroup
				for range cores {
					asking.Go(func() { countMany(f, m, &d, own, b.N) })
				}
				asking.Wait()
			})
		}
	}
}

func countMany(f *Filter, m *Metrics, d *Decision, own bool, n int) {
	check := Check{App: one, Sender: "alice", Recipient: "bob", RoomType: Direct}
	if own {
		check.Counts = f.NewCounts()
		defer f.CloseCounts(check.Counts)
	}
	for range n {
		if rand.Uint32()%sampleEvery == 0 {
			begun := time.Now()
			m.observe(check.API, time.Since(begun))
		}
		m.count(&check, d)
	}
}
