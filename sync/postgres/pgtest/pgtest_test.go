package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { Main(m) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // may be dropped already
	return conn
}

func value[T any](t *testing.T, dsn, sql string) (v T) {
	t.Helper()
	if err := connect(t, dsn).QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

const hasSchema = "select to_regclass('sidegate.block') is not null"

func TestDatabaseHasTheSchemaAndEmptyHasNot(t *testing.T) {
	if !value[bool](t, Database(t), hasSchema) {
		t.Error("a database has no sidegate.block")
	}
	if value[bool](t, Empty(t), hasSchema) {
		t.Error("an empty database has sidegate.block")
	}
}

func TestDatabasesAreApart(t *testing.T) {
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			dsn := Database(t)
			if n := value[int](t, dsn, "select count(*) from sidegate.block"); n != 0 {
				t.Errorf("a new database has %d blocks", n)
			}
			if _, err := connect(t, dsn).Exec(t.Context(),
				"insert into sidegate.block (app, owner, target) values ('a', 'o', 't')"); err != nil {
				t.Fatal(err)
			}
			if n := value[int](t, dsn, "select count(*) from sidegate.block"); n != 1 {
				t.Errorf("after one insert there are %d blocks", n)
			}
		})
	}
}

func TestADatabaseEndsWithItsTest(t *testing.T) {
	var dsn string
	var open *pgx.Conn
	t.Run("inner", func(inner *testing.T) {
		dsn = Empty(inner)
		open = connect(t, dsn) // of the outer test: still there at the drop
	})
	if err := open.Ping(t.Context()); err == nil {
		t.Error("a connection outlived its database")
	}
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Errorf("the database is still there (%v)", conn.Close(t.Context()))
	}
}

// Nobody may write into what all later databases are copies of.
func TestTheTemplateIsClosed(t *testing.T) {
	Database(t)
	if conn, err := pgx.Connect(t.Context(), common.server.DSN(template)); err == nil {
		t.Errorf("the template takes connections (%v)", conn.Close(t.Context()))
	}
}

func TestOneClusterIsShared(t *testing.T) {
	const id = "select system_identifier::text from pg_control_system()"
	a, b := value[string](t, Database(t), id), value[string](t, Empty(t), id)
	own := value[string](t, Server(t, nil).DSN("postgres"), id)
	if a != b || a == own {
		t.Errorf("two tests run on the clusters %s and %s, a private one is %s", a, b, own)
	}
}

func TestServerMayBeKilled(t *testing.T) {
	server := Server(t, map[string]string{"max_connections": "37"})
	dsn := Migrated(t, server)
	if err := server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !value[bool](t, dsn, hasSchema) {
		t.Error("the schema is gone")
	}
	if got := value[string](t, dsn, "show max_connections"); got != "37" {
		t.Errorf("max_connections is %s, want 37 as asked for", got)
	}
	standby := Standby(t, server)
	if !value[bool](t, standby.DSN("sidegate"), "select pg_is_in_recovery()") {
		t.Error("the standby is none")
	}
}

func TestSomebodyHasToStopTheCluster(t *testing.T) {
	var unattended shared
	_, _, err := unattended.create(t.Context(), true)
	if err == nil || !strings.Contains(err.Error(), "pgtest.Main") {
		t.Errorf("a cluster that nobody stops: %v", err)
	}
	if err := unattended.close(t.Context()); err != nil {
		t.Errorf("closing what was never started: %v", err)
	}
}

func TestAFailedStartIsNotTriedAgain(t *testing.T) {
	s := shared{attended: true}
	t.Setenv("TMPDIR", "/nowhere")
	_, _, first := s.create(t.Context(), false)
	t.Setenv("TMPDIR", os.TempDir())
	_, _, second := s.create(t.Context(), false)
	if first == nil || !errors.Is(second, first) {
		t.Errorf("first %v, then %v", first, second)
	}
}
