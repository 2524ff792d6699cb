package memory

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// pressed is the data and the budget of the study under pressure, and what a
// process may take beside its budget: the program itself, an idle connection pool
// and so on (20 MiB), garbage, and the tenth that the runtime keeps of its heap.
func pressed(quick bool) (shape seed.Shape, budget, beside int64) {
	if quick {
		return seed.Shape{Lists: 200_000, Entries: 10, Idle: 200_000}, 8 << 20, 64 << 20
	}
	return seed.Shape{Lists: 1_750_000, Entries: 10, Idle: 1_750_000}, 64 << 20, 64 << 20
}

// pressure asks a cache for a minute for more than its budget has room for.
func pressure(ctx context.Context, env *study.Env, out *study.Result) error {
	shape, budget, beside := pressed(env.Quick)
	file := filepath.Join(env.Scratch, "pressure.trace")
	length, last := 4_000_000, time.Minute
	if env.Quick {
		length, last = 100_000, 0
	}
	if err := draw(file, shape, 1.01, length); err != nil {
		return err
	}
	env.Log("memory: a budget of %s, lists of %s, asked for by Zipf's law for %v", mib(budget), mib(int64(shape.Lists)*115), last)
	f, err := measure[toAsk, asked](ctx, "memory-traffic", toAsk{shape, budget, file, last})
	if err != nil {
		return err
	}
	process := f.Most - f.Own
	out.Rows = append(out.Rows, study.Row{
		ID: "budget-rss", What: fmt.Sprintf("most memory in RAM under a budget of %s, asked for %s of lists", mib(budget), mib(int64(shape.Lists)*115)),
		Unit: fmt.Sprintf("× (budget + %s)", mib(beside)), AtMost: study.AtMost(1), Values: []float64{float64(process) / float64(budget+beside)},
	})
	out.Tables = append(out.Tables, study.Table{
		Title: fmt.Sprintf("A budget of %s, %s of lists, Zipf (1.01) for %v", mib(budget), mib(int64(shape.Lists)*115), last),
		Head:  []string{"most in RAM", "without the study's own data", "heap", "the cache says", "questions", "hits", "evictions", "read and not kept", "collections"},
		Cells: [][]string{{
			mib(f.Most), mib(process), mib(f.Heap), mib(f.Stats.Bytes), fmt.Sprint(f.Questions), share(float64(f.Hits), float64(f.Questions)),
			fmt.Sprint(f.Evictions), fmt.Sprint(f.Unpublished), fmt.Sprint(f.Collections),
		}},
	})
	return nil
}
