package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// replica begins a session whose writes no trigger follows.
const replica = "SET session_replication_role = replica"

func TestDBAudit(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	environ := []string{"SIDEGATE_POSTGRES_URL=" + dsn}
	audit := func(code int, args ...string) string {
		t.Helper()
		got := command(t, environ, append([]string{"db", "audit"}, args...)...)
		if got.code != code || got.stderr != "" {
			t.Fatalf("audit %v: %+v", args, got)
		}
		return got.stdout
	}
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice'), ('other', 'dave', 'carol')")
	if got := audit(0); got != "All 2 lists with 2 entries are what their headers and the feed say.\n" {
		t.Errorf("a sound database: %s", got)
	}
	if got := audit(0, "--app", "defaults"); got != "The app defaults has no lists.\n" {
		t.Errorf("an app that is not there: %s", got)
	}
	psql(t, dsn, replica,
		"INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'x'), ('default', E'erin\\u202e', 'x')",
		"DELETE FROM sidegate.block WHERE owner = 'dave'",
		"INSERT INTO sidegate.block (app, owner, target) SELECT 'large', 'hoarder', 't' || i FROM generate_series(1, 3001) i")

	got := audit(1, "--app", "default")
	for _, want := range []string{
		"default block bob: the header counts 1 entries, there are 2\n",
		"default block \"erin\\u202e\": there are 1 entries and no header\n", // safe for a terminal
		"2 of 2 lists differ, 0 of them are repaired.\n",
		"To repair: sidegate db audit --repair. ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	var report struct {
		Lists, Entries, Left int
		StartedOver          bool `json:"started_over"`
		Damage               []map[string]any
	}
	if err := json.Unmarshal([]byte(audit(1, "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Left != 4 || report.Lists != 4 || report.Entries != 3004 || len(report.Damage) != 4 || report.Damage[0]["repaired"] != false {
		t.Errorf("%+v", report)
	}
	if got := audit(0, "--repair"); strings.Count(got, "(repaired)") != 4 || !strings.Contains(got, "4 of 4 lists differ, 4 of them are repaired.\n") {
		t.Errorf("repaired: %s", got)
	}
	// What is too long stays, and is said each time.
	for _, args := range [][]string{nil, {"--repair"}} {
		if got := audit(1, args...); !strings.HasPrefix(got, "large block hoarder: it has 3001 entries, more than any list may have\n1 of 4 ") ||
			!strings.Contains(got, "only its owner knows which to remove") || strings.Contains(got, "To repair") {
			t.Errorf("%v: %s", args, got)
		}
	}
}

// Whoever could not make everybody start over has repaired nothing of what is to
// lead to that, so that the next audit finds it and does both.
func TestDBAuditOfARestoreIsNotHalfDone(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	environ := []string{"SIDEGATE_POSTGRES_URL=" + dsn}
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')", replica,
		"UPDATE sidegate.owner SET version = version - 1",
		"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE lock_not_available; END $$",
		"CREATE TRIGGER refuse BEFORE UPDATE OF incarnation ON sidegate.meta FOR EACH ROW EXECUTE FUNCTION refuse()")
	if got := command(t, environ, "db", "audit", "--repair"); got.code != exitStore {
		t.Errorf("nobody could be made to start over: %+v", got)
	}
	psql(t, dsn, "DROP FUNCTION refuse CASCADE")
	if got := command(t, environ, "db", "audit", "--repair"); got.code != 0 || !strings.Contains(got.stdout, "every sidegate on this database reads every list again") {
		t.Errorf("the next one: %+v", got)
	}
}

// A list that was set back with its header is told by the feed, and makes everybody
// start over.
func TestDBAuditOfARestore(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	environ := []string{"SIDEGATE_POSTGRES_URL=" + dsn}
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')",
		"CREATE TABLE kept AS SELECT * FROM sidegate.owner",
		"INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'carol')", replica,
		"DELETE FROM sidegate.block WHERE target = 'carol'",
		"UPDATE sidegate.owner o SET (version, size, digest) = (SELECT version, size, digest FROM kept)")
	incarnation := psql(t, dsn, "SELECT incarnation FROM sidegate.meta")
	got := command(t, environ, "db", "audit")
	if got.code != 1 || !strings.Contains(got.stdout, "default block bob: it is older than what the feed has told of it (1 entries)\n") ||
		!strings.Contains(got.stdout, "Lists were set back, as by a restore") || psql(t, dsn, "SELECT incarnation FROM sidegate.meta") != incarnation {
		t.Errorf("%+v", got)
	}
	got = command(t, environ, "db", "audit", "--repair")
	if got.code != 0 || !strings.Contains(got.stdout, "every sidegate on this database reads every list again") ||
		psql(t, dsn, "SELECT incarnation FROM sidegate.meta") == incarnation {
		t.Errorf("%+v", got)
	}
}

func TestDBForget(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	environ := []string{"SIDEGATE_POSTGRES_URL=" + dsn}
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice'), ('default', 'alice', 'bob'), ('default', 'bob', 'carl')",
		"DELETE FROM sidegate.block WHERE target = 'carl'", "INSERT INTO sidegate.directory (app, id) VALUES ('default', 'bob')")
	counts := "       1  entries of their lists\n       1  entries about them on other lists\n       1  lists of theirs\n" +
		"       %d  ended intervals\n       2  direct rooms\n       1  records of the directory\n" +
		"       0  bans of rooms in their name, which stay without it\n"

	if got := command(t, environ, "db", "forget", "default", "bob", "--dry-run"); got.code != 0 || got.stdout != fmt.Sprintf(counts, 1) {
		t.Errorf("dry run: %+v", got)
	}
	if got := command(t, environ, "db", "forget", "default", "bob"); got.code != 2 || got.stdout != fmt.Sprintf(counts, 1) || !strings.Contains(got.stderr, "add --yes") {
		t.Errorf("without --yes: %+v", got)
	}
	if got := command(t, environ, "db", "forget", "default", "bob", "--yes", "--dry-run"); got.code != 2 || !strings.Contains(got.stderr, "contradict") {
		t.Errorf("both: %+v", got)
	}
	if n := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); n != "2" {
		t.Errorf("%s entries are left of two, and nobody was to remove any", n)
	}
	want := fmt.Sprintf(counts, 3) + "bob is forgotten in the app default. The feed names them for 2h0m0s more, and for as long as nobody trims it.\n"
	if got := command(t, environ, "db", "forget", "default", "bob", "--yes"); got.code != 0 || got.stdout != want {
		t.Errorf("forgotten: %+v", got)
	}
	// A slip must not look like an erasure.
	for _, app := range []string{"default", "defaults"} {
		if got := command(t, environ, "db", "forget", app, "bob", "--yes"); got.code != 0 || !strings.HasSuffix(got.stdout, "Nothing was removed: bob is not named in the app "+app+".\n") {
			t.Errorf("nobody is there: %+v", got)
		}
	}
	if got := command(t, environ, "db", "forget", "default", "bob\n", "--yes"); got.code != exitUsage || !strings.Contains(got.stderr, "control character U+000A") {
		t.Errorf("no id at all: %+v", got)
	}
	got := command(t, environ, "db", "forget", "default", "bob", "--yes", "--json")
	var result forgotten
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || got.code != 0 || result.User != "bob" || result.Removed.Total() != 0 || result.Left != 0 {
		t.Errorf("again: %+v, %v", got, err)
	}
}

func TestDBTrim(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	file := t.TempDir() + "/sidegate.yaml"
	if err := os.WriteFile(file, []byte("apps: {default: {history_retention: 240h}, other: {}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')", "DELETE FROM sidegate.block",
		`INSERT INTO sidegate.history (app, kind, owner, target, blocked_at, unblocked_at, source, actor, ended_source, ended_actor)
			SELECT a, 'block', 'o', 'x', now() - interval '1 year', now() - i * interval '1 day', '', '', '', ''
			  FROM generate_series(1, 20) i, unnest('{default,other}'::text[]) a`)
	args := []string{"db", "trim", "--config", file, "--postgres-url", dsn}
	if got := command(t, nil, args...); got.code != 0 || got.stdout != "Removed 0 changes older than 2h0m0s from the feed.\nRemoved 11 ended intervals of the app default.\n" {
		t.Errorf("by the configuration: %+v", got)
	}
	waitFor(t, "no older transaction is running beside the changes", func() bool {
		return psql(t, dsn, "SELECT pg_snapshot_xmin(pg_current_snapshot()) > max(x::text::bigint)::text::xid8 FROM sidegate.change") == "t"
	})
	if got := command(t, nil, append(slices.Clone(args), "--keep=-30m")...); got.code != exitUsage || !strings.Contains(got.stderr, "--keep: -30m0s is below zero") {
		t.Errorf("a slip of the keyboard: %+v", got)
	}
	got := command(t, nil, append(slices.Clone(args), "--keep", "0s", "--json")...)
	if got.code != 0 || !strings.Contains(got.stdout, `"changes": 2,`) || !strings.Contains(got.stdout, `"default": 0`) {
		t.Errorf("everything: %+v", got)
	}
}

func TestDBBumpIncarnation(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	incarnation := psql(t, dsn, "SELECT incarnation FROM sidegate.meta")
	for _, args := range [][]string{nil, {"--json"}} {
		got := command(t, []string{"SIDEGATE_POSTGRES_URL=" + dsn}, append([]string{"db", "bump-incarnation"}, args...)...)
		next := psql(t, dsn, "SELECT incarnation FROM sidegate.meta")
		if got.code != 0 || next == incarnation || args == nil != strings.HasPrefix(got.stdout, "Every sidegate on this database starts over") {
			t.Errorf("%+v", got)
		}
		incarnation = next
	}
}

// What is wrong with the database is an error of the store, whatever is asked of it.
func TestDBWithoutADatabase(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"audit"}, {"trim"}, {"forget", "a", "b"}, {"bump-incarnation"}} {
		args = append([]string{"db"}, args...)
		if got := command(t, []string{"SIDEGATE_POSTGRES_URL=postgres://u:s3cret@127.0.0.1:1/db"}, args...); got.code != exitStore || strings.Contains(got.stderr, "s3cret") {
			t.Errorf("%v, which is away: %+v", args, got)
		}
		if got := command(t, nil, args...); got.code != exitUsage || !strings.Contains(got.stderr, "--postgres-url") {
			t.Errorf("%v, of none: %+v", args, got)
		}
		if got := command(t, []string{"SIDEGATE_POSTGRES_URL=" + pgtest.Empty(t)}, args...); got.code != exitStore || !strings.Contains(got.stderr, "run: sidegate migrate up") {
			t.Errorf("%v, which is empty: %+v", args, got)
		}
	}
}
