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
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/headroom"
	"github.com/sidegate/sidegate/cmd/sidegate/systemd"
	"github.com/sidegate/sidegate/cmd/sidegate/tracing"
	"github.com/sidegate/sidegate/cmd/sidegate/warm"
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

	counts    *filter.Metrics
	verifiers *verifiers
	current   atomic.Pointer[generation] // what a reload exchanges
	staff     exchanged                  // who may enter the ops listener
	crew      crew                       // runs what generations need to run

	store    *upstream
	cache    *cache.Cache
	warm     *warm.File // nil if it is off
	follower *blocksync.Follower
	sampler  *blocksync.Auditor
	hints    *postgres.Hints   // nil if they are off
	limits   *limits           // nil if block lists are not served
	sweeper  *postgres.Sweeper // likewise
	auditor  *postgres.Auditor // likewise

	doors   open
	reloads *reloader // nil before somebody says where to read from

	keepers  keepers          // of certificates
	manager  systemd.Notifier // who started us, if they listen
	stopping atomic.Bool      // the end has begun
	ends     atomic.Int64     // by when what is left of it is cut off, Unix nanoseconds; 0 = not yet

	decisions *decisionlog.Log // nil if it is off
	tracing   *tracing.Tracing // likewise
	probe     *ownProbe        // likewise

	check, api *server.Listener // nil if off
	ops        *metrics.Ops     // nil if off
}

// open says what of the doors is not the configuration's to say.
type open struct {
	api    bool      // native routes of an api listener without a credential are for everybody
	passed passed    // sockets that stand in place of addresses
	stdout io.Writer // of the process, for a decision log
	otlp   bool      // the environment names a receiver of spans
}

// build makes everything in the order in which one needs the other. Nothing
// runs and nothing is bound yet; on an error nothing is left behind.
func buildSidegate(ctx context.Context, cfg *config.Config, log *slog.Logger, doors open) (*sidegate, error) {
	s := &sidegate{cfg: cfg, log: log, registry: metrics.New(build()), doors: doors}
	s.verifiers = &verifiers{reg: s.registry, log: log, names: namesOf(cfg, cfg.Log.UserIDs)}
	s.reloads = newReloader(s)
	var err error
	if s.keepers, err = newKeepers(cfg, s.registry, log); err != nil {
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
	if hosts := postgres.Unproven(cfg.Postgres.URL); len(hosts) > 0 {
		log.Warn("postgres.url leads over a network to a server that need not prove to be the database; add sslmode=verify-full", "hosts", hosts)
	}
	for _, step := range []func() error{s.buildCore, s.buildDoors} {
		if err := step(); err != nil {
			store.Close()
			return nil, err
		}
	}
	return s, nil
}

// buildCore makes memory and what keeps it equal to the database.
func (s *sidegate) buildCore() (err error) {
	memory := cache.Options{
		MaxBytes: s.planMemory(), Apps: slices.Sorted(maps.Keys(s.cfg.Apps)),
		Loader: s.store, Sizer: s.store, Headers: s.store, LoadTimeout: filter.DefaultLoadTimeout,
		MaxLoads: postgres.LoadConns, Loads: loadLimits(s.cfg),
		Metrics: cache.NewMetrics(s.registry), Logger: s.log,
	}
	s.buildWarm(&memory)
	if s.cache, err = cache.New(memory); err != nil {
		return err
	}
	following := blocksync.Options{
		Source: s.store, Cache: s.cache, Metrics: blocksync.NewMetrics(s.registry), Logger: s.log,
		PollInterval: s.cfg.Sync.PollInterval,
		SoftBound:    s.cfg.Sync.SoftBound, HardBound: s.cfg.Sync.HardBound,
		MinSchema: postgres.SchemaVersion, MaxSchema: postgres.SchemaVersion,
	}
	if s.warm != nil {
		following.Warm = s.warm // only here: a nil pointer in the interface would not be nil
	}
	if s.follower, err = blocksync.New(following); err != nil {
		return err
	}
	if s.warm != nil {
		s.warm.Attach(s.cache, s.follower.Place)
	}
	if s.sampler, err = s.newSampler(); err != nil {
		return err
	}
	hintCounts := postgres.NewHintMetrics(s.registry)
	if !s.cfg.Sync.Hints {
		return nil
	}
	s.hints, err = postgres.NewHints(postgres.HintOptions{
		Store: s.store.Store, Wake: s.follower.Wake, Metrics: hintCounts, Logger: s.log,
	})
	return err
}

// newSampler makes what compares memory with the database. Who serves block lists
// may tell all processes that theirs is wrong.
func (s *sidegate) newSampler() (*blocksync.Auditor, error) {
	opts := blocksync.AuditOptions{
		Follower: s.follower, Metrics: blocksync.NewAuditMetrics(s.registry), Logger: s.log, Samples: s.cfg.Audit.Samples,
	}
	if len(s.cfg.API.Listen) > 0 {
		opts.Incarnation = s.store
	}
	return blocksync.NewAuditor(opts)
}

// loadLimits are what the configuration says of page reads.
func loadLimits(cfg *config.Config) cache.LoadLimits {
	return cache.LoadLimits{Rate: cfg.Cache.LoadRate, Burst: cfg.Cache.LoadBurst, Queue: cfg.Cache.LoadQueue}
}

// buildDoors makes the three listeners and what only they need.
func (s *sidegate) buildDoors() error {
	s.counts = filter.NewMetrics(s.registry)
	g, err := s.newGeneration(s.cfg, nil)
	if err != nil {
		return err
	}
	if err := s.buildDecisionLog(s.doors.stdout); err != nil {
		return err
	}
	if len(s.cfg.Check.Listen) > 0 {
		if s.check, err = server.NewCheck(g.filter, server.Options{
			Listen: addresses(s.cfg.Check.Listen), Bound: s.doors.passed["check"], TLS: s.keepers.of("check"),
			Auth: g.access.check, DrainTimeout: s.cfg.Shutdown.Timeout, Decisions: s.decisions, Logger: s.log,
		}); err != nil {
			return err
		}
	}
	if g.core != nil {
		if err := s.buildAPI(g); err != nil {
			return err
		}
	}
	s.enter(g)
	if err := s.buildProbe(); err != nil {
		return err
	}
	return s.buildOps()
}

// buildAPI makes the listener for block lists, native and in the vendors' forms,
// and what keeps house in the database: whoever serves the lists does.
func (s *sidegate) buildAPI(g *generation) (err error) {
	opts := s.apiOptions(g)
	opts.Listen, opts.Bound, opts.TLS = addresses(s.cfg.API.Listen), s.doors.passed["api"], s.keepers.of("api")
	opts.DrainTimeout, opts.Metrics, opts.Logger = s.cfg.Shutdown.Timeout, server.NewMetrics(s.registry), s.log
	if s.tracing != nil {
		opts.Tracer = s.tracing // only here: a nil pointer in the interface would not be nil
	}
	if s.api, err = server.NewAPI(g.core.lists, opts); err != nil {
		return err
	}
	s.limits = newLimits(s.store, s.log)
	s.sweeper = postgres.NewSweeper(postgres.SweeperOptions{Store: s.store, Logger: s.log, Retention: retention(g.cfg)})
	s.auditor, err = postgres.NewAuditor(postgres.AuditorOptions{
		Store: s.store, Metrics: postgres.NewAuditMetrics(s.registry), Logger: s.log,
		Name: s.verifiers.names.Of, Settings: auditing(g.cfg),
	})
	return err
}

func retention(cfg *config.Config) postgres.Retention {
	return postgres.Retention{Feed: cfg.Sync.Retention, History: cfg.HistoryRetention()}
}

func auditing(cfg *config.Config) postgres.AuditSettings {
	return postgres.AuditSettings{Period: cfg.Audit.Period, Repair: cfg.Audit.Repair}
}

// apiOptions are what a generation says about the api listener.
func (s *sidegate) apiOptions(g *generation) server.Options {
	return server.Options{
		Auth: g.access.api, Open: s.doors.api, Rate: server.Rate(g.cfg.API.Rate), Surfaces: g.surfaces,
		Users: g.core.users, Rooms: g.core.rooms, Transfers: g.core.moves,
	}
}

func (s *sidegate) buildOps() error {
	if len(s.cfg.Ops.Listen) == 0 {
		return nil
	}
	var err error
	s.ops, err = metrics.NewOps(metrics.OpsOptions{
		Listen: addresses(s.cfg.Ops.Listen), Bound: s.doors.passed["ops"], TLS: s.keepers.of("ops"),
		DrainTimeout: min(s.cfg.Shutdown.Timeout, opsDrain),
		Gatherer:     s.registry, Build: build(), Auth: &s.staff, Logger: s.log,
		Started: []metrics.Probe{{Name: "sync", Check: s.synced}, {Name: "limits", Check: s.limited}},
		Ready:   []metrics.Probe{{Name: "snapshot", Check: s.usable}, {Name: "shutdown", Check: s.staying}},
	})
	if err != nil {
		return err
	}
	s.ops.Handle("GET /openapi.json", http.HandlerFunc(serveOpenAPI))
	s.ops.HandleStatus(func(who *border.Principal) any { return s.status().of(who) })
	s.ops.HandleProfiles()
	decides := func() *filter.Filter { return s.current.Load().filter }
	s.ops.HandleRead("GET /v1/explain", (&explainer{filter: decides, log: s.log, now: time.Now}).read)
	s.ops.HandleRead("POST /v1/reload", s.reloads.serve)
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

// opsDrain is how long requests under way on the ops listener may take when
// everything else has ended: a scrape ends in time, a profile may be lost.
const opsDrain = time.Second

// run serves until ctx ends. The order of the stages is the order of stopping:
// first everybody is told, then no new questions are taken and those under way are
// answered, then the writers, the feed and the memory end. Probes and metrics are
// there until then: whoever watches sees the process go, not vanish. At last the
// connections to the database are closed.
func (s *sidegate) run(ctx context.Context) error {
	defer s.store.Close()
	var doors, ops, upkeep stage
	if s.check != nil {
		doors = append(doors, s.check.Run)
	}
	if s.api != nil {
		doors = append(doors, s.api.Run)
		upkeep = append(upkeep, s.limits.run, s.sweeper.Run, s.auditor.Run)
	}
	if s.ops != nil {
		ops = append(ops, s.ops.Run)
	}
	for _, k := range s.keepers {
		ops = append(ops, k.Run)
	}
	upkeep = append(upkeep, s.sampler.Run, s.crew.run, s.reloads.run)
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
	notice := stage{s.reportStart, func(stopped context.Context) error {
		<-stopped.Done()
		s.giveNotice(ctx)
		return nil
	}}
	var probe stage // which asks the doors
	if s.probe != nil {
		probe = stage{s.runProbe}
	}
	var keep stage // after following has ended, so that the last file has all of it
	if s.warm != nil {
		keep = append(keep, s.warm.Run)
	}
	err := runStages(ctx, notice, probe, doors, upkeep, stage{s.follower.Run}, keep, last, ops)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// giveNotice says that the process is about to end: readiness goes off, and
// requests are taken for as long as it takes others to look elsewhere. If it was no
// signal that ended ctx but a part that failed, there is nothing to wait for.
func (s *sidegate) giveNotice(ctx context.Context) {
	s.stopping.Store(true)
	s.ends.Store(time.Now().Add(s.cfg.Shutdown.Delay + s.cfg.Shutdown.Timeout).UnixNano())
	s.tell(systemd.Stopping, systemd.Status("stopping"))
	if ctx.Err() == nil {
		return
	}
	s.log.Info("stopping", "delay", s.cfg.Shutdown.Delay.String(), "timeout", s.cfg.Shutdown.Timeout.String())
	time.Sleep(s.cfg.Shutdown.Delay)
}

// addresses converts what the configuration says.
func addresses(listen []config.Address) []border.Address {
	out := make([]border.Address, len(listen))
	for i, a := range listen {
		out[i] = border.Address(a)
	}
	return out
}
