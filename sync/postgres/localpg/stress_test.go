package localpg

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// All methods at once, in any order: each ends, nothing is left, and the data is
// still there.
func TestMethodsAreSafeTogether(t *testing.T) {
	s := started(t, Options{})
	dsn := s.DSN("postgres")
	run(t, dsn, "create table kept as select 7 as n")

	ctx := patience(t)
	steps := []func() error{
		func() error { return s.Start(ctx) },
		func() error { return s.Start(ctx) }, // as often as the ways to end it
		func() error { return s.Stop(ctx) },
		func() error { return s.Kill(ctx) },
		func() error { return s.Restart(ctx) },
		func() error { return ignoreNotRunning(s.Freeze(ctx)) },
		func() error { return ignoreNotRunning(s.Thaw()) },
		func() error { s.PID(); s.Done(); return nil },
		func() error {
			if s.DSN("postgres") != dsn {
				return errors.New("the address changed")
			}
			return nil
		},
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 12 {
				i := random.IntN(len(steps))
				if err := steps[i](); err != nil {
					t.Errorf("step %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()

	if err := errors.Join(s.Stop(ctx), s.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	if got := value[int](t, dsn, "select n from kept"); got != 7 {
		t.Errorf("kept %d, want 7", got)
	}
}

func ignoreNotRunning(err error) error {
	if errors.Is(err, errNotRunning) {
		return nil
	}
	return err
}

// Two processes may start on the same new directory at the same moment: exactly one
// of them gets it.
func TestOneOfManyGetsTheDirectory(t *testing.T) {
	dir := made(t)
	const many = 4
	var servers [many]*Server
	var errs [many]error
	var wg sync.WaitGroup
	for i := range many {
		servers[i] = server(t, Options{Dir: dir})
		wg.Go(func() { errs[i] = servers[i].Start(patience(t)) })
	}
	wg.Wait()
	winners := 0
	for i, err := range errs {
		switch {
		case err == nil && servers[i].PID() != 0:
			winners++
		case !errors.Is(err, ErrInUse):
			t.Errorf("a loser is told %v", err)
		}
	}
	if winners != 1 {
		t.Errorf("%d of %d started", winners, many)
	}
}

// A port that was free when it was looked for may be taken when the server binds.
func TestATakenPort(t *testing.T) {
	s := started(t, Options{})
	port := s.at.Load().port
	if err := s.Stop(patience(t)); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	// Clients know this address: a restart must not answer elsewhere.
	if err := s.Start(patience(t)); !errors.Is(err, errPortTaken) {
		t.Errorf("a restart without its port: %v", err)
	}
	// A new process has no clients yet.
	other := server(t, Options{Dir: s.opts.Dir})
	if err := other.Start(patience(t)); err != nil {
		t.Fatal(err)
	}
	if got := other.at.Load().port; got == port {
		t.Errorf("port %d is served twice", got)
	}
	if err := errors.Join(other.Stop(patience(t)), thief.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(patience(t)); err != nil {
		t.Errorf("with the port free again: %v", err)
	}
}

// What a killed attempt to make a cluster leaves is not taken for a cluster.
func TestAHalfMadeClusterIsMadeAgain(t *testing.T) {
	dir := reachable(t)
	l := layout{root: dir}
	half := l.data() + ".new"
	if err := errors.Join(os.Mkdir(half, 0o700), os.WriteFile(half+"/PG_VERSION", []byte("15\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := started(t, Options{Dir: dir})
	if got := value[int](t, s.DSN("postgres"), "select 42"); got != 42 {
		t.Errorf("it answers %d", got)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half-made cluster is left: %v", err)
	}
}

// Ready tells a server that has ended from one that is slow.
func TestReadyFailsWhenTheServerEnds(t *testing.T) {
	s := started(t, Options{})
	if err := s.Freeze(patience(t)); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- s.Ready(patience(t)) }()
	if err := s.Kill(patience(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a server that was killed ends in %v", err)
	}
}
