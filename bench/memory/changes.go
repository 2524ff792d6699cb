package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/bench/study"
	"github.com/sidegate/sidegate/cache"
)

// toChange asks for a process that holds all lists of a shape while they change.
type toChange struct {
	Shape  seed.Shape
	Budget int64
	Second int // changes
	For    time.Duration
	Usual  bool // leave the runtime's room for garbage as it is
}

// changed is how that went.
type changed struct {
	Applied     int
	Resident    int64 // the most in RAM while lists changed
	Own         int64
	CPU         time.Duration // of the process
	Collections uint32
}

// change applies changes at a steady pace, one entry more or one less.
func change(ctx context.Context, task toChange) (out changed, err error) {
	lists := newLists(task.Shape)
	c, _, err := open(lists, task.Budget)
	if err != nil {
		return out, err
	}
	out.Own = heap()
	work := during
	if task.Usual {
		work = alone
	}
	err = work(ctx, c, func(ctx context.Context) error {
		c.Reset(identity, c.Now())
		if err := preloaded(ctx, c); err != nil {
			return err
		}
		debug.FreeOSMemory()
		before, err := spent()
		if err != nil {
			return err
		}
		watching, enough := context.WithTimeout(ctx, task.For)
		defer enough()
		most := make(chan error, 1)
		go func() {
			var err error
			out.Resident, err = watch(watching)
			most <- err
		}()
		out.Applied = pace(watching, c, task)
		after, err := spent()
		out.CPU, out.Collections = after.cpu-before.cpu, after.collections-before.collections-1 // the one that spent makes
		return errors.Join(err, <-most)
	})
	runtime.KeepAlive(lists)
	return out, err
}

// pace applies changes until ctx ends and returns how many.
func pace(ctx context.Context, c *cache.Cache, task toChange) (applied int) {
	const tick = 10 * time.Millisecond // a poll
	versions := make(map[int]int64)
	rng := rand.New(rand.NewPCG(3, 3))
	next := time.NewTicker(tick)
	defer next.Stop()
	begun := time.Now()
	for last := false; !last; {
		select {
		case <-ctx.Done():
			last = true
		case <-next.C:
		}
		due := int(time.Since(begun).Seconds() * float64(task.Second))
		batch := make([]cache.Change, 0, due-applied)
		for range due - applied {
			i := rng.IntN(task.Shape.Lists)
			versions[i]++
			batch = append(batch, step(task.Shape, i, versions[i]))
		}
		c.Apply(c.Epoch(), identity, batch)
		applied = due
	}
	return applied
}

// step is the change number n of a list: an entry is added, and then removed.
func step(shape seed.Shape, i int, n int64) cache.Change {
	entries := make([]cache.Entry, shape.Entries, shape.Entries+1)
	for j := range entries {
		entries[j].Target = seed.ID(shape.Target(i, j))
	}
	extra := cache.Entry{Target: fmt.Sprint("one more of ", i)}
	c := cache.Change{App: seed.App, Owner: seed.ID(i), Prev: n, Version: n + 1, Op: cache.OpRemove, Entries: []cache.Entry{extra}}
	if n%2 == 1 {
		c.Op, entries = cache.OpAdd, append(entries, extra)
	}
	c.Size, c.Digest = len(entries), cache.ListDigest(false, entries)
	return c
}

// changes compares the room that we leave for garbage with the runtime's.
func changes(ctx context.Context, env *study.Env, out *study.Result) error {
	task := toChange{Shape: shapes(env.Quick)[0], Second: 1000, For: 20 * time.Second}
	if env.Quick {
		task.For = time.Second
	}
	task.Budget = plenty(task.Shape)
	table := study.Table{
		Title: fmt.Sprintf("Room for garbage: %v lists of %d in memory, %d changes a second for %v", task.Shape.Lists, task.Shape.Entries, task.Second, task.For),
		Head:  []string{"room", "changes", "most in RAM", "CPU of the process", "collections"},
	}
	for _, name := range []string{"32 MiB or an eighth of what lives", "as much as lives, the runtime's own"} {
		env.Log("memory: %d changes a second, room for garbage: %s", task.Second, name)
		f, err := measure[toChange, changed](ctx, "memory-changes", task)
		if err != nil {
			return err
		}
		table.Cells = append(table.Cells, []string{name, fmt.Sprint(f.Applied), mib(f.Resident - f.Own), f.CPU.Round(time.Millisecond).String(),
			fmt.Sprint(f.Collections)})
		task.Usual = true
	}
	out.Tables = append(out.Tables, table)
	return nil
}
