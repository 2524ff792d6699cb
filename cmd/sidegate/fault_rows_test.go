package main

import (
	"fmt"
	"testing"
)

// unaudited leaves what somebody has tampered with as it is: an audit that happens to
// look would repair it.
const unaudited = "audit: {period: 0s, samples: 0}\n"

// TestFaultMalformedRows: somebody has dropped the checks of the tables and writes
// rows by hand that no program of ours writes. What cannot be understood costs the
// list that it is about, which is read again or unknown; the feed goes on.
func TestFaultMalformedRows(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, unaudited).ready()
	s.loaded()
	bystander := question{sender: "alice", recipient: "bystander"}
	victim := question{sender: "alice", recipient: "victim"}
	s.block("default", "bystander", "alice")
	s.block("default", "victim", "alice")
	s.enforced(victim, dropped)
	psql(t, dsn, "ALTER TABLE sidegate.change DROP CONSTRAINT change_op_check",
		"ALTER TABLE sidegate.block DROP CONSTRAINT block_expires_at_is_finite, DROP CONSTRAINT block_target_is_an_id, DROP CONSTRAINT block_owner_is_an_id")

	const into = "INSERT INTO sidegate.change (app, kind, owner, prev, version, size, digest, allowlist, op, targets, expires) "
	answers, killed := 0, 0
	for _, row := range []struct{ name, change string }{
		{"an operation that nobody knows", "'?', '{x}', '{0}'"},
		{"more targets than a list may have", "'A', array_agg('t' || n), array_agg(0) FROM generate_series(1, 10000) n"},
		{"more targets than expiries", "'A', '{x,y}', '{0}'"},
		{"a target of 10 kB", "'A', array[repeat('x', 10000)], '{0}'"},
		{"a target with a line feed", "'A', array[e'x\\ny'], '{0}'"},
		{"an expiry past all times", "'A', '{x}', '{9223372036854775807}'"},
		{"NULLs", "'A', '{x,null}', '{0,null}'"},
	} {
		before := s.samples()
		psql(t, dsn, into+"SELECT 'default', 'block', 'victim', 1, 2, 2, 4711, false, "+row.change)
		// An operation that cannot be read is an order to read the list again; what can be
		// read and does not fit is counted as what it looks like.
		waitFor(t, row.name+" kills the list", func() bool {
			s.get("check", victim.path())
			now := s.samples()
			for _, count := range []string{"sidegate_sync_gaps_total", "sidegate_digest_mismatches_total", "sidegate_load_duration_seconds_count"} {
				if now[count] > before[count] {
					return true
				}
			}
			return false
		})
		killed++
		s.enforced(victim, dropped) // it was read again, from the rows
		s.enforced(bystander, dropped)
		answers += 2
		// The feed is still followed.
		psql(t, dsn, "DELETE FROM sidegate.block WHERE owner = 'bystander'")
		s.enforced(bystander, allowed)
		psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bystander', 'alice')")
		s.enforced(bystander, dropped)
		answers += 2
	}
	// Rows of a list that cannot be: for ever, and longer than an id.
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target, expires_at) VALUES ('default', 'forever', 'alice', '9999-12-31')",
		"INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'long', repeat('x', 300))",
		"INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'long', 'alice')")
	for _, owner := range []string{"forever", "long"} {
		s.enforced(question{sender: "alice", recipient: owner}, dropped)
		answers++
	}
	reportRow(t, faultFigures{
		Happened: fmt.Sprintf("each of %d rows that cannot be read cost its list one read, and was counted; others were followed on", killed),
		Rounds:   killed, Answers: answers,
	})
}

// TestFaultRowsBehindTheTriggers: somebody makes a table that inherits from ours and
// writes to that. No trigger of ours sees it, and ours cannot refuse it. The lists
// that change so are not what their headers say: unknown, never guessed. Counting
// them again makes them known.
func TestFaultRowsBehindTheTriggers(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	first := startSidecar(t, dsn, unaudited).ready()
	first.loaded()
	first.block("default", "bob", "alice")
	first.enforced(question{sender: "alice", recipient: "bob"}, dropped)
	psql(t, dsn, "CREATE TABLE public.mine () INHERITS (sidegate.block)",
		"INSERT INTO public.mine (app, owner, owner_hash, target) OVERRIDING USER VALUE VALUES ('default', 'bob', DEFAULT, 'mallory')")
	known := question{sender: "mallory", recipient: "bob"}
	// Who holds the list goes on with what was announced.
	first.enforced(question{sender: "alice", recipient: "bob"}, dropped)
	first.enforced(known, allowed)
	// Who reads it anew sees that rows and header differ.
	second := startSidecar(t, dsn, unaudited).ready()
	mismatches := func() bool { return second.samples()["sidegate_digest_mismatches_total"] > 0 }
	waitFor(t, "the rows do not fit the header", func() bool {
		if a := second.get("check", known.path()); !a.unknown() {
			t.Fatalf("answered all the same: %v", a)
		}
		return mismatches()
	})
	psql(t, dsn, "SELECT sidegate.repair('default', 'block', 'bob')")
	for _, s := range []*sidecar{first, second} {
		s.enforced(known, dropped)
	}
	reportRow(t, faultFigures{
		Happened: "a sidecar that read the list called it unknown and counted the mismatch; one that held it answered what had been announced; after a repair both enforced the rows",
		Rounds:   1, Answers: 5,
	})
}
