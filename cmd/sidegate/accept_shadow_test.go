package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAcceptShadow is a policy on its way into production: it is tried while every
// message is delivered, what it would do is seen in answers, metrics, explanations
// and a replay, a better one is found by replaying against a file, and that one is
// enforced.
func TestAcceptShadow(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	const staff = "ops: {tokens: [{token: " + staffToken + ", scopes: [staff]}]}\n"
	s := startSidecar(t, dsn, staff+"apps: {default: {mode: two_way, enforce: false}}").ready()
	s.block("default", "bob", "alice")
	checkURL := "--check-url=" + s.urls["check"]
	const pair = "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct"
	// The first read of a process may take longer than a check waits, and any answer
	// may be stale on a machine that has stood still.
	waitFor(t, "a delivery that would be none", func() bool {
		return s.get("check", pair).body == `{"deliver":true,"notify":true,"action":"deliver","reason":"allowed",`+
			`"would":{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}}`
	})
	if got := runProgram(t, nil, "check", "alice", "bob", checkURL, "--exit-code"); got.code != exitOK ||
		!strings.HasPrefix(got.stdout, "Delivered, as the app does not enforce its policy. It would be: Withheld, and the sender is not told: bob blocks alice.") {
		t.Errorf("check: %+v", got)
	}
	explained := runProgram(t, nil, "check", "alice", "bob", "--explain", "--ops-url="+s.urls["ops"], "--token="+staffToken)
	if explained.code != exitOK || !strings.Contains(explained.stdout, "It would be: Withheld, and the sender is not told: bob blocks alice, since ") ||
		!strings.Contains(explained.stdout, "on_unknown error; not enforced, a dry run.") {
		t.Errorf("explain: %+v", explained)
	}
	samples := s.samples()
	if lost, counted := samples[`sidegate_decisions_total{api="native",outcome="drop",room="direct"}`],
		samples[`sidegate_shadow_mismatches_total{direction="drop"}`]; lost != 0 || counted < 1 {
		t.Errorf("%v messages were dropped, want none; %v would have been, want some", lost, counted)
	}

	// What the chat server did until now: bob did not hear alice, she heard him.
	records := write(t, `{"sender":"alice","recipient":"bob","room_type":"direct","deliver":false}
{"sender":"bob","recipient":"alice","room_type":"direct","deliver":true}
`)
	got := runProgram(t, nil, "replay", records, checkURL, "--exit-code")
	if got.code != exitWithheld || !strings.Contains(got.stdout, "deliver → drop (sender_blocked_recipient)\n") ||
		!strings.Contains(got.stdout, "2 lines: 2 compared, 1 the same, 1 different.\n") {
		t.Errorf("replay: %+v", got)
	}
	candidate := filepath.Join(t.TempDir(), "candidate.yaml")
	if err := os.WriteFile(candidate, fmt.Appendf(nil, "postgres: {url: %q}\napps: {default: {mode: one_way}}\n", dsn), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runProgram(t, nil, "replay", records, "--config", candidate, "--exit-code"); got.code != exitOK || !strings.Contains(got.stdout, "2 the same, 0 different.\n") {
		t.Errorf("replay against a candidate: %+v", got)
	}
	s.configure(staff + "apps: {default: {mode: one_way}}")
	if a := s.reload(); !strings.HasPrefix(a.body, `{"changed":["apps.default.enforce","apps.default.mode"],"needs_restart":[],`) {
		t.Errorf("reload: %s", a)
	}
	s.enforced(question{sender: "alice", recipient: "bob"}, dropped)
	if got := runProgram(t, nil, "replay", records, checkURL, "--exit-code"); got.code != exitOK {
		t.Errorf("replay against what is enforced: %+v", got)
	}
}

// TestAcceptReplayOfThePast: with --then a record is decided by the lists of its
// time, however they have changed since.
func TestAcceptReplayOfThePast(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	psql(t, dsn, `INSERT INTO sidegate.history
		(app, kind, owner, target, blocked_at, unblocked_at, source, actor, ended_source, ended_actor) VALUES
		('default', 'block', 'bob', 'alice', '2026-01-31 10:00+00', '2026-01-31 11:00+00', 'native', '', 'native', '')`)
	var records strings.Builder
	const many = 1500 // more than one batch
	for i := range many {
		at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC).Add(time.Duration(i) * 2 * time.Hour / many)
		blocked := at.Hour() == 10
		fmt.Fprintf(&records, `{"sender":"alice","recipient":"bob","room_type":"direct","time":%q,"deliver":%t}`+"\n", at.Format(time.RFC3339Nano), !blocked)
	}
	file, candidate := write(t, records.String()), filepath.Join(t.TempDir(), "candidate.yaml")
	if err := os.WriteFile(candidate, []byte("apps: {default: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"replay", file, "--config", candidate, "--postgres-url", dsn, "--summary", "--exit-code"}
	if got := runProgram(t, nil, append(args, "--then")...); got.code != exitOK || got.stdout != "1500 lines: 1500 compared, 1500 the same, 0 different.\n" {
		t.Errorf("by the lists of then: %+v", got)
	}
	if got := runProgram(t, nil, args...); got.code != exitWithheld || !strings.Contains(got.stdout, "     750  withhold → deliver\n") {
		t.Errorf("by the lists of now: %+v", got)
	}
	const nowhere = "postgres://nobody@127.0.0.1:1/none"
	if got := runProgram(t, nil, "replay", file, "--config", candidate, "--postgres-url", nowhere); got.code != exitStore {
		t.Errorf("without a database: %+v", got)
	}
}
