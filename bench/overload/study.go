// Package overload measures what hits pay while misses drown: the latency of checks
// whose lists are in memory, in a process that is asked for thousands of lists a
// second that are not, while its Postgres hangs.
//
// The same process is measured in turn: asked for hits alone, for hits beside as
// many other hits as there will be misses, and for hits beside misses. The second
// is what the third is compared with: both put as many requests on the same cores,
// so that what differs is what a miss does to its neighbours. Postgres is stopped
// for all of it, so that no miss ends well.
//
// Requests are paced, not asked one after the other: who waits for an answer does
// not keep others from asking. The time of a hit is from its first byte sent to its
// answer read, of every hit.
package overload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/served"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// Study is the study of overload.
var Study = study.Study{
	Name: "overload",
	What: "hits while misses drown and Postgres hangs",
	Run:  run,
}

const (
	// lists are three entries long; memory has room for less than a fifth of them.
	lists  = 60_000
	config = "cache: {max_bytes: 1MiB}\napps: {default: {on_unknown: deliver}}\n"
	// hot is how many owners hits are about: they stay in memory.
	hot = 200

	hitCallers, hitRate   = 4, 1000 // a second
	sideCallers, sideRate = 64, 4000
)

// The sides. Each but the first has other requests beside the hits that are timed.
const (
	alone        = "hits alone"
	besideHits   = "beside hits"
	besideMisses = "beside misses"
)

func run(ctx context.Context, env *study.Env) (result study.Result, err error) {
	server := localpg.New(localpg.Options{Dir: filepath.Join(env.Scratch, "postgres")})
	if err := server.Start(ctx); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, server.Stop(context.WithoutCancel(ctx))) }()
	dsn, err := database(ctx, server)
	if err != nil {
		return result, err
	}
	program, err := served.Start(ctx, served.Options{Program: env.Program, DSN: dsn, Dir: env.Scratch, Config: config})
	if err != nil {
		return result, err
	}
	defer program.Stop()
	if err := warm(ctx, program.Check); err != nil {
		return result, fmt.Errorf("%w\nsidegate: %s", err, program.Output())
	}
	if err := server.Freeze(ctx); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, server.Thaw()) }()
	seen, err := measure(ctx, env, program, sides())
	if err != nil {
		return result, fmt.Errorf("%w\nsidegate: %s", err, program.Output())
	}
	return seen.result(), nil
}

// database makes the lists.
func database(ctx context.Context, server *localpg.Server) (dsn string, err error) {
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "create database sidegate")
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return "", err
	}
	dsn = server.DSN("sidegate")
	if err := postgres.Up(ctx, dsn); err != nil {
		return "", err
	}
	if conn, err = pgx.Connect(ctx, dsn); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, `insert into sidegate.block (app, owner, target)
		select 'default', 'user-' || o, 'target-' || t from generate_series(1, $1::int) o, generate_series(1, 3) t`, lists)
	return dsn, errors.Join(err, conn.Close(ctx))
}

// question is a check of one owner's list.
func question(owner int) []byte {
	return fmt.Appendf(nil, "GET /v1/can-deliver?sender=alice&recipient=user-%d&room_type=direct HTTP/1.1\r\nHost: sidegate\r\n\r\n", owner)
}

// questions are checks of the owners from one number to another.
func questions(from, to int) [][]byte {
	out := make([][]byte, 0, to-from)
	for owner := from; owner < to; owner++ {
		out = append(out, question(owner))
	}
	return out
}

// warm asks for the hot owners until their lists are in memory and known to be
// wanted there.
func warm(ctx context.Context, address string) error {
	const times = 40
	callers, err := load.OpenHTTPs(ctx, 1, load.HTTPOptions{Network: "tcp", Address: address, Requests: questions(0, hot)})
	if err != nil {
		return err
	}
	for range times * hot {
		if _, err = callers[0].Do(); err != nil {
			break
		}
	}
	return errors.Join(err, callers[0].Close())
}

// side is what is asked beside the hits that are timed.
type side struct {
	name   string
	beside [][]byte // requests; none: nothing
}

// sides are all of them.
func sides() []side {
	return []side{{alone, nil}, {besideHits, questions(0, hot)}, {besideMisses, questions(hot, lists)}}
}

// callers opens the connections of a round: a server closes one that is not asked
// for a while, and some sides ask for nothing meanwhile.
func (s *side) callers(ctx context.Context, address string) (hits, beside []load.Caller, err error) {
	options := load.HTTPOptions{Network: "tcp", Address: address, Requests: questions(0, hot)}
	if hits, err = load.OpenHTTPs(ctx, hitCallers, options); err != nil || s.beside == nil {
		return hits, nil, err
	}
	options.Requests = s.beside
	if beside, err = load.OpenHTTPs(ctx, sideCallers, options); err != nil {
		err = errors.Join(err, closeAll(hits))
	}
	return hits, beside, err
}

func closeAll(callers []load.Caller) error {
	var errs []error
	for _, c := range callers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// pieces is into how many a round is cut. Sides take turns after each: a
// machine that others use as well changes within seconds.
const pieces = 4

// measure gives every side its rounds, in turn. The first warms up.
func measure(ctx context.Context, env *study.Env, program *served.Program, sides []side) (*seen, error) {
	out := &seen{}
	for turn := range env.Rounds() + 1 {
		rounds := make([]round, len(sides))
		for i := range pieces * len(sides) {
			at := (turn + i) % len(sides)
			if err := sides[at].round(ctx, env.Round()/pieces, program, &rounds[at]); err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", sides[at].name, turn, err)
			}
		}
		for at, r := range rounds {
			if turn > 0 {
				out.rounds[at] = append(out.rounds[at], r)
			}
		}
	}
	return out, ctx.Err()
}

// round is what one round of a side has shown.
type round struct {
	hits   []time.Duration // of every hit
	beside int             // requests answered beside them
	cpu    time.Duration   // of the server
	counts counts
}
