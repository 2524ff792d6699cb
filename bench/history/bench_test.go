package history

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkCheck shows that an answer costs the same in a short and in a long
// history, also while ages are so large that most of it could be meant.
func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		for _, age := range []time.Duration{time.Millisecond, time.Hour} {
			b.Run(fmt.Sprintf("reads=%d/age=%v", n, age), func(b *testing.B) {
				h := honest(n, age)
				b.ReportAllocs()
				for b.Loop() {
					if report, err := h.Check(); err != nil || len(report.Violations) > 0 {
						b.Fatal(report.Violations, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/read")
			})
		}
	}
}

// honest is a history of one list: a write every millisecond and between two of
// them a read.
func honest(n int, age time.Duration) (h History) {
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		w := Write{Owner: "bob", Target: fmt.Sprint("t", i/2%50), Listed: i%2 == 0, Begin: at, End: at + 1, Version: int64(i + 1)}
		h.Writes = append(h.Writes, w)
		h.Reads = append(h.Reads, Read{By: "a", Owner: "bob", Begin: at + 2, End: at + 3, Answered: true, Age: age,
			Target: w.Target, Listed: w.Listed})
	}
	return h
}
