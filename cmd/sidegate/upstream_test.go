package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// TestADatabaseThatComesLateAndHasNoSchema: it was away at the start, answers now,
// and is refused as what it is, which the state and the metrics then show.
func TestADatabaseThatComesLateAndHasNoSchema(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	store, err := postgres.Open(t.Context(), postgres.Options{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	u := &upstream{Store: store, log: slog.New(slog.DiscardHandler)}
	batch, err := u.Poll(t.Context(), blocksync.Position{})
	if err != nil || batch.Schema != 0 || batch.Recovery || !batch.Position.IsZero() {
		t.Fatalf("without a schema: %+v, %v; want a batch that the follower refuses for its schema", batch, err)
	}
	if u.fit.Load() {
		t.Error("it counts as fit")
	}
	if err := postgres.Up(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a poll wants one
	defer cancel()
	batch, err = u.Poll(ctx, blocksync.Position{})
	if err != nil || batch.Schema != postgres.SchemaVersion || batch.Position.IsZero() {
		t.Errorf("with the schema: %+v, %v", batch, err)
	}
}
