package scaling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// Study measures how cost grows.
var Study = study.Study{
	Name: "scaling",
	What: "how CPU, memory and start-up grow with lists, connections, cores and changes",
	Run:  run,
}

// size is a number of lists, all of one length.
type size struct {
	name  string
	shape seed.Shape
}

// plan says what is measured, and for how long.
type plan struct {
	sizes       []size // ascending; lists of three
	longer      size   // as many lists as the middle size, of ten
	starts      int    // of each size
	rounds      int
	each        time.Duration // of a round
	longEach    time.Duration // where two figures close to each other are compared
	shortEach   time.Duration // in process, where a check takes less than a microsecond
	requests    int           // checks written out beforehand
	connections []int
	changes     []int // a second
	databases   []size
	watch       time.Duration // for stale answers
	idle        int           // connections whose memory is measured
}

// callers is how many ask where that is not what is varied.
const callers = 16

// perList is the length of most lists.
const perList = 3

func lists(n int, name string) size {
	return size{name, seed.Shape{Lists: n, Entries: perList, Idle: n}}
}

func planFor(env *study.Env) plan {
	p := plan{
		rounds: env.Rounds(), each: env.Round() / 2, longEach: env.Round(), shortEach: env.Round() / 4,
		connections: []int{1, 16, 64, 512}, changes: []int{0, 100, 1000},
	}
	if env.Quick {
		p.sizes = []size{lists(2_000, "2k"), lists(20_000, "20k"), lists(100_000, "100k")}
		p.longer = size{"20k", seed.Shape{Lists: 20_000, Entries: 10, Idle: 20_000}}
		p.starts, p.watch, p.idle, p.requests = 1, time.Second, 100, 1<<13
		p.databases = []size{{"2k", seed.Shape{Lists: 2_000, Entries: 10, Idle: 2_000}}}
		p.longEach = p.each
		return p
	}
	p.sizes = []size{lists(100_000, "100k"), lists(1_000_000, "1M"), lists(10_000_000, "10M")}
	p.longer = size{"1M", seed.Shape{Lists: 1_000_000, Entries: 10, Idle: 1_000_000}}
	p.starts, p.watch, p.idle = 2, 12*time.Second, 1000
	p.requests = 1 << 17 // enough to ask for memory that no cache of the CPU holds any more
	p.databases = []size{{"100k", seed.Shape{Lists: 100_000, Entries: 10, Idle: 100_000}}, {"1M", seed.Standard}}
	return p
}

// budget is a cache.max_bytes that a shape fits into, with room to grow: as a
// deployer would set it, in proportion to the data.
func budget(s seed.Shape) int64 {
	const fixed, list, entry = 16 << 20, 48, 8
	return fixed + int64(s.Lists)*int64(list+entry*s.Entries)*3/2
}

// lab is a study under way.
type lab struct {
	env    *study.Env
	plan   plan
	found  findings
	result study.Result
}

// findings are the figures that several parts, or the sizing rule, go by.
type findings struct {
	held          []held
	perConnection float64 // bytes
	perChange     float64 // ns of CPU
}

// run takes the parts one after the other. One that fails does not keep the others
// from being measured.
func run(ctx context.Context, env *study.Env) (study.Result, error) {
	l := &lab{env: env, plan: planFor(env)}
	var errs []error
	for _, part := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"sizes", l.grow},
		{"connections and changes", l.crowd},
		{"cores", l.spread},
		{"stale answers", l.watch},
		{"databases", l.databases},
	} {
		begun := time.Now()
		if err := part.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("scaling: %s: %w", part.what, err))
		}
		env.Log("  %s: %v", part.what, time.Since(begun).Round(time.Second/10))
		if ctx.Err() != nil {
			break
		}
	}
	l.conclude()
	return l.result, errors.Join(errs...)
}

func (l *lab) row(r study.Row)         { l.result.Rows = append(l.result.Rows, r) }
func (l *lab) table(t study.Table)     { l.result.Tables = append(l.result.Tables, t) }
func (l *lab) chart(c study.Chart)     { l.result.Charts = append(l.result.Charts, c) }
func (l *lab) note(f string, a ...any) { l.result.Notes = append(l.result.Notes, fmt.Sprintf(f, a...)) }

// turns runs the rounds of the plan.
func (l *lab) turns(ctx context.Context, contestants ...load.Contestant) (load.Results, error) {
	return load.Turns(ctx, load.Plan{Rounds: l.plan.rounds, Each: l.plan.each, Warmup: l.plan.each / 4}, contestants...)
}

// side makes one figure of all rounds a side of a row.
func side(name, unit string, rounds []load.Round, figure func(load.Round) float64) study.Side {
	return study.Side{Name: name, Unit: unit, Values: load.Of(rounds, figure)}
}

// middle is the median of one figure of all rounds.
func middle(rounds []load.Round, figure func(load.Round) float64) float64 {
	return study.Median(load.Of(rounds, figure))
}
