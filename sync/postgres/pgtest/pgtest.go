package pgtest

import (
	"bytes"
	"context"
	"maps"
	"os"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
)

// Database returns the address of an empty database with the current schema. It is
// dropped when the test ends, whoever is still connected.
func Database(t testing.TB) string {
	t.Helper()
	return database(t, true)
}

// Empty returns the address of a database without our schema.
func Empty(t testing.TB) string {
	t.Helper()
	return database(t, false)
}

func database(t testing.TB, migrated bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	server, name, err := common.create(ctx, migrated)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := admin(ctx, server, "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	return server.DSN(name)
}

// Server returns a running cluster that the test may stop, kill and freeze; it has
// ended when the test has. Settings are PostgreSQL settings by name. What the
// server printed is shown when the test fails.
func Server(t testing.TB, settings map[string]string) *localpg.Server {
	t.Helper()
	out := logTo(t)
	server := localpg.New(localpg.Options{Dir: Dir(t), Settings: small(settings), Log: out})
	stopAfter(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return server
}

// Standby returns a running streaming copy of a cluster, with the cluster's
// settings; it has ended when the test has.
func Standby(t testing.TB, primary *localpg.Server) *localpg.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	standby, err := primary.Standby(ctx, localpg.Options{Dir: Dir(t), Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	stopAfter(t, standby)
	return standby
}

// Migrated makes a database named sidegate with the current schema in a cluster
// and returns its address.
func Migrated(t testing.TB, server *localpg.Server) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := admin(ctx, server, "create database sidegate template template0"); err != nil {
		t.Fatal(err)
	}
	dsn := server.DSN("sidegate")
	if err := postgres.Up(ctx, dsn); err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Dir returns a directory for a cluster, removed when the test ends. Unlike that of
// testing.T.TempDir, the account which a server runs as under root may pass it.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := reachableDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func stopAfter(t testing.TB, server *localpg.Server) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

// small returns settings for many clusters on one machine: little memory each, and
// room for a test's many connections.
func small(over map[string]string) map[string]string {
	settings := map[string]string{
		"shared_buffers":  "32MB",
		"max_connections": "200",
		"max_wal_size":    "64MB",
		"jit":             "off",
	}
	maps.Copy(settings, over)
	return settings
}

// logTo returns a writer whose text is shown when the test fails.
func logTo(t testing.TB) *log {
	l := &log{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PostgreSQL printed:\n%s", l)
		}
	})
	return l
}

// log is a buffer that a test may read while the server writes.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
