package writes

import (
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"time"

	"github.com/sidegate/sidegate/bench/served"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/sync/postgres"
)

// Study is the study of writes.
var Study = study.Study{
	Name: "writes",
	What: "blocks, one list each, beside a bare two-row transaction of pgbench",
	Run:  run,
}

// judged is the number of callers whose ratio is held to the target: enough to
// keep both cores busy, and no more.
const judged = 8

func run(ctx context.Context, env *study.Env) (out study.Result, err error) {
	tool, err := osexec.LookPath("pgbench")
	if err != nil {
		return study.Result{Rows: []study.Row{row(judged, "api", "there is no pgbench")}}, nil
	}
	lists := 100_000
	if env.Quick {
		lists = 5_000
	}
	server, err := startServer(ctx, env.Scratch)
	if err != nil {
		return out, err
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	if err := fill(ctx, server, lists); err != nil {
		return out, err
	}
	dsn := server.DSN(database)
	bare, err := bench(tool, env.Scratch, dsn, lists)
	if err != nil {
		return out, err
	}
	direct, err := postgres.Open(ctx, postgres.Options{URL: dsn})
	if err != nil {
		return out, err
	}
	defer direct.Close()
	sides := []side{bare, store(direct, lists)}
	if _, err := os.Stat(env.Program); err == nil {
		program, err := served.Start(ctx, served.Options{Program: env.Program, DSN: dsn, Dir: env.Scratch})
		if err != nil {
			return out, err
		}
		defer program.Stop()
		sides = append(sides, api(program.Process, program.API, lists))
	} else {
		out.Rows = append(out.Rows, row(judged, "api", "the program is not built: "+env.Program))
	}
	return out, measure(ctx, env, server.PID(), sides, &out)
}

// measure runs the rounds and fills the result.
func measure(ctx context.Context, env *study.Env, postmaster int, sides []side, out *study.Result) error {
	table := study.Table{
		Title: "Writes a second and CPU of one write (medians)",
		Head:  []string{"callers", "side", "writes/s", "Postgres, µs", "sidegate, µs", "client, µs"},
	}
	for _, callers := range []int{1, judged, 32} {
		shots := map[string][]shot{}
		for round := range env.Rounds() + 1 {
			for i := range sides {
				s := sides[(round+i)%len(sides)]
				taken, err := one(ctx, s, postmaster, callers, env.Round())
				if err != nil {
					return fmt.Errorf("%s, %d callers: %w", s.name, callers, err)
				}
				if round > 0 { // the first warms up
					shots[s.name] = append(shots[s.name], taken)
				}
			}
		}
		for _, s := range sides {
			line := cells(callers, s.name, shots[s.name])
			table.Cells = append(table.Cells, line)
			env.Log("writes: %d callers, %s: %s writes a second", callers, s.name, line[2])
			if s.name != "pgbench" {
				rates := study.Side{Name: s.name, Unit: "writes/s", Values: each(shots[s.name], shot.rate)}
				peer := study.Side{Name: "pgbench", Unit: "transactions/s", Values: each(shots["pgbench"], shot.rate)}
				out.Rows = append(out.Rows, row(callers, s.name, "").Ratio(rates, peer))
			}
		}
	}
	out.Tables = append(out.Tables, table)
	out.Notes = append(out.Notes, fmt.Sprintf("One Postgres for all sides: fsync, synchronous_commit and full_page_writes on, %v. "+
		"The bare tables have the columns and the primary key of ours and nothing else; ours have checks, four more indexes, "+
		"the feed, the direct room of the pair, the limit, and an answer that names the version.", settings))
	return nil
}

// row is the row of a side; the one that is judged has the name of the target.
func row(callers int, side, missing string) study.Row {
	r := study.Row{
		ID: fmt.Sprintf("writes-%s-%d", side, callers), Unit: "×", Missing: missing,
		What: fmt.Sprintf("block by the %s, %d callers: rate beside a bare two-row transaction of pgbench", side, callers),
	}
	if side == "api" && callers == judged {
		r.ID, r.AtLeast = "writes", study.AtLeast(0.6)
	}
	return r
}

func one(ctx context.Context, s side, postmaster, callers int, length time.Duration) (shot, error) {
	before, err := clusterCPU(postmaster)
	if err != nil {
		return shot{}, err
	}
	taken, err := s.run(ctx, callers, length)
	if err != nil {
		return shot{}, err
	}
	after, err := clusterCPU(postmaster)
	taken.cluster = after - before
	return taken, err
}

func each(shots []shot, of func(shot) float64) []float64 {
	out := make([]float64, len(shots))
	for i, s := range shots {
		out[i] = of(s)
	}
	return out
}

func cells(callers int, name string, shots []shot) []string {
	middle := func(of func(shot) float64) string { return fmt.Sprintf("%.0f", study.Median(each(shots, of))) }
	return []string{
		fmt.Sprint(callers), name, middle(shot.rate),
		middle(func(s shot) float64 { return s.micros(s.cluster) }),
		middle(func(s shot) float64 { return s.micros(s.front) }),
		middle(func(s shot) float64 { return s.micros(s.own) }),
	}
}
