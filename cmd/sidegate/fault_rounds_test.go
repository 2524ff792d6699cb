package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/localpg"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// The tests in the files fault_*_test.go break what the program stands on while
// it is used, and judge every answer that it gave. Each prints its figures.

var faultRounds = flag.Int("faultrounds", 10, "how often each fault strikes; twice without -chaos, once with -short")

// faultBound is the soft bound in these tests: an outage shows in the answers
// soon after, so that a round need not take long.
const faultBound = 500 * time.Millisecond

const faultConfiguration = "sync: {poll_interval: 50ms, soft_bound: 500ms}\n"

// struck is a fault at work.
type struck struct {
	// cut are the sidecars that have lost the database and answer all the same.
	cut []*watched
	// held tells whether it has lasted long enough; nil: no need to hold it.
	held func() bool
	// repair ends the fault.
	repair func()
}

// faultRun is a world with two sidecars and a database of its own.
type faultRun struct {
	*faultWorld
	server   *localpg.Server
	networks []*network // on the way from each sidecar to the database
}

// newFaultRun starts everything and lets the crowd in.
func newFaultRun(t *testing.T) *faultRun {
	t.Helper()
	const sidecars = 2
	w := &faultRun{server: pgtest.Server(t, nil)}
	dsn := w.server.DSN("postgres")
	migrateUp(t, dsn)
	var all []*sidecar
	for range sidecars {
		n, address := startNetwork(t, w.server.TCPDSN("postgres"))
		w.networks = append(w.networks, n)
		all = append(all, startSidecar(t, address, faultConfiguration).ready())
	}
	w.faultWorld = newFaultWorld(t, dsn, faultBound, all...)
	for _, s := range all {
		s.loaded()
		w.give(&apiHand{w.faultWorld, s}, 8)
		w.give(&apiHand{w.faultWorld, s}, 8)
	}
	w.give(&sqlHand{world: w.faultWorld}, 8)
	w.begin()
	return w
}

// survives lets a fault strike, round after round, and checks that the program
// heals each time, that no answer was wrong, and that no hit waited.
func survives(t *testing.T, strike func(w *faultRun, round int) struck) {
	t.Helper()
	t.Parallel()
	rounds := *faultRounds
	switch {
	case *chaos:
	case testing.Short(): // under the race detector
		rounds = 1
	default:
		rounds = 2
	}
	w := newFaultRun(t)
	var hitsOf float64
	for round := range rounds {
		w.healed()
		hitsOf += w.round(func() struck { return strike(w, round) })
	}
	w.healed()
	happened := "healed by itself each time"
	if hitsOf > 0 {
		happened += fmt.Sprintf("; of %.0f decisions while the database was away none waited for it", hitsOf)
	}
	w.report(happened)
}

// round is one fault from its beginning to its end; it returns the number of
// decisions that were made without the database.
func (w *faultRun) round(strike func() struck) (decisions float64) {
	w.t.Helper()
	w.struck()
	fault := strike()
	var counts []hits
	for _, s := range fault.cut {
		counts = append(counts, s.countHits())
	}
	if fault.held != nil {
		waitFor(w.t, "the fault has lasted", fault.held)
	}
	for i := range counts {
		waitFor(w.t, "enough is answered meanwhile", counts[i].enough)
		decisions += counts[i].check()
	}
	fault.repair()
	w.repaired()
	return decisions
}

// agesShow tells whether all these sidecars have said of an answer that it is
// stale, counted from now on.
func agesShow(of []*watched) func() bool {
	before := make([]int64, len(of))
	for i, s := range of {
		before[i] = s.stale.Load()
	}
	return func() bool {
		for i, s := range of {
			if s.stale.Load() == before[i] {
				return false
			}
		}
		return true
	}
}

// midWrite strikes; if that is wanted, while a write through these networks is
// under way, for it waits for a lock. Otherwise there may be none, and later ones
// find out that their connection is dead before they send anything. It tells
// whether a write has had an unknown outcome since, or always if that is not
// wanted: it takes seconds until a writer gives up.
func (w *faultRun) midWrite(wanted bool, networks []*network, strike func()) (doubt func() bool) {
	w.t.Helper()
	before := w.doubts.Load()
	if !wanted {
		strike()
		return func() bool { return true }
	}
	session, err := openSession(w.t.Context(), w.dsn)
	w.do(err)
	w.t.Cleanup(func() { _ = session.close() })
	_, err = session.say("BEGIN; LOCK TABLE sidegate.owner IN SHARE MODE; SELECT 'locked';", 1)
	w.do(err)
	waitFor(w.t, "a write waits", func() bool {
		// It gives up and is repeated after a second.
		printed, err := session.say(`SELECT pg_stat_clear_snapshot(); SELECT coalesce(string_agg(client_port::text, ','), '') FROM pg_stat_activity
			WHERE application_name = 'sidegate' AND wait_event_type = 'Lock' AND clock_timestamp() - query_start < '200ms';`, 2)
		w.do(err)
		return slices.ContainsFunc(strings.Split(printed[1], ","), func(port string) bool {
			return slices.ContainsFunc(networks, func(n *network) bool { return n.carries(port) })
		})
	})
	strike()
	_, err = session.say("ROLLBACK;", 0)
	w.do(err)
	return func() bool { return w.doubts.Load() > before }
}

func both(a, b func() bool) func() bool { return func() bool { return a() && b() } }

// do fails the test if the fault cannot be made.
func (w *faultRun) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// restart starts the server again. The lock of its directory outlives its last
// holder by a moment if a psql of the crowd is being forked: the child has the
// descriptor until it has become psql.
func (w *faultRun) restart() {
	w.t.Helper()
	var err error
	waitFor(w.t, "the server is started again", func() bool {
		err = w.server.Start(w.t.Context())
		return !errors.Is(err, localpg.ErrInUse)
	})
	w.do(err)
}

// TestFaultBackendKilled: the server ends all its sessions and recovers, under
// the same postmaster.
func TestFaultBackendKilled(t *testing.T) {
	survives(t, func(w *faultRun, _ int) struck {
		lost := w.lost.Load()
		pids := psql(t, w.dsn, "SELECT pid FROM pg_stat_activity WHERE application_name = 'sidegate' ORDER BY random() LIMIT 1")
		pid, err := strconv.Atoi(pids)
		w.do(err)
		w.do(w.server.KillBackend(pid))
		return struck{
			held:   func() bool { return w.lost.Load() > lost }, // the sessions have been ended
			repair: func() { w.do(w.server.Ready(t.Context())) },
		}
	})
}

// TestFaultPostmasterKilled: every second time the postmaster alone is killed,
// and its backends end when they notice.
func TestFaultPostmasterKilled(t *testing.T) {
	survives(t, func(w *faultRun, round int) struck {
		if round%2 == 0 {
			w.do(w.server.Kill(t.Context()))
		} else {
			done := w.server.Done()
			w.do(syscall.Kill(w.server.PID(), syscall.SIGKILL))
			<-done
		}
		return struck{
			cut: w.sidecars, held: agesShow(w.sidecars),
			repair: w.restart,
		}
	})
}

// TestFaultServerFrozen: every process of the server stands still and keeps its
// connections. What was sent to it is done after the thaw, when its sender may
// have given up.
func TestFaultServerFrozen(t *testing.T) {
	survives(t, func(w *faultRun, round int) struck {
		doubt := w.midWrite(round%2 == 1, w.networks, func() { w.do(w.server.Freeze(t.Context())) })
		return struck{
			cut: w.sidecars, held: both(agesShow(w.sidecars), doubt),
			repair: func() { w.do(w.server.Thaw()) },
		}
	})
}

// TestFaultNetworkSwallows: the way to the database swallows everything, for one
// sidecar, for the other, for both. While one is cut off, the others write: what
// it answers is really old.
func TestFaultNetworkSwallows(t *testing.T) {
	survives(t, func(w *faultRun, round int) struck {
		cut, networks := w.sidecars, w.networks
		if i := round % 3; i < 2 {
			cut, networks = cut[i:i+1], networks[i:i+1]
		}
		doubt := w.midWrite(round%2 == 1, networks, func() {
			for _, n := range networks {
				n.swallow()
			}
		})
		return struck{
			cut: cut, held: both(agesShow(cut), doubt),
			repair: func() {
				for _, n := range networks {
					n.restore()
				}
			},
		}
	})
}

// TestFaultRestartLoop: the server is shut down in good order and started again,
// over and over.
func TestFaultRestartLoop(t *testing.T) {
	survives(t, func(w *faultRun, _ int) struck {
		w.do(w.server.Stop(t.Context()))
		return struck{cut: w.sidecars, repair: w.restart}
	})
}

// TestFaultSidecarFrozen: a sidecar stands still, as in a paused pod, while the
// others write. Its first answers must know how old its memory has become.
func TestFaultSidecarFrozen(t *testing.T) {
	survives(t, func(w *faultRun, round int) struck {
		s := w.sidecars[round%2]
		s.signal(syscall.SIGSTOP)
		thaw := func() { s.signal(syscall.SIGCONT) }
		t.Cleanup(func() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }) // or the test could not end
		frozen := w.recorder.Now()
		return struck{
			held:   func() bool { return w.recorder.Now() > frozen+2*faultBound },
			repair: thaw,
		}
	})
}

// TestFaultWaitsAreCounted: the figure by which the tests above know that no hit
// waited does grow where one has to wait.
func TestFaultWaitsAreCounted(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, nil)
	dsn := server.DSN("postgres")
	migrateUp(t, dsn)
	tiny := &watched{sidecar: startSidecar(t, dsn, faultConfiguration+"cache: {max_bytes: 1KiB}").ready(), name: "a memory that holds nothing"}
	if err := server.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	counted := tiny.countHits()
	const asked = 3
	for i := range asked {
		checkUnknown(t, tiny.get("check", question{sender: "alice", recipient: fmt.Sprint("bob", i)}.path()))
	}
	if waits, decisions := counted.waits(); waits != asked || decisions != asked {
		t.Errorf("of %v decisions %v waited, want %d", decisions, waits, asked)
	}
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
}
