package beside

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/report"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
)

// Study is what this package measures.
var Study = study.Study{
	Name: "beside",
	What: "one check beside Redis, Postgres, OPA and OpenFGA, and beside a server that looks at nothing",
	Run:  run,
}

const (
	callers = 16
	depth   = 16 // of a pipeline
)

// The contestants.
const (
	floor, floorDeep              = "fasthttp no-op", "fasthttp no-op, pipelined"
	ownOneWay, ownTwoWay, ownDeep = "sidegate, one way", "sidegate, two way", "sidegate, pipelined"
	clientOneWay, clientTwoWay    = "sidegate by fasthttp's client, one way", "sidegate by fasthttp's client, two way"
	redisOneWay, redisTwoWay      = "Redis SISMEMBER", "Redis 2 × SISMEMBER in one pipeline"
	redisDeep                     = "Redis SISMEMBER, pipelined"
	goRedisOneWay, goRedisTwoWay  = "go-redis, one way", "go-redis, two way"
	rueidisOneWay, rueidisTwoWay  = "rueidis, one way", "rueidis, two way"
	postgresProbe, opaREST        = "Postgres EXISTS, prepared", "OPA, REST"
	fgaHTTP, fgaGRPC              = "OpenFGA Check, HTTP", "OpenFGA Check, gRPC"
)

func run(ctx context.Context, env *study.Env) (result study.Result, err error) {
	w := &world{env: env, shape: seed.Standard, absent: map[string]string{}, path: filepath.Join(env.Scratch, "questions.txt")}
	asked := 1 << 17
	if env.Quick {
		w.shape, asked = seed.Glance, 1<<13
	}
	if w.db, err = seed.Open(ctx, env.Data, w.shape, env.Log); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, w.db.Stop(context.WithoutCancel(ctx))) }()
	defer w.stop()
	w.questions = ask(w.shape, asked)
	if err := save(w.path, w.questions); err != nil {
		return result, err
	}
	if err := w.startAll(ctx); err != nil {
		return result, err
	}
	if w.figures.own, err = resident(w.own.PID()); err != nil {
		return result, err
	}
	// Shorter rounds than elsewhere: there are many contestants, and while the others
	// have theirs a server must not take one's connections for given up.
	plan := load.Plan{Rounds: env.Rounds() + 2, Each: env.Round() / 2, Warmup: env.Round() / 2}
	if env.Quick {
		plan.Rounds, plan.Each, plan.Warmup = env.Rounds(), env.Round()/3, env.Round()/6
	}
	measured, err := load.Turns(ctx, plan, w.contestants...)
	if err != nil {
		return result, err
	}
	return w.result(measured), nil
}

// startAll starts every server. A peer that does not start is absent; without the
// floor and sidegate there is nothing to measure.
func (w *world) startAll(ctx context.Context) error {
	if err := errors.Join(startFloor(ctx, w), startOwn(ctx, w)); err != nil {
		return err
	}
	for _, p := range []struct {
		start func(context.Context, *world) error
		names []string
	}{
		{startRedis, []string{redisOneWay, redisTwoWay, redisDeep, goRedisOneWay, goRedisTwoWay, rueidisOneWay, rueidisTwoWay}},
		{startPostgres, []string{postgresProbe}},
		{startOPA, []string{opaREST}},
		{startOpenFGA, []string{fgaHTTP, fgaGRPC}},
	} {
		err := p.start(ctx, w)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.env.Log("%s: left out: %v", p.names[0], err)
		why := fmt.Sprintf("it did not start: %v", err)
		var absent absence
		if errors.As(err, &absent) {
			why = string(absent)
		}
		for _, name := range p.names {
			w.absent[name] = report.Clean(why)
		}
	}
	return nil
}
