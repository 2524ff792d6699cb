package scaling

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidegate/sidegate/bench/generator"
	"github.com/sidegate/sidegate/bench/seed"
	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/headroom"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/metrics"
	"github.com/sidegate/sidegate/metrics/border"
	blocksync "github.com/sidegate/sidegate/sync"
)

// setup says what a sidecar holds and how it is set. It travels to its process as JSON.
type setup struct {
	Shape    seed.Shape
	MaxBytes int64         // of its cache
	Poll     time.Duration // zero: the program's default
	Soft     time.Duration // likewise
	// Control is the socket on which the process is asked about itself.
	Control string
}

// sidecar is the program from its check listener down, as cmd/sidegate wires it,
// with a generator for its database.
type sidecar struct {
	world    *generator.World
	cache    *cache.Cache
	follower *blocksync.Follower
	filter   *filter.Filter
	door     *server.Listener
}

// newSidecar builds a sidecar that follows source, which is the world or stands
// before it. Nothing runs yet; its address is bound.
func newSidecar(world *generator.World, source blocksync.Source, s setup) (*sidecar, error) {
	registry := metrics.New(metrics.Build{Version: "bench"})
	log := slog.New(slog.DiscardHandler)
	c, err := cache.New(cache.Options{
		MaxBytes: s.MaxBytes, Apps: []string{seed.App}, Loader: world, Sizer: world,
		LoadTimeout: filter.DefaultLoadTimeout, Metrics: cache.NewMetrics(registry), Logger: log,
	})
	if err != nil {
		return nil, err
	}
	f, err := blocksync.New(blocksync.Options{
		Source: source, Cache: c, Metrics: blocksync.NewMetrics(registry), Logger: log,
		PollInterval: s.Poll, SoftBound: s.Soft, MinSchema: generator.Schema, MaxSchema: generator.Schema,
	})
	if err != nil {
		return nil, err
	}
	decide, err := filter.New(filter.Options{
		Cache: c, Apps: map[string]filter.Policy{seed.App: filter.Default()}, Metrics: filter.NewMetrics(registry),
		SoftBound: s.Soft, Reached: f.Reached,
	})
	if err != nil {
		return nil, err
	}
	door, err := server.NewCheck(decide, server.Options{
		Listen: []border.Address{{Network: "tcp", Address: "127.0.0.1:0"}}, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	if err := door.Listen(); err != nil {
		return nil, fmt.Errorf("bind the check listener: %w", err)
	}
	return &sidecar{world: world, cache: c, follower: f, filter: decide, door: door}, nil
}

// address is where checks are answered.
func (s *sidecar) address() net.Addr { return s.door.Addrs()[0] }

// run serves until ctx ends.
func (s *sidecar) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context) error{
		s.door.Run, s.follower.Run, s.cache.Run, headroom.Memory{}.Keep, s.world.Run,
	} {
		g.Go(func() error { return loop(ctx) })
	}
	return g.Wait()
}
