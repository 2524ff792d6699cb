package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

var (
	noon     = time.Date(2031, 1, 31, 12, 0, 0, 123456000, time.FixedZone("", 3600))
	bobsList = filter.ListID{App: "default", Kind: cache.KindBlock, Owner: "bob"}
	token    = filter.NewRevision(primary, bobsList, 7)
)

const (
	bobsPath = "/v1/apps/default/users/bob/blocks"
	entry    = `{"owner":"bob","target":"alice","created_at":"2031-01-31T11:00:00.123456Z","expires_at":null,"note":""`
	ending   = `{"owner":"bob","target":"alice","created_at":"2031-01-31T11:00:00.123456Z","expires_at":"2031-01-31T11:00:00.123456Z","note":"n<&>"`
)

func TestPut(t *testing.T) {
	var got filter.BlockRequest
	created := true
	lists := &fakeLists{block: func(_ context.Context, req filter.BlockRequest) (filter.BlockResult, error) {
		got = req
		return filter.BlockResult{
			Block:   filter.Block{Owner: req.List.Owner, Target: req.Target, CreatedAt: noon, ExpiresAt: req.ExpiresAt, Note: req.Note},
			Created: created, Revision: token,
		}, nil
	}}
	r := runAPI(t, lists, Options{Auth: tokens()})
	put := func(body string) answer {
		return r.ask("PUT", bobsPath+"/alice", body, "Authorization", "Bearer all")
	}
	a := put("")
	if a.status != 201 || a.body != entry+`,"revision":"`+token.String()+`"}` || a.header.Get("Sidegate-Revision") != token.String() ||
		a.header.Get("Content-Type") != "application/json" {
		t.Errorf("PUT = %d %v %s", a.status, a.header, a.body)
	}
	want := filter.BlockRequest{List: bobsList, Addition: filter.Addition{Target: "alice", Keep: true}, Source: "native", Actor: "server"}
	if got != want {
		t.Errorf("without a body: asked for %+v, want %+v", got, want)
	}
	created = false
	if a := put(""); a.status != 200 {
		t.Errorf("blocked already = %d %s", a.status, a.body)
	}
	for body, want := range map[string]filter.Addition{
		`{}`:                              {},
		`{"expires_at":null,"note":null}`: {},
		`{"note":"why"}`:                  {Note: "why"},
		`{"note":""}`:                     {},
		`{"expires_at":"2031-01-31T12:00:00.123456+01:00"}`:           {ExpiresAt: noon},
		` {"note" : "a\nb" , "expires_at":"2031-01-31T11:00:00Z"} `:   {Note: "a\nb", ExpiresAt: time.Date(2031, 1, 31, 11, 0, 0, 0, time.UTC)},
		`{"note":"` + strings.Repeat("\\u0041", 100_000/6) + `"}`:     {Note: strings.Repeat("A", 100_000/6)},
		`{"note":"\ud83d\ude00","expires_at":"2031-01-31T11:00:00Z"}`: {Note: "😀", ExpiresAt: time.Date(2031, 1, 31, 11, 0, 0, 0, time.UTC)},
	} {
		want.Target = "alice"
		if a := put(body); a.status != 200 {
			t.Errorf("%.60s = %d %s", body, a.status, a.body)
		}
		if !got.ExpiresAt.Equal(want.ExpiresAt) || got.Note != want.Note || got.Keep || got.Target != want.Target {
			t.Errorf("%.60s: asked for %+v, want %+v", body, got.Addition, want)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	r := runAPI(t, &fakeLists{}, Options{}) // the service must not even be asked
	for _, c := range []struct {
		body, code, says string
		status           int
	}{
		{`[]`, "invalid_json", "expected a JSON object", 400},
		{`{"expires":"x"}`, "unknown_field", "known are expires_at, note", 400},
		{`{"note":1}`, "invalid_json", "expected a string or null", 400},
		{`{"note":"a","note":"b"}`, "invalid_json", "given twice", 400},
		{`{"expires_at":null,"expires_at":null}`, "invalid_json", "given twice", 400},
		{`{"note":nul}`, "invalid_json", "expected null", 400},
		{`{} {}`, "invalid_json", "nothing after", 400},
		{`{"expires_at":"tomorrow"}`, "invalid_expiry", "RFC 3339", 400},
		{`{"expires_at":""}`, "invalid_expiry", "RFC 3339", 400},
		{`{"expires_at":"2031-01-31"}`, "invalid_expiry", "RFC 3339", 400},
		{`{"expires_at":"0001-01-01T00:00:00Z"}`, "invalid_expiry", "past", 400},
		{`{"expires_at":1700000000}`, "invalid_json", "is a number; expected a string or null", 400},
		{`{"note":"` + strings.Repeat("x", listLimit) + `"}`, "too_large", "more than this path takes", 413},
	} {
		a := r.ask("PUT", bobsPath+"/alice", c.body)
		if a.status != c.status || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%.60s = %d %s, want %d %s", c.body, a.status, a.body, c.status, c.code)
		}
	}
	if a := r.ask("PUT", bobsPath+"/alice", `{}`, "Content-Type", "text/plain"); a.status != 415 {
		t.Errorf("text/plain = %d %s", a.status, a.body)
	}
	if a := r.ask("PUT", bobsPath+"/alice?expires_at=x", ""); a.status != 400 || a.code(t) != "unknown_parameter" {
		t.Errorf("a parameter = %d %s", a.status, a.body)
	}
	if a := r.ask("PUT", bobsPath, "{}"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("PUT of a list = %d %s", a.status, a.body)
	}
	if a := r.ask("POST", bobsPath+"/alice", "{}"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD, PUT, DELETE" {
		t.Errorf("POST of an entry = %d %v", a.status, a.header)
	}
}

func TestDelete(t *testing.T) {
	var got filter.UnblockRequest
	lists := &fakeLists{unblock: func(_ context.Context, req filter.UnblockRequest) (filter.UnblockResult, error) {
		got = req
		if req.Target != "alice" {
			return filter.UnblockResult{}, filter.Errorf(filter.CodeBlockNotFound, "the target is not on this list")
		}
		return filter.UnblockResult{Block: filter.Block{Owner: "bob", Target: "alice", CreatedAt: noon}, Revision: token}, nil
	}}
	r := runAPI(t, lists, Options{})
	a := r.ask("DELETE", bobsPath+"/alice", "")
	if a.status != 200 || a.body != entry+`,"revision":"`+token.String()+`"}` || a.header.Get("Sidegate-Revision") != token.String() {
		t.Errorf("DELETE = %d %v %s", a.status, a.header, a.body)
	}
	if want := (filter.UnblockRequest{List: bobsList, Target: "alice", Source: "native"}); got != want {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	if a := r.ask("DELETE", bobsPath+"/carol", ""); a.status != 404 || a.code(t) != "block_not_found" {
		t.Errorf("an absent entry = %d %s", a.status, a.body)
	}
	if a := r.ask("DELETE", bobsPath+"/alice", "{}"); a.status != 400 || a.code(t) != "unexpected_body" {
		t.Errorf("with a body = %d %s", a.status, a.body)
	}
}

func TestGetEntry(t *testing.T) {
	lists := &fakeLists{get: func(_ context.Context, list filter.ListID, target string) (filter.Block, error) {
		if list != bobsList || target != "alice" {
			return filter.Block{}, filter.Errorf(filter.CodeBlockNotFound, "the target is not on this list")
		}
		return filter.Block{Owner: "bob", Target: "alice", CreatedAt: noon, ExpiresAt: noon, Note: "n<&>"}, nil
	}}
	r := runAPI(t, lists, Options{})
	want := strings.NewReplacer("<", `\u003c`, "&", `\u0026`, ">", `\u003e`).Replace(ending) + "}"
	if a := r.get(bobsPath + "/alice"); a.status != 200 || a.body != want {
		t.Errorf("GET = %d %s, want %s", a.status, a.body, want)
	}
	if a := r.get(bobsPath + "/carol"); a.status != 404 || a.code(t) != "block_not_found" {
		t.Errorf("an absent entry = %d %s", a.status, a.body)
	}
}

// TestIDsInPaths: an id may hold anything, and is decoded after the split.
func TestIDsInPaths(t *testing.T) {
	var list filter.ListID
	var target string
	lists := &fakeLists{get: func(_ context.Context, l filter.ListID, tg string) (filter.Block, error) {
		list, target = l, tg
		return filter.Block{}, nil
	}}
	r := runAPI(t, lists, Options{})
	for escaped, id := range map[string]string{
		"plain": "plain", "a%2Fb": "a/b", "a%2fb": "a/b", "%2F": "/", "a+b": "a+b", "a%2Bb": "a+b", "a%20b": "a b",
		"100%25": "100%", "a%3Fb": "a?b", "a%23b": "a#b", "%C3%BC": "ü", "ü": "ü", "%2561": "%61", "a:b@c,;=": "a:b@c,;=",
		"...": "...", ".a": ".a", "%E2%80%AEx": "\u202ex", "blocks": "blocks",
		strings.Repeat("%41", 256): strings.Repeat("A", 256),
	} {
		list, target = filter.ListID{}, ""
		a := r.get("/v1/apps/default/users/" + escaped + "/blocks/" + escaped)
		if a.status != 200 || list.Owner != id || target != id || list.App != "default" || list.Kind != cache.KindBlock {
			t.Errorf("%.40s = %d %s: owner %q, target %q, want %q", escaped, a.status, a.body, list.Owner, target, id)
		}
	}
}

func TestBadPaths(t *testing.T) {
	r := runAPI(t, &fakeLists{get: func(context.Context, filter.ListID, string) (filter.Block, error) {
		return filter.Block{}, errors.New("must not be asked")
	}}, Options{})
	for _, c := range []struct {
		path, code, says string
		status           int
	}{
		{"/v1/apps/default/users/./blocks/b", "invalid_user_id", "cannot travel in a path", 400},
		{"/v1/apps/default/users/../blocks/b", "invalid_user_id", "owner is \\\"..\\\"", 400},
		{"/v1/apps/default/users/a/blocks/%2e%2E", "invalid_user_id", "target is \\\"..\\\"", 400},
		{"/v1/apps/default/users/a/blocks/%2", "invalid_user_id", "target has a malformed percent-escape", 400},
		{"/v1/apps/default/users/%gg/blocks/b", "invalid_user_id", "owner has a malformed", 400},
		{"/v1/apps/%/users/a/blocks/b", "invalid_user_id", "app has a malformed", 400},
		{"/v1/apps/default/users/a/blocks/b/c", "not_found", "", 404},
		{"/v1/apps/default/users/a/b/blocks/c", "not_found", "", 404},
		{"/v1/apps/default/users/a/block/c", "not_found", "", 404},
		{"/v1/apps/default/users/a/blocks:match", "not_found", "", 404},
		{"/v1/apps/default/users/a/blocks%3Abatch", "not_found", "", 404},
		{"/v1/apps/default/users/a/bl%6Fcks/c", "not_found", "", 404},
		{"//v1/apps/default/users/a/blocks/c", "not_found", "", 404},
		{"/v1//apps/default/users/a/blocks/c", "not_found", "", 404},
		{"/v1/apps", "not_found", "", 404},
	} {
		a := r.get(c.path)
		if a.status != c.status || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%s = %d %s, want %d %s", c.path, a.status, a.body, c.status, c.code)
		}
	}
}

// TestStoreErrors: what a client may see of trouble behind us, and what only the
// log may.
func TestStoreErrors(t *testing.T) {
	var fail error
	lists := &fakeLists{block: func(context.Context, filter.BlockRequest) (filter.BlockResult, error) {
		return filter.BlockResult{}, fail
	}}
	r := runAPI(t, lists, Options{})
	secret := errors.New(`pq: duplicate key "owner"=(bob)`)
	for _, c := range []struct {
		err        error
		status     int
		code, body string
		retry      bool
	}{
		{&filter.Error{Code: filter.CodeLimitExceeded, Detail: "full", Limit: 3000, Size: 2999, Err: secret}, 409, "limit_exceeded", `"limit":3000,"size":2999`, false},
		{&filter.Error{Code: filter.CodeStoreUnavailable, Detail: "down", Err: secret}, 503, "store_unavailable", `"detail":"down"`, true},
		{&filter.Error{Code: filter.CodeOutcomeUnknown, Detail: "lost", Err: secret}, 503, "outcome_unknown", `"detail":"lost"`, true},
		{filter.Errorf(filter.CodeSelfBlock, "same"), 400, "self_block", `"detail":"same"`, false},
		{filter.Errorf(filter.CodeUnknownApp, "which"), 404, "unknown_app", `"detail":"which"`, false},
		{filter.Errorf("never_heard_of", "%v", secret), 500, "internal", "of ours", false},
		{secret, 500, "internal", "of ours", false},
	} {
		fail = errors.Join(errors.New("edit a list"), c.err)
		a := r.ask("PUT", bobsPath+"/alice", "")
		if a.status != c.status || a.code(t) != c.code || !strings.Contains(a.body, c.body) || (a.header.Get("Retry-After") == "1") != c.retry {
			t.Errorf("%v = %d %v %s", c.err, a.status, a.header, a.body)
		}
		if strings.Contains(a.body, "pq:") {
			t.Errorf("%v: the text of the database reached the client: %s", c.err, a.body)
		}
	}
	if log := r.log.String(); !strings.Contains(log, "duplicate key") || !strings.Contains(log, "level=ERROR") || strings.Contains(log, "/users/bob") {
		t.Errorf("the log is %s", log)
	}
}

// TestPanicIsAnswered: fasthttp would let it end the process.
func TestPanicIsAnswered(t *testing.T) {
	lists := &fakeLists{block: func(context.Context, filter.BlockRequest) (filter.BlockResult, error) { panic("boom") }}
	r := runAPI(t, lists, Options{})
	a := r.ask("PUT", bobsPath+"/alice", "")
	if a.status != 500 || a.code(t) != "internal" || !a.closes || strings.Contains(a.body, "boom") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if log := r.log.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "blocks_test.go") {
		t.Errorf("the log does not show where: %s", log)
	}
	if a := r.ask("PUT", bobsPath, ""); a.status != 405 {
		t.Errorf("the next request = %d", a.status)
	}
}
