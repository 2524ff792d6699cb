package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// login makes a user who may log in and is a member of the roles, and returns the
// address of the database as that user. The user is gone when the test ends.
func login(t *testing.T, dsn, name string, roles ...string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	// Users belong to the cluster, which other tests use too.
	name += strings.ReplaceAll(strings.TrimPrefix(u.Path, "/"), "-", "_")
	psql(t, dsn, fmt.Sprintf("CREATE USER %s IN ROLE %s", name, strings.Join(roles, ", ")))
	t.Cleanup(func() { psql(t, dsn, "DROP USER "+name) })
	u.User = url.User(name)
	return u.String()
}

// warnings counts the lines in which the program complains of a superuser.
func (s *sidecar) warnings() int { return strings.Count(s.stderr.String(), "connects as a superuser") }

// TestAcceptRoles: the program does everything it does as a user with
// sidegate_read and sidegate_write, and a pure sidecar with sidegate_read alone.
func TestAcceptRoles(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	serverDSN := login(t, dsn, "server_", "sidegate_read", "sidegate_write")
	readerDSN := login(t, dsn, "reader_", "sidegate_read")
	server := startSidecar(t, serverDSN, "apps: {default: {limit: 3}}").ready()
	reader := startSidecar(t, readerDSN, "", "SIDEGATE_API_LISTEN=").ready()
	q := question{sender: "alice", recipient: "bob"}

	server.block("default", "bob", "alice")
	if got := server.decide(q); got != dropped {
		t.Errorf("after the write: %+v", got)
	}
	reader.enforced(q, dropped)
	server.edits(http.StatusOK, "bob", `{"add":["carl","dora"]}`)
	if code := server.edits(http.StatusConflict, "bob", `{"remove":["dora"],"add":["eve","fay"]}`).problem(t); code != "limit_exceeded" {
		t.Errorf("over the limit: %s", code)
	}
	server.edits(http.StatusOK, "bob", `{"remove":["carl","dora"]}`)
	if a := server.must(http.MethodDelete, "api", blockPath("default", "bob", "alice")); a.status != http.StatusOK {
		t.Errorf("unblock: %v", a)
	}
	reader.enforced(q, allowed)

	for path, want := range map[string]string{
		"/blocks":     `{"blocks":[],"next_cursor":"","total":0}`,
		"/blocked-by": `{"blocks":[],"next_cursor":""}`,
		"/history":    `"ended_source":"native"`,
	} {
		if a := server.get("api", "/v1/apps/default/users/bob"+path); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %v", path, a)
		}
	}
	// The sweeper works too: a row that has expired goes by itself.
	until := time.Now().Add(200 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	server.edits(http.StatusOK, "bob", `{"add":[{"target":"gus","expires_at":"`+until+`"}]}`)
	waitFor(t, "the sweeper ends what has expired", func() bool {
		return psql(t, dsn, "SELECT count(*) FROM sidegate.block WHERE target = 'gus'") == "0"
	})

	for _, statement := range []string{
		"INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'x', 'y')", "DELETE FROM sidegate.block",
		"UPDATE sidegate.owner SET size = 0", "TRUNCATE sidegate.block", "DROP SCHEMA sidegate CASCADE", "SELECT FROM sidegate.nonce",
	} {
		if _, refusal := tryPsql(t, serverDSN, statement); !strings.Contains(refusal, "permission denied") && !strings.Contains(refusal, "must be owner") {
			t.Errorf("as the server's user: %s: %q", statement, refusal)
		}
	}
	if server.warnings()+reader.warnings() != 0 {
		t.Error("users without power are taken for superusers")
	}
}

// TestAcceptRoleForSQL: a deployer's own program writes with sidegate_sql, is
// followed, is bound by the limit, and reads nothing of ours but the lists.
func TestAcceptRoleForSQL(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	serverDSN := login(t, dsn, "server_", "sidegate_read", "sidegate_write")
	own := login(t, dsn, "own_", "sidegate_sql")
	s := startSidecar(t, serverDSN, "apps: {default: {limit: 2}}").ready()
	q := question{sender: "alice", recipient: "bob"}

	psql(t, own, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')")
	s.enforced(q, dropped)
	psql(t, own, "UPDATE sidegate.block SET expires_at = now() - interval '1 s' WHERE owner = 'bob'")
	s.enforced(q, allowed)
	psql(t, own, "DELETE FROM sidegate.block WHERE owner = 'bob'", "COPY sidegate.block (app, owner, target) FROM STDIN")
	if _, refusal := tryPsql(t, own, "INSERT INTO sidegate.block (app, owner, target) SELECT 'default', 'bob', 't' || n FROM generate_series(1, 3) n"); !strings.Contains(refusal, "the list is full") {
		t.Errorf("over the limit: %q", refusal)
	}
	for _, statement := range []string{
		"TRUNCATE sidegate.block", "SELECT FROM sidegate.history", "SELECT FROM sidegate.change", "SELECT FROM sidegate.owner",
		"SELECT sidegate.set_limit('default', 3000)", "UPDATE sidegate.block SET target = 'x'",
	} {
		if _, refusal := tryPsql(t, own, statement); refusal == "" {
			t.Errorf("may %s", statement)
		}
	}
}

// TestAcceptMissingRights: without sidegate_read nothing is known; without
// sidegate_write decisions are answered, no write is taken, and the start is not
// over. A grant helps a process that runs already.
func TestAcceptMissingRights(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	poor := login(t, dsn, "poor_", "pg_monitor") // which is nothing of ours
	s := startSidecar(t, poor, "")
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')")
	q := question{sender: "alice", recipient: "bob"}
	if a := s.get("check", q.path()); !a.unknown() {
		t.Errorf("without any right: %v", a)
	}
	u, err := url.Parse(poor)
	if err != nil {
		t.Fatal(err)
	}
	psql(t, dsn, "GRANT sidegate_read TO "+u.User.Username())
	s.enforced(q, dropped)
	a := s.must(http.MethodPut, "api", blockPath("default", "bob", "carl"))
	if a.status != http.StatusServiceUnavailable || a.problem(t) != "store_unavailable" || strings.Contains(a.body, "permission") {
		t.Errorf("a write: %v", a)
	}
	if a := s.get("ops", "/startupz?verbose"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "limits") {
		t.Errorf("startupz: %v", a)
	}
	if !strings.Contains(s.stderr.String(), "permission denied") {
		t.Error("the log does not say why")
	}
	psql(t, dsn, "GRANT sidegate_write TO "+u.User.Username())
	s.ready().block("default", "bob", "carl")
}

// TestAcceptMigrationsWithTheirRole: whoever is a member of sidegate_ddl migrates
// a schema that a superuser has made once.
func TestAcceptMigrationsWithTheirRole(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	migrator := login(t, dsn, "migrator_", "sidegate_ddl")
	for _, verb := range []string{"status", "up", "down", "up"} {
		if got := runProgram(t, nil, "migrate", verb, "--postgres-url", migrator); got.code != exitOK {
			t.Fatalf("migrate %s: %+v", verb, got)
		}
	}
	s := startSidecar(t, login(t, dsn, "server_", "sidegate_read", "sidegate_write"), "").ready()
	s.block("default", "bob", "alice")
	if a := s.get("api", "/v1/apps/default/users/alice/blocked-by"); a.status != http.StatusOK || !strings.Contains(a.body, `"owner":"bob"`) {
		t.Errorf("what the migration made is not there: %v", a)
	}
}

// TestAcceptSuperuserIsWarnedOfOnce: it works, and the log says once that less
// would do, also when the connections have been lost in between.
func TestAcceptSuperuserIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	s.block("default", "bob", "alice")
	psql(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	psql(t, dsn, "DELETE FROM sidegate.block")
	s.enforced(question{sender: "alice", recipient: "bob"}, allowed)
	if n := s.warnings(); n != 1 {
		t.Errorf("%d warnings", n)
	}
}
