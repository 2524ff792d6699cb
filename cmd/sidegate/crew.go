package main

import (
	"context"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"
)

// crew runs a set of loops that may be exchanged while it runs. It is safe for
// concurrent use.
type crew struct {
	mu      sync.Mutex
	wanted  map[any]loop
	running map[any]context.CancelFunc
	group   *errgroup.Group // nil while it does not run
	base    context.Context // of the loops
}

// set exchanges the loops, by what each belongs to: those that are there already go
// on undisturbed, others end or begin. It does not wait for those that end.
func (c *crew) set(loops map[any]loop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = maps.Clone(loops)
	c.settle()
}

// settle starts and stops until what runs is what is wanted. The caller holds the
// lock.
func (c *crew) settle() {
	if c.group == nil {
		return
	}
	for of, stop := range c.running {
		if _, stays := c.wanted[of]; !stays {
			stop()
			delete(c.running, of)
		}
	}
	for of, loop := range c.wanted {
		if _, runs := c.running[of]; runs {
			continue
		}
		ctx, stop := context.WithCancel(c.base)
		c.running[of] = stop
		c.group.Go(func() error { return loop(ctx) })
	}
}

// run runs the loops until ctx ends, and returns when all have ended. A loop that
// cannot go on ends the others; its error is returned. Call it once.
func (c *crew) run(ctx context.Context) error {
	group, base := errgroup.WithContext(ctx)
	c.mu.Lock()
	c.group, c.base, c.running = group, base, make(map[any]context.CancelFunc)
	c.settle()
	c.mu.Unlock()
	<-base.Done()
	c.mu.Lock()
	c.group = nil // what is set from now on begins nothing
	for _, stop := range c.running {
		stop()
	}
	c.mu.Unlock()
	return group.Wait()
}
