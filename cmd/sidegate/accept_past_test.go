package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// post sends a JSON body to the check listener.
func (s *sidecar) post(path, body string) answer {
	s.t.Helper()
	resp, err := s.client.Post(s.urls["check"]+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or the test ends
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// sees asks which of alice's messages to bob, sent at some times, he may see.
func (s *sidecar) sees(app, room string, at ...time.Time) string {
	s.t.Helper()
	var messages []string
	for _, t := range at {
		messages = append(messages, fmt.Sprintf(`{"sender":"alice","sent_at":%q}`, t.Format(time.RFC3339Nano)))
	}
	a := s.post("/v1/visible", fmt.Sprintf(`{"app":%q,"recipient":"bob","room_type":%q,"messages":[%s]}`, app, room, strings.Join(messages, ",")))
	text, ok := strings.CutPrefix(a.body, `{"visible":[`)
	if a.status != http.StatusOK || !ok {
		s.t.Fatalf("visible: %v", a)
	}
	return strings.TrimSuffix(text, "]}")
}

// TestAcceptHiddenInterval: bob had alice on his list from ten to eleven. What she
// sent him meanwhile stays invisible, however long ago that was and although the
// change log has forgotten it.
func TestAcceptHiddenInterval(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, `
apps:
  default: {}
  send: {preset: sendbird}
  im: {preset: imkit}
`).ready()
	for _, app := range []string{"default", "send", "im"} {
		s.block(app, "carol", "alice") // something for the change log to forget
		psql(t, dsn, fmt.Sprintf(`INSERT INTO sidegate.history
			(app, kind, owner, target, blocked_at, unblocked_at, source, actor, ended_source, ended_actor) VALUES
			('%s', 'block', 'bob', 'alice', '2026-01-31 10:00+00', '2026-01-31 11:00+00', 'native', '', 'native', '')`, app))
	}
	half := func(hour int) time.Time { return time.Date(2026, 1, 31, hour, 30, 0, 0, time.UTC) }
	day := []time.Time{half(9), half(10), half(11)}
	look := func(when string) {
		t.Helper()
		for _, c := range []struct{ app, room, want string }{
			{"default", "direct", "true,false,true"}, {"default", "group", "true,true,true"},
			{"send", "direct", "true,false,true"}, {"send", "group", "true,true,true"}, {"send", "open", "true,true,true"},
			{"im", "direct", "true,false,true"}, {"im", "group", "true,true,true"},
		} {
			if got := s.sees(c.app, c.room, day...); got != c.want {
				t.Errorf("%s: %s rooms of %s: %s, want %s", when, c.room, c.app, got, c.want)
			}
		}
	}
	look("with the change log")
	// What a transaction of somebody else's may still ask for is left by a trim.
	waitFor(t, "the change log to be trimmed to nothing", func() bool {
		psql(t, dsn, "SELECT sidegate.trim('0 s', 1000)")
		return psql(t, dsn, "SELECT count(*) FROM sidegate.change") == "0"
	})
	look("after retention of the change log")
	// Now, and on a clock that is ahead, it is as it is now.
	if got := s.sees("default", "direct", time.Now(), time.Now().AddDate(1, 0, 0)); got != "true,true" {
		t.Errorf("now: %s", got)
	}
	s.block("default", "bob", "alice")
	if got := s.sees("default", "direct", half(11), time.Now().Add(time.Hour)); got != "true,false" {
		t.Errorf("blocked again: %s", got)
	}
	// In two-way apps the other side's block hid messages too.
	psql(t, dsn, `INSERT INTO sidegate.block (app, owner, target, created_at) VALUES ('im', 'alice', 'bob', '2026-01-31 11:00+00')`)
	if got := s.sees("im", "direct", day...); got != "true,false,false" {
		t.Errorf("two-way: %s", got)
	}
}

// TestAcceptExpiryWithoutTheDatabase: a block with an expiry is enforced until
// then and not longer, while Postgres is away all the time. When it is back, the
// interval has ended at its expiry, whenever that was noticed.
func TestAcceptExpiryWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Server(t, nil)
	dsn := postgres.DSN("postgres")
	migrateUp(t, dsn)
	s := startSidecar(t, dsn, "sync: {poll_interval: 50ms}").ready()
	s.loaded()
	q := question{sender: "alice", recipient: "bob"}
	for _, user := range []string{"alice", "bob"} {
		s.decide(question{sender: "x", recipient: user}) // the first answers are known, so the pages are in memory
	}

	began := time.Now()
	until := began.Add(5 * time.Second).Truncate(time.Microsecond).UTC()
	s.edits(http.StatusOK, "bob", `{"add":[{"target":"alice","expires_at":"`+until.Format(time.RFC3339Nano)+`"}]}`)
	made := time.Now()
	if err := postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Before and after the answer the clock is looked at: only an answer that
	// lies wholly on one side of the expiry has to be the one of that side. The
	// clock of the program is corrected to that of the database, which runs on
	// this machine, at each poll; what the measurement may be off is left out.
	const slack = time.Second
	enforced := 0
	waitFor(t, "the block expires while Postgres is away", func() bool {
		before := time.Now()
		got, ok := s.get("check", q.path()).verdict(t)
		after := time.Now()
		switch {
		case !ok:
			t.Fatal("no decision: the list is in memory")
		case after.Before(until.Add(-slack)) && got != dropped:
			t.Fatalf("%v before the expiry: %+v", until.Sub(after), got)
		case before.After(until.Add(slack)) && got != allowed:
			t.Fatalf("%v after the expiry: %+v", before.Sub(until), got)
		case got == dropped:
			enforced++
		}
		return before.After(until.Add(slack))
	})
	if enforced == 0 {
		t.Error("the block was never seen in force: this test shows nothing of it")
	}
	checkStoreProblem(t, s.post("/v1/visible", `{"recipient":"bob","room_type":"direct","messages":[{"sender":"alice","sent_at":"2026-01-01T00:00:00Z"}]}`))

	if err := postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the database answers", func() bool { return s.get("api", "/v1/apps/default/users/bob/history").status == http.StatusOK })
	waitFor(t, "the row is swept", func() bool { return psql(t, dsn, "SELECT count(*) FROM sidegate.block") == "0" })
	var page struct {
		Intervals []struct {
			UnblockedAt time.Time `json:"unblocked_at"`
			EndedSource string    `json:"ended_source"`
		}
	}
	a := s.get("api", "/v1/apps/default/users/bob/history?target=alice")
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || len(page.Intervals) != 1 {
		t.Fatalf("%v, %v", a, err)
	}
	if i := page.Intervals[0]; !i.UnblockedAt.Equal(until) || i.EndedSource != "expiry" {
		t.Errorf("the interval ended at %v by %s, want %v by expiry", i.UnblockedAt, i.EndedSource, until)
	}
	if got := s.sees("default", "direct", began.Add(-time.Second), made, until.Add(-time.Microsecond), until); got != "true,false,false,true" {
		t.Errorf("before, during, at the end, after: %s", got)
	}
}

// TestAcceptInvitees: the key invitations of an app says what becomes of those
// who block, or are blocked by, the inviter.
func TestAcceptInvitees(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), "apps: {default: {}, strict: {preset: sendbird, invitations: exclude}}").ready()
	for _, app := range []string{"default", "strict"} {
		s.block(app, "bob", "alice")
		s.block(app, "alice", "carol")
	}
	const refused = `[{"user":"bob","reason":"invitee_blocked_inviter"},{"user":"carol","reason":"inviter_blocked_invitee"}]`
	for app, want := range map[string]string{
		"default": `{"allowed":["bob","dave","carol"],"excluded":[],"would_exclude":` + refused + `}`,
		"strict":  `{"allowed":["dave"],"excluded":` + refused + `}`,
	} {
		var a answer
		waitFor(t, "all lists are known and fresh", func() bool {
			a = s.post("/v1/invitees", `{"app":"`+app+`","inviter":"alice","invitees":["bob","dave","carol"]}`)
			return a.status == http.StatusOK && !strings.Contains(a.body, "unknown") && !strings.Contains(a.body, "stale_ms")
		})
		if a.body != want {
			t.Errorf("%s: %v, want %s", app, a, want)
		}
	}
}
