package main

import (
	"strings"
	"testing"
)

const explainedPast = `{"app":"default","sender":"alice","recipient":"bob","room_type":"direct","at":"2030-01-31T12:00:00Z",
"decision":{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"},
"policy":{"mode":"two_way","on_block":"drop","on_unknown":"error","allowlist":false},
"rules":[{"rule":"self","answer":"no_match"},{"rule":"recipient_blocked_sender","answer":"match"},{"rule":"allowed","answer":"not_asked"}],
"lists":[{"kind":"block","owner":"bob","target":"alice","source":"history","listed":true,"allowlist_mode":false,
"row":{"blocked_at":"2030-01-31T09:00:00Z","unblocked_at":"2030-01-31T13:00:00Z","expires_at":null,"note":"two\nlines","source":"native","actor":"backend"},"row_known":true}]}`

// TestExplainedPast holds the whole text of one explanation.
func TestExplainedPast(t *testing.T) {
	r := &reply{status: 200, body: explainedPast}
	url := serve(t, r)
	got := command(t, nil, "check", "alice", "bob", "--explain", "--at=2030-01-31T12:00:00Z", "--room-id=r", "--ops-url", url, "--token=t")
	want := `At 2030-01-31 12:00:00 UTC, under today's policy: Withheld, and the sender is not told: bob blocks alice, since 2030-01-31 09:00:00 UTC until 2030-01-31 13:00:00 UTC, with the note "two\nlines".

RULE                      ANSWER
self                      no match
recipient_blocked_sender  match
allowed                   not asked

LIST               TARGET  ON IT  READ FROM  VERSION  AGE  ROW
block list of bob  alice   yes    history                  since 2030-01-31 09:00:00 UTC, until 2030-01-31 13:00:00 UTC, by native backend, note "two\nlines"

In direct rooms of app default: mode two_way, on_block drop, on_unknown error.
`
	if got != (outcome{0, want, ""}) {
		t.Errorf("got\n%s%s\nwant\n%s", got.stdout, got.stderr, want)
	}
	if r.uri != "/v1/explain?app=default&at=2030-01-31T12%3A00%3A00Z&recipient=bob&room=r&room_type=direct&sender=alice" || r.auth != "Bearer t" {
		t.Errorf("asked %s as %s", r.uri, r.auth)
	}
	if got := command(t, nil, "check", "alice", "bob", "--explain", "--json", "--exit-code", "--ops-url", url); got.code != exitWithheld || got.stdout != explainedPast+"\n" {
		t.Errorf("--json: %+v", got)
	}
}

// TestExplained looks for what else an explanation can say.
func TestExplained(t *testing.T) {
	const (
		head  = `{"app":"default","sender":"alice","recipient":"bob","room_type":"direct","at":null,"policy":{},"rules":[],"decision":`
		alice = `"target":"alice","source":"memory","listed":true,"allowlist_mode":false,"row_known":true,`
		row   = `"row":{"blocked_at":"2030-01-31T09:00:00Z","unblocked_at":null,"expires_at":"2031-01-31T09:00:00Z","note":"","source":"sql","actor":""}`
	)
	for name, c := range map[string]struct{ body, want string }{
		"no decision":     {`{"reason":"unknown","cause":"not_loaded"},"lists":[]}`, "No decision: a list that is needed is not known (not loaded)."},
		"unknown list":    {`{"reason":"unknown","cause":"stale"},"lists":[{"kind":"room","owner":"r","target":"alice","source":"memory","listed":null,"cause":"stale","row":null,"row_known":false}]}`, "unknown: stale"},
		"no database":     {`{"reason":"unknown","cause":"stale"},"lists":[{"kind":"room","owner":"r","target":"alice","source":"memory","listed":null,"cause":"stale","row":null,"row_known":false}]}`, "the database does not answer"},
		"the ban":         {`{"deliver":false,"notify":false,"action":"reject","reason":"banned_in_room"},"lists":[{"kind":"room","owner":"r",` + alice + row + `}]}`, "alice may not speak in this room, since 2030-01-31 09:00:00 UTC."},
		"expiry":          {`{"deliver":false,"notify":false,"action":"reject","reason":"banned_in_room"},"lists":[{"kind":"room","owner":"r",` + alice + row + `}]}`, "expires 2031-01-31 09:00:00 UTC, by sql"},
		"the other list":  {`{"deliver":false,"notify":false,"action":"drop","reason":"sender_blocked_recipient"},"lists":[{"kind":"block","owner":"bob",` + alice + row + `}]}`, "alice blocks bob.\n"},
		"no row":          {`{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"},"lists":[{"kind":"block","owner":"bob",` + alice + `"version":7,"age_ms":1500,"row":null,"differs":true}]}`, "memory     7        1.5s  none (not what was decided by: it has changed since)"},
		"mode":            {`{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"},"lists":[{"kind":"block","owner":"bob","target":"alice","source":"memory","listed":false,"allowlist_mode":true,"row":null,"row_known":true}]}`, "block list of bob (in allowlist mode)"},
		"from the future": {`{"deliver":true,"notify":true,"action":"deliver","reason":"of_tomorrow","stale_ms":2500},"lists":[],"more":1}`, "Delivered: reason of_tomorrow. The answer is 2.5s old."},
	} {
		url := serve(t, &reply{status: 200, body: head + c.body})
		got := command(t, nil, "check", "alice", "bob", "--explain", "--ops-url", url)
		if got.code != 0 || !strings.Contains(got.stdout, c.want) {
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
	}
	if got := command(t, nil, "check", "alice", "bob", "--at=2030-01-31T12:00:00Z"); got.code != exitUsage || !strings.Contains(got.stderr, "give --explain too") {
		t.Errorf("--at alone: %+v", got)
	}
	refused := serve(t, &reply{status: 403, body: `{"code":"forbidden","title":"The token does not allow this","status":403,"detail":"no"}`})
	if got := command(t, nil, "check", "alice", "bob", "--explain", "--ops-url", refused); got.code != exitUsage || !strings.Contains(got.stderr, "forbidden") {
		t.Errorf("refused: %+v", got)
	}
}
