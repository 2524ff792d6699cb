package cache

import (
	"testing"
)

// BenchmarkFind asks about users at random in a million lists of ten, where
// nearly every page is out of the CPU's caches, and about few users, who are in
// them.
func BenchmarkFind(b *testing.B) {
	const users = 1_000_000
	d := gather(b, users).Directory("a", KindBlock)
	cold, hot := drawPairs(1<<18, users), drawPairs(64, users)
	for _, w := range []struct {
		name  string
		pairs []pair
		ask   func(*Directory, pair) bool
	}{
		{"hot", hot, askOneWay},
		{"cold one way", cold, askOneWay},
		{"cold two way", cold, askTwoWay},
	} {
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			begun, i := cpuTime(b), 0
			for b.Loop() {
				if !w.ask(d, w.pairs[i&(len(w.pairs)-1)]) {
					b.Fatal("a page is not in memory")
				}
				i++
			}
			perQuestion(b, begun, 1)
		})
	}
	b.Run("hot by two", func(b *testing.B) {
		begun := cpuTime(b)
		b.SetParallelism(1)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if !askOneWay(d, hot[i&(len(hot)-1)]) {
					b.Error("a page is not in memory")
				}
			}
		})
		perQuestion(b, begun, 1)
	})
}

func askOneWay(d *Directory, p pair) bool {
	v, ok := d.Find(p.owner)
	return ok && (v.Contains(p.target) || true)
}

func askTwoWay(d *Directory, p pair) bool {
	v, ok := d.Find(p.owner)
	w, both := d.Find(p.target)
	return ok && both && (v.Contains(p.target) || w.Contains(p.owner) || true)
}
