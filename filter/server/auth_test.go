package server

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

func tokens() border.Authenticator {
	token := func(name, secret string, scopes border.Scope, apps ...string) border.Token {
		return border.Token{Name: name, SHA256: sha256.Sum256([]byte(secret)), Scopes: scopes, Apps: apps}
	}
	return border.NewTokens([]border.Token{
		token("server", "all", border.ScopeApp),
		token("acme-server", "acme", border.ScopeApp, "acme"),
		token("support", "staff", border.ScopeStaff),
	})
}

type authCase struct {
	header, app string
	status      int
	code        string
}

var authCases = []authCase{
	{"", "default", 401, "unauthenticated"},
	{"Bearer wrong", "default", 401, "unauthenticated"},
	{"Basic all", "default", 401, "unauthenticated"},
	{"Bearer staff", "default", 403, "forbidden"},
	{"Bearer acme", "default", 403, "forbidden"},
	{"Bearer acme", "nowhere", 403, "forbidden"}, // not even whether it is there
	{"Bearer acme", "acme", 200, ""},
	{"Bearer all", "default", 200, ""},
	{"bearer all", "acme", 200, ""},
	{"Bearer all", "nowhere", 404, "unknown_app"},
}

func (c authCase) check(t *testing.T, a answer) {
	t.Helper()
	if a.status != c.status || c.code != "" && a.code(t) != c.code {
		t.Errorf("%q for app %s = %d %s, want %d %s", c.header, c.app, a.status, a.body, c.status, c.code)
	}
	if (a.header.Get("WWW-Authenticate") == "Bearer") != (c.status == 401) {
		t.Errorf("%q for app %s: WWW-Authenticate is %q", c.header, c.app, a.header.Get("WWW-Authenticate"))
	}
}

func TestCheckWithTokens(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{Auth: tokens()})
	for _, c := range authCases {
		var header []string
		if c.header != "" {
			header = []string{"Authorization", c.header}
		}
		c.check(t, r.get("/v1/can-deliver?sender=a&recipient=b&room_type=open&app="+c.app, header...))
	}
}

// someApps answers for the apps default and acme.
func someApps() *fakeLists {
	return &fakeLists{list: func(_ context.Context, req filter.ListRequest) (filter.ListResult, error) {
		if req.List.App != "default" && req.List.App != "acme" {
			return filter.ListResult{}, filter.Errorf(filter.CodeUnknownApp, "the app is not configured")
		}
		return filter.ListResult{}, nil
	}}
}

func TestAPIWithTokens(t *testing.T) {
	r := runAPI(t, someApps(), Options{Auth: tokens()})
	for _, c := range authCases {
		var header []string
		if c.header != "" {
			header = []string{"Authorization", c.header}
		}
		c.check(t, r.get("/v1/apps/"+c.app+"/users/bob/blocks", header...))
	}
}

// TestAPIWithoutTokens: an api listener that nobody has given a credential is
// closed to everyone, not open to everyone.
func TestAPIWithoutTokens(t *testing.T) {
	closed := run(t, Options{}, func(o Options) (*Listener, error) { return NewAPI(&fakeLists{}, o) })
	for _, header := range [][]string{nil, {"Authorization", "Bearer x"}, {"Authorization", "Bearer "}} {
		if a := closed.get("/v1/apps/default/users/bob/blocks", header...); a.status != 401 || a.code(t) != "unauthenticated" {
			t.Errorf("%v = %d %s", header, a.status, a.body)
		}
	}
	if a := closed.get("/nowhere"); a.status != 404 {
		t.Errorf("a path that is not there = %d %s", a.status, a.body)
	}
	open := runAPI(t, someApps(), Options{})
	if a := open.get("/v1/apps/default/users/bob/blocks"); a.status != 200 {
		t.Errorf("told to be open: %d %s", a.status, a.body)
	}
}

// TestOpenDoesNotOverrideTokens: who has configured a token wants it asked for.
func TestOpenDoesNotOverrideTokens(t *testing.T) {
	r := run(t, Options{Auth: tokens(), Open: true}, func(o Options) (*Listener, error) { return NewAPI(someApps(), o) })
	if a := r.get("/v1/apps/default/users/bob/blocks"); a.status != 401 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
