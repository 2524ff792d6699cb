package memory

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
)

// draw writes a trace: users of a shape by Zipf's law, the popular ones spread
// over all users, with and without a list.
func draw(file string, shape seed.Shape, s float64, length int) error {
	rng := rand.New(rand.NewPCG(5, 5))
	zipf := rand.NewZipf(rng, s, 1, uint64(shape.Users()-1))
	order := rng.Perm(shape.Users())
	out := make([]byte, 0, 4*length)
	for range length {
		out = binary.LittleEndian.AppendUint32(out, uint32(order[zipf.Uint64()]))
	}
	return os.WriteFile(file, out, 0o644)
}

// toAsk asks for a process that is asked for the lists of a trace.
type toAsk struct {
	Shape  seed.Shape
	Budget int64
	Trace  string
	For    time.Duration // the trace is repeated for so long; 0 = once
}

// asked is how that went. Questions are counted from the middle of the trace on.
type asked struct {
	Questions, Hits int64
	Own             int64 // heap before: the generator's, and the trace
	Heap            int64 // by which it grew
	Start           int64 // in RAM, before
	Most            int64 // in RAM, at any time
	Passes          int
	Evictions       float64
	Unpublished     float64
	Collections     uint32
	Stats           cache.Stats
}

// ask replays a trace: each list that is not in memory is read.
func ask(ctx context.Context, task toAsk) (out asked, err error) {
	lists := newLists(task.Shape)
	users, err := os.ReadFile(task.Trace)
	if err != nil {
		return out, err
	}
	c, registry, err := open(lists, task.Budget)
	if err != nil {
		return out, err
	}
	out.Own = heap()
	debug.FreeOSMemory()
	if out.Start, err = resident("self"); err != nil {
		return out, err
	}
	err = during(ctx, c, func(ctx context.Context) error {
		watching, enough := context.WithCancel(ctx)
		most := make(chan error, 1)
		go func() {
			var err error
			out.Most, err = watch(watching)
			most <- err
		}()
		c.Reset(identity, c.Now())
		err := preloaded(ctx, c) // the number of pages is chosen
		before, failed := spent()
		err = errors.Join(err, failed)
		begun := time.Now()
		for err == nil && (out.Passes == 0 || time.Since(begun) < task.For) {
			err = replay(ctx, c, users, &out)
			out.Passes++
		}
		after, failed := spent()
		out.Collections = after.collections - before.collections - 1 // the one that spent makes
		enough()
		err = errors.Join(err, failed, <-most)
		out.Heap, out.Stats = heap()-out.Own, c.Stats()
		return err
	})
	out.Evictions, out.Unpublished = total(registry, "sidegate_cache_evictions_total"), total(registry, "sidegate_cache_unpublished_pages_total")
	runtime.KeepAlive(lists)
	runtime.KeepAlive(users)
	return out, err
}

func replay(ctx context.Context, c *cache.Cache, users []byte, out *asked) error {
	d, id := c.Directory(seed.App, cache.KindBlock), []byte(nil)
	before := c.Stats()
	for at := 0; at < len(users); at += 4 {
		if at == len(users)/8*4 {
			before = c.Stats()
		}
		id = seed.AppendID(id[:0], int(binary.LittleEndian.Uint32(users[at:])))
		if _, ok := d.Find(string(id)); ok {
			continue
		}
		if _, err := d.Load(ctx, string(id), cache.Need{}); err != nil {
			return err
		}
	}
	after := c.Stats()
	out.Hits += after.Hits - before.Hits
	out.Questions += after.Hits - before.Hits + after.Misses - before.Misses
	return nil
}

// total is the value of a counter.
func total(registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	if err != nil {
		return math.NaN()
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	panic(fmt.Sprintf("no metric %s", name))
}
