package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/headroom"
	"github.com/sidegate/sidegate/cmd/sidegate/tracing"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/decisionlog"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/metrics"
	"github.com/sidegate/sidegate/metrics/border"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
)

// sidegate is the whole program, built and not yet started.
type sidegate struct {
	cfg      *config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	memory   headroom.Memory // what the process may use

	access   access
	store    *upstream
	cache    *cache.Cache
	follower *blocksync.Follower
	hints    *postgres.Hints   // nil if they are off
	limits   *limits           // nil if block lists are not served
	sweeper  *postgres.Sweeper // likewise

	loops stage // what the surfaces of vendors need besides

	decisions *decisionlog.Log // nil if it is off
	tracing   *tracing.Tracing // likewise

	check, api *server.Listener // nil if off
	ops        *metrics.Ops     // nil if off
}

// open says who may enter without a credential, and what is open besides files.
type open struct {
	api    bool      // native routes of an api listener that has no credential
	stdout io.Writer // of the process, for a decision log
	otlp   bool      // the environment names a receiver of spans
}

// build makes everything in the order in which one needs the other. Nothing
// runs and nothing is bound yet; on an error nothing is left behind.
func buildSidegate(ctx context.Context, cfg *config.Config, log *slog.Logger, doors open) (*sidegate, error) {
	s := &sidegate{cfg: cfg, log: log, registry: metrics.New(build())}
	var err error
	if s.access, err = newAccess(cfg, s.registry, log); err != nil {
		return nil, err
	}
	s.buildTracing(doors)
	opts := postgres.Options{URL: cfg.Postgres.URL, Metrics: postgres.NewMetrics(s.registry), Logger: log}
	if s.tracing != nil {
		opts.Waited = tracing.Waited
	}
	store, err := postgres.Open(ctx, opts)
	if err != nil {
		return nil, usageError{fmt.Errorf("postgres.url: %w", err)}
	}
	s.store = &upstream{Store: store, log: log}
	for _, step := range []func(open) error{s.buildCore, s.buildDoors} {
		if err := step(doors); err != nil {
			store.Close()
			return nil, err
		}
	}
	return s, nil
}

// buildCore makes memory and what keeps it equal to the database.
func (s *sidegate) buildCore(open) (err error) {
	s.cache, err = cache.New(cache.Options{
		MaxBytes: s.planMemory(), Apps: slices.Sorted(maps.Keys(s.cfg.Apps)),
		Loader: s.store, Sizer: s.store, LoadTimeout: filter.DefaultLoadTimeout,
		Metrics: cache.NewMetrics(s.registry), Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.follower, err = blocksync.New(blocksync.Options{
		Source: s.store, Cache: s.cache, Metrics: blocksync.NewMetrics(s.registry), Logger: s.log,
		PollInterval: s.cfg.Sync.PollInterval,
		SoftBound:    s.cfg.Sync.SoftBound, HardBound: s.cfg.Sync.HardBound,
		MinSchema: postgres.SchemaVersion, MaxSchema: postgres.SchemaVersion,
	})
	hintCounts := postgres.NewHintMetrics(s.registry)
	if err != nil || !s.cfg.Sync.Hints {
		return err
	}
	s.hints, err = postgres.NewHints(postgres.HintOptions{
		Store: s.store.Store, Wake: s.follower.Wake, Metrics: hintCounts, Logger: s.log,
	})
	return err
}

// buildDoors makes the three listeners and what only they need.
func (s *sidegate) buildDoors(doors open) error {
	counts := filter.NewMetrics(s.registry)
	decide, err := filter.New(filter.Options{
		Cache: s.cache, Apps: s.cfg.Policies(), Metrics: counts,
		SoftBound: s.cfg.Sync.SoftBound, HardBound: s.cfg.Sync.HardBound,
		AtLeastTimeout: s.cfg.Check.AtLeastTimeout, Evidence: s.store,
		Reached: s.follower.Reached,
	})
	if err != nil {
		return err
	}
	if err := s.buildDecisionLog(doors.stdout); err != nil {
		return err
	}
	if len(s.cfg.Check.Listen) > 0 {
		if s.check, err = server.NewCheck(decide, server.Options{
			Listen: addresses(s.cfg.Check.Listen), Auth: s.access.check, Decisions: s.decisions, Logger: s.log,
		}); err != nil {
			return err
		}
	}
	if len(s.cfg.API.Listen) > 0 {
		if err := s.buildAPI(doors, counts); err != nil {
			return err
		}
	}
	return s.buildOps(decide)
}

// buildAPI makes the listener for block lists, native and in the vendors' forms,
// and what keeps house in the database: whoever serves the lists does.
func (s *sidegate) buildAPI(doors open, counts *filter.Metrics) error {
	core, err := s.newServices(counts)
	if err != nil {
		return err
	}
	surfaces, err := s.surfaces(core)
	if err != nil {
		return err
	}
	opts := server.Options{
		Listen: addresses(s.cfg.API.Listen), Auth: s.access.api, Open: doors.api,
		Users: core.users, Rooms: core.rooms, Transfers: core.moves, Surfaces: surfaces,
		Rate: server.Rate(s.cfg.API.Rate), Metrics: server.NewMetrics(s.registry), Logger: s.log,
	}
	if s.tracing != nil {
		opts.Tracer = s.tracing // only here: a nil pointer in the interface would not be nil
	}
	if s.api, err = server.NewAPI(core.lists, opts); err != nil {
		return err
	}
	s.limits = &limits{store: s.store, apps: s.cfg.Apps, log: s.log}
	s.sweeper = postgres.NewSweeper(postgres.SweeperOptions{Store: s.store, Logger: s.log})
	return nil
}

func (s *sidegate) buildOps(decide *filter.Filter) error {
	if len(s.cfg.Ops.Listen) == 0 {
		return nil
	}
	var err error
	s.ops, err = metrics.NewOps(metrics.OpsOptions{
		Listen: addresses(s.cfg.Ops.Listen), Gatherer: s.registry, Build: build(), Auth: s.access.ops, Logger: s.log,
		Started: []metrics.Probe{{Name: "sync", Check: s.synced}, {Name: "limits", Check: s.limited}},
		Ready:   []metrics.Probe{{Name: "snapshot", Check: s.usable}},
	})
	if err != nil {
		return err
	}
	s.ops.Handle("GET /openapi.json", http.HandlerFunc(serveOpenAPI))
	s.ops.HandleStatus(func() any { return s.status() })
	s.ops.HandleRead("GET /v1/explain", (&explainer{filter: decide, log: s.log, now: time.Now}).read)
	return nil
}

// bind takes all addresses, or none: a busy port ends the start.
func (s *sidegate) bind() error {
	if s.decisions != nil {
		if err := s.decisions.Open(); err != nil {
			return usageError{fmt.Errorf("decision_log.path: %w", err)}
		}
	}
	if s.check != nil {
		if err := s.check.Listen(); err != nil {
			return usageError{errors.Join(fmt.Errorf("check.listen: %w", err), s.unbind())}
		}
	}
	if s.api != nil {
		if err := s.api.Listen(); err != nil {
			return usageError{errors.Join(fmt.Errorf("api.listen: %w", err), s.unbind())}
		}
	}
	if s.ops != nil {
		if err := s.ops.Listen(); err != nil {
			return usageError{errors.Join(fmt.Errorf("ops.listen: %w", err), s.unbind())}
		}
	}
	return nil
}

// unbind gives up the addresses that bind has taken so far.
func (s *sidegate) unbind() (err error) {
	if s.decisions != nil {
		err = s.decisions.Close()
	}
	if s.check != nil {
		err = errors.Join(err, s.check.Close())
	}
	if s.api != nil {
		err = errors.Join(err, s.api.Close())
	}
	return err
}

// run serves until ctx ends. The order of the stages is the order of stopping:
// no new questions, then no probes, then the writers, the feed and the memory,
// and at last the connections.
func (s *sidegate) run(ctx context.Context) error {
	defer s.store.Close()
	var doors, ops, upkeep stage
	if s.check != nil {
		doors = append(doors, s.check.Run)
	}
	if s.api != nil {
		doors = append(doors, s.api.Run)
		upkeep = append(upkeep, s.limits.run, s.sweeper.Run)
		upkeep = append(upkeep, s.loops...)
	}
	if s.ops != nil {
		ops = append(ops, s.ops.Run)
	}
	if s.access.signed != nil {
		// As long as anybody may ask who somebody is.
		upkeep = append(upkeep, s.access.signed.Run)
	}
	if s.hints != nil {
		upkeep = append(upkeep, s.hints.Run)
	}
	last := stage{s.cache.Run, s.memory.Keep}
	if s.decisions != nil {
		last = append(last, s.runDecisionLog) // until nobody decides any more
	}
	if s.tracing != nil {
		last = append(last, s.tracing.Run)
	}
	err := runStages(ctx, doors, ops, upkeep, stage{s.follower.Run}, last)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// addresses converts what the configuration says.
func addresses(listen []config.Address) []border.Address {
	out := make([]border.Address, len(listen))
	for i, a := range listen {
		out[i] = border.Address(a)
	}
	return out
}
