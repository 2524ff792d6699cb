package jwtauth

import (
	"slices"
	"testing"
	"time"
)

// TestClient is the table of what claims make of a client. App and scope, whatever
// they are, have no say.
func TestClient(t *testing.T) {
	a := verifier(t, Options{})
	for _, c := range []struct {
		name    string
		changes []any
		rooms   []string
	}{
		{"with app and scope", nil, nil},
		{"without app and scope", []any{"app", nil, "scope", nil}, nil},
		{"with an app and a scope of other types", []any{"app", 7, "scope", true}, nil},
		{"with a room", []any{"rooms_owned", "r1"}, []string{"r1"}},
		{"with rooms", []any{"rooms_owned", []string{"r1", "r 2/"}}, []string{"r1", "r 2/"}},
		{"with no rooms", []any{"rooms_owned", []string{}}, nil},
		{"with rooms by another name", []any{"Rooms_Owned", "r1"}, nil},
	} {
		who, ok := a.Client(hs256(t, good(c.changes...)))
		if !ok || who.User != "bob" || !slices.Equal(who.RoomsOwned, c.rooms) {
			t.Errorf("%s: %+v, %v", c.name, who, ok)
		}
	}
	if got := refusals(a); len(got) > 0 {
		t.Errorf("counted: %v", got)
	}
}

// TestClientByAnotherClaim: the dialect's own configuration names the claim.
func TestClientByAnotherClaim(t *testing.T) {
	who, ok := verifier(t, Options{UserClaim: "id"}).Client(hs256(t, good("id", "alice")))
	if !ok || who.User != "alice" {
		t.Errorf("%+v, %v", who, ok)
	}
}

func TestClientRefused(t *testing.T) {
	for name, c := range map[string]struct {
		token, cause string
		opts         Options
	}{
		"nothing":                          {token: "", cause: "malformed"},
		"no token":                         {token: "bob", cause: "malformed"},
		"a line end":                       {token: hs256(t, good()) + "\n", cause: "malformed"},
		"unsigned":                         {token: byHand(`{"alg":"none"}`, inJSON(good()), secret), cause: "algorithm"},
		"another secret":                   {token: byHand(`{"alg":"HS256"}`, inJSON(good()), secret+"x"), cause: "signature"},
		"expired":                          {token: hs256(t, good("exp", time.Now().Add(-Skew-time.Second).Unix())), cause: "expired"},
		"without expiry":                   {token: hs256(t, good("exp", nil)), cause: "claims"},
		"of another issuer":                {token: hs256(t, good("iss", "eve")), cause: "issuer", opts: Options{Issuer: "us"}},
		"for another service":              {token: hs256(t, good("aud", "mail")), cause: "audience", opts: Options{Audience: "chat"}},
		"issued too long ago":              {token: hs256(t, good("iat", time.Now().Add(-time.Hour).Unix())), cause: "too_old", opts: Options{MaxAge: time.Minute}},
		"without a user":                   {token: hs256(t, good("sub", nil)), cause: "claims"},
		"with a user that is a number":     {token: hs256(t, good("sub", 7)), cause: "claims"},
		"with a user that is no id":        {token: hs256(t, good("sub", "bo\nb")), cause: "claims"},
		"with rooms that are numbers":      {token: hs256(t, good("rooms_owned", []int{1})), cause: "claims"},
		"with rooms that are an object":    {token: hs256(t, good("rooms_owned", map[string]bool{"r": true})), cause: "claims"},
		"with a header that must be known": {token: hs256(t, good(), "crit", []string{"x"}), cause: "claims"},
	} {
		a := verifier(t, c.opts)
		if who, ok := a.Client(c.token); ok {
			t.Errorf("%s: taken for %+v", name, who)
		}
		if got := refusals(a); len(got) != 1 || got[c.cause] != 1 {
			t.Errorf("%s: counted %v, want one of %s", name, got, c.cause)
		}
	}
}
