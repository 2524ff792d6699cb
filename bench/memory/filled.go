package memory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/headroom"
)

// toFill asks for a process that holds the lists of a shape.
type toFill struct {
	Shape  seed.Shape
	Budget int64
}

// filled is what such a process weighs, in bytes.
type filled struct {
	Own      int64 // heap of the process before: the generator's
	Heap     int64 // by which it grew
	Idle     int64 // by which it grew when all users without a list were asked for
	Most     int64 // in RAM, while it filled
	Resident int64 // in RAM, some time after
	Returned int64 // in RAM, after all free memory was given back
	Stats    cache.Stats
}

// fill holds the lists, and weighs itself.
func fill(ctx context.Context, task toFill) (out filled, err error) {
	lists := newLists(task.Shape)
	c, _, err := open(lists, task.Budget)
	if err != nil {
		return out, err
	}
	out.Own = heap()
	debug.FreeOSMemory()
	err = during(ctx, c, func(ctx context.Context) error {
		watching, enough := context.WithCancel(ctx)
		most := make(chan error, 1)
		go func() {
			var err error
			out.Most, err = watch(watching)
			most <- err
		}()
		c.Reset(identity, c.Now())
		err := preloaded(ctx, c)
		enough()
		if err := errors.Join(err, <-most); err != nil {
			return err
		}
		return weigh(c, task.Shape, &out)
	})
	runtime.KeepAlive(lists)
	return out, err
}

// weigh fills in what a cache that holds everything takes.
func weigh(c *cache.Cache, shape seed.Shape, out *filled) (err error) {
	if out.Resident, err = resident("self"); err != nil {
		return err
	}
	out.Heap = heap() - out.Own
	out.Stats = c.Stats()
	if out.Stats.Lists != int64(shape.Lists) {
		return fmt.Errorf("%d of %d lists are in memory", out.Stats.Lists, shape.Lists)
	}
	d, id := c.Directory(seed.App, cache.KindBlock), []byte(nil)
	for i := shape.Lists; i < shape.Users(); i++ {
		id = seed.AppendID(id[:0], i)
		if v, ok := d.Find(string(id)); !ok || v.Version() != 0 {
			return errors.New("a user without a list is not known to have none: " + strconv.Itoa(i))
		}
	}
	out.Idle = heap() - out.Own - out.Heap
	debug.FreeOSMemory()
	out.Returned, err = resident("self")
	return err
}

// during runs a cache, with the room for garbage that the program leaves, while
// something is done with it.
func during(ctx context.Context, c *cache.Cache, do func(context.Context) error) error {
	return beside(ctx, do, c.Run, headroom.Memory{}.Keep)
}

// alone is during with as much room as the runtime leaves by itself.
func alone(ctx context.Context, c *cache.Cache, do func(context.Context) error) error {
	return beside(ctx, do, c.Run)
}

// beside does something while loops run.
func beside(ctx context.Context, do func(context.Context) error, loops ...func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(ctx)
	for _, loop := range loops {
		group.Go(func() error { return loop(running) })
	}
	err := do(running)
	stop()
	return errors.Join(err, group.Wait())
}

// preloaded waits until a cache holds what it has room for.
func preloaded(ctx context.Context, c *cache.Cache) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !c.Preloaded() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
	return nil
}
