package imkit

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// TestUnauthorized: whatever is wrong with who asks is the one answer, at every
// call, before anything is looked up.
func TestUnauthorized(t *testing.T) {
	w := newWorld(t)
	calls := []struct{ method, target string }{
		{"POST", "/blockStatus/my/ccc"}, {"DELETE", "/blockStatus/my/ccc"}, {"GET", "/blockStatus/my"}, {"POST", "/blockStatus/my/%00"},
		{"POST", "/blockStatus/room/r1/ccc"}, {"DELETE", "/blockStatus/room/r1/ccc"}, {"GET", "/blockStatus/room/r1"},
	}
	for name, header := range map[string][]string{
		"nothing":                            nil,
		"a client key alone":                 {"IM-CLIENT-KEY", "ck1"},
		"a token alone":                      {"IM-Authorization", "of aaa owning r1"},
		"an unknown client key":              {"IM-CLIENT-KEY", "ck9", "IM-Authorization", "of aaa"},
		"a client key in another case":       {"IM-CLIENT-KEY", "CK1", "IM-Authorization", "of aaa"},
		"a piece of a client key":            {"IM-CLIENT-KEY", "ck", "IM-Authorization", "of aaa"},
		"an empty client key":                {"IM-CLIENT-KEY", "", "IM-Authorization", "of aaa"},
		"a token that is not good":           {"IM-CLIENT-KEY", "ck1", "IM-Authorization", "forged"},
		"an empty token":                     {"IM-CLIENT-KEY", "ck1", "IM-Authorization", ""},
		"a token with nothing but Bearer":    {"IM-CLIENT-KEY", "ck1", "IM-Authorization", "Bearer"},
		"a token by another header":          {"IM-CLIENT-KEY", "ck1", "Authorization", "Bearer of aaa"},
		"an API key as client key":           {"IM-CLIENT-KEY", "admin1", "IM-Authorization", "of aaa"},
		"a client key as API key":            {"IM-API-KEY", "ck1"},
		"an unknown API key":                 {"IM-API-KEY", "admin9"},
		"an unknown API key with a user":     {"IM-API-KEY", "admin9", "IM-CLIENT-KEY", "ck1", "IM-Authorization", "of aaa"},
		"an API key of another app":          {"IM-API-KEY", "admin3", "IM-CLIENT-KEY", "ck1", "IM-Authorization", "of aaa"},
		"an API key with a bad token":        {"IM-API-KEY", "admin1", "IM-Authorization", "forged"},
		"an API key with a bad client key":   {"IM-API-KEY", "admin1", "IM-CLIENT-KEY", "ck9"},
		"two client keys":                    {"IM-CLIENT-KEY", "ck1", "IM-CLIENT-KEY", "ck3", "IM-Authorization", "of aaa"},
		"two tokens":                         {"IM-CLIENT-KEY", "ck1", "IM-Authorization", "of aaa", "IM-Authorization", "of bbb"},
		"two API keys, of which one is good": {"IM-API-KEY", "admin1", "IM-API-KEY", "x"},
	} {
		for _, c := range calls {
			a := w.ask(c.method, c.target, header...)
			if a.body != `{"RC":401,"RM":"Unauthorized","error":{"code":"INVALID_TOKEN","message":"Invalid or expired token"}}` || a.status != 401 {
				t.Errorf("%s: %s %s = %v", name, c.method, c.target, a)
			}
		}
	}
	for _, call := range w.calls {
		if call != "verify" {
			t.Errorf("nobody had asked and there was %s", call)
		}
	}
	if w.log.String() != "" {
		t.Errorf("logged: %s", w.log)
	}
}

// TestNoVerifier: an app that has no way to know its users lets none in.
func TestNoVerifier(t *testing.T) {
	w := newWorld(t, func(a *App) { a.Tokens = nil })
	w.ask("GET", "/blockStatus/my", asAAA...).refuses(t, 401, "INVALID_TOKEN")
	if a := w.ask("GET", "/blockStatus/room/r1", asAdmin...); a.status != 200 {
		t.Errorf("%v", a)
	}
}

// TestVerifierAway: that a token could not be checked says nothing about it.
func TestVerifierAway(t *testing.T) {
	w := newWorld(t)
	w.broken["verify"] = errors.New("connection refused")
	w.ask("GET", "/blockStatus/my", asAAA...).gives(t, 503,
		`{"RC":503,"RM":"Service unavailable","error":{"code":"SERVICE_UNAVAILABLE","message":"The service cannot answer at the moment; try again"}}`)
	if logged := w.log.String(); !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, "connection refused") || strings.Contains(logged, "of aaa") {
		t.Errorf("logged: %s", logged)
	}
}

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		method, target, call string
		status               int
		allow                string
	}{
		{"GET", "/blockStatus/", "", 404, ""},
		{"GET", "/blockStatus/My", "", 404, ""},
		{"GET", "/blockStatus/m%79", "", 404, ""},
		{"GET", "/blockStatus//my", "", 404, ""},
		{"POST", "/blockStatus/my/a/b", "", 404, ""},
		{"GET", "/blockStatus/room", "", 404, ""},
		{"POST", "/blockStatus/room/r/u/x", "", 404, ""},
		{"POST", "/blockStatus/my", "/blockStatus/my", 405, "GET, HEAD"},
		{"GET", "/blockStatus/my/ccc", "/blockStatus/my/{blockee}", 405, "POST, DELETE"},
		{"PUT", "/blockStatus/my/ccc", "/blockStatus/my/{blockee}", 405, "POST, DELETE"},
		{"PATCH", "/blockStatus/room/r1", "/blockStatus/room/{roomID}", 405, "GET, HEAD"},
		{"GET", "/blockStatus/room/r1/ccc", "/blockStatus/room/{roomID}/{blockee}", 405, "POST, DELETE"},
		{"GET", "/blockStatus/my?x=/y", "/blockStatus/my", 200, ""},
		{"HEAD", "/blockStatus/my", "/blockStatus/my", 200, ""},
		{"GET", "http://host/blockStatus/my?x", "/blockStatus/my", 200, ""},
		{"GET", "http://host", "", 404, ""},
	} {
		a := w.ask(c.method, c.target, asAAA...)
		if a.call != c.call || a.status != c.status || string(a.header.Peek("Allow")) != c.allow {
			t.Errorf("%s %s = %q, %v, Allow %q", c.method, c.target, a.call, a, a.header.Peek("Allow"))
		}
		switch c.status {
		case 404:
			a.refuses(t, 404, "NOT_FOUND")
		case 405:
			a.refuses(t, 405, "METHOD_NOT_ALLOWED")
		}
	}
}

func TestOwns(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]bool{
		"/blockStatus/my": true, "/blockStatus/": true, "/blockStatus/x/y": true,
		"/blockStatus": false, "/blockstatus/my": false, "/blockStatusX/my": false, "/v1/apps/blockStatus/": false, "": false, "/": false,
	} {
		if got := w.surface.Owns([]byte(path)); got != want {
			t.Errorf("Owns(%q) = %v", path, got)
		}
		// The table of paths sends those who ask another listener here.
		if door, ok := border.DoorOf(path); want && (!ok || door != border.DoorAPI) {
			t.Errorf("%q belongs to %q", path, door)
		}
	}
	if w.surface.Name() != "imkit" {
		t.Error(w.surface.Name())
	}
}

// TestCORS: pages of the configured origins may read answers of every kind, all
// others none, and nobody is ever asked for cookies.
func TestCORS(t *testing.T) {
	w := newWorld(t)
	const acme, umbra = "https://acme.example", "https://umbra.example"
	for _, c := range []struct {
		name, method, target, origin string
		as                           []string
		shared                       bool
	}{
		{"an answer", "GET", "/blockStatus/my", acme, asAAA, true},
		{"an error", "DELETE", "/blockStatus/my/ccc", acme, asAAA, true},
		{"a bad token", "GET", "/blockStatus/my", acme, []string{"IM-CLIENT-KEY", "ck1", "IM-Authorization", "x"}, true},
		{"no key", "GET", "/blockStatus/my", acme, nil, true},
		{"no key, another app's origin", "GET", "/blockStatus/my", umbra, nil, true},
		{"nothing there", "GET", "/blockStatus/x", acme, asAAA, true},
		{"another method", "PUT", "/blockStatus/my", acme, asAAA, true},
		{"an origin of another app", "GET", "/blockStatus/my", umbra, asAAA, false},
		{"an origin of another app, a bad token", "GET", "/blockStatus/my", umbra, []string{"IM-CLIENT-KEY", "ck1", "IM-Authorization", "x"}, false},
		{"no origin", "GET", "/blockStatus/my", "", asAAA, false},
		{"an origin that contains it", "GET", "/blockStatus/my", acme + ".evil", asAAA, false},
		{"its http", "GET", "/blockStatus/my", "http://acme.example", asAAA, false},
		{"its port", "GET", "/blockStatus/my", acme + ":8443", asAAA, false},
		{"its capitals", "GET", "/blockStatus/my", "https://Acme.example", asAAA, false},
		{"a star", "GET", "/blockStatus/my", "*", asAAA, false},
		{"null", "GET", "/blockStatus/my", "null", asAAA, false},
		{"a preflight", "OPTIONS", "/blockStatus/my/ccc", acme, nil, true},
		{"a preflight of another app", "OPTIONS", "/blockStatus/my/ccc", umbra, nil, true},
		{"a preflight where nothing is", "OPTIONS", "/blockStatus/x", acme, nil, true},
		{"a preflight of a stranger", "OPTIONS", "/blockStatus/my/ccc", "https://evil.example", nil, false},
	} {
		header := append([]string{"Origin", c.origin}, c.as...)
		if c.origin == "" {
			header = c.as
		}
		a := w.ask(c.method, c.target, header...)
		want := map[string]string{"Vary": "Origin"}
		if c.shared {
			want["Access-Control-Allow-Origin"] = c.origin
		}
		if c.method == "OPTIONS" {
			if a.status != 204 || a.body != "" {
				t.Errorf("%s: %v", c.name, a)
			}
			if c.shared {
				want["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
				want["Access-Control-Allow-Headers"] = "IM-CLIENT-KEY, IM-Authorization, IM-API-KEY, Content-Type"
				want["Access-Control-Max-Age"] = "600"
			}
		}
		for _, name := range []string{
			"Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
			"Access-Control-Max-Age", "Access-Control-Allow-Credentials",
		} {
			if got := string(a.header.Peek(name)); got != want[name] {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want[name])
			}
		}
	}
	for _, call := range w.calls {
		if strings.HasPrefix(call, "block") {
			t.Errorf("a preflight did %s", call)
		}
	}
}

// TestFail: the listener's own problems have the vendor's form.
func TestFail(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		problem border.Problem
		status  int
		body    string
	}{
		{border.Problemf(border.CodeTooLarge, "the body has 9 bytes"), 413,
			`{"RC":413,"RM":"Request Entity Too Large","error":{"code":"TOO_LARGE","message":"the body has 9 bytes"}}`},
		{border.Problemf(border.CodeLengthRequired, "send it whole"), 411,
			`{"RC":411,"RM":"Length Required","error":{"code":"LENGTH_REQUIRED","message":"send it whole"}}`},
		{border.Problemf(border.CodeBadRequest, "not HTTP"), 400,
			`{"RC":400,"RM":"Bad Request","error":{"code":"BAD_REQUEST","message":"not HTTP"}}`},
		{border.Internal(), 500,
			`{"RC":500,"RM":"Internal server error","error":{"code":"INTERNAL_ERROR","message":"The request failed for a reason of the server's"}}`},
	} {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.Set("Origin", "https://umbra.example")
		ctx.Response.SetBodyString("half an answer")
		w.surface.Fail(&ctx, c.problem)
		answer{status: ctx.Response.StatusCode(), body: string(ctx.Response.Body())}.gives(t, c.status, c.body)
		if got := string(ctx.Response.Header.Peek("Access-Control-Allow-Origin")); got != "https://umbra.example" {
			t.Errorf("the page may not read it: %q", got)
		}
	}
}

func TestAnswersAreNotKept(t *testing.T) {
	a := newWorld(t).ask("GET", "/blockStatus/my", asAAA...)
	if got := string(a.header.Peek("Cache-Control")); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	for name, opts := range map[string]Options{
		"no app":         {Lists: w, Rooms: w, Users: w},
		"no lists":       {Apps: []App{{Name: "a"}}, Rooms: w, Users: w},
		"no rooms":       {Apps: []App{{Name: "a"}}, Lists: w, Users: w},
		"no users":       {Apps: []App{{Name: "a"}}, Lists: w, Rooms: w},
		"an empty key":   {Apps: []App{{Name: "a", ClientKeys: []string{""}}}, Lists: w, Rooms: w, Users: w},
		"a shared key":   {Apps: []App{{Name: "a", ClientKeys: []string{"k"}}, {Name: "b", ClientKeys: []string{"k"}}}, Lists: w, Rooms: w, Users: w},
		"an API key too": {Apps: []App{{Name: "a", APIKeys: []string{"k"}}, {Name: "b", APIKeys: []string{"k"}}}, Lists: w, Rooms: w, Users: w},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(Options{Apps: []App{{Name: "a", ClientKeys: []string{"k"}, APIKeys: []string{"k"}}}, Lists: w, Rooms: w, Users: w}); err != nil {
		t.Errorf("a client key may be like an API key: %v", err)
	}
}

// TestStringsOutliveTheRequest: the next request of a connection overwrites the
// buffer of this one, while services may keep what they are handed.
func TestStringsOutliveTheRequest(t *testing.T) {
	w := newWorld(t)
	var ctx fasthttp.RequestCtx
	serve := func(target, user string) {
		ctx.Request.Header.SetMethod("POST")
		ctx.Request.SetRequestURI(target)
		ctx.Request.Header.Set("IM-CLIENT-KEY", "ck1")
		ctx.Request.Header.Set("IM-Authorization", user)
		ctx.Response.Reset()
		w.surface.Serve(t.Context(), &ctx)
		if status := ctx.Response.StatusCode(); status != 200 {
			t.Fatalf("%s: %d %s", target, status, ctx.Response.Body())
		}
	}
	serve("/blockStatus/my/cccccc", "of aaaaaa")
	serve("/blockStatus/my/dddddd", "of bbbbbb")
	serve("/blockStatus/room/eeee/ffffff", "of gggg owning eeee")
	var kept []string
	for list, entries := range w.lists {
		for _, b := range entries {
			kept = append(kept, strings.Join([]string{list.Kind.String(), list.Owner, b.Owner, b.Target, b.Actor}, " "))
		}
	}
	slices.Sort(kept)
	want := []string{"block aaaaaa aaaaaa cccccc aaaaaa", "block bbbbbb bbbbbb dddddd bbbbbb", "room eeee eeee ffffff gggg"}
	if !slices.Equal(kept, want) {
		t.Errorf("what is kept is %q, want %q", kept, want)
	}
}
