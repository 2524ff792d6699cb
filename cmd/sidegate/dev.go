package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
)

// Run serves on a private Postgres until the first signal, then stops both.
func (c *devCmd) Run(ctx context.Context, p *program) (err error) {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	if err := cfg.CheckListeners(); err != nil {
		return usageError{err}
	}
	log, level := newLogger(cfg.Log, p.stderr)
	var private *privateDatabase
	if cfg.Postgres.URL == "" {
		if private, err = startPrivate(ctx, p, c.DataDir); err != nil {
			return unlessStopped(ctx, err)
		}
		defer func() {
			err = errors.Join(err, private.stop(ctx))
			p.say("Stopped.")
		}()
		cfg.Postgres.URL = private.DSN("postgres")
	}
	if err := postgres.Up(ctx, cfg.Postgres.URL); err != nil {
		return unlessStopped(ctx, storeError{err})
	}
	token, database := rand.Text(), cfg.Postgres.URL
	complete := func(cfg *config.Config) error { // with what no file says
		cfg.Postgres.URL = database
		cfg.Ops.Tokens = append(slices.Clone(cfg.Ops.Tokens), config.Token{
			Name: "dev", SHA256: sha256.Sum256([]byte(token)), Scopes: []config.Scope{config.ScopeStaff},
		})
		return nil
	}
	if err := complete(cfg); err != nil {
		return err
	}
	s, err := buildSidegate(ctx, cfg, log, open{api: allLocal(cfg.API.Listen)})
	if err != nil {
		return err
	}
	s.store.own = private != nil
	// No signal: SIGHUP is what a terminal that is closed sends, and dev ends with it.
	s.reloads.read, s.reloads.level = func() (*config.Config, error) { return c.load(p) }, level
	s.reloads.check, s.reloads.complete = (*config.Config).CheckListeners, complete
	if err := s.beginDev(ctx); err != nil {
		s.store.Close()
		return unlessStopped(ctx, err)
	}
	return s.runDev(ctx, p, private, token)
}

// beginDev is begin with a database that must be there, and demo data in it.
func (s *sidegate) beginDev(ctx context.Context) error {
	if err := s.store.inspect(ctx); err != nil {
		return storeError{err}
	}
	if err := demo(ctx, s.store); err != nil {
		return storeError{fmt.Errorf("write the demo data: %w", err)}
	}
	return s.bind()
}

// demo blocks alice on bob's list, unless the app has lists already: what the
// user did in an earlier start stays as it is.
func demo(ctx context.Context, store *upstream) error {
	lists, _, err := store.Sizes(ctx, defaultApp, cache.KindBlock)
	if err != nil || lists > 0 {
		return err
	}
	_, err = store.Edit(ctx, filter.Edit{
		List:   filter.ListID{App: defaultApp, Kind: cache.KindBlock, Owner: "bob"},
		Add:    []filter.Addition{{Target: "alice", Note: "demo data"}},
		Source: "demo",
	})
	return err
}

const defaultApp = "default"

// runDev serves, says so when the first question would be answered, and keeps the
// private database running.
func (s *sidegate) runDev(ctx context.Context, p *program, private *privateDatabase, token string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var beside sync.WaitGroup
	beside.Go(func() {
		if s.awaitReady(ctx) {
			p.greet(s, token)
		}
	})
	if private != nil {
		beside.Go(func() { private.keep(ctx) })
	}
	err := s.run(ctx)
	stop()
	beside.Wait()
	return err
}

// preloadPatience is how long the greeting waits for memory to be filled.
const preloadPatience = 5 * time.Second

// awaitReady waits until the start-up probe would be green and, with patience,
// until everything that fits is in memory, so that a first question on a busy
// machine is not one that has to be repeated; false means that ctx ended first.
func (s *sidegate) awaitReady(ctx context.Context) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	begun := time.Now()
	for s.synced() != nil || s.limited() != nil || !s.cache.Preloaded() && time.Since(begun) < preloadPatience {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	s.log.Debug("ready", slog.Any("listeners", s.status().Listeners))
	return true
}
