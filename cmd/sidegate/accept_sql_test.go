package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAcceptPlainSQL: what somebody writes with psql is enforced by a sidecar
// that is running, without any help. The delays are printed, not judged: how
// long a busy machine takes says nothing about the program.
func TestAcceptPlainSQL(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	q := question{sender: "alice", recipient: "bob"}
	bystander := question{sender: "carol", recipient: "dave"}
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'dave', 'carol')")
	s.enforced(bystander, dropped)

	var inserts, deletes []time.Duration
	for range 5 {
		inserts = append(inserts, s.delay(dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')", q, dropped))
		deletes = append(deletes, s.delay(dsn, "DELETE FROM sidegate.block WHERE app = 'default' AND owner = 'bob' AND target = 'alice'", q, allowed))
	}
	if got := s.decide(bystander); got != dropped {
		t.Errorf("the writes to one list changed another: %+v", got)
	}

	var truncates []time.Duration
	for range 3 {
		s.delay(dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'bob', 'alice')", q, dropped)
		truncates = append(truncates, s.delay(dsn, "TRUNCATE sidegate.block", q, allowed))
	}
	s.enforced(bystander, allowed) // it was truncated too
	t.Logf("from the commit to the first decision that knows it, median of %d: INSERT %v, DELETE %v; TRUNCATE %v (of %d)",
		len(inserts), median(inserts), median(deletes), median(truncates), len(truncates))

	s.delay(dsn, "COPY sidegate.block (app, owner, target) FROM PROGRAM 'echo default,bob,alice' WITH (FORMAT csv)", q, dropped)
	s.delay(dsn, "UPDATE sidegate.block SET expires_at = clock_timestamp() + interval '50 milliseconds' WHERE owner = 'bob'", q, allowed)
}

// delay runs a statement and returns how long after its commit the decision was
// the wanted one. The database runs on this machine: its clock is ours.
func (s *sidecar) delay(dsn, statement string, q question, want verdict) time.Duration {
	s.t.Helper()
	committed := psql(s.t, dsn, statement, "SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint")
	s.enforced(q, want)
	seen := time.Now()
	micros, err := strconv.ParseInt(committed, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return seen.Sub(time.UnixMicro(micros)).Round(time.Millisecond)
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

// TestAcceptLimitBindsSQL: nobody puts more on a list than the app allows, with
// whatever tool; the refusal is a sentence, and nothing of the statement stays.
func TestAcceptLimitBindsSQL(t *testing.T) {
	t.Parallel()
	const fill = "INSERT INTO sidegate.block (app, owner, target) SELECT 'default', 'bob', 't' || n FROM generate_series(%d, %d) n"
	for _, tc := range []struct {
		name, configuration string
		limit               int
	}{
		{"the default", "", 3000},
		{"a lower one", "apps: {default: {limit: 5}}", 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dsn := database(t)
			s := startSidecar(t, dsn, tc.configuration).ready()
			held := func() int {
				n, err := strconv.Atoi(psql(t, dsn, "SELECT count(*) FROM sidegate.block"))
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			refused := func(from, to int) {
				t.Helper()
				before := held()
				_, refusal := tryPsql(t, dsn, fmt.Sprintf(fill, from, to))
				sentence := fmt.Sprintf(`ERROR:  the list is full: app "default" allows %d entries, this list holds %d and would get %d more`,
					tc.limit, before, to-from+1)
				if first, _, _ := strings.Cut(refusal, "\n"); first != sentence {
					t.Errorf("%d more: psql said %q\nwant %q", to-from+1, first, sentence)
				}
				if after := held(); after != before {
					t.Errorf("the statement was refused, and yet the list went from %d to %d", before, after)
				}
			}
			refused(1, tc.limit+1)
			psql(t, dsn, fmt.Sprintf(fill, 1, tc.limit))
			refused(tc.limit+1, tc.limit+1)
			if a := s.must("PUT", "api", blockPath("default", "bob", "one more")); a.status != 409 || a.problem(t) != "limit_exceeded" {
				t.Errorf("the API, on a list that SQL has filled: %v", a)
			}
			s.enforced(question{sender: fmt.Sprint("t", tc.limit), recipient: "bob"}, dropped)
			if got := s.decide(question{sender: fmt.Sprint("t", tc.limit+1), recipient: "bob"}); got != allowed {
				t.Errorf("who was refused is blocked: %+v", got)
			}
		})
	}
}
