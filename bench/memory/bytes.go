package memory

import (
	"context"
	"fmt"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// redisStated is what Redis 7.0.15 takes for an entry of 1M sets of ten, used if
// there is none to measure.
const redisStated = 98.5

// shapes are what is weighed. The first is also what Redis holds.
func shapes(quick bool) []seed.Shape {
	if quick {
		return []seed.Shape{{Lists: 50_000, Entries: 10, Idle: 450_000}, {Lists: 1000, Entries: 1000, Idle: 5000}}
	}
	return []seed.Shape{
		{Lists: 1_000_000, Entries: 10, Idle: 9_000_000},
		{Lists: 10_000, Entries: 1000, Idle: 100_000},
		{Lists: 3_000, Entries: 3000, Idle: 100_000},
		{Lists: 100_000, Entries: 100, Idle: 100_000},
		{Lists: 2_000_000, Entries: 3, Idle: 100_000},
		{Lists: 2_000_000, Entries: 1, Idle: 100_000},
	}
}

// bytes weighs processes that hold all lists of a shape.
func bytes(ctx context.Context, env *study.Env, out *study.Result) error {
	table := study.Table{
		Title: "What lists weigh, nothing evicted",
		Head: []string{"lists × entries", "users without a list", "heap", "bytes/entry", "the cache says", "said ÷ heap",
			"in RAM while filling", "in RAM then", "with free memory returned", "pages", "lists a page"},
	}
	ten := study.Row{ID: "bytes-10", What: "an entry of lists of 10, everything counted", Unit: "bytes/entry", AtMost: study.AtMost(12)}
	long := study.Row{ID: "bytes-1000", What: "an entry of lists of 1,000 and 3,000, everything counted", Unit: "bytes/entry", AtMost: study.AtMost(9)}
	idle := study.Row{ID: "bytes-idle", What: "a user without a list", Unit: "bytes", AtMost: study.AtMost(0.01)}
	said := study.Row{ID: "accounting", What: "what the cache says that it weighs ÷ what the heap grew by",
		Unit: "× the heap", AtMost: study.AtMost(1.1), AtLeast: study.AtLeast(0.9)}
	for n, shape := range shapes(env.Quick) {
		rounds := 1
		if n == 0 {
			rounds = env.Rounds() / 2
		}
		for range rounds {
			env.Log("memory: %d lists of %d entries, %d users without a list", shape.Lists, shape.Entries, shape.Idle)
			f, err := measure[toFill, filled](ctx, "memory-fill", toFill{shape, plenty(shape)})
			if err != nil {
				return err
			}
			each := float64(f.Heap) / float64(f.Stats.Entries)
			said.Values = append(said.Values, float64(f.Stats.Bytes)/float64(f.Heap))
			switch {
			case shape.Entries == 10:
				ten.Values = append(ten.Values, each)
				idle.Values = append(idle.Values, max(0, float64(f.Idle)/float64(shape.Idle)))
			case shape.Entries >= 1000:
				long.Values = append(long.Values, each)
			}
			table.Cells = append(table.Cells, []string{
				fmt.Sprintf("%d × %d", shape.Lists, shape.Entries), fmt.Sprint(shape.Idle), mib(f.Heap), fmt.Sprintf("%.2f", each),
				mib(f.Stats.Bytes), share(float64(f.Stats.Bytes), float64(f.Heap)), mib(f.Most), mib(f.Resident), mib(f.Returned),
				fmt.Sprint(f.Stats.Pages), fmt.Sprintf("%.1f", float64(f.Stats.Lists)/float64(f.Stats.Pages)),
			})
		}
	}
	redis, err := besideRedis(ctx, env, ten.Values)
	if err != nil {
		return err
	}
	out.Rows = append(out.Rows, ten, long, idle, redis, said)
	out.Tables = append(out.Tables, table)
	out.Notes = append(out.Notes, `The heap is what lives after two collections, less what lived before the cache was filled: pages, malloc's rounding, directory, ristretto with its counters. What is in RAM is the whole process, with the generator of the lists (4 bytes a list), the program's own 20 MiB, and garbage. A user without a list was asked for, each of them, before the heap was weighed again.`)
	return nil
}
