package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/bench/history"
)

// setBack restores the data of some tables as they were before the second entry of
// every list was written, into the same tables, at once and with the triggers off:
// nothing tells anybody. It returns when it began, and the clock of the server when
// it was over.
func (w *serversRun) setBack(tables ...string) (began time.Duration, over string) {
	w.t.Helper()
	dsn, dir := w.server.DSN("postgres"), w.t.TempDir()
	dump, script := filepath.Join(dir, "dump"), filepath.Join(dir, "script")
	args := []string{"-Fc", "--data-only", "-d", dsn, "-f", dump}
	restore := []string{"-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", "SET session_replication_role = replica"}
	for _, table := range tables {
		args, restore = append(args, "-t", table), append(restore, "-c", "DELETE FROM "+table)
	}
	tool(w.t, "pg_dump", args...)
	w.put(w.server, 1, true, history.Done)
	w.shown(1, true)
	tool(w.t, "pg_restore", "--data-only", "--disable-triggers", "-f", script, dump)
	w.struck()
	began = w.recorder.Now()
	tool(w.t, "psql", append(restore, "-f", script)...)
	return began, psql(w.t, dsn, "SELECT clock_timestamp()")
}

// auditPeriod is how often the database is audited in these tests.
const auditPeriod = 2 * time.Second

// TestFaultDataOnlyRestore: somebody restores data into the same tables with the
// triggers off: the entries alone, which disagree with their headers then, or both,
// which agree with each other and are old. Until the audit has come by, what
// memory holds is answered as if it were so: that is what the period of the audit
// promises, so the restore counts as done at the end of the round that began after
// it.
func TestFaultDataOnlyRestore(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRunWith(t, faultConfiguration+fmt.Sprintf("audit: {period: %v}\n", auditPeriod)).scripted(30)
	var longest time.Duration
	for round, tables := range [][]string{{"sidegate.block"}, {"sidegate.block", "sidegate.owner"}} {
		if round > 0 {
			w.anew(1)
		}
		began, over := w.setBack(tables...)
		restored := w.recorder.Now()
		w.shown(1, false)
		longest = max(longest, w.recorder.Now()-restored)
		waitFor(t, "a round of the audit", func() bool {
			return psql(t, w.server.DSN("postgres"), fmt.Sprintf("SELECT last_began_at > '%s' FROM sidegate.audit_round", over)) == "t"
		})
		w.wrote(1, false, history.Done, began)
		w.repaired()
		w.healed()
		w.shown(1, false)
		if got := runProgram(t, nil, "db", "audit", "--postgres-url", w.server.DSN("postgres")); got.code != exitOK {
			t.Errorf("after the round: %+v", got)
		}
	}
	w.report(fmt.Sprintf("the audit found and repaired every list, and every sidecar enforced it %v after the restore at the latest, of a period of %v",
		longest.Round(100*time.Millisecond), auditPeriod))
}

// TestFaultDataOnlyRestoreUnaudited: the same where nobody audits. Memory stays
// what it was, for good, and nothing shows that it is wrong, until somebody audits
// by hand.
func TestFaultDataOnlyRestoreUnaudited(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRunWith(t, faultConfiguration+unaudited).scripted(10)
	w.setBack("sidegate.block", "sidegate.owner")
	for _, s := range w.sidecars {
		s.polled()
		s.polled()
	}
	if !w.shows(1, true) {
		t.Error("memory follows a restore that nobody was told of: this test shows nothing")
	}
	dsn := w.server.DSN("postgres")
	byHand := runProgram(t, nil, "db", "audit", "--postgres-url", dsn)
	if byHand.code != exitWithheld {
		t.Errorf("the audit by hand: %+v", byHand)
	}
	for _, l := range w.lists {
		if !strings.Contains(byHand.stdout, " block "+l.owner+": ") {
			t.Errorf("the audit by hand does not name %s: %+v", l.owner, byHand)
		}
	}
	if got := runProgram(t, nil, "db", "audit", "--repair", "--postgres-url", dsn); got.code != exitOK {
		t.Errorf("the repair by hand: %+v", got)
	}
	w.shown(1, false)
}
