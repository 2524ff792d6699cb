package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sidegate/sidegate/bench/history"
)

// hasty writes an entry of every list in a session that has asked not to wait for
// the disk, which nobody else makes the server do either, and kills a backend when
// every sidecar has seen it.
func (w *serversRun) hasty(entry int, outcome history.Outcome, seen func()) {
	w.t.Helper()
	dsn := w.server.DSN("postgres")
	writer, err := strconv.Atoi(psql(w.t, dsn, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"))
	w.do(err)
	w.do(syscall.Kill(writer, syscall.SIGSTOP))
	statements := []string{"SET synchronous_commit = off"}
	for _, l := range w.lists {
		statements = append(statements, fmt.Sprintf(blockSQL, l.owner, l.entries[entry].target()))
	}
	begin := w.recorder.Now()
	if printed := psql(w.t, dsn, statements...); strings.Count(printed, "1") != len(w.lists) {
		w.t.Fatalf("written: %s", printed)
	}
	w.wrote(entry, true, outcome, begin)
	w.shown(entry, true)
	seen()
	w.crash(writer)
}

// crash kills a backend; the server ends all sessions and recovers, under the same
// postmaster. The process that stands still is killed with them: were it let go, it
// might get to the disk with what it was kept from before its own end is ordered.
func (w *serversRun) crash(stopped int) {
	w.t.Helper()
	dsn := w.server.DSN("postgres")
	session, err := openSession(w.t.Context(), dsn)
	w.do(err)
	defer func() { _ = session.close() }()
	state, err := session.say("SELECT pg_backend_pid(); SELECT pg_postmaster_start_time();", 2)
	w.do(err)
	victim, err := openSession(w.t.Context(), dsn)
	w.do(err)
	defer func() { _ = victim.close() }()
	pid, err := victim.say("SELECT pg_backend_pid();", 1)
	w.do(err)
	number, err := strconv.Atoi(pid[0])
	w.do(err)
	w.struck()
	w.do(w.server.KillBackend(number))
	waitFor(w.t, "all sessions are ended", func() bool {
		_, err := session.say("SELECT 1;", 1)
		return err != nil
	})
	_ = syscall.Kill(stopped, syscall.SIGKILL) // somebody may have done so for its silence
	w.do(w.server.Ready(w.t.Context()))
	w.repaired()
	if again := psql(w.t, dsn, "SELECT pg_postmaster_start_time()"); again != state[1] {
		w.t.Fatal("the postmaster was started again: that is another fault")
	}
}

// nothingElseCommits switches autovacuum off: whoever commits and waits for the disk
// takes everything before it along, and counts transactions further.
func (w *serversRun) nothingElseCommits() {
	w.t.Helper()
	dsn := w.server.DSN("postgres")
	psql(w.t, dsn, "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
	waitFor(w.t, "autovacuum is off", func() bool {
		return psql(w.t, dsn, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'") == "0"
	})
}

// listedRows is how many lists hold an entry, by the table.
func (w *serversRun) listedRows(entry int) string {
	w.t.Helper()
	return psql(w.t, w.server.DSN("postgres"),
		fmt.Sprintf("SELECT count(*) FROM sidegate.block WHERE target = '%s'", w.lists[0].entries[entry].target()))
}

// TestFaultAsyncCommit: a session has switched synchronous_commit off, and Postgres
// crashes before it has written anything to disk.
func TestFaultAsyncCommit(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRun(t).scripted(30)
	for round := range chaosRounds(3) {
		if round > 0 {
			w.anew(1)
		}
		w.hasty(1, history.Done, func() {})
		w.healed()
		if n := w.listedRows(1); n != fmt.Sprint(len(w.lists)) {
			t.Errorf("%s of %d blocks that everybody has seen are there", n, len(w.lists))
		}
		w.shown(1, true)
	}
	w.report("the trigger had switched it on again: nothing that anybody has seen was lost")
}

// TestFaultAsyncCommitUnguarded: the same crash where the trigger lets a commit be
// visible before it is durable. What everybody has seen is gone, and its versions
// are given again to other content. Who looks at once sees that transactions count
// from a lower number. Who was away meanwhile is wrong without knowing it, until
// the digest of the next change does not fit.
func TestFaultAsyncCommitUnguarded(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newServersRunWith(t, faultConfiguration+unaudited).scripted(30)
	awake, away := w.sidecars[0], w.sidecars[1]
	w.nothingElseCommits()
	psql(t, w.server.DSN("postgres"), "CREATE OR REPLACE FUNCTION sidegate.make_durable() RETURNS void LANGUAGE sql AS ''")
	rewound, mismatches := awake.epochs("rewound"), away.samples()["sidegate_digest_mismatches_total"]
	var lost string
	w.hasty(1, history.Unknown, func() {
		lost = w.versions(w.server)
		away.signal(syscall.SIGSTOP)
		t.Cleanup(func() { _ = away.cmd.Process.Signal(syscall.SIGCONT) })
	})
	if n := w.listedRows(1); n != "0" {
		t.Fatalf("%s blocks survived: this test shows nothing", n)
	}
	waitFor(t, "the lower number is noticed", func() bool { return awake.epochs("rewound") > rewound })
	w.put(w.server, 2, true, history.Done)
	written := w.recorder.Now()
	if again := w.versions(w.server); again != lost {
		t.Fatalf("the versions do not coincide: %s and %s", lost, again)
	}
	waitFor(t, "who was awake has noticed", func() bool { return w.showsOn(awake, 1, false) && w.showsOn(awake, 2, true) })

	spend(t, w.server, 500) // beyond the number that the other one remembers
	away.signal(syscall.SIGCONT)
	away.polled()
	away.polled()
	waitFor(t, "an answer without an age knows of the write", func() bool { return w.recorder.Now() > written+w.soft })
	if !w.showsOn(away, 1, true) || !w.showsOn(away, 2, false) {
		t.Error("who was away has noticed: this test shows nothing")
	}
	w.put(w.server, 3, true, history.Done)
	waitFor(t, "the digest tells", func() bool { return w.showsOn(away, 1, false) && w.showsOn(away, 2, true) && w.showsOn(away, 3, true) })
	if after := away.samples()["sidegate_digest_mismatches_total"]; after == mismatches {
		t.Error("no digest was found wrong")
	}
	w.quiet()
	w.settled()
	report := w.judge()
	for _, v := range report.Violations {
		if v.Kind != history.Stale || v.Read.By != away.name {
			t.Errorf("wrong is %v", v)
		}
	}
	if len(report.Violations) == 0 {
		t.Error("no answer was wrong: this test shows nothing")
	}
}
