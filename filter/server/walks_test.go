package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

const (
	bobIsBlockedPath = "/v1/apps/default/users/bob/blocked-by"
	bobsHistoryPath  = "/v1/apps/default/users/bob/history"
)

func TestBlockedBy(t *testing.T) {
	var got filter.BlockedByRequest
	result := filter.BlockedByResult{
		Blocks: []filter.Block{
			{Owner: "alice", Target: "bob", CreatedAt: noon, ExpiresAt: noon, Note: "n"},
			{Owner: "carol", Target: "bob", CreatedAt: noon},
		},
		Next: "next",
	}
	r := runAPI(t, &fakeLists{blockedBy: func(_ context.Context, req filter.BlockedByRequest) (filter.BlockedByResult, error) {
		got = req
		return result, nil
	}}, Options{})
	const want = `{"blocks":[` +
		`{"owner":"alice","target":"bob","created_at":"2031-01-31T11:00:00.123456Z","expires_at":"2031-01-31T11:00:00.123456Z","note":"n"},` +
		`{"owner":"carol","target":"bob","created_at":"2031-01-31T11:00:00.123456Z","expires_at":null,"note":""}],"next_cursor":"next"}`
	if a := r.get(bobIsBlockedPath); a.status != 200 || a.body != want || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if got != (filter.BlockedByRequest{App: "default", Kind: cache.KindBlock, Target: "bob"}) {
		t.Errorf("asked for %+v", got)
	}
	r.get(bobIsBlockedPath + "?limit=1000&cursor=a%2Bb")
	if got != (filter.BlockedByRequest{App: "default", Target: "bob", Limit: 1000, Cursor: "a+b"}) {
		t.Errorf("asked for %+v", got)
	}
	result = filter.BlockedByResult{}
	if a := r.get(bobIsBlockedPath); a.body != `{"blocks":[],"next_cursor":""}` {
		t.Errorf("nobody is %s", a.body)
	}
}

func TestHistory(t *testing.T) {
	var got filter.HistoryRequest
	result := filter.HistoryResult{
		Intervals: []filter.Interval{
			{Owner: "bob", Target: "alice", BlockedAt: noon, Source: "native", Actor: "secret-name", Note: "n"},
			{
				Owner: "bob", Target: "carol", BlockedAt: noon, UnblockedAt: noon.Add(time.Second), ExpiresAt: noon.Add(time.Hour),
				Source: "sql", EndedSource: "native", EndedActor: "secret-name",
			},
		},
		Next: "next",
	}
	r := runAPI(t, &fakeLists{history: func(_ context.Context, req filter.HistoryRequest) (filter.HistoryResult, error) {
		got = req
		return result, nil
	}}, Options{})
	const want = `{"intervals":[` +
		`{"owner":"bob","target":"alice","blocked_at":"2031-01-31T11:00:00.123456Z","unblocked_at":null,"expires_at":null,` +
		`"source":"native","ended_source":null,"note":"n"},` +
		`{"owner":"bob","target":"carol","blocked_at":"2031-01-31T11:00:00.123456Z","unblocked_at":"2031-01-31T11:00:01.123456Z",` +
		`"expires_at":"2031-01-31T12:00:00.123456Z","source":"sql","ended_source":"native","note":""}],"next_cursor":"next"}`
	if a := r.get(bobsHistoryPath); a.status != 200 || a.body != want || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if got != (filter.HistoryRequest{List: bobsList}) {
		t.Errorf("asked for %+v", got)
	}
	r.get(bobsHistoryPath + "?target=a%2F+b&limit=7&cursor=c")
	if got != (filter.HistoryRequest{List: bobsList, Target: "a/ b", Limit: 7, Cursor: "c"}) {
		t.Errorf("asked for %+v", got)
	}
	result = filter.HistoryResult{}
	if a := r.get(bobsHistoryPath); a.body != `{"intervals":[],"next_cursor":""}` {
		t.Errorf("no history is %s", a.body)
	}
}

func TestWalksRefuse(t *testing.T) {
	r := runAPI(t, &fakeLists{}, Options{}) // the service must not even be asked
	for _, c := range []struct{ target, code, says string }{
		{bobIsBlockedPath + "?limit=0", "invalid_limit", "from 1 to 1000"},
		{bobIsBlockedPath + "?limit=1001", "invalid_limit", "from 1 to 1000"},
		{bobIsBlockedPath + "?target=alice", "unknown_parameter", "the parameters are limit and cursor"},
		{bobIsBlockedPath + "?cursor=a&cursor=b", "unknown_parameter", "given twice"},
		{bobsHistoryPath + "?limit=-1", "invalid_limit", "from 1 to 1000"},
		{bobsHistoryPath + "?target=a&target=b", "unknown_parameter", "given twice"},
		{bobsHistoryPath + "?Target=a", "unknown_parameter", "the parameters are target, limit and cursor"},
		{bobsHistoryPath + "?target=", "invalid_user_id", "leave it out"},
		{bobsHistoryPath + "?target", "invalid_user_id", "leave it out"},
		{bobsHistoryPath + "?target=%f", "invalid_parameter", "malformed"},
		{bobsPath + "?target=a", "unknown_parameter", "the parameters are limit and cursor"},
	} {
		if a := r.get(c.target); a.status != 400 || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%s = %d %s, want 400 %s", c.target, a.status, a.body, c.code)
		}
	}
	for _, target := range []string{bobIsBlockedPath, bobsHistoryPath} {
		if a := r.ask("POST", target, "{}"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s = %d %v", target, a.status, a.header)
		}
		if a := r.get(target + "/x"); a.status != 404 || a.code(t) != "not_found" {
			t.Errorf("%s/x = %d %s", target, a.status, a.body)
		}
	}
}

// TestWhoMayWalk: who blocks a user is for staff and for the app's server, never
// for users, themselves included; the intervals of a list are for its user too.
// A batch is a write: staff may not.
func TestWhoMayWalk(t *testing.T) {
	r := runAPI(t, calm(), Options{Auth: crowd()})
	for target, allowed := range map[string]string{
		"/v1/apps/acme/users/bob/blocked-by":    "acme support everything",
		"/v1/apps/umbra/users/bob/blocked-by":   "umbra everything",
		"/v1/apps/acme/users/bob/history":       "bob acme support everything",
		"/v1/apps/umbra/users/bob/history":      "umbra-bob umbra everything",
		"/v1/apps/acme/users/bob/blocks:batch":  "bob acme everything",
		"/v1/apps/umbra/users/bob/blocks:batch": "umbra-bob umbra everything",
	} {
		for secret := range crowd().(people) {
			method, body := "GET", ""
			if strings.HasSuffix(target, ":batch") {
				method, body = "POST", "{}"
			}
			want := 403
			for _, name := range strings.Fields(allowed) {
				if name == secret {
					want = 200
				}
			}
			if a := r.ask(method, target, body, "Authorization", "Bearer "+secret); a.status != want {
				t.Errorf("%s: %s %s = %d %s, want %d", secret, method, target, a.status, a.body, want)
			}
		}
		if a := r.get(target); a.status != 401 {
			t.Errorf("%s without a credential = %d", target, a.status)
		}
	}
}

// TestStaffWalksAreLogged: a look at other people's lists is remembered with the
// name of the credential, without a user id.
func TestStaffWalksAreLogged(t *testing.T) {
	r := runAPI(t, calm(), Options{Auth: people{
		"support": {Name: "support", Apps: []string{"acme"}, Scopes: border.ScopeStaff},
		"server":  {Name: "server", Apps: []string{"acme"}, Scopes: border.ScopeApp},
	}})
	for _, path := range []string{"blocked-by", "history"} {
		for _, secret := range []string{"support", "server"} {
			if a := r.get("/v1/apps/acme/users/hidden/"+path, "Authorization", "Bearer "+secret); a.status != 200 {
				t.Fatalf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	r.stop()
	text := r.log.String()
	for _, path := range []string{"blocked-by", "history"} {
		if !strings.Contains(text, `msg="staff read" token=support route=/v1/apps/{app}/users/{owner}/`+path) {
			t.Errorf("%s by staff is not in the log:\n%s", path, text)
		}
	}
	if strings.Contains(text, "token=server") || strings.Contains(text, "hidden") {
		t.Errorf("the log says too much:\n%s", text)
	}
}
