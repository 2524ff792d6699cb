package report

import (
	"math"

	"github.com/sidegate/sidegate/bench/study"
)

// Target is one figure that the project has set itself.
type Target struct {
	ID    string // of the row that measures it
	What  string
	Study string // the study that is to yield the row
	Unit  string // of the bound
	// AtMost and AtLeast are the bound. The row must have the same; a target
	// with neither is set by its study.
	AtMost, AtLeast *float64
}

const (
	times    = "×"
	standard = "1M lists × 10 + 1M users without a list"
)

// Targets is all of them, in the order of the report.
var Targets = []Target{
	{ID: "http-check-cpu", Study: "httpcheck", Unit: times, AtMost: study.AtMost(1.10), What: "HTTP check, one way, metrics on, " + standard + ", random pairs: server CPU a request beside a fasthttp no-op"},
	{ID: "http-check-rate", Study: "httpcheck", Unit: times, AtLeast: study.AtLeast(0.93), What: "the same: rate beside the no-op"},
	{ID: "http-two-way-cpu", Study: "httpcheck", Unit: times, AtMost: study.AtMost(1.15), What: "HTTP check, two way: server CPU a request beside the no-op"},
	{ID: "unix-rate", Study: "httpcheck", Unit: times, AtLeast: study.AtLeast(1.25), What: "Unix socket: rate beside our own over TCP"},
	{ID: "pipelined-cpu", Study: "httpcheck", Unit: "µs", AtMost: study.AtMost(2.1), What: "pipelined 16 deep: server CPU a request"},
	{ID: "pipelined-vs-redis", Study: "beside", Unit: times, AtMost: study.AtMost(0.65), What: "pipelined 16 deep: server CPU beside Redis SISMEMBER, pipelined alike"},
	{ID: "redis-one-way", Study: "beside", Unit: times, AtLeast: study.AtLeast(1.3), What: "rate beside go-redis SISMEMBER, one way"},
	{ID: "redis-two-way", Study: "beside", Unit: times, AtLeast: study.AtLeast(2), What: "rate beside go-redis, two way (2 × SISMEMBER in one pipeline)"},
	{ID: "postgres-cpu", Study: "beside", Unit: times, AtMost: study.AtMost(1. / 4), What: "server CPU a check beside Postgres (EXISTS, prepared)"},
	{ID: "opa-cpu", Study: "beside", Unit: times, AtMost: study.AtMost(1. / 10), What: "server CPU a check beside OPA (REST)"},
	{ID: "openfga-http-cpu", Study: "beside", Unit: times, AtMost: study.AtMost(1. / 28), What: "server CPU a check beside OpenFGA (HTTP, cached)"},
	{ID: "openfga-grpc-cpu", Study: "beside", Unit: times, AtMost: study.AtMost(1. / 14), What: "server CPU a check beside OpenFGA (gRPC, cached)"},
	{ID: "cold-one-way", Study: "inprocess", Unit: "ns", AtMost: study.AtMost(450), What: "in process, cold, one way: CPU a check, no allocation"},
	{ID: "cold-two-way", Study: "inprocess", Unit: "ns", AtMost: study.AtMost(700), What: "in process, cold, two way: CPU a check, no allocation"},
	{ID: "hot", Study: "inprocess", Unit: "ns", AtMost: study.AtMost(60), What: "in process, hot: CPU a check"},
	{ID: "hot-two-goroutines", Study: "inprocess", Unit: times, AtLeast: study.AtLeast(1.8), What: "in process, hot, two goroutines: rate beside one"},
	{ID: "fanout", Study: "inprocess", Unit: "ns", AtMost: study.AtMost(150), What: "fan-out of 10,000, cold, JSON included, at first: CPU a recipient"},
	{ID: "fanout-final", Study: "inprocess", Unit: "ns", AtMost: study.AtMost(60), What: "fan-out of 10,000, cold, JSON included, in the end: CPU a recipient"},
	{ID: "batch", Study: "inprocess", Unit: "ns", AtMost: study.AtMost(300), What: "batch of 1,000 pairs, cold: CPU a pair"},
	{ID: "bytes-10", Study: "memory", Unit: "bytes", AtMost: study.AtMost(12), What: "bytes an entry, everything counted, at lists of 10"},
	{ID: "bytes-1000", Study: "memory", Unit: "bytes", AtMost: study.AtMost(9), What: "bytes an entry, everything counted, at lists of 1,000"},
	{ID: "bytes-idle", Study: "memory", Unit: "bytes", AtMost: study.AtMost(0.01), What: "bytes for a user without a list: none, to the hundredth"},
	{ID: "bytes-vs-redis", Study: "memory", Unit: times, AtMost: study.AtMost(1. / 8), What: "bytes an entry beside Redis"},
	{ID: "preload-rate", Study: "preload", Unit: times, AtLeast: study.AtLeast(0.6), What: "preload of 10M entries into a serving cache: rate beside a bare COPY in the same run"},
	{ID: "preload-rss", Study: "preload", Unit: times, AtMost: study.AtMost(1.3), What: "preload: peak resident memory beside the final"},
	{ID: "preload-serving", Study: "preload", Unit: times, AtMost: study.AtMost(1), What: "preload: serving starts before the end (share of the preload at the first answer)"},
	{ID: "warm-ready", Study: "warm", Unit: times, AtMost: study.AtMost(0.5), What: "warm start of 1M lists × 10, 1,000 of them changed meanwhile: time until everything is in memory beside a cold start"},
	{ID: "warm-rows", Study: "warm", Unit: times, AtMost: study.AtMost(0.01), What: "the same: rows read from Postgres beside a cold start"},
	{ID: "metrics-cost", Study: "inprocess", Unit: "ns", AtMost: study.AtMost(25), What: "metrics on the hot path: CPU a check, nothing shared between cores written"},
	{ID: "propagation-p50", Study: "propagation", Unit: "ms", AtMost: study.AtMost(15), What: "a change applied in another sidecar, polling at 20 ms: p50 after the commit is acknowledged"},
	{ID: "propagation-p99", Study: "propagation", Unit: "ms", AtMost: study.AtMost(45), What: "the same: p99"},
	{ID: "hint-p50", Study: "propagation", Unit: "ms", AtMost: study.AtMost(2), What: "the same, with the after-commit hint: p50"},
	{ID: "writes", Study: "writes", Unit: times, AtLeast: study.AtLeast(0.6), What: "writes (block, one owner each): rate beside a bare two-row transaction of pgbench in the same run"},
	{ID: "growth-cpu", Study: "scaling", Unit: times, AtMost: study.AtMost(1.3), What: "growth: CPU a check at 10M lists (of 3, from a generator) beside that at 100k"},
	{ID: "growth-memory", Study: "scaling", Unit: times, What: "growth: memory is linear"},
	{ID: "growth-start", Study: "preload", Unit: times, What: "growth: start-up is linear, with the slope of the preload rate"},
	{ID: "changes-cpu", Study: "scaling", Unit: times, AtMost: study.AtMost(1.15), What: "1,000 changes a second while checking: server CPU a check beside none"},
	{ID: "changes-stale", Study: "scaling", Unit: "answers", AtMost: study.AtMost(0), What: "1,000 changes a second while checking: stale answers beyond the stated age"},
	{ID: "budget-rss", Study: "memory", Unit: times, What: "64 MiB for data of 200 MiB, Zipf traffic for a minute: resident memory beside budget + fixed overhead"},
	{ID: "hit-ratio", Study: "memory", Unit: times, What: "the same: hit ratio beside otter and ristretto-per-owner"},
}

// seconds says what one of a unit of time is; other units are only themselves.
var seconds = map[string]float64{"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1}

// agrees reports whether a row is held to the bound of its target, in whatever
// unit of time.
func (t Target) agrees(r study.Row) bool {
	if t.AtMost == nil && t.AtLeast == nil {
		return true
	}
	scale := 1.0
	if own, theirs := seconds[t.Unit], seconds[r.Unit]; own != 0 && theirs != 0 {
		scale = theirs / own
	}
	same := func(a, b *float64) bool {
		if a == nil || b == nil {
			return a == b
		}
		return math.Abs(*a-*b*scale) <= 1e-6*math.Abs(*a)
	}
	return same(t.AtMost, r.AtMost) && same(t.AtLeast, r.AtLeast)
}
