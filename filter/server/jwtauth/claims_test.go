package jwtauth

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidegate/sidegate/metrics/border"
)

const (
	user, app, staff = border.ScopeUser, border.ScopeApp, border.ScopeStaff
)

// bobsName is his in the logs of this process.
var bobsName = "jwt:" + border.HashedNames("").Of("bob")

// TestClaims is the table of what claims make of who holds them.
func TestClaims(t *testing.T) {
	a := verifier(t, Options{})
	for _, c := range []struct {
		name    string
		changes []any
		want    border.Principal
	}{
		{"as it should be", nil, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}, Scopes: user}},
		{"no user", []any{"sub", nil, "scope", "app"}, border.Principal{Name: "jwt", Apps: []string{"acme"}, Scopes: app}},
		{"no app", []any{"app", nil}, border.Principal{Name: bobsName, User: "bob", Apps: []string{}, Scopes: user}},
		{"no apps", []any{"app", []string{}}, border.Principal{Name: bobsName, User: "bob", Apps: []string{}, Scopes: user}},
		{"several apps", []any{"app", []string{"a", "b"}}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"a", "b"}, Scopes: user}},
		{"a star is a name", []any{"app", "*"}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"*"}, Scopes: user}},
		{"no scope", []any{"scope", nil}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}}},
		{"an empty scope", []any{"scope", ""}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}}},
		{"several scopes", []any{"scope", "openid staff user"}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}, Scopes: user | staff}},
		{"a list of scopes", []any{"scope", []string{"app", "profile"}}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}, Scopes: app}},
		{"a list with spaces", []any{"scope", []string{"app staff"}}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}, Scopes: app | staff}},
		{"scopes of others", []any{"scope", "User APP admin users app:read"}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}}},
		{"claims by other names", []any{"Sub", "eve", "APP", "umbra", "Scope", "staff"}, border.Principal{Name: bobsName, User: "bob", Apps: []string{"acme"}, Scopes: user}},
	} {
		who, ok := a.ask(hs256(t, good(c.changes...)))
		if !ok || who.Name != c.want.Name || who.User != c.want.User || who.Scopes != c.want.Scopes || !slices.Equal(who.Apps, c.want.Apps) {
			t.Errorf("%s: %+v, %v", c.name, who, ok)
		}
		if ok && who.Apps == nil {
			t.Errorf("%s: it is for every app", c.name)
		}
	}
	for name, changes := range map[string][]any{
		"a user that is a number":            {"sub", 7},
		"a user that is a list":              {"sub", []string{"bob"}},
		"a user that is null":                {"sub", jwt.MapClaims(nil)},
		"an empty user":                      {"sub", ""},
		"a user with a control character":    {"sub", "bo\nb"},
		"a user that is too long":            {"sub", strings.Repeat("x", 257)},
		"an app that is a number":            {"app", 7},
		"an app that is an object":           {"app", map[string]any{"name": "acme"}},
		"an app without a name":              {"app", ""},
		"apps of which one has no name":      {"app", []string{"acme", ""}},
		"apps of which one is a number":      {"app", []any{"acme", 7}},
		"a scope that is true":               {"scope", true},
		"scopes of which one is not a text":  {"scope", []any{"user", nil}},
		"a scope that is an object of flags": {"scope", map[string]bool{"staff": true}},
	} {
		refuses(t, a, name, hs256(t, good(changes...)), "claims")
	}
}

func TestNamesOfClaims(t *testing.T) {
	a := verifier(t, Options{UserClaim: "uid", AppClaim: "https://chat.example/app", ScopeClaim: "roles", Names: border.PlainNames()})
	token := hs256(t, good("uid", "alice", "https://chat.example/app", "umbra", "roles", []string{"app"}))
	who, ok := a.ask(token)
	if !ok || who.User != "alice" || who.Name != "jwt:alice" || !slices.Equal(who.Apps, []string{"umbra"}) || who.Scopes != app {
		t.Errorf("%+v, %v", who, ok)
	}
}

// TestNoNameIsAnID: logs do not show a user unless they may.
func TestNoNameIsAnID(t *testing.T) {
	a := verifier(t, Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	for range 50 {
		id := strings.Repeat(string(rune('a'+rnd.IntN(26))), 1+rnd.IntN(200)) + string(rune(0x4e00+rnd.IntN(1000)))
		who, ok := a.ask(hs256(t, good("sub", id)))
		if !ok || who.User != id || strings.Contains(who.Name, id) || len(who.Name) != len(bobsName) || seen[who.Name] {
			t.Errorf("%q: %+v, %v", id, who, ok)
		}
		seen[who.Name] = true
	}
}

// FuzzClaims signs whatever it is given: claims that are JSON may be taken or
// refused, but never make a principal for every app or one with a bad id.
func FuzzClaims(f *testing.F) {
	f.Add(`{"exp":9999999999,"sub":"bob","app":"acme","scope":"user"}`)
	f.Add(`{"exp":9999999999,"app":["a",1],"scope":["user"]}`)
	f.Add(`{"exp":1e300}`)
	f.Add(`{"exp":-1,"exp":9999999999}`)
	f.Add(`null`)
	a := verifier(f, Options{MaxAge: 1})
	b := verifier(f, Options{})
	f.Fuzz(func(t *testing.T, claims string) {
		token := byHand(`{"alg":"HS256"}`, claims, secret)
		a.ask(token)
		who, ok := b.ask(token)
		if ok && (who.Apps == nil || slices.Contains(who.Apps, "") || len(who.User) > 256 || who.Scopes > user|app|staff) {
			t.Fatalf("%s is taken for %+v", claims, who)
		}
	})
}
