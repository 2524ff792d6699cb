package warm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// Study measures warm starts.
var Study = study.Study{
	Name: "warm",
	What: "a start with the memory of the process before, beside one that reads all lists",
	Run:  run,
}

// changed is how many lists change between two processes.
const changed = 1000

// rounds is how often; a cold start takes a while.
const rounds = 3

// round is a cold start and the warm one that follows.
type round struct{ cold, warm start }

func run(ctx context.Context, env *study.Env) (out study.Result, err error) {
	shape := seed.Standard
	if env.Quick {
		shape = seed.Glance
	}
	db, err := seed.Open(ctx, env.Data, shape, env.Log)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, db.Stop(context.WithoutCancel(ctx))) }()
	var all []round
	for i := range rounds {
		r, err := measure(ctx, env, db)
		if err != nil {
			return out, err
		}
		all = append(all, r)
		env.Log("  round %d, %d lists: cold %.2f s and %.0f rows, warm %.2f s and %.0f rows, ended in %.2f s",
			i+1, shape.Lists, r.cold.all.Seconds(), r.cold.rows, r.warm.all.Seconds(), r.warm.rows, r.cold.end.Seconds())
	}
	out.Rows = rows(all)
	out.Tables = []study.Table{table(shape, all)}
	out.Notes = []string{fmt.Sprintf("Both end when everything is in memory and /readyz is green. Between the two, while no process ran, %d lists changed; "+
		"what the warm start reads is these changes. Rows are those of lists, headers and changes that Postgres counts itself.", changed)}
	return out, nil
}

// measure makes one round and leaves the database as it was.
func measure(ctx context.Context, env *study.Env, db *seed.Database) (r round, err error) {
	if err := os.Remove(filepath.Join(env.Scratch, "warm")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	add, remove := late(changed)
	if err := change(ctx, db, remove); err != nil { // of a run that was interrupted
		return r, err
	}
	entries := db.Shape.Lists * db.Shape.Entries
	if r.cold, err = startOnce(ctx, env, db, entries, false); err != nil {
		return r, fmt.Errorf("cold start: %w", err)
	}
	if err := change(ctx, db, add); err != nil {
		return r, err
	}
	if r.warm, err = startOnce(ctx, env, db, entries+changed, true); err != nil {
		err = fmt.Errorf("warm start: %w", err)
	}
	return r, errors.Join(err, change(ctx, db, remove))
}

func values(all []round, figure func(round) float64) []float64 {
	out := make([]float64, len(all))
	for i, r := range all {
		out[i] = figure(r)
	}
	return out
}

// rows are the targets.
func rows(all []round) []study.Row {
	seconds := func(d time.Duration) float64 { return d.Seconds() }
	return []study.Row{
		study.Row{
			ID: "warm-ready", What: "time until everything is in memory and questions are answered, beside a cold start",
			Unit: "× cold", AtMost: study.AtMost(0.5),
		}.Ratio(
			study.Side{Name: "warm", Unit: "s", Values: values(all, func(r round) float64 { return seconds(r.warm.all) })},
			study.Side{Name: "cold", Unit: "s", Values: values(all, func(r round) float64 { return seconds(r.cold.all) })},
		),
		study.Row{
			ID: "warm-rows", What: "rows that are read from Postgres for it, beside a cold start",
			Unit: "× cold", AtMost: study.AtMost(0.01),
		}.Ratio(
			study.Side{Name: "warm", Unit: "rows", Values: values(all, func(r round) float64 { return r.warm.rows })},
			study.Side{Name: "cold", Unit: "rows", Values: values(all, func(r round) float64 { return r.cold.rows })},
		),
	}
}

// table is what else was seen.
func table(shape seed.Shape, all []round) study.Table {
	cells := func(name string, of func(round) start) []string {
		median := func(figure func(start) float64) float64 {
			return study.Median(values(all, func(r round) float64 { return figure(of(r)) }))
		}
		return []string{
			name,
			fmt.Sprintf("%.2f", median(func(s start) float64 { return s.ready.Seconds() })),
			fmt.Sprintf("%.2f", median(func(s start) float64 { return s.all.Seconds() })),
			fmt.Sprintf("%.2f", median(func(s start) float64 { return s.own.Seconds() })),
			fmt.Sprintf("%.0f", median(func(s start) float64 { return s.rows })),
			fmt.Sprintf("%.2f", median(func(s start) float64 { return s.end.Seconds() })),
			fmt.Sprintf("%.0f", median(func(s start) float64 { return s.file / (1 << 20) })),
		}
	}
	return study.Table{
		Title: fmt.Sprintf("Starts with %d lists of %d", shape.Lists, shape.Entries),
		Head:  []string{"start", "ready, s", "all in memory, s", "CPU of the program, s", "rows read", "end with the file written, s", "file, MiB"},
		Cells: [][]string{
			cells("cold", func(r round) start { return r.cold }),
			cells("warm", func(r round) start { return r.warm }),
		},
	}
}
