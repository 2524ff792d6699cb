package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/headroom"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics"
	"github.com/sidegate/sidegate/metrics/border"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
)

// replayServer asks a running sidegate.
type replayServer struct{ api *client }

// replayCheck is a question as POST …/batch takes it.
type replayCheck struct {
	Sender        string `json:"sender"`
	Recipient     string `json:"recipient"`
	RoomType      string `json:"room_type"`
	Room          string `json:"room,omitempty"`
	Origin        string `json:"origin,omitempty"`
	Verify        bool   `json:"verify,omitempty"`
	NotifyBlocked bool   `json:"notify_blocked,omitempty"`
}

// answer implements replayAnswerer.
func (s *replayServer) answer(ctx context.Context, app string, questions []*replayLine) ([]replayVerdict, error) {
	checks := make([]replayCheck, len(questions))
	for i, line := range questions {
		q := &line.question
		checks[i] = replayCheck{
			Sender: q.Sender, Recipient: q.Recipient, RoomType: q.RoomType.String(), Room: q.Room,
			Verify: q.Verify, NotifyBlocked: q.NotifyBlocked,
		}
		if q.FromServer {
			checks[i].Origin = "server"
		}
	}
	_, body, err := s.api.do(ctx, call{
		method: http.MethodPost, path: "/v1/can-deliver/batch", body: map[string]any{"app": app, "checks": checks},
	})
	if refused, ok := errors.AsType[*problem](err); ok && refused.Code == string(filter.CodeUnknownApp) {
		return nil, unaskedError{refused}
	}
	if err != nil {
		return nil, err
	}
	var answered struct {
		Decisions []struct {
			replayVerdict
			Would *replayVerdict `json:"would"`
		} `json:"decisions"`
	}
	if err := s.api.decode(body, &answered); err != nil {
		return nil, err
	}
	if len(answered.Decisions) != len(questions) {
		return nil, s.api.strange(fmt.Errorf("%d answers to %d questions", len(answered.Decisions), len(questions)))
	}
	verdicts := make([]replayVerdict, len(questions))
	for i := range verdicts {
		d := &answered.Decisions[i]
		if verdicts[i] = d.replayVerdict; d.Would != nil {
			verdicts[i] = *d.Would
		}
	}
	return verdicts, nil
}

// replayCandidate decides by policies that nobody serves, with the lists of their
// database.
type replayCandidate struct {
	filter *filter.Filter
	then   bool
	now    func() time.Time
}

// answer implements replayAnswerer.
func (r *replayCandidate) answer(ctx context.Context, app string, questions []*replayLine) ([]replayVerdict, error) {
	if !r.filter.HasApp(app) {
		return nil, unaskedError{fmt.Errorf("the app %s is not configured", border.Quote(app))}
	}
	checks, at := make([]filter.Check, len(questions)), make([]time.Time, len(questions))
	for i, line := range questions {
		checks[i], at[i] = line.question, line.at
		checks[i].App = app
		if at[i].IsZero() {
			at[i] = r.now()
		}
	}
	decisions := make([]filter.Decision, len(checks))
	if r.then {
		if err := r.filter.Past(ctx, checks, at, decisions); err != nil {
			return nil, storeError{err}
		}
	} else {
		r.filter.Batch(checks, decisions)
	}
	verdicts := make([]replayVerdict, len(decisions))
	for i, d := range decisions {
		verdicts[i] = verdictOf(d)
	}
	return verdicts, ctx.Err()
}

// replayPatience is how long a list may take that is not in memory. A chat server
// would not wait so long; a comparison would rather wait than be told "unknown".
const replayPatience = 30 * time.Second

// try calls run with the policies of a configuration. It reads the database as a
// sidecar does, and writes nothing to it.
func (c *replayCmd) try(ctx context.Context, p *program, run func(context.Context, replayAnswerer) error) error {
	src := c.source(p, c.values())
	src.Open = true
	cfg, err := loadConfig(src)
	if err != nil {
		return err
	}
	if cfg.Postgres.URL == "" {
		return usageError{fmt.Errorf("postgres.url is empty in %s: replay takes the lists from a database; give --postgres-url or SIDEGATE_POSTGRES_URL", c.Config)}
	}
	cfg.Log.Level = "error" // what a server would warn of is no part of a comparison
	log, _ := newLogger(cfg.Log, p.stderr)
	core, err := openReplayCore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer core.store.Close()
	look, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := core.store.inspect(look); err != nil {
		return storeError{fmt.Errorf("the database of %s: %w", c.Config, err)}
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var result error
	ended := runStages(running, stage{func(ctx context.Context) error {
		defer stop()
		if result = core.ready(ctx); result == nil {
			result = run(ctx, &replayCandidate{filter: core.filter, then: c.Then, now: p.now})
		}
		return nil
	}}, stage{core.follower.Run}, stage{core.cache.Run})
	return errors.Join(result, ended)
}

// replayCore is what decides, without what serves.
type replayCore struct {
	store    *upstream
	cache    *cache.Cache
	follower *blocksync.Follower
	filter   *filter.Filter
}

func openReplayCore(ctx context.Context, cfg *config.Config, log *slog.Logger) (*replayCore, error) {
	registry := metrics.New(build())
	store, err := postgres.Open(ctx, postgres.Options{URL: cfg.Postgres.URL, Metrics: postgres.NewMetrics(registry), Logger: log})
	if err != nil {
		return nil, usageError{fmt.Errorf("postgres.url: %w", err)}
	}
	policies, apps := cfg.Policies(), make([]string, 0, len(cfg.Apps))
	for name, policy := range policies {
		apps = append(apps, name)
		policy.Shadow = false // what it would do is the question
		policies[name] = policy
	}
	core := &replayCore{store: &upstream{Store: store, log: log}}
	budget := cfg.Cache.MaxBytes
	if budget == config.Auto {
		memory := headroom.Find(os.DirFS("/"))
		budget = memory.CacheBytes()
	}
	core.cache, err = cache.New(cache.Options{
		MaxBytes: budget, Apps: apps, Loader: core.store, Sizer: core.store, LoadTimeout: replayPatience,
		MaxLoads: postgres.LoadConns, Metrics: cache.NewMetrics(registry), Logger: log,
	})
	if err == nil {
		core.follower, err = blocksync.New(blocksync.Options{
			Source: core.store, Cache: core.cache, Metrics: blocksync.NewMetrics(registry), Logger: log,
			PollInterval: cfg.Sync.PollInterval, SoftBound: cfg.Sync.SoftBound, HardBound: cfg.Sync.HardBound,
			MinSchema: postgres.SchemaVersion, MaxSchema: postgres.SchemaVersion,
		})
	}
	if err == nil {
		core.filter, err = filter.New(filter.Options{
			Cache: core.cache, Apps: policies, Evidence: core.store, LoadTimeout: replayPatience,
			SoftBound: cfg.Sync.SoftBound, HardBound: cfg.Sync.HardBound,
		})
	}
	if err != nil {
		store.Close()
		return nil, err
	}
	return core, nil
}

// replayLook is how often it is looked whether memory can be answered from.
const replayLook = 5 * time.Millisecond

// ready waits until the database is followed.
func (c *replayCore) ready(ctx context.Context) error {
	tick := time.NewTicker(replayLook)
	defer tick.Stop()
	patience := time.NewTimer(replayPatience)
	defer patience.Stop()
	for !c.cache.Synced() {
		select {
		case <-tick.C:
		case <-patience.C:
			return storeError{errors.New("the database could not be read")}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
