//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// privateDatabase is the Postgres of dev. Its own log goes to a file beside its
// data.
type privateDatabase struct {
	*localpg.Server
	program *program
	log     *os.File
}

const (
	// stopTimeout is how long the private Postgres may take to shut down; then
	// it is killed, and recovers at the next start.
	stopTimeout = 15 * time.Second

	// restartPause is how long dev waits before it starts a Postgres again
	// that ended by itself: long enough to watch what an outage looks like.
	restartPause = 10 * time.Second
)

// startPrivate starts the Postgres whose data is under dir, making it if there
// is none.
func startPrivate(ctx context.Context, p *program, dir string) (*privateDatabase, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, usageError{fmt.Errorf("--data-dir: %w", err)}
	}
	p.say("Starting a private Postgres in %s …", dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, usageError{fmt.Errorf("--data-dir: %w", err)}
	}
	log, err := os.OpenFile(filepath.Join(dir, "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, usageError{fmt.Errorf("--data-dir: %w", err)}
	}
	d := &privateDatabase{
		Server:  localpg.New(localpg.Options{Dir: filepath.Join(dir, "postgres"), Durable: true, Log: log}),
		program: p, log: log,
	}
	if err := d.Start(ctx); err != nil {
		return nil, storeError{errors.Join(err, log.Close())}
	}
	return d, nil
}

// stop stops the database although ctx has ended.
func (d *privateDatabase) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := errors.Join(d.Stop(ctx), d.log.Close()); err != nil {
		return storeError{fmt.Errorf("stop the private Postgres: %w", err)}
	}
	return nil
}

// keep starts the database again whenever it ends by itself, until ctx ends.
func (d *privateDatabase) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.Done():
		}
		d.program.say("The private Postgres has ended. Answers come from memory and say how old they are; it is started again in %v.", restartPause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartPause):
		}
		if err := d.Start(ctx); err != nil {
			d.program.say("It could not be started: %v", err)
		} else {
			d.program.say("The private Postgres is back.")
		}
	}
}
