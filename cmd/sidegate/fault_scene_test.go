package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/localpg"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// newFaultScene starts a database and two sidecars, each on a network of its own,
// and lets nobody in.
func newFaultScene(t *testing.T, configuration string, environ ...string) *faultRun {
	t.Helper()
	return newFaultSceneOn(t, pgtest.Server(t, nil), "postgres", configuration, environ...)
}

// newFaultSceneOn is newFaultScene on a database that there is.
func newFaultSceneOn(t *testing.T, server *localpg.Server, database, configuration string, environ ...string) *faultRun {
	t.Helper()
	w := &faultRun{server: server}
	dsn := server.DSN(database)
	migrateUp(t, dsn)
	w.faultWorld = newFaultWorld(t, dsn, faultBound)
	for i := range 2 {
		n, address := startNetwork(t, server.TCPDSN(database))
		w.networks = append(w.networks, n)
		w.watch(startSidecar(t, address, configuration, environ...).ready(), i)
	}
	return w
}

// crowded lets in the crowd that every fault has to do with.
func (w *faultRun) crowded() *faultRun {
	w.t.Helper()
	for _, s := range w.sidecars {
		s.loaded()
		w.give(&apiHand{w.faultWorld, s.sidecar}, 8)
		w.give(&apiHand{w.faultWorld, s.sidecar}, 8)
	}
	w.give(&sqlHand{world: w.faultWorld}, 8)
	w.begin()
	return w
}

// endures lets a fault strike round after round. It leaves the report to the test.
func (w *faultRun) endures(rounds int, strike func(round int) struck) {
	w.t.Helper()
	for round := range rounds {
		w.healed()
		w.round(func() struck { return strike(round) })
	}
	w.healed()
}

// session is a person at the database, who goes home at the end of the test.
func (w *faultRun) session(statements string) *sqlSession {
	w.t.Helper()
	s, err := openSession(w.t.Context(), w.dsn)
	w.do(err)
	w.t.Cleanup(func() { _ = s.close() })
	_, err = s.say(statements+" SELECT 'done';", 1)
	w.do(err)
	return s
}

// packetLate is too late for a poll, which may take a second, and for a write.
const packetLate = 1500 * time.Millisecond

// watch takes a sidecar into the world.
func (w *faultWorld) watch(s *sidecar, i int) {
	w.sidecars = append(w.sidecars, &watched{sidecar: s, name: fmt.Sprint("sidecar ", i+1)})
}

// blow is a fault that any test may use: what it does to the sidecars that it names
// is over when repair has been called and the database answers again.
type blow struct {
	name string
	// apart: nobody reaches the database meanwhile. Memory is then all that there is,
	// and stays as it is.
	apart  bool
	strike func(w *faultRun, of []int) (repair func())
}

// blows are what happens to databases. The numbers are those of the sidecars that it
// is about; what happens to the server happens to all.
var blows = []blow{
	{"the server is killed", true, func(w *faultRun, _ []int) func() {
		w.do(w.server.Kill(w.t.Context()))
		return w.restart
	}},
	{"the server is frozen", true, func(w *faultRun, _ []int) func() {
		w.do(w.server.Freeze(w.t.Context()))
		return func() { w.do(w.server.Thaw()) }
	}},
	{"the server is restarted", true, func(w *faultRun, _ []int) func() {
		w.do(w.server.Stop(w.t.Context()))
		return w.restart
	}},
	{"the network swallows everything", true, func(w *faultRun, of []int) func() {
		for _, i := range of {
			w.networks[i].swallow()
		}
		return func() {
			for _, i := range of {
				w.networks[i].restore()
			}
		}
	}},
	{"connections die without a sign", false, func(w *faultRun, of []int) func() {
		for _, i := range of {
			w.networks[i].sever()
		}
		return func() {}
	}},
	{"every packet is late", false, func(w *faultRun, of []int) func() {
		for _, i := range of {
			w.networks[i].slow(packetLate)
		}
		return func() {
			for _, i := range of {
				w.networks[i].slow(0)
			}
		}
	}},
	{"answers to writes are lost", false, func(w *faultRun, of []int) func() {
		for _, i := range of {
			w.networks[i].cut(answersToWrites)
		}
		return func() {
			for _, i := range of {
				w.networks[i].cut(nil)
			}
		}
	}},
}
