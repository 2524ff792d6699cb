package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// Two tenants, acme and umbra, have the same users, and lists in which every
// target and note names its tenant. The tests send every kind of credential to
// every route about every tenant, and hold the answers against a table that
// knows nothing of how the program decides: credentials are described by what
// they were issued for, routes by what the documentation says of them.

const (
	jwtSecret  = "the-secret-that-signs-for-both-tenants"
	tenantFile = `
check:
  tokens:
    - {name: acme-chat, token: check-acme, apps: [acme]}
    - {name: umbra-chat, token: check-umbra, apps: [umbra]}
    - {name: check-staff, token: check-staff, scopes: [staff]}
api:
  tokens:
    - {name: acme-server, token: api-acme, apps: [acme]}
    - {name: umbra-server, token: api-umbra, apps: [umbra]}
    - {name: acme-support, token: api-acme-staff, apps: [acme], scopes: [staff]}
    - {name: acme-nobody, token: api-acme-user, apps: [acme], scopes: [user]}
    - {name: root, token: api-root}
  jwt: {secret: ` + jwtSecret + `, issuer: test, audience: sidegate}
ops:
  tokens:
    - {name: support, token: ops-staff, scopes: [staff]}
    - {name: acme-support, token: ops-acme-staff, apps: [acme], scopes: [staff]}
    - {name: metrics, token: ops-app}
apps:
  acme: {}
  umbra: {}
`
)

// credential is what a header was issued for, as a person would say it.
type credential struct {
	name   string
	header string
	doors  string // the listeners that know it; none: it is forged, or nothing
	apps   string // "*" = every app
	user   string
	scopes string
}

// signed puts a token together by hand.
func signed(secret, header string, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return "Bearer " + text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const hs256Header = `{"alg":"HS256","typ":"JWT"}`

// claims are those of a token for an app, with changes in pairs; nil takes one out.
func claims(user, app, scope string, changes ...any) map[string]any {
	all := map[string]any{
		"iss": "test", "aud": "sidegate", "sub": user, "app": app, "scope": scope, "exp": time.Now().Add(time.Hour).Unix(),
	}
	for i := 0; i < len(changes); i += 2 {
		if all[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(all, changes[i].(string))
		}
	}
	return all
}

func credentials() []credential {
	sign := func(c map[string]any) string { return signed(jwtSecret, hs256Header, c) }
	list := []credential{
		{name: "none"},
		{name: "an unknown token", header: "Bearer nobody"},
		{name: "an empty token", header: "Bearer "},
		{name: "another scheme", header: "Basic api-acme"},
		{name: "the hash of a token", header: fmt.Sprintf("Bearer sha256:%x", sha256.Sum256([]byte("api-acme")))},
		{name: "a signed token of another key", header: signed("x"+jwtSecret, hs256Header, claims("bob", "acme", "app"))},
		{name: "an unsigned token", header: unsigned(claims("bob", "acme", "app staff"))},
		{name: "an expired token", header: sign(claims("bob", "acme", "user", "exp", time.Now().Add(-time.Hour).Unix()))},
		{name: "a token that never expires", header: sign(claims("bob", "acme", "user", "exp", nil))},
		{name: "a token of another issuer", header: sign(claims("bob", "acme", "app", "iss", "evil"))},
		{name: "a token for another service", header: sign(claims("bob", "acme", "app", "aud", "mail"))},
	}
	for _, app := range []string{"acme", "umbra"} {
		list = append(list,
			credential{app + "'s chat server", "Bearer check-" + app, "check", app, "", "app"},
			credential{app + "'s server", "Bearer api-" + app, "api", app, "", "app"},
			credential{app + "'s bob", sign(claims("bob", app, "user")), "api ops", app, "bob", "user"},
			credential{app + "'s alice", sign(claims("alice", app, "user")), "api ops", app, "alice", "user"},
			credential{app + "'s signed server", sign(claims("backend", app, "app")), "api ops", app, "backend", "app"},
			credential{app + "'s signed support", sign(claims("eve", app, "staff openid")), "api ops", app, "eve", "staff"},
			credential{app + "'s user who is support", sign(claims("bob", app, "user staff")), "api ops", app, "bob", "user staff"},
			credential{app + "'s token without scope", sign(claims("bob", app, "", "scope", nil)), "api ops", app, "bob", ""},
			credential{app + "'s token without user", sign(claims("", app, "user", "sub", nil)), "api ops", app, "", "user"},
		)
	}
	return append(list,
		credential{"a token without app", sign(claims("bob", "", "user app staff", "app", nil)), "api ops", "", "bob", "user app staff"},
		credential{"a token for an app that is not there", sign(claims("bob", "ghost", "user app")), "api ops", "ghost", "bob", "user app"},
		credential{"check's staff", "Bearer check-staff", "check", "*", "", "staff"},
		credential{"acme's support", "Bearer api-acme-staff", "api", "acme", "", "staff"},
		credential{"a plain token for users", "Bearer api-acme-user", "api", "acme", "", "user"},
		credential{"root", "Bearer api-root", "api", "*", "", "app"},
		credential{"support", "Bearer ops-staff", "ops", "*", "", "staff"},
		credential{"acme's support on ops", "Bearer ops-acme-staff", "ops", "acme", "", "staff"},
		credential{"an app's token on ops", "Bearer ops-app", "ops", "*", "", "app"},
	)
}

func unsigned(claims map[string]any) string {
	whole := signed("", `{"alg":"none"}`, claims)
	return whole[:strings.LastIndexByte(whole, '.')+1]
}

// operation is a route as the documentation describes it.
type operation struct {
	door    border.Door
	method  string
	pattern string
	opens   string // the scopes of which each opens it; "" = everybody
	// fill returns target and body of a request of its kind, about a user of
	// an app. What it writes carries the mark.
	fill func(app, user, mark string) (target, body string)
}

// headers are those that a request of its kind must have.
func (o operation) headers() []string {
	if strings.HasSuffix(o.pattern, "/import") {
		return []string{"Content-Type", "application/x-ndjson"}
	}
	return nil
}

func listOf(app, user string) string {
	return "/v1/apps/" + url.PathEscape(app) + "/users/" + url.PathEscape(user)
}

// operations are all routes of the program that are about an app, and the reads
// of staff that are about none.
func operations() []operation {
	const blocks, entry = "/v1/apps/{app}/users/{owner}/blocks", "/v1/apps/{app}/users/{owner}/blocks/{target}"
	get := func(suffix string) func(app, user, mark string) (string, string) {
		return func(app, user, _ string) (string, string) { return listOf(app, user) + suffix, "" }
	}
	one := func(app, user, mark string) (string, string) { return listOf(app, user) + "/blocks/" + mark, "" }
	return []operation{
		{border.DoorAPI, "GET", blocks, "user app", get("/blocks")},
		{border.DoorAPI, "GET", entry, "user app", func(app, user, _ string) (string, string) {
			return listOf(app, user) + "/blocks/" + app + "-target", ""
		}},
		{border.DoorAPI, "PUT", entry, "user app", one},
		{border.DoorAPI, "DELETE", entry, "user app", one},
		{border.DoorAPI, "POST", blocks + ":batch", "user app", func(app, user, mark string) (string, string) {
			return listOf(app, user) + "/blocks:batch", `{"add":["` + mark + `"]}`
		}},
		{border.DoorAPI, "GET", "/v1/apps/{app}/users/{owner}/blocked-by", "app staff", get("/blocked-by")},
		{border.DoorAPI, "GET", "/v1/apps/{app}/users/{owner}/history", "user app staff", get("/history")},
		{border.DoorAPI, "GET", "/v1/apps/{app}/users/{user}", "app", get("")},
		{border.DoorAPI, "PUT", "/v1/apps/{app}/users/{user}", "app", func(app, _, mark string) (string, string) {
			return listOf(app, mark), `{"nickname":"` + mark + `"}`
		}},
		{border.DoorAPI, "DELETE", "/v1/apps/{app}/users/{user}", "app", func(app, _, mark string) (string, string) {
			return listOf(app, mark), ""
		}},
		{border.DoorAPI, "POST", "/v1/apps/{app}/users:batch", "app", func(app, _, mark string) (string, string) {
			return "/v1/apps/" + url.PathEscape(app) + "/users:batch", `{"put":[{"user":"` + mark + `"}]}`
		}},
		{border.DoorAPI, "PUT", "/v1/apps/{app}/rooms/direct", "app", func(app, user, mark string) (string, string) {
			return "/v1/apps/" + url.PathEscape(app) + "/rooms/direct", fmt.Sprintf(`{"users":[%q,%q],"id":%q}`, user, mark, mark)
		}},
		{border.DoorAPI, "GET", "/v1/apps/{app}/export", "app", func(app, _, _ string) (string, string) {
			return "/v1/apps/" + app + "/export", ""
		}},
		{border.DoorAPI, "POST", "/v1/apps/{app}/import", "app", func(app, user, mark string) (string, string) {
			return "/v1/apps/" + app + "/import", `{"owner":"` + user + `","target":"` + mark + `"}`
		}},
		{border.DoorCheck, "GET", "/v1/can-deliver", "app", func(app, user, _ string) (string, string) {
			return "/v1/can-deliver?" + url.Values{"app": {app}, "sender": {"acme-target"}, "recipient": {user}, "room_type": {"direct"}}.Encode(), ""
		}},
		{border.DoorCheck, "POST", "/v1/can-deliver", "app", func(app, user, _ string) (string, string) {
			return "/v1/can-deliver", fmt.Sprintf(`{"app":%q,"sender":"acme-target","recipient":%q,"room_type":"direct"}`, app, user)
		}},
		{border.DoorCheck, "POST", "/v1/can-deliver/fanout", "app", func(app, user, _ string) (string, string) {
			return "/v1/can-deliver/fanout", fmt.Sprintf(`{"app":%q,"sender":"acme-target","recipients":[%q],"room_type":"direct"}`, app, user)
		}},
		{border.DoorCheck, "POST", "/v1/can-deliver/batch", "app", func(app, user, _ string) (string, string) {
			return "/v1/can-deliver/batch", fmt.Sprintf(`{"checks":[{"app":%q,"sender":"acme-target","recipient":%q,"room_type":"direct"}]}`, app, user)
		}},
		{border.DoorCheck, "POST", "/v1/visible", "app", func(app, user, _ string) (string, string) {
			return "/v1/visible", fmt.Sprintf(`{"app":%q,"recipient":%q,"room_type":"direct","messages":[{"sender":"acme-target","sent_at":"9999-01-01T00:00:00Z"}]}`, app, user)
		}},
		{border.DoorCheck, "POST", "/v1/invitees", "app", func(app, user, _ string) (string, string) {
			return "/v1/invitees", fmt.Sprintf(`{"app":%q,"inviter":"acme-target","invitees":[%q]}`, app, user)
		}},
		{border.DoorOps, "GET", "/v1/explain", "staff", func(app, user, _ string) (string, string) {
			return "/v1/explain?" + url.Values{"app": {app}, "sender": {app + "-target"}, "recipient": {user}, "room_type": {"direct"}}.Encode(), ""
		}},
		{border.DoorOps, "GET", "/v1/status", "staff", func(_, _, _ string) (string, string) { return "/v1/status", "" }},
	}
}

// oracle says what the documentation promises: 401, 403, or 0 for an answer.
func oracle(c credential, o operation, app, user string) int {
	if !slices.Contains(strings.Fields(c.doors), string(o.door)) {
		return http.StatusUnauthorized
	}
	own := strings.Contains(o.pattern, "{app}") && c.user == user && c.user != ""
	for _, scope := range strings.Fields(o.opens) {
		if !slices.Contains(strings.Fields(c.scopes), scope) {
			continue
		}
		if o.pattern == "/v1/status" { // it names no user and belongs to no app
			return 0
		}
		if (c.apps == "*" || c.apps == app) && (scope != "user" || own) {
			return 0
		}
	}
	return http.StatusForbidden
}

// serveTenants runs the program for both tenants and writes the first entries.
func serveTenants(t *testing.T) *served {
	t.Helper()
	s := serveHere(t, pgtest.Database(t), tenantFile).started(t)
	for _, app := range []string{"acme", "umbra"} {
		for _, user := range []string{"bob", "alice"} {
			a := s.ask("PUT", border.DoorAPI, listOf(app, user)+"/blocks/"+app+"-target", `{"note":"`+app+`-note"}`, "Authorization", "Bearer api-root")
			if a.status != http.StatusCreated {
				t.Fatalf("%v", a)
			}
			a = s.ask("PUT", border.DoorAPI, listOf(app, user), `{"nickname":"`+app+`-note"}`, "Authorization", "Bearer api-root")
			if a.status != http.StatusCreated {
				t.Fatalf("%v", a)
			}
		}
	}
	return s
}

// other is a text that only the other tenant's lists hold.
func other(app string) string {
	if app == "acme" {
		return "umbra-"
	}
	return "acme-"
}

// TestTenants is the whole table: every credential, at every route, about every
// app and user. What is refused looks the same whatever is behind it.
func TestTenants(t *testing.T) {
	s := serveTenants(t)
	refusals := map[string]string{} // the one text, by listener and status
	var mustNotExist []string
	for i, c := range credentials() {
		for j, o := range operations() {
			for _, app := range []string{"acme", "umbra", "ghost"} {
				for _, user := range []string{"bob", "alice"} {
					mark := fmt.Sprintf("%s-mark-%d-%d-%s", app, i, j, user)
					target, body := o.fill(app, user, mark)
					a := s.ask(o.method, o.door, target, body, append(c.headers(), o.headers()...)...)
					want := oracle(c, o, app, user)
					what := fmt.Sprintf("%s: %s %s of %s", c.name, o.method, target, app)
					if want == 0 {
						checkAllowed(t, what, a, app)
						if o.pattern == "/v1/status" && strings.Contains(a.body, `"umbra"`) != (c.apps == "umbra" || c.apps == "*") {
							t.Errorf("%s names apps that the credential is not for, or leaves out those that it is for: %v", what, a)
						}
						continue
					}
					mustNotExist = append(mustNotExist, mark)
					if a.status != want {
						t.Errorf("%s = %v, want %d", what, a, want)
					}
					key := fmt.Sprint(o.door, " ", want)
					if refusals[key] == "" {
						refusals[key] = a.body
					}
					if a.body != refusals[key] || a.header.Get("Content-Type") != border.ContentType {
						t.Errorf("%s is refused with %v, others with %s", what, a, refusals[key])
					}
				}
			}
		}
	}
	for _, text := range refusals {
		for _, secret := range []string{"acme", "umbra", "ghost", "bob", "alice", "scope", "staff", "server"} {
			if strings.Contains(text, secret) {
				t.Errorf("a refusal says %q: %s", secret, text)
			}
		}
	}
	s.mustNotHold(t, mustNotExist)
}

func (c credential) headers() []string {
	if c.header == "" {
		return nil
	}
	return []string{"Authorization", c.header}
}

// checkAllowed looks at an answer that was to be given: it is about the right
// tenant, or says that there is no such thing.
func checkAllowed(t *testing.T, what string, a answer, app string) {
	t.Helper()
	switch {
	case app == "ghost" && !strings.Contains(what, "/v1/status"):
		if a.status != http.StatusNotFound || a.problem(t) != "unknown_app" {
			t.Errorf("%s = %v, want 404 unknown_app", what, a)
		}
	case a.status >= 400 && a.status != http.StatusNotFound:
		t.Errorf("%s = %v, want an answer", what, a)
	case strings.Contains(a.body, other(app)+"target") || strings.Contains(a.body, other(app)+"note") || strings.Contains(a.body, other(app)+"mark"):
		t.Errorf("%s holds what is the other tenant's: %v", what, a)
	case strings.Contains(what, "/v1/explain") && !strings.Contains(a.body, app+"-note"):
		t.Errorf("%s does not show the row behind it: %v", what, a)
	case strings.Contains(what, "can-deliver") && strings.Contains(a.body, "recipient_blocked_sender") != (app == "acme"):
		t.Errorf("%s was decided by the lists of the other tenant: %v", what, a)
	case strings.Contains(what, "/v1/visible") && strings.Contains(a.body, "false") != (app == "acme"),
		strings.Contains(what, "/v1/invitees") && strings.Contains(a.body, "invitee_blocked_inviter") != (app == "acme"):
		t.Errorf("%s was answered by the lists of the other tenant: %v", what, a)
	}
}

// mustNotHold looks whether anything of what was refused has been stored.
func (s *served) mustNotHold(t *testing.T, marks []string) {
	t.Helper()
	for _, app := range []string{"acme", "umbra", "ghost"} {
		users, err := s.store.Users(t.Context(), app, marks)
		if err != nil || len(users) > 0 {
			t.Errorf("users of %s were refused and are there all the same: %v, %v", app, users, err)
		}
	}
	for _, app := range []string{"acme", "umbra"} {
		for _, user := range []string{"bob", "alice"} {
			a := s.ask("GET", border.DoorAPI, listOf(app, user)+"/blocks?limit=1000", "", "Authorization", "Bearer api-root")
			if a.status != http.StatusOK || strings.Contains(a.body, `"next_cursor":"c`) {
				t.Fatalf("%v", a)
			}
			for _, mark := range marks {
				if strings.Contains(a.body, `"`+mark+`"`) {
					t.Errorf("a write was refused and made all the same: %s on the list of %s in %s", mark, user, app)
				}
			}
		}
	}
}

// TestTenantsKnowEveryRoute: a route that nobody has described above is a route
// that nobody has tested.
func TestTenantsKnowEveryRoute(t *testing.T) {
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(server.OpenAPI(), &document); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, path := range []string{"/openapi.json", "/metrics", "/livez", "/readyz", "/startupz", "/version"} {
		known["GET "+path] = true // for everybody, and about nobody
	}
	known["POST /v1/reload"] = true // is about no app either, and its own test asks it with other tokens
	for _, o := range operations() {
		known[o.method+" "+o.pattern] = true
	}
	documented := 0
	for path, methods := range document.Paths {
		if !strings.HasPrefix(path, "/v1/") && !known["GET "+path] {
			continue // a vendor's, whose credential is the app's own
		}
		for method := range methods {
			if method = strings.ToUpper(method); slices.Contains([]string{"GET", "PUT", "POST", "DELETE"}, method) {
				documented++
				if !known[method+" "+path] {
					t.Errorf("%s %s is documented, and has no line in operations", method, path)
				}
			}
		}
	}
	if documented < 10 {
		t.Errorf("only %d operations are documented: they were read wrongly", documented)
	}
}

// TestTokensOfAnotherTenant: what one tenant's answers hold, revisions and
// cursors, opens nothing of another's.
func TestTokensOfAnotherTenant(t *testing.T) {
	s := serveTenants(t)
	ask := func(method string, door border.Door, target, token string) answer {
		return s.ask(method, door, target, "", "Authorization", "Bearer "+token)
	}
	written := ask("PUT", border.DoorAPI, listOf("acme", "bob")+"/blocks/acme-second", "api-acme")
	revision := written.header.Get("Sidegate-Revision")
	const check = "/v1/can-deliver?sender=acme-second&recipient=bob&room_type=direct&app="
	if a := ask("GET", border.DoorCheck, check+"acme&at_least="+revision, "check-acme"); a.status != 200 || !strings.Contains(a.body, "recipient_blocked_sender") {
		t.Errorf("one's own revision: %v", a)
	}
	if a := ask("GET", border.DoorCheck, check+"umbra&at_least="+revision, "check-umbra"); a.status != 400 || a.problem(t) != "invalid_revision" {
		t.Errorf("another's revision: %v", a)
	}
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	first := ask("GET", border.DoorAPI, listOf("acme", "bob")+"/blocks?limit=1", "api-acme")
	if err := json.Unmarshal([]byte(first.body), &page); err != nil || page.NextCursor == "" {
		t.Fatalf("%v, %v", first, err)
	}
	cursor := "/blocks?limit=1&cursor=" + url.QueryEscape(page.NextCursor)
	if a := ask("GET", border.DoorAPI, listOf("acme", "bob")+cursor, "api-acme"); a.status != 200 {
		t.Errorf("one's own cursor: %v", a)
	}
	for _, path := range []string{listOf("umbra", "bob"), listOf("umbra", "alice")} {
		if a := ask("GET", border.DoorAPI, path+cursor, "api-umbra"); a.status != 400 || a.problem(t) != "invalid_cursor" {
			t.Errorf("another's cursor: %v", a)
		}
	}
}
