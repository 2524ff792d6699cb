package httpcheck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// Study is what this package measures.
var Study = study.Study{
	Name: "httpcheck",
	What: "a check over HTTP beside a fasthttp server that does nothing",
	Run:  run,
}

const (
	callers = 16
	depth   = 16
	// pairs is how many different questions are asked: enough that they are
	// spread over all pages.
	pairs = 1 << 17
)

// The contestants. Those of the same place among own and floor send the same
// bytes in the same way.
const (
	floorTCP, ownOneWay, ownTwoWay = "no-op", "one way", "two way"
	floorUnix, ownUnix             = "no-op, Unix socket", "Unix socket"
	floorDeep, ownDeep             = "no-op, pipelined", "pipelined"
	floorLone, ownLone             = "no-op, one caller", "one caller"
)

func run(ctx context.Context, env *study.Env) (result study.Result, err error) {
	shape := seed.Standard
	if env.Quick {
		shape = seed.Glance
	}
	db, err := seed.Open(ctx, env.Data, shape, env.Log)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, db.Stop(context.WithoutCancel(ctx))) }()
	s, err := startServers(ctx, env, db)
	if err != nil {
		return result, err
	}
	defer s.stop()
	plan := load.Plan{Rounds: env.Rounds(), Each: env.Round(), Warmup: env.Round() / 2}
	measured, err := load.Turns(ctx, plan, s.contestants(shape)...)
	if err != nil {
		return result, fmt.Errorf("%w\nsidegate: %s", err, s.own.Output())
	}
	return study.Result{Rows: rows(measured), Tables: []study.Table{table(measured)}}, nil
}

func (s *servers) contestants(shape seed.Shape) []load.Contestant {
	direct, group := requests(shape, "direct"), requests(shape, "group")
	at := func(name string, p *load.Process, callers int, opts load.HTTPOptions) load.Contestant {
		return load.Contestant{Name: name, PIDs: p.PIDs, Open: func(ctx context.Context) ([]load.Caller, error) {
			return load.OpenHTTPs(ctx, callers, opts)
		}}
	}
	own := load.HTTPOptions{Network: "tcp", Address: s.ownTCP, Requests: direct}
	floor := load.HTTPOptions{Network: "tcp", Address: s.noopTCP, Requests: direct}
	twoWay, deepOwn, deepFloor := own, own, floor
	twoWay.Requests = group
	deepOwn.Depth, deepFloor.Depth = depth, depth
	unixOwn, unixFloor := own, floor
	unixOwn.Network, unixOwn.Address = "unix", s.ownUnix
	unixFloor.Network, unixFloor.Address = "unix", s.noopUnix
	return []load.Contestant{
		at(floorTCP, s.noop, callers, floor), at(ownOneWay, s.own, callers, own), at(ownTwoWay, s.own, callers, twoWay),
		at(floorUnix, s.noop, callers, unixFloor), at(ownUnix, s.own, callers, unixOwn),
		at(floorDeep, s.noop, callers, deepFloor), at(ownDeep, s.own, callers, deepOwn),
		at(floorLone, s.noop, 1, floor), at(ownLone, s.own, 1, own),
	}
}

// requests writes the questions down.
func requests(shape seed.Shape, room string) [][]byte {
	asked := shape.Pairs(1, pairs)
	out := make([][]byte, len(asked))
	for i, p := range asked {
		out[i] = fmt.Appendf(nil, "GET /v1/can-deliver?app=%s&sender=%s&recipient=%s&room_type=%s HTTP/1.1\r\nHost: sidegate\r\n\r\n",
			seed.App, seed.ID(p.Sender), seed.ID(p.Recipient), room)
	}
	return out
}

// rows are the targets that this study is about.
func rows(m load.Results) []study.Row {
	side := func(name, unit string, figure func(load.Round) float64) study.Side {
		return study.Side{Name: name, Unit: unit, Values: load.Of(m[name], figure)}
	}
	cpu := func(name string) study.Side { return side(name, "ns CPU/request", load.Round.CPUPerOperation) }
	rate := func(name string) study.Side { return side(name, "requests/s", load.Round.Rate) }
	return []study.Row{
		study.Row{
			ID: "http-check-cpu", What: "HTTP check, one way: server CPU for a request beside a fasthttp no-op",
			Unit: "× no-op", AtMost: study.AtMost(1.10),
		}.Ratio(cpu(ownOneWay), cpu(floorTCP)),
		study.Row{
			ID: "http-check-rate", What: "HTTP check, one way: rate beside a fasthttp no-op",
			Unit: "× no-op", AtLeast: study.AtLeast(0.93),
		}.Ratio(rate(ownOneWay), rate(floorTCP)),
		study.Row{
			ID: "http-two-way-cpu", What: "HTTP check, two way: server CPU for a request beside a fasthttp no-op",
			Unit: "× no-op", AtMost: study.AtMost(1.15),
		}.Ratio(cpu(ownTwoWay), cpu(floorTCP)),
		study.Row{
			ID: "unix-rate", What: "HTTP check over a Unix socket: rate beside our own over TCP",
			Unit: "× TCP", AtLeast: study.AtLeast(1.25),
		}.Ratio(rate(ownUnix), rate(ownOneWay)),
		{
			ID: "pipelined-cpu", What: "HTTP check, pipelined 16 deep: server CPU for a request",
			Unit: "µs", AtMost: study.AtMost(2.1), Values: load.Of(m[ownDeep], microseconds),
		},
	}
}

func microseconds(r load.Round) float64 {
	return r.CPUPerOperation() / float64(time.Microsecond)
}

// table shows all that was measured.
func table(m load.Results) study.Table {
	t := study.Table{
		Title: "A check over HTTP beside a fasthttp no-op",
		Head:  []string{"what", "requests/s", "server µs CPU", "CPU, middle half", "p50 µs", "p99 µs"},
	}
	for _, name := range []string{
		floorTCP, ownOneWay, ownTwoWay, floorUnix, ownUnix, floorDeep, ownDeep, floorLone, ownLone,
	} {
		rounds := m[name]
		cpu := load.SpreadOf(load.Of(rounds, microseconds))
		p99 := load.SpreadOf(load.Of(rounds, func(r load.Round) float64 { return float64(r.P99) / float64(time.Microsecond) }))
		t.Cells = append(t.Cells, []string{
			name,
			fmt.Sprintf("%.0f", load.SpreadOf(load.Of(rounds, load.Round.Rate)).Median),
			fmt.Sprintf("%.2f", cpu.Median), fmt.Sprintf("%.2f–%.2f", cpu.Low, cpu.High),
			fmt.Sprintf("%.0f", load.SpreadOf(load.Of(rounds, load.Round.Median50)).Median),
			fmt.Sprintf("%.0f", p99.Median),
		})
	}
	return t
}
