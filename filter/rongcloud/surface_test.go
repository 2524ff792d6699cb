package rongcloud

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	with := func(change func(a *App)) []App {
		a := acme()
		change(&a)
		return []App{a}
	}
	for want, opts := range map[string]Options{
		"apps, lists and users":    {Lists: w, Users: w},
		"lists and users are":      {Apps: []App{acme()}, Users: w},
		"users are required":       {Apps: []App{acme()}, Lists: w},
		"a name, a key":            {Apps: with(func(a *App) { a.Key = "" }), Lists: w, Users: w},
		"a key and a secret":       {Apps: with(func(a *App) { a.Secret = "" }), Lists: w, Users: w},
		`app ""`:                   {Apps: with(func(a *App) { a.Name = "" }), Lists: w, Users: w},
		"must not be negative":     {Apps: with(func(a *App) { a.Rate = -1 }), Lists: w, Users: w},
		"rate and clock skew":      {Apps: with(func(a *App) { a.MaxClockSkew = -1 }), Lists: w, Users: w},
		"within a clock skew only": {Apps: with(func(a *App) { a.RefuseReplay = true }), Lists: w, Users: w},
		"another app has its key":  {Apps: []App{acme(), acme()}, Lists: w, Users: w},
	} {
		if _, err := New(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", opts, err, want)
		}
	}
	if s, err := New(Options{Apps: []App{acme()}, Lists: w, Users: w}); err != nil || s.Name() != "rongcloud" || s.log == nil {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOwns(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]bool{
		"/user/blocklist/add.json": true, "/user/blacklist/": true, "/user/whitelist/query.json": true, "/user/whitesetting/set.json": true,
		"/user/blocklist/x/y": true, "/user/blocklist": false, "/user/": false, "/user/block/add.json": false, "/User/blocklist/add.json": false,
		"/v1/apps/x": false, "//user/blocklist/add.json": false, "/chatroom/user/whitelist/add.json": false, "": false,
	} {
		if w.surface.Owns([]byte(path)) != want {
			t.Errorf("Owns(%q) = %v", path, !want)
		}
	}
}

// TestNoSuchEndpoint: paths are taken as they were sent, and nobody is asked who
// they are at one that does not exist.
func TestNoSuchEndpoint(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/user/blocklist/", "/user/blocklist/add", "/user/blocklist/add.xml", "/user/blocklist/add.json/", "/user/blocklist/Add.json",
		"/user/blocklist/%61dd.json", "/user/blocklist/../blocklist/add.json", "/user/blocklist//add.json", "/user/whitesetting/add.json",
		"/user/whitelist/set.json", "/user/blacklist/check.json", "/user/blocklist/\"<x>&.json", "/user/blocklist/add.json#x",
	} {
		a := w.serve(raw("POST", path, addBody, nil))
		if m := w.refused(a, 404, 404); m != "There is no such endpoint." || a.call != "" {
			t.Errorf("%s: %v of call %q", path, a, a.call)
		}
	}
	a := w.serve(raw("POST", "/user/blocklist/x?userId=bob", "", nil))
	if want := `{"code":404,"errorMessage":"There is no such endpoint.","url":"/user/blocklist/x"}`; a.body != want {
		t.Errorf("%v, want %s", a, want)
	}
	w.good(w.post("http://api.example.com/user/blocklist/add.json?x=1", addBody), `{"code":200}`)
	w.refused(w.serve(raw("POST", "http://api.example.com/user/blocklist/", "", nil)), 404, 404)
}

func TestMethods(t *testing.T) {
	w := newWorld(t)
	for path := range w.surface.calls {
		for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"} {
			a := w.serve(raw(method, path, "", headers(acme())))
			w.refused(a, 405, 405)
			if allow := string(a.header.Peek("Allow")); allow != "POST" || a.call != path {
				t.Errorf("%s %s: Allow %q, call %q", method, path, allow, a.call)
			}
		}
	}
	if len(w.surface.calls) != 11 {
		t.Errorf("%d calls", len(w.surface.calls))
	}
}

// TestFaults: what the core fails with, as the vendor's clients read it; the text
// of the database goes to the log and nowhere else.
func TestFaults(t *testing.T) {
	secret := errors.New("SQLSTATE 08006 at 10.0.0.7")
	core := func(code filter.Code) error {
		return fmt.Errorf("edit a list: %w", &filter.Error{Code: code, Detail: "a detail", Err: secret})
	}
	for _, tc := range []struct {
		err          error
		status, code int
		logged       string
	}{
		{core(filter.CodeStoreUnavailable), 500, 1000, "level=WARN"},
		{core(filter.CodeOutcomeUnknown), 504, 1050, "level=WARN"},
		{core(filter.CodeUnknownApp), 500, 1000, "level=ERROR"},
		{secret, 500, 1000, "level=ERROR"},
		{context.DeadlineExceeded, 500, 1000, "level=ERROR"},
		{core(filter.CodeInvalidUserID), 400, 1002, ""},
		{core(filter.CodeLimitExceeded), 400, 1002, ""},
		{core(filter.CodeReplayed), 401, 1004, ""},
		{core(filter.CodeInvalidCursor), 400, 1002, ""},
	} {
		for path := range map[string]bool{addPath: true, "/user/whitelist/remove.json": true, "/user/blacklist/query.json": true,
			"/user/whitesetting/set.json": true, "/user/whitesetting/query.json": true} {
			w := newWorld(t)
			w.fail = tc.err
			a := w.post(path, "userId=bob-private&blackUserId=alice-private&whiteUserId=alice-private&whiteSetting=1")
			w.refused(a, tc.status, tc.code)
			log := w.log.String()
			if strings.Contains(a.body, "SQLSTATE") || strings.Contains(log, "private") {
				t.Errorf("%s tells too much: %v, log %s", path, a, log)
			}
			if tc.logged == "" && log != "" || tc.logged != "" &&
				(strings.Count(log, "\n") != 1 || !strings.Contains(log, tc.logged) ||
					!strings.Contains(log, fmt.Sprintf("route=\"rongcloud %s\" code=%d", path, tc.code))) {
				t.Errorf("%v: the log has %q, want one line with %q", tc.err, log, tc.logged)
			}
		}
	}
}

// TestFail: what the door refuses is in the envelope, whatever was there before.
func TestFail(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		problem      border.Problem
		status, code int
	}{
		{border.Problemf(border.CodeBadRequest, "bad"), 400, 1002},
		{border.Problemf(border.CodeLengthRequired, "chunked"), 400, 1002},
		{border.Problemf(border.CodeRequestTimeout, "slow"), 400, 1002},
		{border.Problemf(border.CodeTooLarge, "large"), 400, 1005},
		{border.Problemf(border.CodeHeaderTooLarge, "large"), 400, 1005},
		{border.Problemf(border.CodeOverloaded, "busy"), 500, 1000},
		{border.Internal(), 500, 1000},
	} {
		var ctx fasthttp.RequestCtx
		ctx.Init(&fasthttp.Request{}, nil, nil)
		ctx.Request.SetRequestURI("/user/blocklist/add.json?x=1")
		ctx.Response.SetBodyString("half an answer")
		w.surface.Fail(&ctx, tc.problem)
		want := fmt.Sprintf(`{"code":%d,"errorMessage":%q,"url":"/user/blocklist/add.json"}`, tc.code, tc.problem.Detail+".")
		if got := string(ctx.Response.Body()); got != want || ctx.Response.StatusCode() != tc.status {
			t.Errorf("%v: %d %s, want %s", tc.problem, ctx.Response.StatusCode(), got, want)
		}
	}
}

// TestFailOfUnread: of a request that could not be read there is no path to repeat.
func TestFailOfUnread(t *testing.T) {
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	newWorld(t).surface.Fail(&ctx, border.Problemf(border.CodeHeaderTooLarge, "large"))
	if got := string(ctx.Response.Body()); got != `{"code":1005,"errorMessage":"large."}` {
		t.Error(got)
	}
}

// TestConcurrent is for the race detector: many requests of two apps at once.
func TestConcurrent(t *testing.T) {
	other := App{Name: "other", Key: "k2", Secret: "s2", Rate: 1000, MaxClockSkew: time.Hour, RefuseReplay: true}
	w := newWorld(t, acme(), other)
	done := make(chan string)
	for i := range 16 {
		go func() {
			a := []App{acme(), other}[i%2]
			got := w.serve(raw("POST", addPath, fmt.Sprintf("userId=bob&blackUserId=t%d", i), headers(a)))
			done <- got.String()
		}()
	}
	for range 16 {
		if got := <-done; got != `200 {"code":200}` {
			t.Error(got)
		}
	}
	if a, b := w.lists[filter.ListID{App: "acme", Owner: "bob"}], w.lists[filter.ListID{App: "other", Owner: "bob"}]; len(a) != 8 || len(b) != 8 {
		t.Errorf("%v %v", a, b)
	}
}
