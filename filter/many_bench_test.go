package filter

import (
	"syscall"
	"testing"
	"time"
)

// crowdSize is far above what the caches of a CPU hold: about 110 MB of pages.
const crowdSize = 1_000_000

// BenchmarkMany decides ten thousand pairs that no CPU cache has seen, one by
// one, as a fan-out and as batches. What can be compared is the CPU time of the
// three in one run.
func BenchmarkMany(b *testing.B) {
	const n = 10_000
	for _, mode := range []Mode{ModeOneWay, ModeTwoWay} {
		policy := Default()
		policy.Mode = mode
		c := newCrowd(b, crowdSize, policy)
		var sets [16][]string
		for i := range sets {
			sets[i] = c.draw(n)
		}
		decisions := make([]Decision, n)
		check := Check{App: one, RoomType: Group}
		checks := make([]Check, 1000)
		b.Run(mode.String()+"/hot", func(b *testing.B) {
			b.ReportAllocs()
			check := check
			check.Sender = sets[0][0]
			i, begun := 0, cpuTime(b)
			for b.Loop() {
				i++
				check.Recipient = sets[0][i%64]
				c.filter.CanDeliver(check)
			}
			b.ReportMetric(float64((cpuTime(b)-begun).Nanoseconds())/float64(b.N), "cpu-ns/decision")
		})
		for name, decide := range map[string]func(sender string, recipients []string){
			"one by one": func(sender string, recipients []string) {
				check := check
				check.Sender = sender
				for i, recipient := range recipients {
					check.Recipient = recipient
					decisions[i] = c.filter.CanDeliver(check)
				}
			},
			"fan-out": func(sender string, recipients []string) {
				check := check
				check.Sender, check.API = sender, APIFanout
				c.filter.Fanout(check, recipients, decisions)
			},
			"batch": func(_ string, recipients []string) {
				for i := range len(recipients) / len(checks) {
					for j := range checks {
						checks[j] = check
						checks[j].Sender, checks[j].Recipient = recipients[(i*7919+j*3)%n], recipients[i*len(checks)+j]
					}
					c.filter.Batch(checks, decisions)
				}
			},
		} {
			b.Run(mode.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				i, begun := 0, cpuTime(b)
				for b.Loop() {
					i++
					recipients := sets[i%len(sets)]
					decide(recipients[i%n], recipients)
				}
				b.ReportMetric(float64((cpuTime(b)-begun).Nanoseconds())/float64(b.N)/n, "cpu-ns/decision")
			})
		}
	}
}

// cpuTime is what this process has used of the CPUs, which a busy machine
// distorts less than the time that passes.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
