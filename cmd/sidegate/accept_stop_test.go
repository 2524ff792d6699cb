package main

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// TestAcceptStopDuringAWrite stops the program while the database is in the
// middle of a write: the write is finished and answered, then the program ends.
func TestAcceptStopDuringAWrite(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	// A trigger of a deployer, as any table may have one, makes the write last.
	psql(t, dsn, `CREATE FUNCTION public.linger() RETURNS trigger LANGUAGE plpgsql AS 'begin perform pg_sleep(0.5); return new; end'`,
		`CREATE TRIGGER linger BEFORE INSERT ON sidegate.block FOR EACH ROW EXECUTE FUNCTION public.linger()`)

	answered := make(chan answer, 1)
	go func() {
		defer close(answered)
		if a, err := s.request(http.MethodPut, "api", blockPath("default", "bob", "alice")); err == nil {
			answered <- a
		}
	}()
	waitFor(t, "the write is under way", func() bool {
		return psql(t, dsn, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()") == "1"
	})
	s.signal(syscall.SIGTERM)
	a, ok := <-answered
	if !ok || a.status != http.StatusCreated {
		t.Errorf("the write was answered %v (%t)", a, ok)
	}
	if code := s.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if got := psql(t, dsn, "SELECT owner, target FROM sidegate.block"); got != "bob|alice" {
		t.Errorf("the database holds %q", got)
	}
}

// TestAcceptStopWhileStarting: who stops the program before it has started finds
// that nothing is wrong, and nothing left.
func TestAcceptStopWhileStarting(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	dev := start(t, dir, anyPort, "dev")
	dev.printed(&dev.stdout, regexp.MustCompile("Starting a private Postgres"))
	dev.interrupt()

	// A database that takes the connection and says nothing.
	silent, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	serve := start(t, dir, anyPort, "serve", "--postgres-url", "postgres://"+silent.Addr().String()+"/sidegate?sslmode=disable")
	if err := silent.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	serve.signal(syscall.SIGTERM)

	for _, p := range []*process{dev, serve} {
		code := p.wait()
		complaints := strings.ReplaceAll(p.stderr.String(), `"level":"INFO"`, "")
		if code != exitOK || strings.Contains(complaints, `"level"`) || strings.Contains(complaints, "sidegate: ") {
			t.Errorf("%v: exit code %d", p.cmd.Args, code)
		}
	}
	if left := processesIn(t, dir); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
}

// TestAcceptStopUnderLoad stops the program under a storm of writes. Who got an
// answer can rely on it, nothing was stored that was not answered, and the books
// of every list are right.
func TestAcceptStopUnderLoad(t *testing.T) {
	t.Parallel()
	const writers, enough = 8, 200
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()

	stored := make([][]string, writers)
	var count atomic.Int64
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := 0; ; i++ {
				// Few lists, so that writers wait for one another; each target
				// is written once, so that every row has its answer.
				owner, target := fmt.Sprint("o", i%3), fmt.Sprint("t", w, "-", i)
				// A connection of its own: one that was kept may be closed in
				// the moment in which it is used again, and the client would
				// not know whether its request was read.
				a, err := s.request(http.MethodPut, "api", blockPath("default", owner, target), "Connection: close")
				switch {
				case err != nil:
					return // nobody listens any more
				case a.status == http.StatusCreated:
					stored[w] = append(stored[w], owner+"|"+target)
					count.Add(1)
				default:
					t.Errorf("%s blocks %s: %v", owner, target, a)
				}
			}
		})
	}
	waitFor(t, "the storm is on", func() bool { return count.Load() >= enough })
	s.signal(syscall.SIGTERM)
	done.Wait()
	if code := s.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}

	want := slices.Sorted(slices.Values(slices.Concat(stored...)))
	got := strings.Split(psql(t, dsn, `SELECT owner, target FROM sidegate.block ORDER BY (owner || '|' || target) COLLATE "C"`), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("%d writes were answered, %d rows are stored", len(want), len(got))
	}
	if wrong := psql(t, dsn, "SELECT count(*) FROM sidegate.owner WHERE sidegate.repair(app, kind, owner)"); wrong != "0" {
		t.Errorf("%s lists do not agree with their headers", wrong)
	}
	if got := psql(t, dsn, "SELECT sum(cardinality(targets)) FROM sidegate.change"); got != fmt.Sprint(len(want)) {
		t.Errorf("the feed holds %s changes, %d writes were answered", got, len(want))
	}
}
