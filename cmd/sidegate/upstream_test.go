package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
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

// TestADatabaseThatNeedNotProveItself: the log says so once at the start, with the
// host and without the password; with a proof, or on this machine, it says nothing.
func TestADatabaseThatNeedNotProveItself(t *testing.T) {
	for dsn, want := range map[string]int{
		"postgres://u:S3CRET@db.example/d":                     1,
		"postgres://u:S3CRET@db.example/d?sslmode=require":     1,
		"postgres://u:S3CRET@db.example/d?sslmode=verify-full": 0,
		"postgres://u:S3CRET@127.0.0.1:1/d":                    0,
	} {
		cfg, err := config.Load(config.Source{Flags: map[string]string{"postgres.url": dsn}})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		s, err := buildSidegate(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)), open{})
		if err != nil {
			t.Fatal(err)
		}
		s.store.Close()
		if got := strings.Count(log.String(), "need not prove to be the database; add sslmode=verify-full\" hosts=[db.example]"); got != want ||
			strings.Contains(log.String(), "S3CRET") {
			t.Errorf("%s: %d warnings, want %d: %s", dsn, got, want, log.String())
		}
	}
}
