package main

import (
	"strings"
	"testing"
	"time"
)

// TestAcceptAuditRepairs: what a restore without triggers leaves behind is found
// within the period of the audit, repaired, and enforced by a sidecar that serves.
// How long it took is printed; that it is not longer than a period and what the
// machine adds is judged by the round in which it was found.
func TestAcceptAuditRepairs(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice'), ('default', 'carl', 'eve'), ('default', 'dave', 'alice')")
	const period = time.Second
	s := startSidecar(t, dsn, "audit: {period: 1s}").ready()
	taken, kept, given := question{sender: "alice", recipient: "bob"}, question{sender: "eve", recipient: "carl"}, question{sender: "mallory", recipient: "dave"}
	for q, want := range map[question]verdict{taken: dropped, kept: dropped, given: allowed} {
		s.enforced(q, want)
	}
	s.rounds(1)

	psql(t, dsn, "BEGIN; "+replica+`; DELETE FROM sidegate.block WHERE owner = 'bob';
		INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'dave', 'mallory'), ('default', 'new', 'alice');
		INSERT INTO sidegate.block (app, owner, target) SELECT 'default', 'hoarder', 't' || i FROM generate_series(1, 3001) i;
		UPDATE sidegate.owner SET size = 7, digest = 7, version = 1 WHERE owner = 'carl'; COMMIT`)
	began := time.Now()
	s.enforced(taken, allowed)
	s.enforced(given, dropped)
	s.enforced(question{sender: "alice", recipient: "new"}, dropped)
	s.enforced(kept, dropped)
	// A list over the limit keeps every entry, and each of them counts.
	s.enforced(question{sender: "t1", recipient: "hoarder"}, dropped)
	s.enforced(question{sender: "t3001", recipient: "hoarder"}, dropped)
	t.Logf("damage was found, repaired and enforced %v after it was done, the audit's period being %v", time.Since(began).Round(time.Millisecond), period)
	if found := s.samples()["sidegate_db_audit_mismatches_total"]; found != 5 {
		t.Errorf("%v lists were found damaged, want 5", found)
	}
	if log := s.stderr.String(); strings.Count(log, "the database was changed behind its triggers") != 5 || strings.Contains(log, "mallory") || strings.Contains(log, `"bob"`) {
		t.Error("the log does not have a line for each list, without ids")
	}
	got := runProgram(t, nil, "db", "audit", "--postgres-url", dsn)
	if got.code != 1 || !strings.HasPrefix(got.stdout, "default block hoarder: it has 3001 entries, more than any list may have\n1 of 5 lists differ") {
		t.Errorf("the audit by hand: %+v", got)
	}
}

// TestAcceptAuditOfARestore: lists that were set back with their headers agree with
// themselves. The audit finds them by the feed and makes every sidecar start over.
func TestAcceptAuditOfARestore(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')",
		"CREATE TABLE kept_block AS SELECT * FROM sidegate.block", "CREATE TABLE kept_owner AS SELECT * FROM sidegate.owner")
	s := startSidecar(t, dsn, "audit: {period: 1s}").ready()
	q := question{sender: "alice", recipient: "bob"}
	s.enforced(q, dropped)
	psql(t, dsn, "DELETE FROM sidegate.block WHERE owner = 'bob'", "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'carl', 'alice')")
	s.enforced(q, allowed)
	s.enforced(question{sender: "alice", recipient: "carl"}, dropped)

	psql(t, dsn, "BEGIN; "+replica+`; DELETE FROM sidegate.block; DELETE FROM sidegate.owner;
		INSERT INTO sidegate.block (app, kind, owner, target) SELECT app, kind, owner, target FROM kept_block;
		INSERT INTO sidegate.owner (app, kind, owner, version, size, digest) SELECT app, kind, owner, version, size, digest FROM kept_owner; COMMIT`)
	s.enforced(q, dropped)
	s.enforced(question{sender: "alice", recipient: "carl"}, allowed)
	if log := s.stderr.String(); !strings.Contains(log, "lists of the database were set back, as by a restore") {
		t.Error("nobody was told")
	}
}

// TestAcceptWithoutRepair: what is only reported stays as it is, and is unknown to
// whoever reads it.
func TestAcceptWithoutRepair(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	psql(t, dsn, "BEGIN; "+replica+"; INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice'); COMMIT")
	const staff = "ops: {tokens: [{name: staff, token: " + staffToken + ", scopes: [staff]}]}\n"
	s := startSidecar(t, dsn, staff+"audit: {period: 100ms, repair: false}").ready()
	s.rounds(2)
	if m := s.samples(); m["sidegate_db_audit_mismatches_total"] < 2 || m["sidegate_db_audit_repaired_total"] != 0 {
		t.Errorf("%v found, %v repaired", m["sidegate_db_audit_mismatches_total"], m["sidegate_db_audit_repaired_total"])
	}
	s.configure(staff + "audit: {period: 100ms, repair: true}")
	if a := s.reload(); a.status != 200 || !strings.Contains(a.body, `"changed":["audit.repair"]`) {
		t.Fatalf("reload: %v", a)
	}
	s.enforced(question{sender: "alice", recipient: "bob"}, dropped)
}

// rounds waits until so many further rounds of the audit have ended.
func (s *sidecar) rounds(n int) {
	s.t.Helper()
	for range n {
		const metric = "sidegate_db_audit_last_round_timestamp_seconds"
		before := s.samples()[metric]
		waitFor(s.t, "a round of the audit ends", func() bool { return s.samples()[metric] > before })
	}
}

// TestAcceptForget: a sidecar learns of an erasure in both directions, and the user
// may come back.
func TestAcceptForget(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	s.block("default", "victim", "alice")
	s.block("default", "bob", "victim")
	s.block("default", "bob", "alice")
	theirs, about, other := question{sender: "alice", recipient: "victim"}, question{sender: "victim", recipient: "bob"}, question{sender: "alice", recipient: "bob"}
	for _, q := range []question{theirs, about, other} {
		s.enforced(q, dropped)
	}
	if got := runProgram(t, nil, "db", "forget", "default", "victim", "--yes", "--postgres-url", dsn); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	s.enforced(theirs, allowed)
	s.enforced(about, allowed)
	if got := s.decide(other); got != dropped {
		t.Errorf("what others have: %+v", got)
	}
	for range 2 { // the first time their list is new, the second it is not
		theirs.atLeast = s.block("default", "victim", "alice")
		if got := s.decide(theirs); got != dropped {
			t.Errorf("blocked again: %+v", got)
		}
		theirs.atLeast = ""
		psql(t, dsn, "DELETE FROM sidegate.block WHERE owner = 'victim'")
		s.enforced(theirs, allowed)
	}
}

// TestAcceptBumpIncarnation: everybody starts over, and answers stay right.
func TestAcceptBumpIncarnation(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	s.block("default", "bob", "alice")
	q := question{sender: "alice", recipient: "bob"}
	s.enforced(q, dropped)
	const epochs = `sidegate_sync_epochs_total{cause="identity"}`
	before := s.samples()[epochs]
	if got := runProgram(t, nil, "db", "bump-incarnation", "--postgres-url", dsn); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	waitFor(t, "the sidecar starts over", func() bool {
		if got := s.decide(q); got != dropped {
			t.Errorf("meanwhile: %+v", got)
		}
		return s.samples()[epochs] == before+1
	})
	s.block("default", "bob", "carl")
	s.enforced(question{sender: "carl", recipient: "bob"}, dropped)
	if got := s.decide(q); got != dropped {
		t.Errorf("%+v", got)
	}
}
