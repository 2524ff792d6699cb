package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/cache"
	blocksync "github.com/sidegate/sidegate/sync"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// follows waits until a standby has everything.
func (w *serversRun) follows(standby *localpg.Server) {
	w.t.Helper()
	waitFor(w.t, "the standby has everything", func() bool {
		end := psql(w.t, w.server.DSN("postgres"), "SELECT pg_current_wal_lsn()")
		return psql(w.t, standby.DSN("postgres"), fmt.Sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'", end)) == "t"
	})
}

// cutOff lets nothing more come to a standby.
func (w *serversRun) cutOff(standby *localpg.Server) {
	w.t.Helper()
	w.follows(standby)
	psql(w.t, standby.DSN("postgres"), "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
	waitFor(w.t, "the standby is cut off", func() bool {
		return psql(w.t, w.server.DSN("postgres"), "SELECT count(*) FROM pg_stat_replication") == "0"
	})
}

// TestFaultFailover: the primary is killed and its standby, which has all that was
// acknowledged, takes its place.
func TestFaultFailover(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).crowded()
	for range chaosRounds(3) {
		w.healed()
		standby := pgtest.Standby(t, w.server)
		// A commit is acknowledged, and visible, when the standby has it.
		psql(t, w.server.DSN("postgres"), "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
		waitFor(t, "commits wait for the standby", func() bool {
			return psql(t, w.server.DSN("postgres"), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
		})
		waitFor(t, "every writer gets on", w.progress(2))
		started := w.startedOver("identity")
		w.round(func() struck {
			w.do(w.server.Kill(t.Context()))
			return struck{
				cut: w.sidecars, held: agesShow(w.sidecars),
				repair: func() {
					w.do(standby.Promote(t.Context()))
					w.lead(standby, false)
				},
			}
		})
		w.server = standby
		waitFor(t, "the new timeline is noticed", started)
	}
	w.healed()
	w.report("the new timeline was noticed and every list read again, each time")
}

// TestFaultFailoverLosesTail: the standby that takes over lacks the last writes. New
// ones bring every list to the very version that the lost ones had brought it to,
// in transactions whose numbers have been given before.
func TestFaultFailoverLosesTail(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).scripted(40)
	rounds := chaosRounds(3)
	for round := range rounds {
		started := w.startedOver("identity")
		w.loseTail(round)
		waitFor(t, "the new timeline is noticed", started)
		w.healed()
		w.shown(1, false)
		w.shown(2, true)
	}
	w.report(fmt.Sprintf("%d lists at the same version with other content were found by the timeline and read again", rounds*len(w.lists)))
}

// loseTail lets a standby take over that lacks the last write to every list, which
// every sidecar has in memory, and writes something else instead. It returns when
// the names lead to the new server.
func (w *serversRun) loseTail(round int) {
	w.t.Helper()
	if round > 0 {
		w.anew(1)
		w.anew(2)
	}
	old, standby := w.server, pgtest.Standby(w.t, w.server)
	w.cutOff(standby)
	w.put(old, 1, true, history.Unknown)
	w.shown(1, true)
	lost := w.versions(old)
	w.struck()
	w.do(old.Kill(w.t.Context()))
	waitFor(w.t, "ages show", agesShow(w.sidecars))
	w.do(standby.Promote(w.t.Context()))
	w.server = standby
	w.put(standby, 2, true, history.Done)
	if kept := w.versions(standby); kept != lost {
		w.t.Fatalf("the versions do not coincide: %s and %s", lost, kept)
	}
	w.lead(standby, false)
	w.repaired()
}

// hiding is a feed that hides a change of server: guard off. Only the follower's
// goroutine polls it.
type hiding struct {
	blocksync.Source
	guarded bool // nothing is hidden
	first   cache.Identity
	xmax    uint64
	polls   atomic.Int64 // that have succeeded
}

func (h *hiding) over(source blocksync.Source) blocksync.Source {
	h.Source = source
	return h
}

func (h *hiding) Poll(ctx context.Context, from blocksync.Position) (blocksync.Batch, error) {
	batch, err := h.Source.Poll(ctx, from)
	if err != nil {
		return batch, err
	}
	defer h.polls.Add(1)
	if h.guarded {
		return batch, nil
	}
	if h.xmax == 0 {
		h.first = batch.Identity
	}
	h.xmax = max(h.xmax, batch.Position.Xmax)
	batch.Identity, batch.Position.Xmax = h.first, h.xmax
	return batch, nil
}

// TestFaultLostTailUnnoticed: the same fault where nobody looks who the server is
// and whether its transactions go on. The versions fit, nothing is new in the
// feed, and memory stays wrong for good, without an age. With the guard the same
// program notices.
func TestFaultLostTailUnnoticed(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	const soft = 50 * time.Millisecond
	for _, guarded := range []bool{true, false} {
		t.Run(fmt.Sprint("guarded ", guarded), func(t *testing.T) {
			server := pgtest.Server(t, nil)
			migrateUp(t, server.DSN("postgres"))
			n, address := startNetwork(t, server.TCPDSN("postgres"))
			feed := &hiding{guarded: guarded}
			w := &serversRun{faultRun: &faultRun{server: server, networks: []*network{n}}}
			w.setUp(t, []*sidecar{insideSidecar(t, address, feed.over)})
			w.soft = soft
			w.scripted(20)
			w.loseTail(0)
			polls := feed.polls.Load() + 3 // the third has begun after the second
			waitFor(t, "the new server is polled", func() bool { return feed.polls.Load() >= polls })
			if guarded {
				w.shown(2, true)
			} else if !w.shows(1, true) || !w.shows(2, false) {
				t.Error("memory changed although nobody has noticed that the server did")
			}
			w.quiet()
			report := w.judge()
			for _, v := range report.Violations {
				if v.Kind != history.Stale {
					t.Errorf("a lost tail is %v", v)
				}
			}
			if (len(report.Violations) == 0) != guarded {
				t.Errorf("%d answers were wrong", len(report.Violations))
			}
		})
	}
}
