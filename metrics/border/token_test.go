package border

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func twoTokens() Authenticator {
	return NewTokens([]Token{
		{Name: "first", SHA256: sha256.Sum256([]byte("s3cret")), Scopes: ScopeApp},
		{Name: "second", SHA256: sha256.Sum256([]byte("other")), Apps: []string{"acme"}, Scopes: ScopeStaff},
	})
}

func TestAuthenticate(t *testing.T) {
	auth := twoTokens()
	for header, want := range map[string]string{
		"Bearer s3cret":   "first",
		"bearer s3cret":   "first",
		"BEARER   s3cret": "first",
		"Bearer other":    "second",
	} {
		who, ok := auth.Authenticate([]byte(header))
		if !ok || who.Name != want {
			t.Errorf("%q: %v, %v; want %s", header, who, ok, want)
		}
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	auth := twoTokens()
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Bearer   ", "Bearer s3cre", "Bearer s3cret ", "Bearer s3cretx",
		"Basic s3cret", "s3cret", "Bearers3cret", "Bearer\ts3cret", "Bearer s3cret,other",
	} {
		if who, ok := auth.Authenticate([]byte(header)); ok {
			t.Errorf("%q was taken for %s", header, who.Name)
		}
	}
	if _, ok := auth.Authenticate(nil); ok {
		t.Error("no header was taken for somebody")
	}
}

func TestNoTokensIsNil(t *testing.T) {
	if auth := NewTokens(nil); auth != nil {
		t.Errorf("NewTokens(nil) = %#v, want nil: a listener asks for nil to see that nothing is configured", auth)
	}
}

func TestPrincipal(t *testing.T) {
	auth := twoTokens()
	first, _ := auth.Authenticate([]byte("Bearer s3cret"))
	second, _ := auth.Authenticate([]byte("Bearer other"))
	if !first.MayApp("acme") || !first.MayApp("default") {
		t.Error("a token without apps is for every app")
	}
	if !second.MayApp("acme") || second.MayApp("default") || second.MayApp("") {
		t.Error("a token with apps is for those alone")
	}
	if !first.Has(ScopeApp) || first.Has(ScopeStaff) || first.Has(ScopeApp|ScopeStaff) {
		t.Errorf("the first token has scope app and no other, not %b", first.Scopes)
	}
	if second.Has(ScopeApp) {
		t.Error("scope staff does not include scope app")
	}
}

func TestAppsAreCopied(t *testing.T) {
	apps := []string{"acme"}
	auth := NewTokens([]Token{{SHA256: sha256.Sum256([]byte("x")), Apps: apps}})
	apps[0] = "victim"
	if who, _ := auth.Authenticate([]byte("Bearer x")); who.MayApp("victim") {
		t.Error("changing the caller's slice changed what a token may do")
	}
}

func TestParseScope(t *testing.T) {
	for name, want := range map[string]Scope{"user": ScopeUser, "app": ScopeApp, "staff": ScopeStaff} {
		if got, ok := ParseScope(name); !ok || got != want {
			t.Errorf("ParseScope(%q) = %v, %v", name, got, ok)
		}
	}
	if _, ok := ParseScope("admin"); ok {
		t.Error("admin is no scope")
	}
}

func TestAuthenticateDoesNotAllocate(t *testing.T) {
	auth, header := twoTokens(), []byte("Bearer s3cret")
	if n := testing.AllocsPerRun(100, func() { auth.Authenticate(header) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer x", "bearer  y z", "Basic a", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		secret, ok := bearer(header)
		if !ok {
			return
		}
		scheme, rest, found := strings.Cut(string(header), " ")
		if !found || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != string(secret) {
			t.Fatalf("%q gives %q", header, secret)
		}
	})
}
