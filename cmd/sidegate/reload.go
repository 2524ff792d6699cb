package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	blocksync "github.com/sidegate/sidegate/sync"

	"github.com/sidegate/sidegate/metrics/border"
)

// reloader reads the configuration again while the program serves. It is safe for
// concurrent use; one reload follows the other.
type reloader struct {
	s *sidegate
	// read reads the configuration as the start did. It is set before run.
	read func() (*config.Config, error)
	// check tells whether a start would succeed with it.
	check func(*config.Config) error
	// complete adds what no file says: the token of dev.
	complete func(*config.Config) error
	level    *slog.LevelVar
	hangup   <-chan os.Signal // nil: no signal asks for a reload

	mu         sync.Mutex
	successful prometheus.Gauge
	succeeded  prometheus.Gauge
}

// reloaded says what a reload has done.
type reloaded struct {
	Changed      []string `json:"changed"`
	NeedsRestart []string `json:"needs_restart"`
	Warnings     []string `json:"warnings"`
}

// newReloader makes the reloader of a program that has not been built yet. The start
// counts as a reload that succeeded.
func newReloader(s *sidegate) *reloader {
	factory := promauto.With(s.registry)
	r := &reloader{
		s: s, level: new(slog.LevelVar),
		read: func() (*config.Config, error) {
			return nil, errors.New("the program was started without a way to read its configuration")
		},
		check:    checkServe,
		complete: func(*config.Config) error { return nil },
		successful: factory.NewGauge(prometheus.GaugeOpts{
			Name: "sidegate_config_last_reload_successful",
			Help: "1 if the last reload of the configuration, or the start, succeeded; 0 if what is in force is older than the file, " +
				"because the file is wrong. A process that is started again would not come up with it.",
		}),
		succeeded: factory.NewGauge(prometheus.GaugeOpts{
			Name: "sidegate_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in force was read: at the start or by the last reload that succeeded.",
		}),
	}
	r.note(nil)
	return r
}

// note remembers how a reload ended, for the metrics.
func (r *reloader) note(err error) {
	if err != nil {
		r.successful.Set(0)
		return
	}
	r.successful.Set(1)
	r.succeeded.SetToCurrentTime()
}

// lastReload is how long a reload that is under way at the end of the program may
// take. What it reads may be a pipe that nobody writes to, or a disk that is away.
const lastReload = time.Second

// run reloads for every signal, until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangup:
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = r.reload() // it is in the log
		}()
		select {
		case <-ended:
			continue
		case <-ctx.Done():
		}
		select {
		case <-ended:
		case <-time.After(lastReload):
		}
		return nil
	}
}

// serve reloads for a member of staff. Whoever is for certain apps only must not
// learn of others, which a fault would name.
func (r *reloader) serve(req *http.Request) (any, error) {
	if border.FromContext(req.Context()).Apps != nil {
		return nil, border.Forbidden()
	}
	done, err := r.reload()
	if err != nil {
		return nil, border.Problem{Code: border.CodeInvalidConfiguration, Detail: err.Error()}
	}
	return done, nil
}

// reload reads the configuration again and applies its hot keys, all or none. Its
// error, as the log, names every fault with its place.
func (r *reloader) reload() (done reloaded, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.note(err) }()
	log := r.s.log
	next, changes, err := r.prepare()
	if err != nil {
		log.Error("the configuration was not reloaded; what was in force stays in force", "faults", strings.Split(err.Error(), "\n"))
		return reloaded{}, err
	}
	if err := r.s.apply(next); err != nil {
		log.Error("the configuration was not reloaded; what was in force stays in force", "faults", strings.Split(err.Error(), "\n"))
		return reloaded{}, err
	}
	level := levelOf(next.cfg.Log)
	r.level.Set(min(level, r.level.Level())) // what turns the log down is still said
	log.Info("the configuration was reloaded", "changed", changes.Applied)
	r.level.Set(level)
	for _, w := range next.cfg.Warnings {
		log.Warn("the configuration says something that is probably not meant", "warning", w)
	}
	if len(changes.Waiting) > 0 {
		log.Warn("keys were changed that need a restart; they keep their values until then", "keys", changes.Waiting)
	}
	return reloaded{Changed: listed(changes.Applied), NeedsRestart: listed(changes.Waiting), Warnings: listed(next.cfg.Warnings)}, nil
}

// listed is [] in JSON where there is nothing.
func listed(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// prepare reads and checks everything and makes what is to serve; nothing of it
// serves yet.
func (r *reloader) prepare() (*generation, config.Changes, error) {
	former := r.s.current.Load()
	read, err := r.read()
	if err != nil {
		return nil, config.Changes{}, err
	}
	next, changes, err := read.Next(former.cfg)
	if err != nil {
		return nil, changes, err
	}
	if err := errors.Join(r.complete(read), r.complete(next)); err != nil {
		return nil, changes, err
	}
	// First as if it were to start, so that the next start does not fail with what
	// a reload has found good.
	if err := r.check(read); err != nil {
		return nil, changes, err
	}
	if err := next.CheckListeners(); err != nil {
		return nil, changes, err
	}
	g, err := r.s.newGeneration(next, former)
	return g, changes, err
}

// apply puts a generation in force. Each listener exchanges all of it at once, so
// that a request is answered by one of the two; what can fail comes first.
func (s *sidegate) apply(g *generation) error {
	if err := s.follower.SetPace(blocksync.Pace{
		PollInterval: g.cfg.Sync.PollInterval, SoftBound: g.cfg.Sync.SoftBound, HardBound: g.cfg.Sync.HardBound,
	}); err != nil {
		return err
	}
	if err := s.sampler.SetSamples(g.cfg.Audit.Samples); err != nil {
		return err
	}
	if err := s.cache.SetLoadLimits(loadLimits(g.cfg)); err != nil {
		return err
	}
	if s.api != nil {
		if err := s.api.ReloadAPI(g.core.lists, s.apiOptions(g)); err != nil {
			return err
		}
	}
	if s.check != nil {
		s.check.ReloadCheck(g.filter, g.access.check)
	}
	s.enter(g)
	return nil
}

// enter makes a generation the one in force for everything that is not a listener.
func (s *sidegate) enter(g *generation) {
	warnOfShadow(g.cfg, s.log)
	s.crew.set(g.loops)
	s.staff.set(g.access.ops)
	s.current.Store(g)
	if s.limits != nil {
		s.limits.want(g.cfg.Apps)
		s.sweeper.SetRetention(retention(g.cfg))
		s.auditor.Set(auditing(g.cfg))
	}
}

// exchanged is an authenticator that can be exchanged. The zero value knows nobody.
type exchanged struct {
	present atomic.Pointer[border.Authenticator]
}

// set exchanges it; nil knows nobody.
func (e *exchanged) set(a border.Authenticator) { e.present.Store(&a) }

// Authenticate implements border.Authenticator.
func (e *exchanged) Authenticate(authorization []byte) (*border.Principal, bool) {
	if a := e.present.Load(); a != nil && *a != nil {
		return (*a).Authenticate(authorization)
	}
	return nil, false
}
