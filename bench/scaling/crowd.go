package scaling

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/study"
)

// crowd measures many connections, and changes, at the middle size.
func (l *lab) crowd(ctx context.Context) error {
	s := l.plan.sizes[len(l.plan.sizes)/2]
	p, err := startProcess(ctx, setup{Shape: s.shape, MaxBytes: budget(s.shape)}, 0)
	if err != nil {
		return err
	}
	defer p.stop()
	requests := requestsFor(s.shape, l.plan.requests)
	return errors.Join(l.connections(ctx, p, requests), l.changes(ctx, p, requests))
}

// connections lets more and more of them ask.
func (l *lab) connections(ctx context.Context, p *process, requests [][]byte) error {
	var contestants []load.Contestant
	for _, n := range l.plan.connections {
		contestants = append(contestants, p.contestant(strconv.Itoa(n), n, requests))
	}
	results, err := l.turns(ctx, contestants...)
	if err != nil {
		return fmt.Errorf("connections: %w", err)
	}
	cpu := study.Line{Name: "µs of CPU a check"}
	t := study.Table{
		Title: "Connections, closed loop each, at " + l.plan.sizes[len(l.plan.sizes)/2].name + " lists of 3 (generator)",
		Head:  []string{"connections", "µs CPU a check", "checks a second", "p50, µs", "p99, µs"},
	}
	for _, n := range l.plan.connections {
		rounds := results[strconv.Itoa(n)]
		each := middle(rounds, load.Round.CPUPerOperation) / 1e3
		cpu.Points = append(cpu.Points, [2]float64{float64(n), each})
		t.Cells = append(t.Cells, []string{
			strconv.Itoa(n), figure(each), figure(middle(rounds, load.Round.Rate)), figure(middle(rounds, load.Round.Median50)),
			figure(middle(rounds, func(r load.Round) float64 { return float64(r.P99) / 1e3 })),
		})
	}
	l.table(t)
	l.chart(connectionChart(cpu))
	return nil
}

// changes lets lists change while they are asked about. The paces take turns in one
// process, so that nothing but the changes differs.
func (l *lab) changes(ctx context.Context, p *process, requests [][]byte) error {
	rounds := map[int][]load.Round{}
	for turn := range l.plan.rounds {
		for i := range l.plan.changes {
			n := l.plan.changes[(turn+i)%len(l.plan.changes)]
			if err := p.pace(ctx, n); err != nil {
				return fmt.Errorf("changes: %w", err)
			}
			got, err := load.Turns(ctx, load.Plan{Rounds: 1, Each: l.plan.longEach, Warmup: l.plan.each / 4},
				p.contestant("checks", callers, requests))
			if err != nil {
				return fmt.Errorf("%d changes a second: %w", n, err)
			}
			rounds[n] = append(rounds[n], got["checks"]...)
		}
	}
	quiet, err := l.applying(ctx, p)
	if err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	l.tellChanges(rounds, quiet)
	return nil
}

// applyRounds is how often the CPU of an idle sidecar is measured at each pace.
const applyRounds = 3

// applying measures the CPU a second of the sidecar while nobody asks, at each pace.
func (l *lab) applying(ctx context.Context, p *process) (map[int]float64, error) {
	perSecond := map[int][]float64{}
	for range applyRounds {
		for _, n := range l.plan.changes {
			if err := p.pace(ctx, n); err != nil {
				return nil, err
			}
			used, err := p.idle(ctx, l.plan.each)
			if err != nil {
				return nil, err
			}
			perSecond[n] = append(perSecond[n], float64(used)/l.plan.each.Seconds())
		}
	}
	quiet := map[int]float64{}
	for n, values := range perSecond {
		quiet[n] = study.Median(values)
	}
	return quiet, p.pace(ctx, 0)
}

// idle returns the CPU time that the process uses in a while of nobody asking.
func (p *process) idle(ctx context.Context, length time.Duration) (time.Duration, error) {
	before, err := load.CPU(p.PID())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := load.CPU(p.PID())
	return time.Duration(float64(after-before) * float64(length) / float64(time.Since(began))), err
}

// tellChanges says what was found; quiet is the CPU a second without checks, in ns.
func (l *lab) tellChanges(rounds map[int][]load.Round, quiet map[int]float64) {
	line := study.Line{Name: "µs of CPU a check, changes included"}
	t := study.Table{
		Title: "Changes while checking, 16 connections, at " + l.plan.sizes[len(l.plan.sizes)/2].name + " lists of 3 (generator)",
		Head: []string{
			"changes a second", "µs CPU a check", "checks a second", "p99, µs", "CPU without checks, ms a second", "µs CPU a change",
		},
	}
	none, most := l.plan.changes[0], l.plan.changes[len(l.plan.changes)-1]
	for _, n := range l.plan.changes {
		each := middle(rounds[n], load.Round.CPUPerOperation) / 1e3
		line.Points = append(line.Points, [2]float64{float64(n), each})
		change := 0.0
		if n > 0 {
			change = (quiet[n] - quiet[none]) / float64(n)
		}
		t.Cells = append(t.Cells, []string{
			strconv.Itoa(n), figure(each), figure(middle(rounds[n], load.Round.Rate)),
			figure(middle(rounds[n], func(r load.Round) float64 { return float64(r.P99) / 1e3 })),
			figure(quiet[n] / 1e6), orDash(change / 1e3),
		})
		l.found.perChange = change
	}
	l.table(t)
	l.chart(changeChart(line))
	l.row(study.Row{
		ID: "changes-cpu", Unit: "×", AtMost: study.AtMost(1.15),
		What: fmt.Sprintf("server CPU per HTTP check at %d changes a second beside none, nothing taken off, from a generator", most),
	}.Ratio(
		side(fmt.Sprintf("%d changes a second", most), "ns", rounds[most], load.Round.CPUPerOperation),
		side("none", "ns", rounds[none], load.Round.CPUPerOperation)))
}

// connectionBytes measures what a connection costs that has asked once and waits.
func (l *lab) connectionBytes(ctx context.Context, p *process) error {
	before, _, _, err := p.weigh(ctx)
	if err != nil {
		return err
	}
	open, err := load.OpenHTTPs(ctx, l.plan.idle, load.HTTPOptions{
		Network: "tcp", Address: p.address, Requests: requestsFor(p.setup.Shape, l.plan.idle),
	})
	if err != nil {
		return fmt.Errorf("idle connections: %w", err)
	}
	var errs []error
	for _, c := range open {
		_, err := c.Do()
		errs = append(errs, err)
	}
	after, err := memoryOf(p.PID())
	errs = append(errs, err)
	for _, c := range open {
		errs = append(errs, c.Close())
	}
	l.found.perConnection = float64(after.Resident-before.Resident) / float64(l.plan.idle)
	return errors.Join(errs...)
}
