package memory

import (
	"context"
	"fmt"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// Study is the memory study.
var Study = study.Study{
	Name: "memory",
	What: "bytes an entry with everything counted, the budget under traffic for more than fits, hit ratios",
	Run:  run,
}

// Helpers are the processes that the study starts.
var Helpers = []study.Helper{
	helper("memory-fill", fill),
	helper("memory-traffic", ask),
	helper("memory-changes", change),
}

func run(ctx context.Context, env *study.Env) (out study.Result, err error) {
	for _, part := range []func(context.Context, *study.Env, *study.Result) error{bytes, changes, pressure, ratios} {
		if err := part(ctx, env, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// mib is a number of bytes as text.
func mib[N int64 | float64](n N) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// share is a part as text.
func share(part, whole float64) string { return fmt.Sprintf("%.3f", part/whole) }

// plenty is a budget into which all lists of a shape fit, as a deployer would size
// it: with some room for lists that grow.
func plenty(s seed.Shape) int64 {
	return 4<<20 + int64(s.Lists)*45 + int64(s.Lists)*int64(s.Entries)*10
}
