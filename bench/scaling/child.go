package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidegate/sidegate/bench/generator"
	"github.com/sidegate/sidegate/bench/load"
	"github.com/sidegate/sidegate/bench/study"
)

// Sidecar is the process of a sidecar: its CPU time and its memory are nobody
// else's. Its one argument is the setup.
var Sidecar = study.Helper{Name: "sidecar-with-generator", Run: func(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, want the setup", len(args))
	}
	var s setup
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	return serveChild(ctx, s)
}}

func serveChild(ctx context.Context, s setup) error {
	world, err := generator.New(s.Shape)
	if err != nil {
		return err
	}
	began, err := here()
	if err != nil {
		return err
	}
	sidecar, err := newSidecar(world, world, s)
	if err != nil {
		return err
	}
	socket, err := net.Listen("unix", s.Control)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	c := &child{sidecar: sidecar}
	web := &http.Server{Handler: c.routes(), ReadHeaderTimeout: time.Second}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sidecar.run(ctx) })
	g.Go(func() error { return c.watch(ctx, began) })
	g.Go(func() error {
		if err := web.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return web.Close()
	})
	return g.Wait()
}

// moment is a time, and the CPU time that the process had used by then.
type moment struct {
	at  time.Time
	cpu time.Duration
}

func here() (moment, error) {
	cpu, err := load.CPU(os.Getpid())
	return moment{time.Now(), cpu}, err
}

// child is the sidecar and what it can be asked.
type child struct {
	*sidecar
	start atomic.Pointer[startup] // nil until everything is in memory
}

// startup is what it took to have everything in memory, from the moment the
// generator was ready.
type startup struct {
	Wall, CPU time.Duration
}

// watchEvery is how often the end of the start is looked for.
const watchEvery = time.Millisecond

// watch notes when everything is in memory.
func (c *child) watch(ctx context.Context, began moment) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for !c.cache.Preloaded() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	now, err := here()
	c.start.Store(&startup{now.at.Sub(began.at), now.cpu - began.cpu})
	return err
}
