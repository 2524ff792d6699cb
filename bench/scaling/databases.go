package scaling

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sidegate/sidegate/bench/generator"
	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// served is the built program on a database of a size.
type served struct {
	size    size
	db      *seed.Database
	program *load.Process
	address string
	start   startup
	memory  memory
}

// served configuration: as delivered, but for the app of the lists and the budget.
const configuration = `
check: {listen: [%q]}
api: {listen: []}
ops: {listen: [%q]}
cache: {max_bytes: %d}
apps: {%s: {}}
`

// serve starts both and waits until everything is in memory. Callers stop it, with
// or without an error.
func (l *lab) serve(ctx context.Context, s size) (v *served, err error) {
	v = &served{size: s}
	if v.db, err = seed.Open(ctx, l.env.Data, s.shape, l.env.Log); err != nil {
		return v, err
	}
	var ops string
	for _, address := range []*string{&v.address, &ops} {
		if *address, err = freePort(); err != nil {
			return v, err
		}
	}
	file := filepath.Join(l.env.Scratch, s.name+".yaml")
	text := fmt.Appendf(nil, configuration, v.address, ops, budget(s.shape), seed.App)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return v, err
	}
	began := time.Now()
	v.program, err = load.StartProcess(exec.CommandContext(ctx, l.env.Program, "serve", "--config", file, "--postgres-url", v.db.DSN))
	if err != nil {
		return v, fmt.Errorf("start sidegate: %w", err)
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := v.program.Await(limit, preloaded(limit, ops)); err != nil {
		return v, err
	}
	v.start.Wall = time.Since(began)
	if v.start.CPU, err = load.CPU(v.program.PIDs()...); err != nil {
		return v, err
	}
	v.memory, err = memoryOf(v.program.PID())
	l.env.Log("  %s lists of %d are in memory after %v, from Postgres", s.name, s.shape.Entries, v.start.Wall)
	return v, err
}

func (v *served) stop(ctx context.Context) error {
	if v.program != nil {
		v.program.Stop()
	}
	if v.db == nil {
		return nil
	}
	return v.db.Stop(context.WithoutCancel(ctx))
}

// freePort finds a port that nobody uses at the moment.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// preloadMetric is not 0 once everything that has room is in memory.
const preloadMetric = "sidegate_cache_preload_timestamp_seconds "

// preloaded returns a condition for Await.
func preloaded(ctx context.Context, ops string) func() error {
	return func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/metrics", nil)
		if err != nil {
			return err
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if value, is := strings.CutPrefix(lines.Text(), preloadMetric); is && value != "0" {
				return nil
			}
		}
		return errLoading
	}
}

// databases measures the program itself, on real databases.
func (l *lab) databases(ctx context.Context) (err error) {
	var all []*served
	defer func() {
		for _, v := range all {
			err = errors.Join(err, v.stop(ctx))
		}
	}()
	var contestants []load.Contestant
	for _, s := range l.plan.databases {
		v, err := l.serve(ctx, s)
		all = append(all, v)
		if err != nil {
			return fmt.Errorf("%s lists: %w", s.name, err)
		}
		requests := requestsFor(s.shape, l.plan.requests)
		contestants = append(contestants, load.Contestant{Name: s.name, PIDs: v.program.PIDs, Open: asking(v.address, requests)})
	}
	results, err := l.turns(ctx, contestants...)
	if err != nil {
		return err
	}
	l.tellDatabases(all, results)
	last := len(all) - 1
	return l.changeBySQL(ctx, all[last], contestants[last])
}

func asking(address string, requests [][]byte) func(context.Context) ([]load.Caller, error) {
	return func(ctx context.Context) ([]load.Caller, error) {
		return load.OpenHTTPs(ctx, callers, load.HTTPOptions{Network: "tcp", Address: address, Requests: requests})
	}
}

// sqlWriters is how many connections write.
const sqlWriters = 4

// changeBySQL measures checks with writers and without, in turn.
func (l *lab) changeBySQL(ctx context.Context, v *served, who load.Contestant) error {
	var quiet, changing []load.Round
	var rates []float64
	one := load.Plan{Rounds: 1, Each: l.plan.each, Warmup: l.plan.each / 4}
	for range l.plan.rounds {
		without, err := load.Turns(ctx, one, who)
		if err != nil {
			return err
		}
		with, rate, err := v.change(ctx, one, who)
		if err != nil {
			return fmt.Errorf("changes through SQL: %w", err)
		}
		quiet, changing, rates = append(quiet, without[who.Name]...), append(changing, with[who.Name]...), append(rates, rate)
	}
	l.row(study.Row{
		ID: "changes-cpu-sql", Unit: "×", What: fmt.Sprintf("server CPU per HTTP check at %s changes a second through SQL beside none, "+
			"%s lists of %d in a Postgres on the same cores", figure(study.Median(rates)), v.size.name, v.size.shape.Entries),
	}.Ratio(side("with changes", "ns", changing, load.Round.CPUPerOperation), side("none", "ns", quiet, load.Round.CPUPerOperation)))
	l.note("Changes through SQL were made by %d connections, each as fast as it goes: %s a second. The program, the database, the writers "+
		"and the client were on one machine; what changes cost the sidecar alone is measured with the generator.",
		sqlWriters, figure(study.Median(rates)))
	return nil
}

// change measures checks while lists change through SQL, and returns how many
// changes a second there were.
func (v *served) change(ctx context.Context, plan load.Plan, who load.Contestant) (results load.Results, rate float64, err error) {
	var made atomic.Int64
	under, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	for k := range sqlWriters {
		g.Go(func() error { return v.write(under, k, &made) })
	}
	began := time.Now()
	results, err = load.Turns(ctx, plan, who)
	rate = float64(made.Load()) / time.Since(began).Seconds()
	stop()
	return results, rate, errors.Join(err, g.Wait())
}

// write puts guests on lists and takes them off again, so that the database stays
// as it was.
func (v *served) write(ctx context.Context, writer int, made *atomic.Int64) error {
	whole := context.WithoutCancel(ctx) // a guest who came must go
	conn, err := pgx.Connect(whole, v.db.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(whole) }()
	for i := writer; ctx.Err() == nil; i = (i + sqlWriters) % v.size.shape.Lists {
		args := []any{seed.App, seed.ID(i), seed.ID(generator.Guest(v.size.shape, i))}
		for _, statement := range []string{
			// A guest may be left over of a run that was killed.
			"insert into sidegate.block (app, owner, target) values ($1, $2, $3) on conflict do nothing",
			// Without the kind no index leads to the row.
			"delete from sidegate.block where app = $1 and kind = 'block' and owner = $2 and target = $3",
		} {
			if _, err := conn.Exec(whole, statement, args...); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
			made.Add(1)
		}
	}
	return nil
}

func (l *lab) tellDatabases(all []*served, results load.Results) {
	t := study.Table{
		Title: "The built program on a Postgres, lists of 10",
		Head:  []string{"lists", "start, s", "start CPU, s", "resident after it, MiB", "peak, MiB", "µs CPU a check, HTTP", "checks a second"},
	}
	for _, v := range all {
		rounds := results[v.size.name]
		t.Cells = append(t.Cells, []string{
			v.size.name, figure(v.start.Wall.Seconds()), figure(v.start.CPU.Seconds()),
			mebi(v.memory.Resident), mebi(v.memory.Peak),
			figure(middle(rounds, load.Round.CPUPerOperation) / 1e3), figure(middle(rounds, load.Round.Rate)),
		})
	}
	l.table(t)
}
