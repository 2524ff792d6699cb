package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// refused waits until a sidecar says that the database is one it must not follow.
func (s *watched) refused() bool {
	return s.samples()[`sidegate_sync_state{state="wrong_server"}`] == 1
}

// TestFaultStandby: the name of the database leads to a standby, from the start of
// a sidecar and while it runs. Every second time the connections to the standby
// stay when the name leads to the primary again: the program has to leave them.
func TestFaultStandby(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).crowded()
	standby := pgtest.Standby(t, w.server)
	w.startsAtStandby(standby)
	for round := range chaosRounds(4) {
		w.healed()
		w.round(func() struck {
			for _, n := range w.networks { // those who write by SQL stay at the primary
				n.lead(t, standby.TCPDSN("postgres"))
				n.hangUp(nil)
			}
			return struck{
				cut: w.sidecars, held: both(agesShow(w.sidecars), w.sidecars[0].refused),
				repair: func() {
					for _, n := range w.networks {
						n.lead(t, w.server.TCPDSN("postgres"))
						if round%2 == 0 {
							n.hangUp(nil)
						}
					}
				},
			}
		})
	}
	w.healed()
	w.report("refused it at the start and at every poll; nothing was read there, and writes were refused with `store_unavailable`")
}

// startsAtStandby starts a sidecar where the name leads to a standby.
func (w *serversRun) startsAtStandby(standby *localpg.Server) {
	w.t.Helper()
	got := runProgram(w.t, anyPort, "serve", "--postgres-url", standby.TCPDSN("postgres"))
	if got.code != exitStore || !hasLine(got.stderr, "standby", "postgres.url", "primary") {
		w.t.Errorf("started at a standby: %+v", got)
	}
}

// TestFaultSplitBrain: a standby is promoted while the primary goes on. The feed
// comes from the new one; whatever else a sidecar asks leads to the old one, over
// connections that it had and over new ones, in turn.
func TestFaultSplitBrain(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).scripted(30)
	old, promoted := w.server, pgtest.Standby(t, w.server)
	w.cutOff(promoted)
	w.do(promoted.Promote(t.Context()))
	w.put(old, 1, true, history.Unknown) // nobody knows better yet
	w.shown(1, true)
	w.followNew(promoted)
	rounds := chaosRounds(3)
	var refused, unnoticed int
	for round := range rounds {
		w.struck()
		w.lead(old, true)
		polls := feeds(t, promoted)
		for _, n := range w.networks {
			n.hangUp(func(port string) bool { return !polls(port) })
		}
		if round > 0 {
			w.anew(2)
		}
		w.put(promoted, 2, true, history.Done)
		r, u := w.writesByAPI(round, old)
		refused, unnoticed = refused+r, unnoticed+u
		w.lead(promoted, false)
		w.repaired()
		w.healed()
		w.shown(1, false)
		w.shown(2, true)
	}
	w.server = promoted
	if unnoticed > 0 || refused == 0 {
		t.Errorf("of the writes %d were refused, and %d came to the server that was left behind", refused, unnoticed)
	}
	w.report(fmt.Sprintf("pages of the old primary were discarded, and all %d writes that would have gone there were refused with `store_unavailable`", refused))
}

// feeds reports which ports on a server are those of connections that poll.
func feeds(t *testing.T, on *localpg.Server) func(port string) bool {
	t.Helper()
	ports := strings.Fields(psql(t, on.DSN("postgres"), `SELECT client_port FROM pg_stat_activity
		WHERE application_name = 'sidegate' AND query LIKE '%changes_since%'`))
	return func(port string) bool { return slices.Contains(ports, port) }
}

// followNew lets the polls, and them alone, come to the new server.
func (w *serversRun) followNew(promoted *localpg.Server) {
	w.t.Helper()
	started := w.startedOver("identity")
	w.lead(promoted, true)
	for _, n := range w.networks {
		n.hangUp(feeds(w.t, w.server))
	}
	waitFor(w.t, "the new server is followed", started)
}

// writesByAPI blocks by every sidecar and counts what was refused, and what came to
// a server that was left behind.
func (w *serversRun) writesByAPI(round int, behind *localpg.Server) (refused, unnoticed int) {
	w.t.Helper()
	for i, s := range w.sidecars {
		for k := range 6 { // more than there are connections
			a := s.must(http.MethodPut, "api", blockPath("default", "writer", fmt.Sprint("x", round, i, k)))
			switch {
			case a.status == http.StatusServiceUnavailable && a.problem(w.t) == "store_unavailable":
				refused++
			default:
				w.t.Errorf("a write while the name leads to the old primary: %v", a)
			}
		}
	}
	if n := psql(w.t, behind.DSN("postgres"), "SELECT count(*) FROM sidegate.block WHERE owner = 'writer'"); n != "0" {
		unnoticed++
	}
	return refused, unnoticed
}
