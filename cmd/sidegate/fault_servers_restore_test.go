package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/bench/history"
	"github.com/sidegate/sidegate/sync/postgres/localpg"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// baseBackup is a copy of a server's files at a moment. It does not run.
type baseBackup struct {
	*localpg.Server
	dir string
}

// backup takes a base backup of the server.
func (w *serversRun) backup() *baseBackup {
	w.t.Helper()
	b := &baseBackup{dir: pgtest.Dir(w.t)}
	var err error
	b.Server, err = w.server.Standby(w.t.Context(), localpg.Options{Dir: b.dir, Settings: map[string]string{"primary_conninfo": ""}})
	w.do(err)
	w.do(b.Stop(w.t.Context()))
	w.t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return b
}

// restore starts the backup: as a recovery to its end does, on a timeline of its
// own, or just as the files are.
func (w *serversRun) restore(b *baseBackup, recovery bool) {
	w.t.Helper()
	if !recovery {
		w.do(os.Remove(filepath.Join(b.dir, "data", "standby.signal")))
	}
	w.do(b.Start(w.t.Context()))
	if recovery {
		w.do(b.Promote(w.t.Context()))
	}
}

// replace loses what was written since the backup, which every sidecar has in
// memory, and lets it take the server's place.
func (w *serversRun) replace(b *baseBackup, recovery bool) {
	w.t.Helper()
	started := w.startedOver("identity")
	w.put(w.server, 1, true, history.Unknown)
	w.shown(1, true)
	w.struck()
	w.do(w.server.Stop(w.t.Context()))
	waitFor(w.t, "ages show", agesShow(w.sidecars))
	w.restore(b, recovery)
	w.server = b.Server
	w.lead(b.Server, false)
	w.repaired()
	waitFor(w.t, "the other server is noticed", started)
	w.healed()
	w.shown(1, false)
}

// TestFaultRestoredBackup: a base backup takes the place of the server: recovered,
// then just started, then one that is older than what was seen. The last is
// refused until somebody says that going back is meant.
func TestFaultRestoredBackup(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).scripted(30)
	oldest, first := w.backup(), w.backup()
	w.replace(first, true)
	w.put(w.server, 2, true, history.Done)
	w.shown(2, true)
	second := w.backup()
	w.anew(1)
	w.replace(second, false)
	w.shown(2, true)

	w.restore(oldest, false)
	w.struck()
	w.lead(oldest.Server, false)
	waitFor(t, "the older timeline is refused", func() bool { return w.sidecars[0].refused() && w.sidecars[1].refused() })
	waitFor(t, "ages show", agesShow(w.sidecars))
	begin := w.recorder.Now()
	w.server = oldest.Server
	w.bump()
	w.wrote(2, false, history.Done, begin) // what the operator has undone
	w.repaired()
	w.healed()
	w.shown(2, false)
	w.report("noticed each time, every list read again; the one of an older timeline was refused until `sidegate db bump-incarnation`")
}

// bump does what the runbook asks for after a restore.
func (w *serversRun) bump() {
	w.t.Helper()
	psql(w.t, w.server.DSN("postgres"), "UPDATE sidegate.meta SET incarnation = gen_random_uuid()")
}

// tool runs a tool of PostgreSQL.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// TestFaultDumpRestored: a dump is restored into a new cluster, whose transactions
// begin at low numbers again: the feed that came with the dump is of another
// world.
func TestFaultDumpRestored(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).scripted(30)
	spend(t, w.server, 3000)
	w.put(w.server, 2, true, history.Done)
	psql(t, w.server.DSN("postgres"), "SELECT sidegate.trim('0s', 100000)")
	w.put(w.server, 3, true, history.Done) // in the feed that is dumped
	dir := t.TempDir()
	roles, dump := filepath.Join(dir, "roles"), filepath.Join(dir, "dump")
	tool(t, "pg_dumpall", "--roles-only", "-d", w.server.DSN("postgres"), "-f", roles)
	tool(t, "pg_dump", "-Fc", "-d", w.server.DSN("postgres"), "-f", dump)
	w.put(w.server, 1, true, history.Unknown)
	w.shown(1, true)
	fresh := pgtest.Server(t, nil)
	tool(t, "psql", "-X", "-q", "-d", fresh.DSN("postgres"), "-f", roles) // one of them is there: an error, and no matter
	tool(t, "pg_restore", "--exit-on-error", "-d", fresh.DSN("postgres"), dump)

	started := w.startedOver("identity")
	w.struck()
	w.do(w.server.Stop(t.Context()))
	waitFor(t, "ages show", agesShow(w.sidecars))
	w.server = fresh
	w.lead(fresh, false)
	w.repaired()
	waitFor(t, "the other cluster is noticed", started)
	w.bump()
	w.healed()
	w.shown(1, false)
	w.shown(3, true)
	again := w.startedOver("trimmed")
	w.put(fresh, 1, true, history.Done)
	w.shown(1, true)
	if again() {
		t.Error("every poll starts over: the feed of the old cluster is in the way")
	}
	w.report("noticed by the system identifier; every list was read again")
}

// spend uses up numbers of transactions.
func spend(t *testing.T, server *localpg.Server, n int) {
	t.Helper()
	psql(t, server.DSN("postgres"), fmt.Sprintf(
		"DO $$ BEGIN FOR i IN 1..%d LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$", n))
}

// TestFaultTruncate: somebody empties the table at once.
func TestFaultTruncate(t *testing.T) {
	t.Parallel()
	w := newServersRun(t).scripted(30)
	rounds := chaosRounds(5)
	for round := range rounds {
		if round > 0 {
			w.put(w.server, 0, true, history.Done)
			w.shown(0, true)
		}
		started := w.startedOver("identity")
		w.struck()
		begin := w.recorder.Now()
		psql(t, w.server.DSN("postgres"), "TRUNCATE sidegate.block")
		w.wrote(0, false, history.Done, begin)
		w.repaired()
		waitFor(t, "the new incarnation is noticed", started)
		w.healed()
		w.shown(0, false)
	}
	if n := strings.Count(psql(t, w.server.DSN("postgres"), "SELECT ended_source FROM sidegate.history"), "sql"); n != rounds*len(w.lists) {
		t.Errorf("%d ended blocks in the history, want %d", n, rounds*len(w.lists))
	}
	w.report("noticed by the incarnation; what stood there is in the history")
}
