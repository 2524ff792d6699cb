package localpg

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestStandbyFollowsAndIsPromoted(t *testing.T) {
	primary := started(t, Options{Settings: map[string]string{"max_connections": "33"}})
	run(t, primary.DSN("postgres"), "create table kept as select 1 as n")

	standby, err := primary.Standby(patience(t), Options{Dir: reachable(t), Settings: map[string]string{"work_mem": "5MB"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(patience(t)); err != nil {
			t.Error(err)
		}
	})
	dsn := standby.DSN("postgres")
	if got := value[string](t, dsn, "select current_setting('max_connections') || ' ' || current_setting('work_mem')"); got != "33 5MB" {
		t.Errorf("settings of the standby: %s, want those of the primary and its own", got)
	}
	if !value[bool](t, standby.TCPDSN("postgres"), "select pg_is_in_recovery()") {
		t.Fatal("the copy is no standby")
	}
	_, err = connect(t, dsn).Exec(patience(t), "insert into kept values (2)")
	if pg := new(pgconn.PgError); !errors.As(err, &pg) || pg.Code != "25006" {
		t.Errorf("a write on the standby ends in %v, want read_only_sql_transaction", err)
	}

	run(t, primary.DSN("postgres"), "insert into kept values (2)")
	follows(t, standby, 2)

	if err := standby.Promote(patience(t)); err != nil {
		t.Fatal(err)
	}
	run(t, dsn, "insert into kept values (3)")
	run(t, primary.DSN("postgres"), "insert into kept values (3), (4)")
	if p, s := count(t, primary), count(t, standby); p != 4 || s != 3 {
		t.Errorf("after the promotion: %d rows here and %d there, want 4 and 3", p, s)
	}
	if err := standby.Promote(patience(t)); err == nil {
		t.Error("a primary was promoted")
	}
}

// A standby is a server like any other: killed, it goes on following.
func TestStandbySurvivesAKill(t *testing.T) {
	primary := started(t, Options{})
	run(t, primary.DSN("postgres"), "create table kept as select 1 as n")
	standby, err := primary.Standby(patience(t), Options{Dir: reachable(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(patience(t)); err != nil {
			t.Error(err)
		}
	})
	if err := standby.Kill(patience(t)); err != nil {
		t.Fatal(err)
	}
	run(t, primary.DSN("postgres"), "insert into kept values (2)")
	if err := standby.Start(patience(t)); err != nil {
		t.Fatal(err)
	}
	follows(t, standby, 2)
}

func count(t *testing.T, s *Server) int {
	t.Helper()
	return value[int](t, s.DSN("postgres"), "select count(*) from kept")
}

// follows waits until a standby has replayed as many rows.
func follows(t *testing.T, s *Server, rows int) {
	t.Helper()
	if err := until(patience(t), func() bool { return count(t, s) == rows }); err != nil {
		t.Fatalf("the standby does not get to %d rows: %v", rows, err)
	}
}
