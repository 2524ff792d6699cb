package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// TestAcceptBadStart: whoever starts the program with something that cannot work
// reads in one sentence what, and finds everything as it was.
func TestAcceptBadStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := database(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()

	for _, tc := range []struct {
		name string
		args []string
		code int
		says []string // each in the same line
	}{
		{"unknown key", []string{"--config", file("typo.yaml", "check:\n  listen: []\npostgres:\n  ulr: x\n"), "--postgres-url", good}, exitUsage,
			[]string{"postgres.ulr", "typo.yaml:4", `did you mean "postgres.url"?`}},
		{"value of a wrong type", []string{"--config", file("type.yaml", "sync: {poll_interval: 100}\n"), "--postgres-url", good}, exitUsage,
			[]string{"sync.poll_interval", "type.yaml:1", "100ms"}},
		{"limit out of range", []string{"--config", file("limit.yaml", "apps: {default: {limit: 3001}}\n"), "--postgres-url", good}, exitUsage,
			[]string{"apps.default.limit", "3000"}},
		{"no file", []string{"--config", filepath.Join(dir, "none.yaml"), "--postgres-url", good}, exitUsage, []string{"none.yaml"}},
		{"no database named", nil, exitUsage, []string{"postgres.url is empty", "sidegate dev"}},
		{"bad DSN", []string{"--postgres-url", "postgres://u:secret-word@host:notaport/db"}, exitUsage, []string{"postgres.url"}},
		{"busy port", []string{"--postgres-url", good, "--check-listen", busy.Addr().String()}, exitUsage,
			[]string{"check.listen", busy.Addr().String(), "in use"}},
		{"open to the network", []string{"--postgres-url", good, "--check-listen", "0.0.0.0:0"}, exitUsage,
			[]string{"--check-listen", "0.0.0.0:0", "check.tokens", "--insecure"}},
		{"unknown flag", []string{"--postgres-rul", good}, exitUsage, []string{"--postgres-rul", "--postgres-url"}},
		{"no schema", []string{"--postgres-url", pgtest.Empty(t)}, exitStore, []string{"no sidegate schema", "sidegate migrate up"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := runProgram(t, anyPort, append([]string{"serve"}, tc.args...)...)
			if got.code != tc.code {
				t.Errorf("exit code %d, want %d: %s", got.code, tc.code, got.stderr)
			}
			if !hasLine(got.stderr, tc.says...) {
				t.Errorf("stderr:\n%swant a line with %q", got.stderr, tc.says)
			}
			if strings.Contains(got.stderr, "secret-word") || strings.Contains(got.stderr, "goroutine ") {
				t.Errorf("stderr shows what it must not:\n%s", got.stderr)
			}
		})
	}
}

// hasLine reports whether one line of a text holds all of some parts.
func hasLine(text string, parts ...string) bool {
	for line := range strings.Lines(text) {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			return true
		}
	}
	return false
}

// TestAcceptNewerSchema: an old program on a database that a newer one has
// migrated neither serves it nor touches it.
func TestAcceptNewerSchema(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	newer := postgres.SchemaVersion + 1
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')",
		"UPDATE sidegate.meta SET schema_version = schema_version + 1, serves_from = schema_version + 1",
		fmt.Sprintf("INSERT INTO sidegate.migration (version_id, is_applied) VALUES (%d, true)", newer))
	dump := func() string {
		return psql(t, dsn, "SELECT * FROM sidegate.meta", "SELECT * FROM sidegate.block", "SELECT * FROM sidegate.change",
			"SELECT * FROM sidegate.app", "SELECT version_id FROM sidegate.migration ORDER BY 1")
	}
	before := dump()
	for _, args := range [][]string{{"serve"}, {"migrate", "up"}, {"migrate", "down"}, {"migrate", "status"}} {
		got := runProgram(t, anyPort, append(args, "--postgres-url", dsn)...)
		if got.code != exitStore || !hasLine(got.stderr, fmt.Sprintf("schema version %d", newer), fmt.Sprintf("knows only %d", newer-1), "newer sidegate") {
			t.Errorf("%v ended with %+v", args, got)
		}
	}
	if after := dump(); after != before {
		t.Errorf("the database was\n%s\nand is\n%s", before, after)
	}
}

// TestAcceptUpgrade: while a newer program migrates the database, an old one goes on
// if the new schema serves it, and otherwise from memory alone.
func TestAcceptUpgrade(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "sync: {poll_interval: 20ms}\n").ready()
	migrated := func(serves string) {
		psql(t, dsn, "UPDATE sidegate.meta SET schema_version = schema_version + 1, serves_from = "+serves)
	}
	state := func(name string) func() bool {
		return func() bool { return s.samples()[`sidegate_sync_state{state="`+name+`"}`] == 1 }
	}
	migrated("serves_from")
	waitFor(t, "the program meets the new schema", func() bool {
		return s.samples()["sidegate_schema_version"] == float64(postgres.SchemaVersion+1)
	})
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')")
	s.enforced(question{sender: "alice", recipient: "bob"}, dropped)
	if !state("synced")() {
		t.Error("an old program does not follow a schema that serves it")
	}

	migrated("schema_version + 1")
	waitFor(t, "the program does not believe a schema that does not serve it", state("wrong_server"))
	if got := s.decide(question{sender: "alice", recipient: "bob"}); got != dropped {
		t.Errorf("from memory: %+v", got)
	}
}

// TestAcceptStandby: a standby is refused by its name; the primary goes on.
func TestAcceptStandby(t *testing.T) {
	t.Parallel()
	primary := pgtest.Server(t, nil)
	migrateUp(t, primary.DSN("postgres"))
	standby := pgtest.Standby(t, primary)
	for _, args := range [][]string{{"serve"}, {"migrate", "up"}} {
		got := runProgram(t, anyPort, append(args, "--postgres-url", standby.DSN("postgres"))...)
		if got.code != exitStore || !hasLine(got.stderr, "standby", "postgres.url", "primary") {
			t.Errorf("%v ended with %+v", args, got)
		}
	}
	startSidecar(t, primary.DSN("postgres"), "").ready()
}

// TestAcceptWithoutTokens: with no token configured nobody gets at a list, on
// loopback either; the chat server beside it is answered all the same.
func TestAcceptWithoutTokens(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')")
	s := startSidecar(t, dsn, "", "SIDEGATE_API_TOKENS=").ready()
	for _, refused := range []struct{ method, door, path string }{
		{http.MethodGet, "api", blockPath("default", "bob", "")},
		{http.MethodPut, "api", blockPath("default", "bob", "carol")},
		{http.MethodDelete, "api", blockPath("default", "bob", "alice")},
		{http.MethodGet, "ops", "/v1/status"},
	} {
		a := s.must(refused.method, refused.door, refused.path)
		if a.status != http.StatusUnauthorized || a.problem(t) != "unauthenticated" || a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%+v: %v", refused, a)
		}
	}
	if got := psql(t, dsn, "SELECT target FROM sidegate.block"); got != "alice" {
		t.Errorf("the list now holds %q", got)
	}
	s.enforced(question{sender: "alice", recipient: "bob"}, dropped)

	insecure := startSidecar(t, dsn, "insecure: true", "SIDEGATE_API_TOKENS=").ready()
	insecure.block("default", "bob", "carol")
	locked := startSidecar(t, dsn, "").ready()
	if a := locked.get("api", blockPath("default", "bob", ""), "Authorization: Bearer "+apiToken+"x"); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %v", a)
	}
}
