package server

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// people knows a principal by the secret it is kept under, as a verifier of
// signed tokens knows users.
type people map[string]*border.Principal

func (p people) Authenticate(authorization []byte) (*border.Principal, bool) {
	secret, _ := border.Bearer(authorization)
	who, ok := p[string(secret)]
	return who, ok
}

func crowd() border.Authenticator {
	acme, umbra := []string{"acme"}, []string{"umbra"}
	return people{
		"bob":        {Name: "jwt:b", User: "bob", Apps: acme, Scopes: border.ScopeUser},
		"alice":      {Name: "jwt:a", User: "alice", Apps: acme, Scopes: border.ScopeUser},
		"umbra-bob":  {Name: "jwt:u", User: "bob", Apps: umbra, Scopes: border.ScopeUser},
		"nobody":     {Name: "jwt", Apps: acme, Scopes: border.ScopeUser},
		"acme":       {Name: "acme-server", Apps: acme, Scopes: border.ScopeApp},
		"umbra":      {Name: "umbra-server", Apps: umbra, Scopes: border.ScopeApp},
		"support":    {Name: "support", Apps: acme, Scopes: border.ScopeStaff},
		"powerless":  {Name: "powerless", Apps: acme},
		"everything": {Name: "root", Scopes: border.ScopeUser | border.ScopeApp | border.ScopeStaff},
	}
}

// calm answers every request, so that what is refused was refused by the door.
func calm() *fakeLists {
	return &fakeLists{
		block: func(context.Context, filter.BlockRequest) (filter.BlockResult, error) {
			return filter.BlockResult{}, nil
		},
		unblock: func(context.Context, filter.UnblockRequest) (filter.UnblockResult, error) {
			return filter.UnblockResult{}, nil
		},
		list: func(context.Context, filter.ListRequest) (filter.ListResult, error) { return filter.ListResult{}, nil },
		get:  func(context.Context, filter.ListID, string) (filter.Block, error) { return filter.Block{}, nil },
		edit: func(context.Context, filter.Edit) (filter.Written, error) { return filter.Written{}, nil },
		blockedBy: func(context.Context, filter.BlockedByRequest) (filter.BlockedByResult, error) {
			return filter.BlockedByResult{}, nil
		},
		history: func(context.Context, filter.HistoryRequest) (filter.HistoryResult, error) {
			return filter.HistoryResult{}, nil
		},
	}
}

// TestOwnListOnly: the scope user opens the list of the user that the credential
// names, in its app, and nothing else.
func TestOwnListOnly(t *testing.T) {
	r := runAPI(t, calm(), Options{Auth: crowd()})
	allowed := map[string]bool{ // by credential, app, owner
		"bob acme bob": true, "alice acme alice": true, "umbra-bob umbra bob": true,
		"acme acme bob": true, "acme acme alice": true, "umbra umbra bob": true, "umbra umbra alice": true,
		"everything acme bob": true, "everything acme alice": true, "everything umbra bob": true, "everything umbra alice": true,
		"everything nowhere bob": true, "everything nowhere alice": true,
	}
	for secret := range crowd().(people) {
		for _, app := range []string{"acme", "umbra", "nowhere"} {
			for _, owner := range []string{"bob", "alice"} {
				want := allowed[secret+" "+app+" "+owner]
				list := "/v1/apps/" + app + "/users/" + owner + "/blocks"
				for method, target := range map[string]string{
					"GET": list, "HEAD": list, "PUT": list + "/x", "DELETE": list + "/x",
				} {
					a := r.ask(method, target, "", "Authorization", "Bearer "+secret)
					if want != (a.status < 300) || !want && a.status != 403 {
						t.Errorf("%s: %s %s = %d %s", secret, method, target, a.status, a.body)
					}
				}
			}
		}
	}
}

// TestOwnListByItsDecodedID: the owner is compared as it is meant, not as it is
// spelled in the path.
func TestOwnListByItsDecodedID(t *testing.T) {
	auth := people{"x": {User: "a/b c", Apps: []string{"acme"}, Scopes: border.ScopeUser}}
	r := runAPI(t, calm(), Options{Auth: auth})
	for target, want := range map[string]int{
		"/v1/apps/acme/users/a%2Fb%20c/blocks":     200,
		"/v1/apps/%61cme/users/%61%2fb%20c/blocks": 200,
		"/v1/apps/acme/users/a%252Fb%20c/blocks":   403,
		"/v1/apps/acme/users/a%2Fb+c/blocks":       403,
		"/v1/apps/acme/users/a/blocks":             403,
	} {
		if a := r.get(target, "Authorization", "Bearer x"); a.status != want {
			t.Errorf("%s = %d %s", target, a.status, a.body)
		}
	}
}

// TestRefusalsAreAlike: what is refused is refused with one answer, whatever the
// reason and whether or not there is something behind it.
func TestRefusalsAreAlike(t *testing.T) {
	lists := calm()
	lists.list = someApps().list
	r := runAPI(t, lists, Options{Auth: crowd()})
	var forbidden, unauthenticated []answer
	for _, target := range []string{
		"/v1/apps/acme/users/bob/blocks", "/v1/apps/acme/users/alice/blocks", "/v1/apps/umbra/users/bob/blocks",
		"/v1/apps/default/users/bob/blocks", "/v1/apps/nowhere/users/bob/blocks", "/v1/apps/acme/users/bob/blocks/x",
	} {
		for _, secret := range []string{"support", "powerless", "nobody"} {
			forbidden = append(forbidden, r.get(target, "Authorization", "Bearer "+secret))
		}
		for _, header := range []string{"Bearer x", "Bearer ", "Basic acme", "Bearer aaa.bbb.ccc"} {
			unauthenticated = append(unauthenticated, r.get(target, "Authorization", header))
		}
		unauthenticated = append(unauthenticated, r.get(target))
	}
	for _, c := range []struct {
		all    []answer
		status int
		code   string
	}{{forbidden, 403, "forbidden"}, {unauthenticated, 401, "unauthenticated"}} {
		for _, a := range c.all {
			if a.status != c.status || a.code(t) != c.code || a.body != c.all[0].body || len(a.header) != len(c.all[0].header) {
				t.Errorf("%d %s differs from %d %s", a.status, a.body, c.all[0].status, c.all[0].body)
			}
		}
	}
	for _, name := range []string{"acme", "umbra", "bob", "powerless", "support", "staff"} {
		if strings.Contains(forbidden[0].body+unauthenticated[0].body, name) {
			t.Errorf("a refusal names %q", name)
		}
	}
}

// TestActorOfAWrite: history remembers the user, where the credential names one.
func TestActorOfAWrite(t *testing.T) {
	var actors []string
	lists := calm()
	lists.block = func(_ context.Context, req filter.BlockRequest) (filter.BlockResult, error) {
		actors = append(actors, req.Actor)
		return filter.BlockResult{}, nil
	}
	lists.unblock = func(_ context.Context, req filter.UnblockRequest) (filter.UnblockResult, error) {
		actors = append(actors, req.Actor)
		return filter.UnblockResult{}, nil
	}
	r := runAPI(t, lists, Options{Auth: crowd()})
	const target = "/v1/apps/acme/users/bob/blocks/x"
	r.ask("PUT", target, "", "Authorization", "Bearer bob")
	r.ask("DELETE", target, "", "Authorization", "Bearer bob")
	r.ask("PUT", target, "", "Authorization", "Bearer acme")
	if got := strings.Join(actors, " "); got != "bob bob acme-server" {
		t.Errorf("the actors are %q", got)
	}
}

// TestStaffReadsAreLogged: a route that is open to staff notes who of them has
// looked; the app's own server, and who was refused, leave no line.
func TestStaffReadsAreLogged(t *testing.T) {
	r := run(t, Options{Auth: crowd()}, func(o Options) (*Listener, error) {
		l, err := NewAPI(calm(), o)
		l.door.rules.Load().routes[0].alsoFor(border.ScopeStaff)
		return l, err
	})
	const target = "/v1/apps/acme/users/bob/blocks"
	for secret, want := range map[string]int{"acme": 200, "bob": 200, "umbra": 403, "everything": 200} {
		if a := r.get(target, "Authorization", "Bearer "+secret); a.status != want {
			t.Errorf("%s = %d %s", secret, a.status, a.body)
		}
	}
	r.get("/v1/apps/umbra/users/bob/blocks", "Authorization", "Bearer support")
	r.get(target+"?limit=0", "Authorization", "Bearer support")
	if log := r.log.String(); strings.Contains(log, "staff read") {
		t.Errorf("logged as reads of staff: %s", log)
	}
	if a := r.get(target, "Authorization", "Bearer support"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.stop()
	log := r.log.String()
	if !strings.Contains(log, `msg="staff read"`) || !strings.Contains(log, "token=support") || strings.Contains(log, "bob") {
		t.Errorf("the log is %s", log)
	}
}

// TestTokensOfCheck: decisions are asked for by servers; neither users nor staff
// learn who blocks whom there.
func TestTokensOfCheck(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{Auth: crowd()})
	for secret, want := range map[string]int{"bob": 403, "support": 403, "powerless": 403, "umbra": 403, "acme": 200, "everything": 200} {
		a := r.get("/v1/can-deliver?sender=a&recipient=b&room_type=open&app=acme", "Authorization", "Bearer "+secret)
		if a.status != want {
			t.Errorf("%s = %d %s", secret, a.status, a.body)
		}
	}
}

// TestTokensAndPeople: both may be configured together.
func TestTokensAndPeople(t *testing.T) {
	server := border.NewTokens([]border.Token{{Name: "t", SHA256: sha256.Sum256([]byte("t")), Scopes: border.ScopeApp}})
	r := runAPI(t, calm(), Options{Auth: border.FirstOf(server, crowd())})
	for secret, want := range map[string]int{"t": 200, "bob": 200, "alice": 403, "x": 401} {
		if a := r.get("/v1/apps/acme/users/bob/blocks", "Authorization", "Bearer "+secret); a.status != want {
			t.Errorf("%s = %d %s", secret, a.status, a.body)
		}
	}
}
