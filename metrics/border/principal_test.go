package border

import (
	"context"
	"testing"
)

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

func TestHasAny(t *testing.T) {
	both := Principal{Scopes: ScopeUser | ScopeStaff}
	for scopes, want := range map[Scope]bool{
		0: false, ScopeApp: false, ScopeUser: true, ScopeStaff: true, ScopeApp | ScopeUser: true, ScopeUser | ScopeStaff: true,
	} {
		if both.HasAny(scopes) != want {
			t.Errorf("HasAny(%b) = %v", scopes, !want)
		}
	}
}

// TestMayList is the table of who may touch which list, through a route that a
// set of scopes opens.
func TestMayList(t *testing.T) {
	const own, all, reads = ScopeUser | ScopeApp, ScopeUser | ScopeApp | ScopeStaff, ScopeApp | ScopeStaff
	acme := []string{"acme"}
	user := Principal{User: "bob", Apps: acme, Scopes: ScopeUser}
	nobody := Principal{Apps: acme, Scopes: ScopeUser}
	server := Principal{Apps: acme, Scopes: ScopeApp}
	everywhere := Principal{Scopes: ScopeApp}
	staff := Principal{User: "eve", Apps: acme, Scopes: ScopeStaff}
	staffAndUser := Principal{User: "bob", Apps: acme, Scopes: ScopeStaff | ScopeUser}
	noApp := Principal{User: "bob", Apps: []string{}, Scopes: ScopeUser | ScopeApp | ScopeStaff}
	for _, c := range []struct {
		name  string
		who   Principal
		open  Scope
		app   string
		owner string
		want  bool
	}{
		{"a user, their own", user, own, "acme", "bob", true},
		{"a user, their own in another app", user, own, "other", "bob", false},
		{"a user, somebody else's", user, own, "acme", "alice", false},
		{"a user, nobody's", user, own, "acme", "", false},
		{"a user, another's by another case", user, own, "acme", "Bob", false},
		{"a user, where only servers may", user, reads, "acme", "bob", false},
		{"a user whom the credential does not name", nobody, own, "acme", "", false},
		{"a server, any", server, own, "acme", "alice", true},
		{"a server, another app's", server, own, "other", "alice", false},
		{"a server of every app", everywhere, own, "other", "alice", true},
		{"a server, where only staff may", server, ScopeStaff, "acme", "alice", false},
		{"staff, where they may not", staff, own, "acme", "alice", false},
		{"staff, named like the owner, where they may not", staff, own, "acme", "eve", false},
		{"staff, where they may", staff, all, "acme", "alice", true},
		{"staff, another app's", staff, all, "other", "alice", false},
		{"staff as a user", staffAndUser, own, "acme", "bob", true},
		{"staff as a user, somebody else's", staffAndUser, own, "acme", "alice", false},
		{"of no app", noApp, all, "acme", "bob", false},
	} {
		if got := c.who.MayList(c.open, c.app, c.owner); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestActor(t *testing.T) {
	if got := (&Principal{Name: "backend"}).Actor(); got != "backend" {
		t.Errorf("the actor of a token is %q", got)
	}
	if got := (&Principal{Name: "jwt:81b637d8fcd2c6da", User: "bob"}).Actor(); got != "bob" {
		t.Errorf("the actor of a user is %q", got)
	}
}

// TestContext: a handler that was mounted without its guard must refuse.
func TestContext(t *testing.T) {
	who := &Principal{Name: "support"}
	if got := FromContext(NewContext(context.Background(), who)); got != who {
		t.Errorf("got %+v", got)
	}
	if stranger := FromContext(context.Background()); stranger.MayApp("default") || stranger.Scopes != 0 {
		t.Errorf("without a principal: %+v", stranger)
	}
}
