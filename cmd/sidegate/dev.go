package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
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
	log := newLogger(cfg.Log, p.stderr)
	private := cfg.Postgres.URL == ""
	if private {
		db, stop, err := c.database(ctx, p)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		cfg.Postgres.URL = db.DSN("postgres")
	}
	if err := postgres.Up(ctx, cfg.Postgres.URL); err != nil {
		return storeError{err}
	}
	token := rand.Text()
	cfg.Ops.Tokens = append(cfg.Ops.Tokens, config.Token{
		Name: "dev", SHA256: sha256.Sum256([]byte(token)), Scopes: []config.Scope{config.ScopeStaff},
	})
	s, err := buildSidegate(ctx, cfg, log, open{api: allLocal(cfg.API.Listen)})
	if err != nil {
		return err
	}
	s.store.own = private
	if err := s.beginDev(ctx); err != nil {
		s.store.Close()
		return err
	}
	return s.runDev(ctx, p, token)
}

// database starts the private Postgres, whose own log goes to a file. The
// function it returns stops it, although ctx has ended by then.
func (c *devCmd) database(ctx context.Context, p *program) (*localpg.Server, func() error, error) {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--data-dir: %w", err)}
	}
	p.say("Starting a private Postgres in %s …", dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, usageError{fmt.Errorf("--data-dir: %w", err)}
	}
	log, err := os.OpenFile(filepath.Join(dir, "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--data-dir: %w", err)}
	}
	private := localpg.New(localpg.Options{Dir: filepath.Join(dir, "postgres"), Durable: true, Log: log})
	if err := private.Start(ctx); err != nil {
		return nil, nil, storeError{errors.Join(err, log.Close())}
	}
	return private, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := errors.Join(private.Stop(ctx), log.Close()); err != nil {
			return storeError{fmt.Errorf("stop the private Postgres: %w", err)}
		}
		return nil
	}, nil
}

// stopTimeout is how long the private Postgres may take to shut down; then it
// is killed, and recovers at the next start.
const stopTimeout = 15 * time.Second

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

// runDev serves, and says so when the first question would be answered.
func (s *sidegate) runDev(ctx context.Context, p *program, token string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	greeted := make(chan struct{})
	go func() {
		defer close(greeted)
		if s.awaitReady(ctx) {
			p.greet(s, token)
		}
	}()
	err := s.run(ctx)
	stop()
	<-greeted
	p.say("Stopped.")
	return err
}

// awaitReady waits until the start-up probe would be green and everything that
// fits is in memory; false means that ctx ended first.
func (s *sidegate) awaitReady(ctx context.Context) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for s.synced() != nil || s.limited() != nil {
		select {
		case <-look.C:
		case <-ctx.Done():
			return false
		}
	}
	s.log.Debug("ready", slog.Any("listeners", s.status().Listeners))
	return true
}
