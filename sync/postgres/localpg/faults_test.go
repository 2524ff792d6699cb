package localpg

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestKillLeavesNothingAndLosesNothing(t *testing.T) {
	s := started(t, Options{})
	dsn := s.DSN("postgres")
	run(t, dsn, "create table kept (n int)")
	for round := range 3 {
		run(t, dsn, "insert into kept values (1)")
		connect(t, dsn) // a backend more that has to go
		procs, done := tree(t, s.PID()), s.Done()
		if err := s.Kill(patience(t)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		select {
		case <-done:
		default:
			t.Error("Kill returned before the server's end was seen")
		}
		all, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			for _, old := range procs {
				if p.pid == old.pid && p.started == old.started && !p.dead() {
					t.Errorf("round %d: %v is left", round, p)
				}
			}
		}
		// No waiting between: the shared memory has to be free already.
		if err := s.Start(patience(t)); err != nil {
			t.Fatalf("round %d: start after a kill: %v", round, err)
		}
		if got := value[int](t, dsn, "select count(*) from kept"); got != round+1 {
			t.Errorf("round %d: %d rows are left", round, got)
		}
	}
}

func TestKillIsSafeAtAnyTime(t *testing.T) {
	s := New(Options{Dir: made(t)})
	if err := s.Kill(patience(t)); err != nil {
		t.Errorf("before the start: %v", err)
	}
	if err := s.Start(patience(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Kill(patience(t)); err != nil {
			t.Errorf("after the start: %v", err)
		}
	}
	if err := s.Stop(patience(t)); err != nil {
		t.Errorf("stop after a kill: %v", err)
	}
}

// A postmaster killed from outside leaves its children behind for a moment, which
// hold the shared memory that a new server would be refused for.
func TestStartAfterAKillFromOutside(t *testing.T) {
	s := started(t, Options{})
	busy := connect(t, s.DSN("postgres"))
	pid, done := s.PID(), s.Done()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-done
	if s.PID() != 0 {
		t.Error("a killed server still has a process")
	}
	if err := s.Start(patience(t)); err != nil {
		t.Fatal(err)
	}
	if err := busy.Ping(patience(t)); err == nil {
		t.Error("a session of the killed server still answers")
	}
}

func TestKillBackendRestartsTheSessionsOnly(t *testing.T) {
	s := started(t, Options{})
	victim, bystander := connect(t, s.DSN("postgres")), connect(t, s.DSN("postgres"))
	pid := s.PID()
	if err := s.KillBackend(int(victim.PgConn().PID())); err != nil {
		t.Fatal(err)
	}
	// The bystander is told to end, which shows that the crash has been noticed.
	if err := until(patience(t), func() bool { return bystander.Ping(patience(t)) != nil }); err != nil {
		t.Fatalf("the bystander goes on: %v", err)
	}
	if err := s.Ready(patience(t)); err != nil {
		t.Fatal(err)
	}
	if s.PID() != pid {
		t.Error("the postmaster was replaced")
	}
	if err := victim.Ping(patience(t)); err == nil {
		t.Error("the killed session answers")
	}
}

func TestKillBackendSparesStrangers(t *testing.T) {
	s := started(t, Options{})
	for _, pid := range []int{0, 1, os.Getpid(), s.PID()} {
		if err := s.KillBackend(pid); err == nil {
			t.Fatalf("process %d is no backend and was killed", pid)
		}
	}
}

func TestFrozenServerAnswersAfterTheThaw(t *testing.T) {
	s := started(t, Options{})
	conn := connect(t, s.DSN("postgres"))
	if err := s.Freeze(patience(t)); err != nil {
		t.Fatal(err)
	}
	for _, p := range tree(t, s.PID()) {
		if !stopped(p) {
			t.Errorf("%v is not stopped", p)
		}
	}
	answered := make(chan error, 1)
	go func() {
		var n int
		answered <- conn.QueryRow(patience(t), "select 42").Scan(&n)
	}()
	// New sessions hang like the old one.
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Ready(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen server is ready: %v", err)
	}
	select {
	case err := <-answered:
		t.Fatalf("a frozen server answered: %v", err)
	default:
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the question of the frozen time: %v", err)
	}
	if err := s.Thaw(); err != nil {
		t.Errorf("thaw of a server that is not frozen: %v", err)
	}
}

func TestAFrozenServerCanBeEnded(t *testing.T) {
	s := server(t, Options{Dir: made(t)})
	for name, end := range map[string]func(context.Context) error{"stop": s.Stop, "kill": s.Kill} {
		if err := s.Start(patience(t)); err != nil {
			t.Fatal(err)
		}
		connect(t, s.DSN("postgres"))
		procs := tree(t, s.PID())
		if err := s.Freeze(patience(t)); err != nil {
			t.Fatal(err)
		}
		if err := end(patience(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		gone(t, procs)
	}
}

func TestFaultsNeedARunningServer(t *testing.T) {
	s := New(Options{Dir: reachable(t)})
	_, standby := s.Standby(patience(t), Options{Dir: reachable(t)})
	for name, err := range map[string]error{
		"freeze": s.Freeze(patience(t)), "thaw": s.Thaw(), "backend": s.KillBackend(1),
		"ready": s.Ready(patience(t)), "promote": s.Promote(patience(t)), "standby": standby,
	} {
		if !errors.Is(err, errNotRunning) {
			t.Errorf("%s: %v, want %v", name, err, errNotRunning)
		}
	}
}
