package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
)

// startTimeout bounds what serve asks the database before it starts.
const startTimeout = 5 * time.Second

// upstream is the database as the rest of the program may use it: nothing is
// read from it before it has been found fit.
type upstream struct {
	*postgres.Store
	log *slog.Logger
	own bool // the database is our private one: being its superuser is right
	fit atomic.Bool
}

// inspect finds out whether the database is fit. Its error is a storeError if
// the database answered and will not do however long one waits; any other error
// means that it did not answer.
func (u *upstream) inspect(ctx context.Context) error {
	report, err := u.Check(ctx)
	if err != nil {
		if unfit(err) {
			return storeError{err}
		}
		return err
	}
	if report.Superuser && !u.own {
		u.log.Warn("postgres.url connects as a superuser; a role that is a member of sidegate_read and sidegate_write is enough")
	}
	u.fit.Store(true)
	return nil
}

// unfit tells a database that answered from one that did not.
func unfit(err error) bool {
	var schema *postgres.SchemaError
	return errors.As(err, &schema) || errors.Is(err, postgres.ErrStandby) || errors.Is(err, postgres.ErrHash) ||
		errors.Is(err, postgres.ErrEncoding) || errors.Is(err, postgres.ErrOldServer)
}

// Poll implements blocksync.Source: a database that was away at the start is
// looked at before its first rows are believed. A standby and a foreign schema are
// for the follower to refuse, who shows them as what they are and not as a
// connection that fails.
func (u *upstream) Poll(ctx context.Context, from blocksync.Position) (blocksync.Batch, error) {
	if !u.fit.Load() {
		err := u.inspect(ctx)
		var schema *postgres.SchemaError
		switch {
		case errors.As(err, &schema):
			return blocksync.Batch{Schema: schema.Have}, nil
		case errors.Is(err, postgres.ErrStandby):
			return blocksync.Batch{Recovery: true}, nil
		case err != nil:
			return blocksync.Batch{}, err
		}
	}
	return u.Store.Poll(ctx, from)
}

// limits writes the configured limits to the database, where they bind every
// writer. A process that only answers decisions leaves them alone.
type limits struct {
	store *upstream
	log   *slog.Logger
	apps  atomic.Pointer[map[string]config.App]
	again chan struct{} // of one place: there are others
	set   atomic.Bool   // those of the start stand
}

const limitsRetry = time.Second

func newLimits(store *upstream, log *slog.Logger) *limits {
	return &limits{store: store, log: log, again: make(chan struct{}, 1)}
}

// want exchanges the limits that are to stand. It does not wait until they do.
func (l *limits) want(apps map[string]config.App) {
	former := l.apps.Swap(&apps)
	if former == nil || maps.EqualFunc(*former, apps, func(a, b config.App) bool { return a.Policy.Limit == b.Policy.Limit }) {
		return
	}
	select {
	case l.again <- struct{}{}:
	default: // it is known already
	}
}

// run sets the limits whenever there are others, trying again while the database is
// away, until ctx ends.
func (l *limits) run(ctx context.Context) error {
	for {
		var retry <-chan time.Time
		if err := l.try(ctx); err == nil {
			l.set.Store(true)
		} else {
			l.log.Debug("the limits of the apps are not set yet", "error", err)
			retry = time.After(limitsRetry)
		}
		select {
		case <-retry:
		case <-l.again:
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *limits) try(ctx context.Context) error {
	if !l.store.fit.Load() {
		return errors.New("the database has not been found fit yet")
	}
	for name, app := range *l.apps.Load() {
		if err := l.store.SetLimit(ctx, name, app.Policy.Limit); err != nil {
			return fmt.Errorf("set the limit of app %s: %w", name, err)
		}
	}
	return nil
}
