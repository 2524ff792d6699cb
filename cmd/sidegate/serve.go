package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/systemd"
)

// Run serves until the first signal.
func (c *serveCmd) Run(ctx context.Context, p *program) error {
	sockets, err := takeSockets(p)
	if err != nil {
		return err
	}
	read := func() (*config.Config, error) {
		cfg, err := c.load(p)
		if err != nil {
			return nil, err
		}
		return cfg, sockets.speakFor(cfg)
	}
	cfg, err := read()
	if err != nil {
		return err
	}
	if err := cfg.CheckServe(); err != nil {
		return usageError{err}
	}
	hangup, stop := p.hangups()
	defer stop()
	log, level := newLogger(cfg.Log, p.stderr)
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	s, err := buildSidegate(ctx, cfg, log, open{
		api: cfg.Insecure && allLocal(cfg.API.Listen), passed: sockets,
	})
	if err != nil {
		return err
	}
	s.manager = systemd.NewNotifier(p.getenv)
	s.reloads.read, s.reloads.level, s.reloads.hangup = read, level, hangup
	if err := s.begin(ctx); err != nil {
		s.store.Close()
		return unlessStopped(ctx, err)
	}
	log.Info("sidegate serves", "version", build().Version, "listeners", s.status().Listeners)
	defer log.Info("sidegate has stopped")
	return s.run(ctx)
}

// warnOfShadow names the apps whose blocks have no effect. It is no mistake, but one
// to be forgotten.
func warnOfShadow(cfg *config.Config, log *slog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Apps)) {
		if cfg.Apps[name].Policy.Shadow {
			log.Warn("an app does not enforce its policy: every message is delivered (enforce: false)", "app", name)
		}
	}
}

// begin looks at the database and binds the addresses. A database that is away
// does not keep a sidecar from starting: it may be back before the first
// question, and until then the app's on_unknown policy answers. One that
// answers and cannot be used does: waiting would not help.
func (s *sidegate) begin(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.store.inspect(look); err != nil {
		var wrong storeError
		if errors.As(err, &wrong) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.log.Warn("the database cannot be used yet; starting without it", slog.Any("error", err))
	}
	return s.bind()
}

// unlessStopped returns the error that a step of the start ended with, nil if a
// signal came: the step then failed because it was broken off, and whoever asked
// for the end is not told that something is wrong with the database.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func allLocal(listen []config.Address) bool {
	for _, a := range listen {
		if !a.Local() {
			return false
		}
	}
	return true
}
