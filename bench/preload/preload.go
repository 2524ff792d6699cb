package preload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// Study measures starting.
var Study = study.Study{
	Name: "preload",
	What: "filling the memory of a serving sidecar from Postgres, beside a bare COPY of the same rows",
	Run:  run,
}

// Shapes of the databases: by ten each, so that a start that is linear shows.
func shapes(quick bool) []seed.Shape {
	if quick {
		return []seed.Shape{{Lists: 20_000, Entries: 10, Idle: 20_000}}
	}
	return []seed.Shape{
		{Lists: 10_000, Entries: 10, Idle: 10_000}, {Lists: 100_000, Entries: 10, Idle: 100_000}, seed.Standard,
	}
}

// long is lists as long as they may be.
var long = seed.Shape{Lists: 200, Entries: 3000, Idle: 4000}

// rounds of the largest shape take half a minute each.
const rounds = 3

// sizes is what was measured at one size.
type sizes struct {
	shape  seed.Shape
	copies []bare
	starts []start
	idle   time.Duration // median of a query while nothing else goes on
}

func run(ctx context.Context, env *study.Env) (out study.Result, err error) {
	var measured []sizes
	costTable := study.Table{Title: "What one read costs", Head: costHead}
	all := shapes(env.Quick)
	if !env.Quick {
		all = append(all, long) // takes a while to fill
	}
	for _, shape := range all {
		one, cells, err := measureShape(ctx, env, shape)
		if err != nil {
			return out, fmt.Errorf("%v: %w", shape, err)
		}
		costTable.Cells = append(costTable.Cells, cells...)
		if shape != long {
			measured = append(measured, one)
		}
	}
	largest := measured[len(measured)-1]
	out.Rows = append(largest.rows(), growth(measured))
	out.Tables = []study.Table{largest.effect(), startTable(measured), costTable}
	out.Charts = []study.Chart{startChart(measured)}
	out.Notes = []string{
		"Loading ahead reads ranges of about 256 KiB of pages, two at a time, through the primary key of block alone: " +
			"targets are in the key, and the table, whose rows lie in the order in which they were written, is not touched. " +
			"Here they were written in the order of the key, which is the best case for COPY and for whatever reads the table. " +
			"The rate of loading ahead counts from the first read to the last, counting the lists at the beginning included.",
	}
	return out, nil
}

// measureShape measures COPY and start in turn, and what reads cost.
func measureShape(ctx context.Context, env *study.Env, shape seed.Shape) (out sizes, cells [][]string, err error) {
	db, err := seed.Open(ctx, env.Data, shape, env.Log)
	if err != nil {
		return out, nil, err
	}
	defer func() { err = errors.Join(err, db.Stop(context.WithoutCancel(ctx))) }()
	out.shape = shape
	if shape != long {
		quiet, err := askMeanwhile(ctx, db)
		if err != nil {
			return out, nil, err
		}
		wait(ctx, env.Round())
		out.idle = quiet.end()
		for round := range rounds {
			c, err := copyAll(ctx, db)
			if err != nil {
				return out, nil, fmt.Errorf("bare COPY: %w", err)
			}
			s, err := startOnce(ctx, env, db)
			if err != nil {
				return out, nil, fmt.Errorf("start: %w", err)
			}
			out.copies, out.starts = append(out.copies, c), append(out.starts, s)
			env.Log("  round %d, %d lists: COPY %.2f s, loading %.2f s, all in memory after %.2f s, first decision after %.2f s",
				round+1, shape.Lists, c.took.Seconds(), s.loading.Seconds(), s.all.Seconds(), s.first.Seconds())
		}
	}
	cells, err = costs(ctx, db, env.Rounds())
	return out, cells, err
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func values[T any](rounds []T, figure func(T) float64) []float64 {
	out := make([]float64, len(rounds))
	for i, r := range rounds {
		out[i] = figure(r)
	}
	return out
}

func (s *sizes) entries() float64 { return float64(s.shape.Lists * s.shape.Entries) }

// rows are the targets of one size.
func (s *sizes) rows() []study.Row {
	rate := func(took time.Duration) float64 { return s.entries() / took.Seconds() / 1e6 }
	return []study.Row{
		study.Row{
			ID: "preload-rate", What: "rate at which a serving cache is filled, beside a bare COPY of the same rows",
			Unit: "× COPY", AtLeast: study.AtLeast(0.6),
		}.Ratio(
			study.Side{Name: "sidegate", Unit: "M entries/s", Values: values(s.starts, func(r start) float64 { return rate(r.loading) })},
			study.Side{Name: "COPY", Unit: "M rows/s", Values: values(s.copies, func(r bare) float64 { return rate(r.took) })},
		),
		study.Row{
			ID: "preload-rss", What: "peak of the resident memory while it is filled, beside what is left when it is full",
			Unit: "× final", AtMost: study.AtMost(1.3),
		}.Ratio(
			study.Side{Name: "peak", Unit: "MiB", Values: values(s.starts, func(r start) float64 { return r.peak / (1 << 20) })},
			study.Side{Name: "final", Unit: "MiB", Values: values(s.starts, func(r start) float64 { return r.final / (1 << 20) })},
		),
		study.Row{
			ID: "preload-serving", What: "time to the first decision, beside the time until all lists are in memory",
			Unit: "× all in memory", AtMost: study.AtMost(1),
		}.Ratio(
			study.Side{Name: "first decision", Unit: "s", Values: values(s.starts, func(r start) float64 { return r.first.Seconds() })},
			study.Side{Name: "all in memory", Unit: "s", Values: values(s.starts, func(r start) float64 { return r.all.Seconds() })},
		),
	}
}

// growth is by how much more a list costs a start where there are more of them.
func growth(all []sizes) study.Row {
	row := study.Row{
		ID: "growth-start", What: "time that a list more adds to a start, the largest step beside the one before it",
		Unit: "×", AtMost: study.AtMost(1.3),
	}
	if len(all) < 3 {
		row.Missing = "takes three sizes; -quick measures one"
		return row
	}
	a, b, c := all[len(all)-3], all[len(all)-2], all[len(all)-1]
	own := study.Side{Name: fmt.Sprintf("%d to %d lists", b.shape.Lists, c.shape.Lists), Unit: "µs/list"}
	before := study.Side{Name: fmt.Sprintf("%d to %d lists", a.shape.Lists, b.shape.Lists), Unit: "µs/list"}
	for i := range rounds {
		own.Values = append(own.Values, slope(b, c, i))
		before.Values = append(before.Values, slope(a, b, i))
	}
	return row.Ratio(own, before)
}

// slope is what a list adds to a start between two sizes, in microseconds.
func slope(a, b sizes, round int) float64 {
	return float64(b.starts[round].all-a.starts[round].all) / 1e3 / float64(b.shape.Lists-a.shape.Lists)
}

// effect is what loading ahead and COPY do to the database and to others.
func (s *sizes) effect() study.Table {
	perEntry := func(d time.Duration) float64 { return float64(d) / s.entries() }
	cells := func(name string, own, database, probe float64) []string {
		return []string{
			name, fmt.Sprintf("%.0f", own), fmt.Sprintf("%.0f", database),
			fmt.Sprintf("%.2f", probe/1e6), fmt.Sprintf("%.1f", probe/float64(max(1, s.idle))),
		}
	}
	copying := values(s.copies, func(r bare) float64 { return float64(r.probe) })
	loading := values(s.starts, func(r start) float64 { return float64(r.probe) })
	return study.Table{
		Title: fmt.Sprintf("Effect on Postgres, %d lists of %d", s.shape.Lists, s.shape.Entries),
		Head:  []string{"meanwhile", "sidegate, CPU ns/entry", "database, CPU ns/entry", "another query, p50 ms", "× idle"},
		Cells: [][]string{
			cells("nothing", 0, 0, float64(s.idle)),
			cells("a bare COPY", 0, median(values(s.copies, func(r bare) float64 { return perEntry(r.database) })), median(copying)),
			cells("loading ahead", median(values(s.starts, func(r start) float64 { return perEntry(r.own) })),
				median(values(s.starts, func(r start) float64 { return perEntry(r.database) })), median(loading)),
		},
	}
}

func startTable(all []sizes) study.Table {
	t := study.Table{
		Title: "Starts",
		Head:  []string{"lists", "first decision, s", "all in memory, s", "loading, s", "COPY, s", "resident, MiB", "decisions meanwhile", "p50, ms", "unknown"},
	}
	for _, s := range all {
		of := func(figure func(start) float64) float64 { return median(values(s.starts, figure)) }
		var checks []float64
		unknown := 0
		for _, r := range s.starts {
			checks, unknown = append(checks, r.checks...), unknown+r.unknown
		}
		t.Cells = append(t.Cells, []string{
			fmt.Sprint(s.shape.Lists),
			fmt.Sprintf("%.2f", of(func(r start) float64 { return r.first.Seconds() })),
			fmt.Sprintf("%.2f", of(func(r start) float64 { return r.all.Seconds() })),
			fmt.Sprintf("%.2f", of(func(r start) float64 { return r.loading.Seconds() })),
			fmt.Sprintf("%.2f", median(values(s.copies, func(r bare) float64 { return r.took.Seconds() }))),
			fmt.Sprintf("%.0f", of(func(r start) float64 { return r.final / (1 << 20) })),
			fmt.Sprint(len(checks)), fmt.Sprintf("%.2f", median(checks)/1e6), fmt.Sprint(unknown),
		})
	}
	return t
}

func startChart(all []sizes) study.Chart {
	first, full := study.Line{Name: "first decision"}, study.Line{Name: "all lists in memory"}
	for _, s := range all {
		x := float64(s.shape.Lists)
		first.Points = append(first.Points, [2]float64{x, median(values(s.starts, func(r start) float64 { return r.first.Seconds() }))})
		full.Points = append(full.Points, [2]float64{x, median(values(s.starts, func(r start) float64 { return r.all.Seconds() }))})
	}
	return study.Chart{
		ID: "preload-start", Title: "From the start of the process",
		Note: "lists of ten from Postgres on the same machine; limited by the CPU of the database's backends",
		X:    study.Axis{Name: "lists", Log: true}, Y: study.Axis{Name: "seconds", Log: true},
		Lines: []study.Line{first, full},
	}
}
