// Package propagation measures how long a block made through one sidegate takes to
// show in another, from the moment at which the writer has its answer, that is,
// the commit is durable.
//
// Two pairs of processes share one durable Postgres and are measured in turn: one
// polls every 20 ms, the other polls as often and sends and hears hints besides.
// Writes come at random moments, so that every phase of the poll is met. The
// reader is asked over HTTP, with a pause of a fifth of a millisecond: an answer
// is up to that and one exchange late, and the machine is not kept busy by asking.
package propagation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/bench/served"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// Study is the study of propagation.
var Study = study.Study{
	Name: "propagation",
	What: "from an acknowledged block in one sidegate to its effect in another",
	Run:  run,
}

const (
	interval = 20 * time.Millisecond
	// asking is the pause between two questions to the reader.
	asking = 200 * time.Microsecond
	// tooLate ends the study: nothing arrives any more.
	tooLate = 10 * time.Second
	// perRound is the number of blocks of a round, quickRound that of a glance.
	perRound, quickRound = 100, 20
)

func run(ctx context.Context, env *study.Env) (out study.Result, err error) {
	server := localpg.New(localpg.Options{Dir: filepath.Join(env.Scratch, "postgres"), Durable: true})
	if err := server.Start(ctx); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, server.Stop(context.WithoutCancel(ctx))) }()
	dsn, err := database(ctx, server)
	if err != nil {
		return out, err
	}
	var pairs [2]*pair // without and with hints
	for i := range pairs {
		config := fmt.Sprintf("sync: {poll_interval: %v, hints: %t}\n", interval, i == 1)
		p, err := startPair(ctx, served.Options{Program: env.Program, DSN: dsn, Dir: env.Scratch, Config: config})
		if err != nil {
			return out, err
		}
		defer p.stop()
		pairs[i] = p
	}
	blocks := perRound
	if env.Quick {
		blocks = quickRound
	}
	var rounds [2][][]time.Duration
	for round := range env.Rounds() + 1 {
		for i, p := range pairs {
			delays, err := p.round(ctx, fmt.Sprintf("r%d-%d", round, i), blocks)
			if err != nil {
				return out, err
			}
			if round > 0 { // the first warms up
				rounds[i] = append(rounds[i], delays)
			}
		}
	}
	return result(rounds[0], rounds[1]), nil
}

func database(ctx context.Context, server *localpg.Server) (dsn string, err error) {
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "create database sidegate")
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return "", err
	}
	return server.DSN("sidegate"), postgres.Up(ctx, server.DSN("sidegate"))
}

// pair is two processes: one is written to, the other is asked.
type pair struct {
	writer, reader *served.Program
	write, ask     *fasthttp.HostClient
}

func startPair(ctx context.Context, o served.Options) (*pair, error) {
	writer, err := served.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	reader, err := served.Start(ctx, o)
	if err != nil {
		writer.Stop()
		return nil, err
	}
	return &pair{writer, reader, client(writer.API), client(reader.Check)}, nil
}

func client(address string) *fasthttp.HostClient {
	return &fasthttp.HostClient{Addr: address, ReadTimeout: tooLate}
}

func (p *pair) stop() {
	p.writer.Stop()
	p.reader.Stop()
}

// round makes blocks, one list each, and returns how long each took to arrive.
func (p *pair) round(ctx context.Context, name string, blocks int) ([]time.Duration, error) {
	delays := make([]time.Duration, blocks)
	for i := range delays {
		if !pause(ctx, rand.N(2*interval)) {
			return nil, ctx.Err()
		}
		bob := name + "-" + strconv.Itoa(i)
		// Asked before, so that the list is in memory and the change comes by the feed.
		if _, err := p.withheld(bob); err != nil {
			return nil, err
		}
		if code, err := call(p.write, "PUT", "http://"+p.writer.API+"/v1/apps/default/users/"+bob+"/blocks/alice"); err != nil || code != 201 {
			return nil, fmt.Errorf("a block was answered %d: %w", code, err)
		}
		acknowledged := time.Now()
		for {
			withheld, err := p.withheld(bob)
			if err != nil {
				return nil, err
			}
			if delays[i] = time.Since(acknowledged); withheld {
				break
			}
			if delays[i] > tooLate || ctx.Err() != nil {
				return nil, errors.Join(ctx.Err(), fmt.Errorf("a block has not arrived in %v", delays[i]))
			}
			nap()
		}
	}
	return delays, nil
}

// withheld asks the reader whether alice may write to somebody.
func (p *pair) withheld(bob string) (bool, error) {
	code, err := call(p.ask, "GET", "http://"+p.reader.Check+
		"/v1/can-deliver?room_type=direct&status=1&sender=alice&recipient="+bob)
	if err != nil {
		return false, err
	}
	if code != 403 && code != 204 {
		return false, fmt.Errorf("the reader answered %d", code)
	}
	return code == 403, nil
}

func call(c *fasthttp.HostClient, method, url string) (code int, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(method)
	req.SetRequestURI(url)
	err = c.Do(req, resp)
	return resp.StatusCode(), err
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// result makes rows of the rounds: a percentile of each.
func result(polled, hinted [][]time.Duration) study.Result {
	row := func(id, what string, rounds [][]time.Duration, percent int) study.Row {
		r := study.Row{ID: id, Unit: "ms", What: "a block applied in another sidegate, " + what + ": p" + strconv.Itoa(percent) + " after the commit is acknowledged"}
		for _, delays := range rounds {
			r.Values = append(r.Values, percentile(delays, percent))
		}
		return r
	}
	const polling, hints = "polling at 20 ms", "polling at 20 ms and hints"
	rows := []study.Row{
		row("propagation-p50", polling, polled, 50), row("propagation-p99", polling, polled, 99),
		row("hint-p50", hints, hinted, 50), row("hint-p99", hints, hinted, 99),
	}
	rows[0].AtMost, rows[1].AtMost, rows[2].AtMost = study.AtMost(15), study.AtMost(45), study.AtMost(2)
	all, told := slices.Concat(polled...), slices.Concat(hinted...)
	return study.Result{Rows: rows, Notes: []string{fmt.Sprintf(
		"All rounds together, %d blocks each: %s p50 %.1f ms, p99 %.1f ms; %s p50 %.1f ms, p99 %.1f ms. A poll every 20 ms, varied by a fifth, "+
			"has a p50 of 10 ms by construction. Both pairs of processes run all the time.",
		len(all), polling, percentile(all, 50), percentile(all, 99), hints, percentile(told, 50), percentile(told, 99))}}
}

// percentile returns the delay in milliseconds that so many in a hundred do not exceed.
func percentile(delays []time.Duration, percent int) float64 {
	sorted := slices.Sorted(slices.Values(delays))
	at := (len(sorted)*percent + 99) / 100
	return float64(sorted[max(at, 1)-1]) / float64(time.Millisecond)
}
