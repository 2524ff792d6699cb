package main

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// stage is a group of loops that start and stop together. Each loop blocks until
// its context ends, waits for what it started, and returns nil; an error means
// that it could not go on.
type stage []func(context.Context) error

// runStages starts all stages and runs them until ctx ends or a loop fails. Then
// it stops them one after the other, in order, each only when the one before has
// ended: those who take requests first, what they need last. It returns the
// error of the loop that failed, nil after an orderly end.
func runStages(ctx context.Context, stages ...stage) error {
	failed, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	var waits []func() error
	for _, loops := range stages {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		group := &errgroup.Group{}
		for _, loop := range loops {
			group.Go(func() error {
				err := loop(own)
				if err != nil {
					fail(err)
				}
				return err
			})
		}
		waits = append(waits, func() error { stop(); return group.Wait() })
	}
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	err := context.Cause(failed)
	for _, wait := range waits {
		if e := wait(); err == nil {
			err = e // failed while stopping
		}
	}
	return err
}
