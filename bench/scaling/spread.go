package scaling

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/study"
)

// spread measures one core and two.
func (l *lab) spread(ctx context.Context) error {
	if why := uneven(ctx); why != nil {
		l.note("One core beside two was not measured: %v.", why)
		return nil
	}
	s := l.plan.sizes[len(l.plan.sizes)/2]
	requests := requestsFor(s.shape, l.plan.requests)
	var contestants []load.Contestant
	var all []*process
	for n := 1; n <= 2; n++ {
		p, err := startProcess(ctx, setup{Shape: s.shape, MaxBytes: budget(s.shape)}, cores(n))
		if err != nil {
			return err
		}
		defer p.stop()
		all = append(all, p)
		contestants = append(contestants, p.contestant(coreName(n), callers, requests))
	}
	results, err := l.turns(ctx, contestants...)
	if err != nil {
		return err
	}
	within := [2][]inner{}
	for range l.plan.rounds {
		for n, p := range all {
			got, err := p.inside(ctx, n+1, l.plan.shortEach)
			if err != nil {
				return err
			}
			within[n] = append(within[n], got)
		}
	}
	l.tellCores(results, within)
	return nil
}

// uneven returns why processes cannot be held to one core and to two here, nil if
// they can.
func uneven(ctx context.Context) error {
	if runtime.NumCPU() < 2 {
		return errors.New("it takes two cores")
	}
	try := exec.CommandContext(ctx, "true")
	if err := cores(2).hold(try); err != nil {
		return err
	}
	return try.Run() // a container may own other cores than the first
}

func coreName(n int) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}

func (l *lab) tellCores(results load.Results, within [2][]inner) {
	t := study.Table{
		Title: "Cores, at " + l.plan.sizes[len(l.plan.sizes)/2].name + " lists of 3 (generator)",
		Head: []string{
			"sidecar's cores", "HTTP checks a second", "µs CPU a check, HTTP", "checks a second in process, a goroutine a core", "ns CPU a check, in process",
		},
	}
	var http, inside []study.Bar
	var rates [2][]float64
	for n := range within {
		rounds := results[coreName(n+1)]
		var cpu []float64
		for _, r := range within[n] {
			rates[n], cpu = append(rates[n], r.rate()), append(cpu, r.perCheck())
		}
		asked := load.Of(rounds, load.Round.Rate)
		http = append(http, bar("HTTP, "+coreName(n+1), asked))
		inside = append(inside, bar("in process, "+coreName(n+1), rates[n]))
		t.Cells = append(t.Cells, []string{
			coreName(n + 1), figure(study.Median(asked)), figure(middle(rounds, load.Round.CPUPerOperation) / 1e3),
			figure(study.Median(rates[n])), figure(study.Median(cpu)),
		})
	}
	l.table(t)
	l.chart(coreChart(append(http, inside...)))
	l.row(study.Row{
		ID: "cores-inside", Unit: "×", What: "rate of checks in process on two cores beside one, random pairs, from a generator",
	}.Ratio(study.Side{Name: "2 cores", Unit: "checks/s", Values: rates[1]}, study.Side{Name: "1 core", Unit: "checks/s", Values: rates[0]}))
}

func bar(name string, values []float64) study.Bar {
	b := study.Bar{Name: name, Value: study.Median(values), Own: true}
	b.Low, b.High = study.Quartiles(values)
	return b
}
