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
	rate                bool // of operations; otherwise the server's CPU time for one
	atMost, atLeast     *float64
}

var comparisons = []comparison{
	{id: "pipelined-vs-redis", what: "pipelined 16 deep: server CPU beside Redis SISMEMBER, pipelined alike", own: ownDeep, peer: redisDeep, atMost: study.AtMost(0.65)},
	{id: "redis-one-way", what: "one way: rate by fasthttp's client beside SISMEMBER by go-redis", own: clientOneWay, peer: goRedisOneWay, rate: true, atLeast: study.AtLeast(1.3)},
	{id: "redis-two-way", what: "two way: rate by fasthttp's client beside 2 × SISMEMBER in one pipeline by go-redis", own: clientTwoWay, peer: goRedisTwoWay, rate: true, atLeast: study.AtLeast(2)},
	{id: "postgres-cpu", what: "server CPU beside Postgres, EXISTS by primary key, prepared", own: ownOneWay, peer: postgresProbe, atMost: study.AtMost(1. / 4)},
	{id: "opa-cpu", what: "server CPU beside OPA, REST", own: ownOneWay, peer: opaREST, atMost: study.AtMost(1. / 10)},
	{id: "openfga-http-cpu", what: "server CPU beside OpenFGA, HTTP, cached", own: ownOneWay, peer: fgaHTTP, atMost: study.AtMost(1. / 28)},
	{id: "openfga-grpc-cpu", what: "server CPU beside OpenFGA, gRPC, cached", own: ownOneWay, peer: fgaGRPC, atMost: study.AtMost(1. / 14)},
	// Beside the targets, what a reader may want to know before believing them.
	{id: "redis-one-way-bare", what: "one way: rate, both over bare sockets", own: ownOneWay, peer: redisOneWay, rate: true},
	{id: "redis-two-way-bare", what: "two way: rate, both over bare sockets", own: ownTwoWay, peer: redisTwoWay, rate: true},
	{id: "redis-one-way-bare-own", what: "one way: rate over bare sockets beside go-redis", own: ownOneWay, peer: goRedisOneWay, rate: true},
	{id: "redis-two-way-bare-own", what: "two way: rate over bare sockets beside go-redis", own: ownTwoWay, peer: goRedisTwoWay, rate: true},
	{id: "rueidis-one-way", what: "one way: rate by fasthttp's client beside rueidis, which sends together what 16 callers ask", own: clientOneWay, peer: rueidisOneWay, rate: true},
	{id: "rueidis-two-way", what: "two way: rate by fasthttp's client beside rueidis", own: clientTwoWay, peer: rueidisTwoWay, rate: true},
	{id: "redis-one-way-cpu", what: "one way: server CPU beside Redis SISMEMBER, bare sockets", own: ownOneWay, peer: redisOneWay},
	{id: "redis-two-way-cpu", what: "two way: server CPU beside Redis 2 × SISMEMBER in one pipeline, bare sockets", own: ownTwoWay, peer: redisTwoWay},
	{id: "floor-cpu", what: "server CPU beside a fasthttp no-op, in this study's rounds", own: ownOneWay, peer: floor},
}

// row measures a comparison, or says why not.
func (w *world) row(m load.Results, c comparison) study.Row {
	figure, unit, of := microseconds, "µs CPU", "CPU"
	if c.rate {
		figure, unit, of = load.Round.Rate, "a second", "rate"
	}
	r := study.Row{ID: c.id, What: c.what, Unit: "×", AtMost: c.atMost, AtLeast: c.atLeast}
	for _, name := range []string{c.own, c.peer} {
		if len(m[name]) == 0 {
			r.Missing = w.absent[name]
			if r.Missing == "" {
				r.Missing = name + " was not measured: no " + of
			}
			return r
		}
	}
	side := func(name string) study.Side {
		return study.Side{Name: name, Unit: unit, Values: load.Of(m[name], figure)}
	}
	return r.Ratio(side(c.own), side(c.peer))
}

func microseconds(r load.Round) float64 { return r.CPUPerOperation() / float64(time.Microsecond) }

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
		Head:  []string{"server and client", "server µs CPU", "CPU × no-op", "operations a second", "rate × no-op", "p50 of an exchange, µs"},
	}
	for _, c := range w.contestants {
		rounds := m[c.Name]
		ratio := func(figure func(load.Round) float64) string {
			return spread(load.Ratios(rounds, m[floor], figure))
		}
		t.Cells = append(t.Cells, []string{
			c.Name, spread(load.Of(rounds, microseconds)), ratio(load.Round.CPUPerOperation),
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

// costs is the chart of the README.
func (w *world) costs(m load.Results) study.Chart {
	c := study.Chart{
		ID: "beside", Title: "What one check costs the server", X: study.Axis{Name: "server CPU for one check, µs", Log: true},
		Note: fmt.Sprintf("%d lists of %d, random questions, %d callers over loopback, in turn, medians of %d rounds; the thin line is the middle half of them. "+
			"OPA holds %d lists, OpenFGA %d, and answers from its cache.",
			w.shape.Lists, w.shape.Entries, callers, len(m[floor]), w.opaShape().Lists, w.fgaShape().Lists),
	}
	for _, name := range []string{floor, ownOneWay, redisOneWay, ownTwoWay, redisTwoWay, postgresProbe, opaREST, fgaGRPC, fgaHTTP} {
		c.Bars = w.bar(c.Bars, m, name, microseconds)
	}
	return c
}

// rates is the chart of what callers see.
func (w *world) rates(m load.Results) study.Chart {
	c := study.Chart{
		ID: "beside-rate", Title: "Checks a second, client and server on the same two cores", X: study.Axis{Name: "checks a second"},
		Note: "Each by a library of Go, except where the name says bare: what the library costs is a part of the price. " +
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
		Title: fmt.Sprintf("Memory for %d entries: %d lists of %d; %d users more have no list", w.shape.Lists*w.shape.Entries, w.shape.Lists, w.shape.Entries, w.shape.Idle),
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
		fmt.Sprintf("Every server ran on this machine, together with whoever asked it. The questions are %d random pairs; one in ten asks about an entry. "+
			"sidegate, Redis and Postgres hold the same %d lists of %d. OPA holds %d lists and OpenFGA %d, with questions about these, and OpenFGA is asked only %d different ones, so that its cache holds every answer: all of that favours them.",
			len(w.questions), w.shape.Lists, w.shape.Entries, opa.Lists, fga.Lists, fgaQuestions),
		"Redis keeps nothing on disk and uses one thread, as it is delivered. PostgreSQL serves from its page cache and that of the system, one look into the whole primary key. OPA and OpenFGA log errors only.",
		"Redis up to 7.0 keeps a set of strings as a hash table. From 7.2 on small sets are packed and take less; that version was not measured here.",
	}
}
