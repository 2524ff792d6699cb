package cache

import (
	"strconv"
	"testing"
)

// BenchmarkFind asks about users at random in a million lists of ten, where
// nearly every page is out of the CPU's caches, and about few users, who are in
// them.
func BenchmarkFind(b *testing.B) {
	const users = 1_000_000
	d := gather(b, users).Directory("a", KindBlock)
	cold, hot := drawQuestions(1<<18, users), drawQuestions(64, users)
	for _, w := range []struct {
		name  string
		asked questions
		ask   func(d *Directory, owner, target string) bool
	}{
		{"hot", hot, askOneWay},
		{"cold one way", cold, askOneWay},
		{"cold two way", cold, askTwoWay},
	} {
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			begun, i := cpuTime(b), 0
			for b.Loop() {
				if owner, target := w.asked.at(i); !w.ask(d, owner, target) {
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
				if owner, target := hot.at(i); !askOneWay(d, owner, target) {
					b.Error("a page is not in memory")
				}
			}
		})
		perQuestion(b, begun, 1)
	})
}

func askOneWay(d *Directory, owner, target string) bool {
	v, ok := d.Find(owner)
	return ok && (v.Contains(target) || true)
}

func askTwoWay(d *Directory, one, other string) bool {
	both := [2]Lookup{{Directory: d, Owner: one, Target: PrintOf(other)}, {Directory: d, Owner: other, Target: PrintOf(one)}}
	d.cache.FindAll(both[:])
	return both[0].Found && both[1].Found && (both[0].View.Has(both[0].Target) || both[1].View.Has(both[1].Target) || true)
}

// BenchmarkFindAll is BenchmarkFind where many are asked for at a time.
func BenchmarkFindAll(b *testing.B) {
	const users = 1_000_000
	c := gather(b, users)
	d := c.Directory("a", KindBlock)
	cold := drawQuestions(1<<18, users)
	for _, n := range []int{1, 2, 8, 16, 32, 256} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			lookups := make([]Lookup, n)
			b.ReportAllocs()
			begun, i := cpuTime(b), 0
			for b.Loop() {
				for j := range lookups {
					owner, target := cold.at(i)
					lookups[j].Directory, lookups[j].Owner, lookups[j].Target = d, owner, PrintOf(target)
					i++
				}
				c.FindAll(lookups)
				for j := range lookups {
					if !lookups[j].Found || lookups[j].View.Has(lookups[j].Target) && lookups[j].View.Version() == 0 {
						b.Fatal("a page is not in memory")
					}
				}
			}
			perQuestion(b, begun, n)
		})
	}
}
