package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// The tests in the files fault_servers_*_test.go are about which server answers:
// the name of the database comes to mean another one, with more behind it or less.
// What is written on which server, and which of it survives, is theirs to say; so
// most of them write by a script while readers ask all the time.

// serversRun is a world whose sidecars and SQL writers reach the database by names
// that can lead to another server.
type serversRun struct {
	*faultRun
	hand *network // the way of the writers by SQL
}

// newServersRun starts a server and two sidecars. Nobody does anything yet.
func newServersRun(t *testing.T) *serversRun {
	t.Helper()
	server := pgtest.Server(t, nil)
	migrateUp(t, server.DSN("postgres"))
	w := &serversRun{faultRun: &faultRun{server: server}}
	var all []*sidecar
	for range 2 {
		n, address := startNetwork(t, server.TCPDSN("postgres"))
		w.networks = append(w.networks, n)
		all = append(all, startSidecar(t, address, faultConfiguration).ready())
	}
	w.setUp(t, all)
	return w
}

// setUp makes the world of sidecars that are behind the networks already.
func (w *serversRun) setUp(t *testing.T, all []*sidecar) {
	t.Helper()
	var dsn string
	w.hand, dsn = startNetwork(t, w.server.TCPDSN("postgres"))
	w.faultWorld = newFaultWorld(t, dsn, faultBound, all...)
}

// crowded lets a crowd in that writes by the API of each sidecar and by SQL.
func (w *serversRun) crowded() *serversRun {
	for _, s := range w.sidecars {
		s.loaded()
		w.give(&apiHand{w.faultWorld, s.sidecar}, 8)
	}
	w.give(&sqlHand{world: w.faultWorld}, 8)
	w.begin()
	return w
}

// scripted makes lists that the test writes itself, and lets in readers alone. The
// first entry of every list is listed and in memory when it returns.
func (w *serversRun) scripted(lists int) *serversRun {
	w.t.Helper()
	for i := range lists {
		w.lists = append(w.lists, newFaultList(fmt.Sprint("o", i)))
	}
	w.put(w.server, 0, true, history.Done)
	w.shown(0, true)
	ctx, leave := context.WithCancel(context.Background())
	w.leave = leave
	for _, s := range w.sidecars {
		for range 2 {
			w.crowd.Go(func() { w.reads(ctx, s, w.askPlainly) })
		}
	}
	return w
}

// put writes an entry of every list by SQL on a server, one transaction a list. The
// outcome is what is recorded: a write that the test will lose is unknown from the
// beginning.
func (w *serversRun) put(on *localpg.Server, entry int, listed bool, outcome history.Outcome) {
	w.t.Helper()
	statement := unblockSQL
	if listed {
		statement = blockSQL
	}
	var statements []string
	begin := w.recorder.Now()
	for _, l := range w.lists {
		statements = append(statements, fmt.Sprintf(statement, l.owner, l.entries[entry].target()))
	}
	printed := psql(w.t, on.DSN("postgres"), statements...)
	if done := strings.Count(printed, "1"); done != len(w.lists) {
		w.t.Fatalf("%d of %d lists were written", done, len(w.lists))
	}
	w.wrote(entry, listed, outcome, begin)
}

// wrote records that an entry of every list was written since begin.
func (w *serversRun) wrote(entry int, listed bool, outcome history.Outcome, begin time.Duration) {
	end := w.recorder.Now()
	for _, l := range w.lists {
		e := &l.entries[entry]
		w.recorder.Write(history.Write{
			Owner: l.owner, Target: e.target(), Listed: listed, Begin: begin, End: end, Outcome: outcome,
		})
		if outcome == history.Done {
			e.listed = listed
			l.touched.Store(int32(entry))
		}
	}
}

// anew gives an entry of every list to the next target.
func (w *serversRun) anew(entry int) {
	for _, l := range w.lists {
		l.entries[entry].turn.Add(1)
		l.entries[entry].listed = false
	}
}

// shows reports whether every sidecar decides so about an entry of every list.
func (w *serversRun) shows(entry int, listed bool) bool {
	for _, s := range w.sidecars {
		if !w.showsOn(s, entry, listed) {
			return false
		}
	}
	return true
}

func (w *serversRun) showsOn(s *watched, entry int, listed bool) bool {
	for _, l := range w.lists {
		if rd := w.readDecision(s, l.owner, l.entries[entry].target(), nil); !rd.Answered || rd.Listed != listed {
			return false
		}
	}
	return true
}

func (w *serversRun) shown(entry int, listed bool) {
	w.t.Helper()
	waitFor(w.t, fmt.Sprintf("entry %d is listed %v everywhere", entry, listed), func() bool { return w.shows(entry, listed) })
}

// lead lets every name mean another server, and ends the connections to the old
// one unless they may stay.
func (w *serversRun) lead(to *localpg.Server, stay bool) {
	w.t.Helper()
	for _, n := range append([]*network{w.hand}, w.networks...) {
		n.lead(w.t, to.TCPDSN("postgres"))
		if !stay {
			n.hangUp(nil)
		}
	}
}

// epochs is how often a sidecar has started over for a cause.
func (s *watched) epochs(cause string) float64 {
	return s.samples()[fmt.Sprintf("sidegate_sync_epochs_total{cause=%q}", cause)]
}

// startedOver returns what tells whether every sidecar has started over since.
func (w *serversRun) startedOver(cause string) func() bool {
	before := map[*watched]float64{}
	for _, s := range w.sidecars {
		before[s] = s.epochs(cause)
	}
	return func() bool {
		for _, s := range w.sidecars {
			if s.epochs(cause) == before[s] {
				return false
			}
		}
		return true
	}
}

// rounds is how often the fault strikes: in make chaos as often as that, otherwise
// once.
func chaosRounds(full int) int {
	if *chaos {
		return full
	}
	return 1
}

// versions are those of all lists, in one line.
func (w *serversRun) versions(on *localpg.Server) string {
	w.t.Helper()
	return psql(w.t, on.DSN("postgres"), "SELECT string_agg(owner || '=' || version, ' ' ORDER BY owner) FROM sidegate.owner")
}
