package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reply answers requests with one answer and keeps the last request.
type reply struct {
	status int
	body   string

	method, uri, auth, kind string
	sent                    string
}

func (r *reply) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.method, r.uri, r.auth, r.kind, r.sent = req.Method, req.RequestURI, req.Header.Get("Authorization"), req.Header.Get("Content-Type"), string(body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		body string
		want string
	}{
		{`{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}`, "Withheld, and the sender is not told: bob blocks alice."},
		{`{"deliver":false,"notify":false,"action":"reject","reason":"sender_blocked_recipient"}`, "Withheld, and the sender is told: alice blocks bob."},
		{`{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"}`, "Delivered: nothing stands against it."},
		{`{"deliver":true,"notify":false,"action":"deliver","reason":"recipient_blocked_sender"}`, "Delivered without notification: bob blocks alice."},
		{`{"deliver":true,"notify":true,"action":"deliver","reason":"room_not_filtered"}`, "Delivered: rooms of this type are not filtered."},
		{`{"deliver":true,"notify":true,"action":"deliver","reason":"self"}`, "Delivered: alice writes to themselves."},
		{`{"deliver":true,"notify":true,"action":"deliver","reason":"exempt"}`, "Delivered: alice is exempt in this app."},
		{`{"deliver":true,"notify":true,"action":"deliver","reason":"unverified_origin"}`, "Delivered: messages of the app's own server are not checked."},
		{`{"deliver":false,"notify":false,"action":"reject","reason":"banned_in_room"}`, "Withheld, and the sender is told: alice may not speak in this room."},
		{`{"deliver":false,"notify":false,"action":"drop","reason":"not_on_allowlist"}`, "Withheld, and the sender is not told: alice is not on the allowlist of bob."},
		{`{"deliver":true,"notify":true,"action":"deliver","reason":"unknown","degraded":true}`, "Delivered: a list that is needed is not known. The lists are not known; the app's on_unknown decided."},
		{`{"deliver":true,"notify":true,"action":"deliver","reason":"allowed","stale_ms":3200}`, "Delivered: nothing stands against it. The answer is 3.2s old."},
		{`{"deliver":false,"notify":false,"action":"shadow","reason":"of_tomorrow"}`, "Withheld: reason of_tomorrow."},
	} {
		r := &reply{status: 200, body: tc.body}
		url := serve(t, r)
		got := command(t, nil, "check", "alice", "bob", "--check-url", url)
		if got != (outcome{0, tc.want + "\n", ""}) {
			t.Errorf("got  %+v\nwant %q", got, tc.want)
		}
		if asJSON := command(t, nil, "check", "alice", "bob", "--json", "--check-url", url); asJSON.stdout != tc.body+"\n" {
			t.Errorf("--json: %+v", asJSON)
		}
		want := exitOK
		if strings.Contains(tc.body, `"deliver":false`) {
			want = exitWithheld
		}
		if code := command(t, nil, "check", "alice", "bob", "--exit-code", "--check-url", url); code.code != want || code.stderr != "" {
			t.Errorf("%s: --exit-code ended with %+v, want code %d and no message", tc.body, code, want)
		}
	}
}

func TestCheckRequest(t *testing.T) {
	r := &reply{status: 200, body: `{}`}
	url := serve(t, r)
	command(t, []string{"SIDEGATE_CHECK_URL=" + url, "SIDEGATE_TOKEN=t0"}, "check", "a/b ?", "ü")
	if r.uri != "/v1/can-deliver?app=default&recipient=%C3%BC&room_type=direct&sender=a%2Fb+%3F" || r.auth != "Bearer t0" || r.method != "GET" {
		t.Errorf("asked %s %s with %q", r.method, r.uri, r.auth)
	}
	command(t, []string{"SIDEGATE_TOKEN=t0"}, "check", "a", "b", "--check-url", url, "--token=t1",
		"--room=group", "--room-id=r", "--app=acme", "--at-least=rev")
	if r.uri != "/v1/can-deliver?app=acme&at_least=rev&recipient=b&room=r&room_type=group&sender=a" || r.auth != "Bearer t1" {
		t.Errorf("asked %s with %q", r.uri, r.auth)
	}
}

func TestBlock(t *testing.T) {
	for _, tc := range []struct {
		args       []string
		status     int
		body       string
		want, sent string
	}{
		{nil, 201, `{"owner":"bob","target":"al/ice"}`, "bob now blocks al/ice.", ""},
		{nil, 200, `{"owner":"bob","target":"al/ice"}`, "bob already blocks al/ice.", ""},
		{[]string{"--for=2h"}, 201, `{"expires_at":"2030-01-31T14:00:00Z"}`, "bob now blocks al/ice until 2030-01-31 14:00:00 UTC.", `{"expires_at":"2030-01-31T14:00:00Z"}`},
		{[]string{"--expires-at=2031-01-01T01:00:00+01:00", "--note=rude"}, 200, `{"expires_at":"2031-01-01T00:00:00Z"}`, "bob already blocks al/ice until 2031-01-01 00:00:00 UTC.", `{"expires_at":"2031-01-01T01:00:00+01:00","note":"rude"}`},
		{[]string{"--json"}, 201, `{"revision":"r"}`, `{"revision":"r"}`, ""},
	} {
		r := &reply{status: tc.status, body: tc.body}
		got := command(t, nil, append([]string{"block", "bob", "al/ice", "--api-url", serve(t, r)}, tc.args...)...)
		if got != (outcome{0, tc.want + "\n", ""}) {
			t.Errorf("%v: got %+v, want %q", tc.args, got, tc.want)
		}
		if r.method != "PUT" || r.uri != "/v1/apps/default/users/bob/blocks/al%2Fice" || r.sent != tc.sent {
			t.Errorf("%v: sent %s %s %q, want the body %q", tc.args, r.method, r.uri, r.sent, tc.sent)
		}
		if (r.kind == "application/json") != (tc.sent != "") {
			t.Errorf("%v: content type %q with body %q", tc.args, r.kind, r.sent)
		}
	}
}

func TestUnblock(t *testing.T) {
	r := &reply{status: 200, body: `{"owner":"bob"}`}
	url := serve(t, r)
	if got := command(t, []string{"SIDEGATE_API_URL=" + url}, "unblock", "bob", "alice", "--app=a b"); got != (outcome{0, "bob no longer blocks alice.\n", ""}) {
		t.Errorf("got %+v", got)
	}
	if r.method != "DELETE" || r.uri != "/v1/apps/a%20b/users/bob/blocks/alice" {
		t.Errorf("sent %s %s", r.method, r.uri)
	}
	if got := command(t, nil, "unblock", "bob", "alice", "--json", "--api-url", url); got.stdout != r.body+"\n" {
		t.Errorf("--json: %+v", got)
	}
}

// pages serves a list of n entries, at most perPage a page.
func pages(n, perPage int, asked *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.RawQuery)
		var first, limit int
		_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &first)
		_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
		answer := map[string]any{"total": n}
		blocks := []map[string]any{}
		i := first
		for ; i < n && i < first+min(limit, perPage); i++ {
			blocks = append(blocks, map[string]any{"target": fmt.Sprint("t", i), "created_at": "2030-01-01T00:00:00Z", "expires_at": nil, "note": ""})
		}
		answer["blocks"] = blocks
		if i < n {
			answer["next_cursor"] = fmt.Sprint(i)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func TestListFollowsCursors(t *testing.T) {
	for _, tc := range []struct {
		limit   string
		lines   int
		more    string
		queries int
	}{
		{"0", 5, "", 3}, {"5", 5, "", 3}, {"9", 5, "", 3}, {"3", 3, "… and 2 more; raise --limit.", 2}, {"2", 2, "… and 3 more", 1},
	} {
		var asked []string
		url := serve(t, pages(5, 2, &asked))
		got := command(t, nil, "list", "bob", "--limit", tc.limit, "--api-url", url)
		if n := strings.Count(got.stdout, "2030-01-01 00:00:00 UTC"); got.code != 0 || n != tc.lines || !strings.Contains(got.stdout, tc.more) ||
			!strings.HasPrefix(got.stdout, "bob blocks 5, newest first:\nTARGET  SINCE") {
			t.Errorf("--limit %s: %+v", tc.limit, got)
		}
		if len(asked) != tc.queries {
			t.Errorf("--limit %s asked %q, want %d requests", tc.limit, asked, tc.queries)
		}
		if asJSON := command(t, nil, "list", "bob", "--json", "--limit", tc.limit, "--api-url", url); strings.Count(asJSON.stdout, "\n") != tc.lines {
			t.Errorf("--json --limit %s: %+v", tc.limit, asJSON)
		}
	}
}

func TestListShowsEntries(t *testing.T) {
	r := &reply{status: 200, body: `{"total":2,"blocks":[
		{"target":"al\u202eice","created_at":"2030-01-02T00:00:00+01:00","expires_at":"2030-02-01T00:00:00Z","note":"two\nlines"},
		{"target":"eve","created_at":"2030-01-01T00:00:00Z"}]}`}
	got := command(t, nil, "list", "bob", "--api-url", serve(t, r))
	want := `bob blocks 2, newest first:
TARGET         SINCE                    UNTIL                    NOTE
"al\u202eice"  2030-01-01 23:00:00 UTC  2030-02-01 00:00:00 UTC  "two\nlines"
eve            2030-01-01 00:00:00 UTC
`
	if got.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", got.stdout, want)
	}
	r.body = `{"total":0,"blocks":[]}`
	if got := command(t, nil, "list", "bob", "--api-url", serve(t, r)); got.stdout != "bob blocks nobody.\n" {
		t.Errorf("an empty list: %+v", got)
	}
	// A cursor that leads nowhere must not be followed for ever.
	r.body = `{"total":9,"blocks":[],"next_cursor":"x"}`
	if got := command(t, nil, "list", "bob", "--api-url", serve(t, r)); got.code != 0 {
		t.Errorf("a cursor without entries: %+v", got)
	}
}

func TestStatus(t *testing.T) {
	r := &reply{status: 200, body: `{"sync":{"state":"synced","server":12345678901234567890},"listeners":[{"name":"check"}],"note":"a\u0007b","none":null}`}
	url := serve(t, r)
	got := command(t, nil, "status", "--ops-url", url, "--token=t")
	want := "listeners.1.name: check\nnone: null\nnote: \"a\\ab\"\nsync.server: 12345678901234567890\nsync.state: synced\n"
	if got != (outcome{0, want, ""}) || r.uri != "/v1/status" || r.auth != "Bearer t" {
		t.Errorf("got %+v from %s", got, r.uri)
	}
	if asJSON := command(t, nil, "status", "--json", "--ops-url", url); asJSON.stdout != r.body+"\n" {
		t.Errorf("--json: %+v", asJSON)
	}
}

func TestHealthcheck(t *testing.T) {
	r := &reply{status: 200, body: "ok\n"}
	url := serve(t, r)
	for _, probe := range []string{"livez", "readyz", "startupz"} {
		if got := command(t, nil, "healthcheck", "--ops-url", url, "--probe", probe); got != (outcome{0, probe + ": ok\n", ""}) || r.uri != "/"+probe {
			t.Errorf("%s: %+v, asked %s", probe, got, r.uri)
		}
	}
	r.status, r.body = 503, `{"title":"The process is not ready","detail":"sync: no poll yet","code":"not_ready"}`
	got := command(t, nil, "healthcheck", "--ops-url", url)
	if got.code != exitUnreachable || !strings.Contains(got.stderr, "readyz: The process is not ready: sync: no poll yet (not_ready, HTTP 503)") {
		t.Errorf("not ready: %+v", got)
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		code   int
		want   string
	}{
		{400, `{"title":"Bad id","detail":"empty","code":"invalid_user_id"}`, exitUsage, "sidegate: Bad id: empty (invalid_user_id, HTTP 400)\n"},
		{401, `{"title":"No token","code":"unauthenticated"}`, exitUsage, "sidegate: No token (unauthenticated, HTTP 401); give a token with SIDEGATE_TOKEN or --token\n"},
		{404, `{"title":"Unknown app","code":"unknown_app"}`, exitUsage, "unknown_app"},
		{409, `{"title":"Full","code":"limit_exceeded"}`, exitStore, "limit_exceeded"},
		{503, `{"title":"Unknown","code":"unknown"}`, exitStore, "(unknown, HTTP 503)"},
		{503, `{"title":"\u001b[31mred","code":"unknown"}`, exitStore, `"\x1b[31mred"`},
		{502, `<html>bad gateway</html>`, exitUnreachable, "is not sidegate: 502 Bad Gateway"},
		{302, ``, exitUnreachable, "is not sidegate: 302 Found"},
		{404, `{}`, exitUnreachable, "is not sidegate: 404 Not Found"},
		{200, `<html>hello</html>`, exitUnreachable, "is not sidegate: invalid character"},
	} {
		r := &reply{status: tc.status, body: tc.body}
		url := serve(t, r)
		for _, args := range [][]string{
			{"check", "alice", "bob", "--check-url", url}, {"block", "alice", "bob", "--api-url", url},
			{"list", "alice", "--api-url", url}, {"status", "--ops-url", url},
		} {
			got := command(t, nil, args...)
			if got.code != tc.code || !strings.Contains(got.stderr, tc.want) || got.stdout != "" {
				t.Errorf("%s: %+v\nwant code %d and %q", args[0], got, tc.code, tc.want)
			}
		}
	}
}

// TestSocket: every client reaches a Unix socket, by URL and by configuration.
func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "sg") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: &reply{status: 200, body: `{"deliver":true,"notify":true,"reason":"allowed"}`}}}
	s.Start()
	t.Cleanup(s.Close)
	const want = "Delivered: nothing stands against it.\n"
	if got := command(t, nil, "check", "a", "b", "--check-url", "unix://"+path); got.stdout != want {
		t.Errorf("by URL: %+v", got)
	}
	if got := command(t, []string{"SIDEGATE_CHECK_LISTEN=unix://" + path + "?mode=0660"}, "check", "a", "b"); got.stdout != want {
		t.Errorf("by configuration: %+v", got)
	}
	if got := command(t, nil, "check", "a", "b", "--check-url", "unix://"+path+"x"); got.code != exitUnreachable {
		t.Errorf("a socket that is not there: %+v", got)
	}
}

func TestAddressFromConfiguration(t *testing.T) {
	s := httptest.NewServer(&reply{status: 200, body: `{"deliver":true,"notify":true,"reason":"allowed"}`})
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{"127.0.0.1:" + port, ":" + port, "0.0.0.0:" + port, "localhost:" + port + ",127.0.0.1:1"} {
		if got := command(t, []string{"SIDEGATE_CHECK_LISTEN=" + listen}, "check", "a", "b"); got.code != 0 {
			t.Errorf("check.listen %s: %+v", listen, got)
		}
	}
	for listen, want := range map[string]string{
		"":            "check.listen is empty, so this sidegate has no check listener; give --check-url",
		"127.0.0.1:0": "check.listen leaves the port to the system; give --check-url",
		"nonsense":    "is not an address",
	} {
		if got := command(t, []string{"SIDEGATE_CHECK_LISTEN=" + listen}, "check", "a", "b"); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("check.listen %q: %+v\nwant %q", listen, got, want)
		}
	}
}

// TestUnreachable: the message names the address, and no user.
func TestUnreachable(t *testing.T) {
	for _, args := range [][]string{
		{"check", "alice", "bob", "--check-url=http://127.0.0.1:1"}, {"block", "alice", "bob", "--api-url=http://127.0.0.1:1"},
		{"unblock", "alice", "bob", "--api-url=http://127.0.0.1:1"}, {"list", "alice", "--api-url=http://127.0.0.1:1"},
		{"status", "--ops-url=http://127.0.0.1:1"}, {"healthcheck", "--ops-url=http://127.0.0.1:1"},
	} {
		got := command(t, nil, args...)
		if got.code != exitUnreachable || !strings.Contains(got.stderr, "no sidegate answers at http://127.0.0.1:1: ") || strings.Contains(got.stderr, "alice") {
			t.Errorf("%s: %+v", args[0], got)
		}
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) }) // before the server is closed: it waits for its handlers
	if got := command(t, nil, "check", "a", "b", "--timeout=1ms", "--check-url", url); got.code != exitUnreachable {
		t.Errorf("a server that does not answer: %+v", got)
	}
}
