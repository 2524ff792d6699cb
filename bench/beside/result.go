package beside

import (
	"fmt"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/report"
	"github.com/sidegate/sidegate/bench/study"
)

// comparison is a row of this study: a figure of one contestant over that of
// another.
type comparison struct {
	id, what, own, peer string
	of                  figure
	atMost, atLeast     *float64
}

// figure is what is compared.
type figure struct {
	name, unit string
	of         func(load.Round) float64
}

var (
	cost = figure{"CPU", "µs CPU", microseconds} // of the server
	rate = figure{"rate", "a second", load.Round.Rate}
	work = figure{"work", "µs CPU of both sides", bothSides}
)

var comparisons = []comparison{
	{id: "pipelined-vs-redis", what: "pipelined 16 deep: server CPU beside Redis SISMEMBER, pipelined alike", own: ownDeep, peer: redisDeep, of: cost, atMost: study.AtMost(0.65)},
	{id: "redis-one-way", what: "one way: rate over bare sockets beside SISMEMBER by go-redis", own: ownOneWay, peer: goRedisOneWay, of: rate, atLeast: study.AtLeast(1.3)},
	{id: "redis-two-way", what: "two way: rate over bare sockets beside 2 × SISMEMBER in one pipeline by go-redis", own: ownTwoWay, peer: goRedisTwoWay, of: rate, atLeast: study.AtLeast(2)},
	{id: "postgres-cpu", what: "server CPU beside Postgres, EXISTS by primary key, prepared", own: ownOneWay, peer: postgresProbe, of: cost, atMost: study.AtMost(1. / 4)},
	{id: "opa-cpu", what: "server CPU beside OPA, REST", own: ownOneWay, peer: opaREST, of: cost, atMost: study.AtMost(1. / 10)},
	{id: "openfga-http-cpu", what: "server CPU beside OpenFGA, HTTP, cached", own: ownOneWay, peer: fgaHTTP, of: cost, atMost: study.AtMost(1. / 28)},
	{id: "openfga-grpc-cpu", what: "server CPU beside OpenFGA, gRPC, cached", own: ownOneWay, peer: fgaGRPC, of: cost, atMost: study.AtMost(1. / 14)},
	// Beside the targets, what a reader may want to know before believing them.
	{id: "redis-one-way-bare", what: "one way: rate, both over bare sockets", own: ownOneWay, peer: redisOneWay, of: rate},
	{id: "redis-two-way-bare", what: "two way: rate, both over bare sockets", own: ownTwoWay, peer: redisTwoWay, of: rate},
	{id: "redis-one-way-library", what: "one way: rate, sidegate by fasthttp's client, Redis by go-redis", own: clientOneWay, peer: goRedisOneWay, of: rate},
	{id: "redis-two-way-library", what: "two way: rate, sidegate by fasthttp's client, Redis by go-redis", own: clientTwoWay, peer: goRedisTwoWay, of: rate},
	{id: "rueidis-one-way", what: "one way: rate by fasthttp's client beside rueidis, which sends together what 16 callers ask", own: clientOneWay, peer: rueidisOneWay, of: rate},
	{id: "rueidis-two-way", what: "two way: rate by fasthttp's client beside rueidis", own: clientTwoWay, peer: rueidisTwoWay, of: rate},
	{id: "redis-one-way-work", what: "one way: CPU of server and library together beside go-redis; a rate on a machine that does nothing else is its inverse", own: clientOneWay, peer: goRedisOneWay, of: work},
	{id: "redis-two-way-work", what: "two way: CPU of server and library together beside go-redis", own: clientTwoWay, peer: goRedisTwoWay, of: work},
	{id: "redis-one-way-cpu", what: "one way: server CPU beside Redis SISMEMBER, bare sockets", own: ownOneWay, peer: redisOneWay, of: cost},
	{id: "redis-two-way-cpu", what: "two way: server CPU beside Redis 2 × SISMEMBER in one pipeline, bare sockets", own: ownTwoWay, peer: redisTwoWay, of: cost},
	{id: "floor-pipelined-vs-redis", what: "what is left to gain: server CPU of the no-op beside Redis SISMEMBER, both pipelined 16 deep", own: floorDeep, peer: redisDeep, of: cost},
	{id: "floor-vs-redis-one-way", what: "what is left to gain: rate of the no-op over bare sockets beside go-redis, one way", own: floor, peer: goRedisOneWay, of: rate},
	{id: "floor-vs-redis-two-way", what: "the same, two way", own: floor, peer: goRedisTwoWay, of: rate},
	{id: "floor-cpu", what: "server CPU beside a fasthttp no-op, in this study's rounds", own: ownOneWay, peer: floor, of: cost},
}

// row measures a comparison, or says why not.
func (w *world) row(m load.Results, c comparison) study.Row {
	r := study.Row{ID: c.id, What: c.what, Unit: "×", AtMost: c.atMost, AtLeast: c.atLeast}
	for _, name := range []string{c.own, c.peer} {
		if len(m[name]) == 0 {
			r.Missing = w.absent[name]
			if r.Missing == "" {
				r.Missing = name + " was not measured: no " + c.of.name
			}
			return r
		}
	}
	side := func(name string) study.Side {
		return study.Side{Name: name, Unit: c.of.unit, Values: load.Of(m[name], c.of.of)}
	}
	return r.Ratio(side(c.own), side(c.peer))
}

func microseconds(r load.Round) float64 { return r.CPUPerOperation() / float64(time.Microsecond) }
func bothSides(r load.Round) float64    { return r.WorkPerOperation() / float64(time.Microsecond) }

// result makes rows, tables and charts of what was measured.
func (w *world) result(m load.Results) study.Result {
	var out study.Result
	for _, c := range comparisons {
		out.Rows = append(out.Rows, w.row(m, c))
	}
	out.Rows = append(out.Rows, w.memoryRow())
	out.Tables = []study.Table{w.table(m), w.memoryTable()}
	for _, c := range []study.Chart{w.costs(m), w.rates(m)} {
		if len(c.Bars) > 1 { // one bar is beside nothing
			out.Charts = append(out.Charts, c)
		}
	}
	out.Notes = w.notes()
	return out
}

// table shows every contestant.
func (w *world) table(m load.Results) study.Table {
	t := study.Table{
		Title: fmt.Sprintf("One operation, %d callers, loopback", callers),
		Head:  []string{"server and client", "server µs CPU", "CPU × no-op", "client µs CPU", "operations a second", "rate × no-op", "p50 of an exchange, µs"},
	}
	for _, c := range w.contestants {
		rounds := m[c.Name]
		ratio := func(figure func(load.Round) float64) string {
			return spread(load.Ratios(rounds, m[floor], figure))
		}
		t.Cells = append(t.Cells, []string{
			c.Name, spread(load.Of(rounds, microseconds)), ratio(load.Round.CPUPerOperation),
			spread(load.Of(rounds, func(r load.Round) float64 { return bothSides(r) - microseconds(r) })),
			spread(load.Of(rounds, load.Round.Rate)), ratio(load.Round.Rate), spread(load.Of(rounds, load.Round.Median50)),
		})
	}
	return t
}

// spread writes a median and the middle half.
func spread(values []float64) string {
	low, high := study.Quartiles(values)
	return fmt.Sprintf("%s (%s–%s)", report.Figure(study.Median(values)), report.Figure(low), report.Figure(high))
}

func count(n int) string { return report.Figure(float64(n)) }

// costs is the chart of the README.
func (w *world) costs(m load.Results) study.Chart {
	c := study.Chart{
		ID: "beside", Title: "What one check costs the server", X: study.Axis{Name: "server CPU for one check, µs", Log: true},
		Note: fmt.Sprintf("%s lists of %d, random questions, %d callers over loopback, in turn, medians of %d rounds; the thin line is the middle half of them. "+
			"OPA holds %s lists; OpenFGA %s, and answers from its cache.",
			count(w.shape.Lists), w.shape.Entries, callers, len(m[floor]), count(w.opaShape().Lists), count(w.fgaShape().Lists)),
	}
	for _, name := range []string{floor, ownOneWay, redisOneWay, ownTwoWay, redisTwoWay, postgresProbe, opaREST, fgaGRPC, fgaHTTP} {
		c.Bars = w.bar(c.Bars, m, name, microseconds)
	}
	return c
}

// rates is the chart of what callers see.
func (w *world) rates(m load.Results) study.Chart {
	c := study.Chart{
		ID: "beside-rate", Title: "Checks a second, client and server on one machine", X: study.Axis{Name: "checks a second"},
		Note: "Each by a library of Go on the machine of the server: what the library costs is a part of the price. " +
			"rueidis sends together what 16 callers ask at the same time.",
	}
	for _, name := range []string{clientOneWay, goRedisOneWay, rueidisOneWay, clientTwoWay, goRedisTwoWay, rueidisTwoWay, postgresProbe, fgaGRPC} {
		c.Bars = w.bar(c.Bars, m, name, load.Round.Rate)
	}
	return c
}

func (w *world) bar(bars []study.Bar, m load.Results, name string, figure func(load.Round) float64) []study.Bar {
	if len(m[name]) == 0 {
		return bars
	}
	values := load.Of(m[name], figure)
	low, high := study.Quartiles(values)
	own := name == ownOneWay || name == ownTwoWay || name == clientOneWay || name == clientTwoWay
	return append(bars, study.Bar{Name: name, Value: study.Median(values), Low: low, High: high, Own: own})
}

const mib = 1 << 20

// memoryRow compares the processes as a whole.
func (w *world) memoryRow() study.Row {
	r := study.Row{ID: "process-vs-redis", What: "resident memory of the whole process beside Redis with the same lists, after loading them", Unit: "×"}
	if w.figures.redis.rss == 0 {
		r.Missing = w.absent[redisOneWay]
		return r
	}
	return r.Ratio(study.Side{Name: "sidegate", Unit: "MiB", Values: []float64{w.figures.own / mib}},
		study.Side{Name: "Redis", Unit: "MiB", Values: []float64{w.figures.redis.rss / mib}})
}

func (w *world) memoryTable() study.Table {
	entries := float64(w.shape.Lists * w.shape.Entries)
	t := study.Table{
		Title: fmt.Sprintf("Memory for %s entries: %s lists of %d; %s users more have no list", count(w.shape.Lists*w.shape.Entries), count(w.shape.Lists), w.shape.Entries, count(w.shape.Idle)),
		Head:  []string{"process", "MiB", "bytes an entry"},
	}
	for _, line := range []struct {
		name  string
		bytes float64
	}{
		{"sidegate, resident, everything", w.figures.own},
		{"Redis " + w.figures.redis.version + ", resident", w.figures.redis.rss}, {"Redis " + w.figures.redis.version + ", used_memory", w.figures.redis.used},
	} {
		if line.bytes > 0 {
			t.Cells = append(t.Cells, []string{line.name, report.Figure(line.bytes / mib), report.Figure(line.bytes / entries)})
		}
	}
	return t
}

// notes are the conditions.
func (w *world) notes() []string {
	fga, opa := w.fgaShape(), w.opaShape()
	return []string{
		fmt.Sprintf("Every server ran on this machine, together with whoever asked it. The questions are %s random pairs; one in ten asks about an entry. "+
			"sidegate, Redis and Postgres hold the same %s lists of %d. OPA holds %s lists and OpenFGA %s, with questions about these, and OpenFGA is asked only %s different ones, so that its cache holds every answer: all of that favours them.",
			count(len(w.questions)), count(w.shape.Lists), w.shape.Entries, count(opa.Lists), count(fga.Lists), count(fgaQuestions)),
		"Redis keeps nothing on disk and uses one thread, as it is delivered. PostgreSQL serves from its page cache and that of the system, one look into the whole primary key. OPA and OpenFGA log errors only.",
		"Redis up to 7.0 keeps a set of strings as a hash table. From 7.2 on small sets are packed and take less; that version was not measured here.",
	}
}
