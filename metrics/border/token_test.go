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

// TestFirstOf: tokens and signed tokens may be configured together; the first
// that knows a credential says whose it is.
func TestFirstOf(t *testing.T) {
	third := NewTokens([]Token{
		{Name: "third", SHA256: sha256.Sum256([]byte("third"))},
		{Name: "shadowed", SHA256: sha256.Sum256([]byte("other"))},
	})
	auth := FirstOf(nil, twoTokens(), third)
	for header, want := range map[string]string{"Bearer s3cret": "first", "Bearer other": "second", "Bearer third": "third"} {
		if who, ok := auth.Authenticate([]byte(header)); !ok || who.Name != want {
			t.Errorf("%q: %v, %v; want %s", header, who, ok, want)
		}
	}
	if who, ok := auth.Authenticate([]byte("Bearer nobody")); ok || who != nil {
		t.Errorf("a credential that nobody knows is %v", who)
	}
	if auth := FirstOf(nil, NewTokens(nil)); auth != nil {
		t.Errorf("FirstOf without any = %#v, want nil: a listener asks for nil to see that nothing is configured", auth)
	}
	if auth := FirstOf(nil, third); auth != third {
		t.Error("the only one is not asked directly")
	}
}

func TestNoTokensIsNil(t *testing.T) {
	if auth := NewTokens(nil); auth != nil {
		t.Errorf("NewTokens(nil) = %#v, want nil: a listener asks for nil to see that nothing is configured", auth)
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
		secret, ok := Bearer(header)
		if !ok {
			return
		}
		scheme, rest, found := strings.Cut(string(header), " ")
		if !found || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != string(secret) {
			t.Fatalf("%q gives %q", header, secret)
		}
	})
}
