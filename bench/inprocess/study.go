package inprocess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/cache"
	listener "github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/metrics/border"
)

// Study measures what an answer costs without a database between.
var Study = study.Study{
	Name: "inprocess",
	What: "lookups, checks, fan-outs and batches in memory: CPU an answer, cold and hot",
	Run: func(ctx context.Context, env *study.Env) (study.Result, error) {
		shape := seed.Standard
		if env.Quick {
			shape.Lists, shape.Idle = shape.Lists/10, shape.Idle/10
		}
		return measure(ctx, env, shape, env.Round())
	},
}

// fanoutSize is how many recipients a fan-out has, the most that one may.
const fanoutSize = 10_000

// measure takes rounds of a length over lists of a shape.
func measure(ctx context.Context, env *study.Env, shape seed.Shape, round time.Duration) (result study.Result, err error) {
	crowd := newCrowd(shape)
	memory, err := gather(ctx, crowd)
	if err != nil {
		return result, err
	}
	defer func() { err = cmp.Or(err, memory.stop()) }()
	conn, closeAll, err := serve(ctx, memory, env.Scratch)
	if err != nil {
		return result, err
	}
	defer func() { err = cmp.Or(err, closeAll()) }()
	cold, hot := draw(shape, 1<<17), draw(shape, 64)
	sent := bodies(cold, 12, fanoutSize)
	flat := newFlatIndex(crowd)
	lists := memory.cache.Directory(seed.App, cache.KindBlock)
	var ids [][]byte
	field := []contestant{
		each("one way, cold", cold, oneWay(lists)),
		each("two way, cold", cold, twoWay(memory.cache)),
		each("one way, hot", hot, oneWay(lists)),
		byTwo(each("one way, hot", hot, oneWay(lists))),
		each("flat index, cold", cold, flat.has),
		each("flat index, hot", hot, flat.has),
		each("CanDeliver one way, cold", cold, check(memory.oneWay)),
		each("CanDeliver two way, cold", cold, check(memory.twoWay)),
		each("CanDeliver one way, hot", hot, check(memory.oneWay)),
		each("CanDeliver two way, hot", hot, check(memory.twoWay)),
		batches(memory.oneWay, cold),
		fanouts(conn, sent, fanoutSize),
		{"splitting the body of a fan-out", func(i int) (asked, blocked int) {
			ids = splitIDs(sent[i/fanoutSize%len(sent)], ids)
			return fanoutSize, 0
		}},
	}
	measured, err := turns(ctx, env, round, field)
	if err != nil {
		return result, err
	}
	result.Rows = append(rows(measured), counting(ctx, env))
	result.Notes = []string{fmt.Sprintf("Lists: %v, made up by a loader, all in memory. Questions: random pairs, half of whose "+
		"users have no list, one in ten about an entry. CPU time is the scheduler's account of the process. "+
		"The fan-out is sent over a Unix socket by the same process, whose side of it is counted in.", shape)}
	return result, nil
}

// serve opens a check listener on a Unix socket and connects to it.
func serve(ctx context.Context, m *memory, dir string) (conn net.Conn, closeAll func() error, err error) {
	path := filepath.Join(dir, "inprocess.sock")
	l, err := listener.NewCheck(m.oneWay, listener.Options{
		Listen:      []border.Address{{Network: "unix", Address: path, Mode: 0o600}},
		ReadTimeout: time.Minute, WriteTimeout: time.Minute,
	})
	if err != nil {
		return nil, nil, err
	}
	if err := l.Listen(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	conn, err = net.Dial("unix", path)
	if err != nil {
		cancel()
		return nil, nil, cmp.Or(<-ended, err)
	}
	return conn, func() error {
		err := conn.Close()
		cancel()
		return errors.Join(err, <-ended)
	}, nil
}

// figures are what the rounds of a contestant have shown.
type figures struct {
	cpu    []float64 // ns a question
	rate   []float64 // questions a second
	allocs []float64 // a question
}

// turns lets each contestant have a round, then each the next.
func turns(ctx context.Context, env *study.Env, length time.Duration, field []contestant) (map[string]*figures, error) {
	found := make(map[string]*figures, len(field))
	for turn := range env.Rounds() {
		for i := range field {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c := field[(turn+i)%len(field)]
			if found[c.name] == nil {
				found[c.name] = new(figures)
				c.ask(0) // buffers reach their sizes
			}
			if err := found[c.name].round(c, length); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		env.Log("inprocess: round %d of %d", turn+1, env.Rounds())
	}
	return found, nil
}

func (f *figures) round(c contestant, length time.Duration) error {
	runtime.GC()
	used, err := load.CPU(os.Getpid())
	if err != nil {
		return err
	}
	var before, after runtime.MemStats // within, for reading the CPU time allocates
	runtime.ReadMemStats(&before)
	begun := time.Now()
	asked := 0
	for time.Since(begun) < length {
		n, _ := c.ask(asked)
		asked += n
	}
	took := time.Since(begun)
	runtime.ReadMemStats(&after)
	now, err := load.CPU(os.Getpid())
	if err != nil {
		return err
	}
	f.cpu = append(f.cpu, float64(now-used)/float64(asked))
	f.rate = append(f.rate, float64(asked)/took.Seconds())
	f.allocs = append(f.allocs, float64(after.Mallocs-before.Mallocs)/float64(asked))
	return nil
}

// rows turns figures into the rows of the report.
func rows(found map[string]*figures) []study.Row {
	cpu := func(id, what, name string, bound *float64) study.Row {
		return study.Row{ID: id, What: what, Unit: "ns", Values: found[name].cpu, AtMost: bound}
	}
	side := func(name string) study.Side {
		return study.Side{Name: name, Unit: "questions/s", Values: found[name].rate}
	}
	two := study.Row{ID: "hot-two-goroutines", What: "Find and Contains, hot: rate of two goroutines beside one", Unit: "×", AtLeast: study.AtLeast(1.8)}
	return []study.Row{
		cpu("cold-one-way", "Find and Contains, cold: CPU a question", "one way, cold", study.AtMost(450)),
		cpu("cold-two-way", "FindAll of two and both Has, cold: CPU a question", "two way, cold", study.AtMost(700)),
		cpu("hot", "Find and Contains, hot: CPU a question", "one way, hot", study.AtMost(60)),
		two.Ratio(side("one way, hot, two goroutines"), side("one way, hot")),
		cpu("fanout", "fan-out of 10,000 over a Unix socket, JSON included, cold: CPU a recipient", "fan-out of 10,000 over HTTP", study.AtMost(150)),
		cpu("fanout-final", "the same, in the end", "fan-out of 10,000 over HTTP", study.AtMost(60)),
		cpu("batch", "Filter.Batch of 1,000 pairs, cold: CPU a pair", "batch of 1,000", study.AtMost(300)),
		cpu("flat-index-cold", "floor: a flat index, one way, cold", "flat index, cold", nil),
		cpu("flat-index-hot", "floor: a flat index, one way, hot", "flat index, hot", nil),
		cpu("split-fanout", "floor: splitting the body of a fan-out into ids, per id", "splitting the body of a fan-out", nil),
		cpu("can-deliver-cold-one-way", "CanDeliver, one way, cold", "CanDeliver one way, cold", nil),
		cpu("can-deliver-cold-two-way", "CanDeliver, two way, cold", "CanDeliver two way, cold", nil),
		cpu("can-deliver-hot-one-way", "CanDeliver, one way, hot", "CanDeliver one way, hot", nil),
		cpu("can-deliver-hot-two-way", "CanDeliver, two way, hot", "CanDeliver two way, hot", nil),
		{
			ID: "allocations", What: "allocations a question, the most of all lookups, checks and batches", Unit: "allocations",
			Values: mostAllocations(found), AtMost: study.AtMost(0.001), // the measurement itself makes a few
		},
	}
}

func mostAllocations(found map[string]*figures) []float64 {
	var most []float64
	for name, f := range found {
		if name == "fan-out of 10,000 over HTTP" {
			continue // the client allocates
		}
		for i, n := range f.allocs {
			if i == len(most) {
				most = append(most, 0)
			}
			most[i] = max(most[i], n)
		}
	}
	return most
}
