package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

var staff = []string{"Authorization", "Bearer plain"}

// explain asks for an explanation and holds it to the document.
func (s *served) explain(t *testing.T, query string) explanation {
	t.Helper()
	a := s.ask("GET", border.DoorOps, "/v1/explain?"+query, "", staff...)
	if a.status != 200 {
		t.Fatalf("%s: %v", query, a)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(server.OpenAPI()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err == nil {
		err = compiler.MustCompile("openapi.json#/components/schemas/Explanation").Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %s is not what the document says: %v", query, a.body, err)
	}
	var x explanation
	if err := json.Unmarshal([]byte(a.body), &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestExplain is the way of a question to support: why did bob not get it, and
// was that so an hour ago, too?
func TestExplain(t *testing.T) {
	s := serveHere(t, pgtest.Database(t), `
api: {tokens: [{name: backend, token: root}]}
ops: {tokens: [{name: support, token: plain, scopes: [staff]}, {name: acme-support, token: acme, scopes: [staff], apps: [acme]}]}
apps: {default: {mode: two_way}, acme: {}}
`).started(t)
	root := []string{"Authorization", "Bearer root"}
	const pair = "sender=alice&recipient=bob&room_type=direct"
	before := time.Now().UTC()
	if x := s.explain(t, pair); x.Decision.Reason != "allowed" || len(x.Lists) != 2 || x.Lists[0].Row != nil {
		t.Errorf("before the block: %+v", x)
	}
	if a := s.ask("PUT", border.DoorAPI, listOf("default", "bob")+"/blocks/alice", `{"note":"spam"}`, root...); a.status != 201 {
		t.Fatal(a)
	}
	x := s.explain(t, pair)
	if *x.Decision.Deliver || x.Decision.Reason != "recipient_blocked_sender" || x.At != nil || x.Policy.Mode != "two_way" {
		t.Errorf("after the block: %+v", x)
	}
	list := x.Lists[0]
	if list.Owner != "bob" || list.Source != "memory" || !*list.Listed || list.Version < 1 || list.AgeMS == nil || list.Differs ||
		list.Row == nil || list.Row.Note != "spam" || list.Row.Source != "native" || list.Row.Actor != "backend" || list.Row.BlockedAt.Before(before.Add(-time.Minute)) {
		t.Errorf("the list behind it: %+v, %+v", list, list.Row)
	}
	blocked := list.Row.BlockedAt
	if a := s.ask("DELETE", border.DoorAPI, listOf("default", "bob")+"/blocks/alice", "", root...); a.status != 200 {
		t.Fatal(a)
	}
	if x := s.explain(t, pair); x.Decision.Reason != "allowed" {
		t.Errorf("after the unblock: %+v", x)
	}
	at := func(when time.Time) string { return pair + "&at=" + url.QueryEscape(when.Format(time.RFC3339Nano)) }
	x = s.explain(t, at(blocked))
	if x.Decision.Reason != "recipient_blocked_sender" || !x.At.Equal(blocked) || x.Lists[0].Source != "history" ||
		x.Lists[0].Row.UnblockedAt == nil || x.Lists[0].Row.Note != "spam" {
		t.Errorf("when it was blocked: %+v", x)
	}
	if x := s.explain(t, at(blocked.Add(-time.Microsecond))); x.Decision.Reason != "allowed" || x.Lists[0].Row != nil {
		t.Errorf("just before: %+v", x)
	}
	s.explainRefusals(t, pair)

	shown := command(t, nil, "check", "alice", "bob", "--explain", "--at", blocked.Format(time.RFC3339Nano),
		"--ops-url", s.urls[border.DoorOps], "--token", "plain", "--exit-code")
	if shown.code != exitWithheld || !strings.Contains(shown.stdout, "under today's policy: Withheld, and the sender is not told: bob blocks alice, since "+shownTime(&blocked)) {
		t.Errorf("the command line: %+v", shown)
	}
}

// explainRefusals: the staff of one app learn nothing of another, others nothing
// at all, and every read has left a line that names nobody.
func (s *served) explainRefusals(t *testing.T, pair string) {
	for _, c := range []struct {
		token, query string
		status       int
	}{
		{"plain", "&app=acme", 200}, {"plain", "&app=none", 404}, {"acme", "&app=acme", 200}, {"acme", "", 403}, {"acme", "&app=none", 403},
		{"root", "", 401}, {"", "", 401},
	} {
		a := s.ask("GET", border.DoorOps, "/v1/explain?"+pair+c.query, "", "Authorization", "Bearer "+c.token)
		if a.status != c.status {
			t.Errorf("%q with %q: %v", c.token, c.query, a)
		}
	}
	log := s.printed.String()
	if !strings.Contains(log, `token=support route="GET /v1/explain"`) || strings.Contains(log, "alice") || strings.Contains(log, "bob") {
		t.Errorf("the log: %s", log)
	}
}

// TestExplainWithoutTheDatabase: what is in memory is explained, the rows are
// missing and said to be; the past cannot be told.
func TestExplainWithoutTheDatabase(t *testing.T) {
	postgres := pgtest.Server(t, nil)
	s := serveHere(t, pgtest.Migrated(t, postgres), `
ops: {tokens: [{name: support, token: plain, scopes: [staff]}]}
`).started(t)
	const pair = "sender=alice&recipient=bob&room_type=direct"
	waitFor(t, "the pages are in memory", func() bool { return s.explain(t, pair).Lists[0].Source == "memory" })
	if err := postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := s.explain(t, pair); x.Decision.Reason != "allowed" || x.Lists[0].RowKnown || *x.Lists[0].Listed {
		t.Errorf("%+v", x)
	}
	a := s.ask("GET", border.DoorOps, "/v1/explain?"+pair+"&at=2020-01-31T12:00:00Z", "", staff...)
	if a.status != 503 || !strings.Contains(a.body, "store_unavailable") || a.header.Get("Retry-After") != "1" || strings.Contains(a.body, "FATAL") {
		t.Errorf("the past: %v", a)
	}
}

// TestExplainParameters: a typing error never explains another question.
func TestExplainParameters(t *testing.T) {
	now := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	const good = "sender=alice&recipient=bob&room_type=group"
	for query, want := range map[string]string{
		"recipient=bob&room_type=direct":             "invalid_user_id: sender is missing",
		"sender=alice&room_type=direct":              "invalid_user_id: recipient is missing",
		"sender=&recipient=bob&room_type=direct":     "invalid_user_id: sender: the user id is empty",
		"sender=a%00&recipient=bob&room_type=direct": "control character",
		"sender=alice&recipient=bob":                 "invalid_room_type",
		"sender=alice&recipient=bob&room_type=dm":    "invalid_room_type",
		good + "&room=":                              "invalid_user_id: room",
		good + "&sendr=x":                            "unknown_parameter: \"sendr\" is not a parameter; known are app, at, at_least",
		good + "&status=1":                           "unknown_parameter",
		good + "&app=a&app=b":                        "unknown_parameter: app is given twice",
		good + "&verify=yes":                         "invalid_parameter: verify",
		good + "&notify_blocked=true":                "invalid_parameter: notify_blocked",
		good + "&origin=client":                      "invalid_parameter: origin",
		good + "&at=yesterday":                       "invalid_parameter: at is \"yesterday\"",
		good + "&at=":                                "invalid_parameter: at is",
		good + "&at=2030-01-31T12:00:01Z":            "invalid_parameter: at is in the future",
		good + "&at=0001-01-01T00:00:00Z":            "invalid_parameter: at is",
		good + "&at=2030-01-31T11:00:00Z&at_least=x": "invalid_parameter: at and at_least exclude each other",
		good + "&at_least=x":                         "invalid_revision",
		good + "&at_least=" + filter.NewRevision(cache.Identity{}, filter.ListID{App: "acme", Owner: "x"}, 1).String(): "invalid_revision: the revision belongs",
		good + ";app=x": "invalid_parameter: the query",
		good + "&app=%": "invalid_parameter: the query",
	} {
		if _, _, err := parseExplain(query, now); err == nil || !strings.Contains(problemOf(err).Error(), want) {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
	check, at, err := parseExplain(good+"&app=acme&room=r&origin=server&verify=1&notify_blocked=1&at=2030-01-31T13:00:00%2B02:00", now)
	want := filter.Check{
		App: "acme", Sender: "alice", Recipient: "bob", Room: "r", RoomType: filter.Group, FromServer: true, Verify: true, NotifyBlocked: true,
	}
	if err != nil || check != want || !at.Equal(now.Add(-time.Hour)) {
		t.Errorf("%+v, %v, %v", check, at, err)
	}
}

// FuzzExplainQuery: whatever is taken, is a question that a check could ask.
func FuzzExplainQuery(f *testing.F) {
	for _, s := range []string{
		"sender=a&recipient=b&room_type=direct", "sender=a&recipient=b&room_type=open&at=2020-01-31T12:00:00Z", "sender=%00", "a;b", "%",
		"sender=a&recipient=b&room_type=group&app=&room=x&verify=0",
	} {
		f.Add(s)
	}
	now := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw string) {
		check, at, err := parseExplain(raw, now)
		if err != nil {
			return
		}
		if filter.ValidateUserID(check.Sender) != nil || filter.ValidateUserID(check.Recipient) != nil || at.After(now) ||
			!slices.Contains([]string{"direct", "group", "open"}, check.RoomType.String()) {
			t.Errorf("%q was taken as %+v at %v", raw, check, at)
		}
	})
}
