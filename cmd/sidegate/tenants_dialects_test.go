package main

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// Two tenants that speak every dialect. What is known of a tenant by its nature, its
// name, its users and the keys that name it in a request, the other one knows; the
// secrets it does not.

const dialectTenants = `
api: {tokens: [{name: root, token: api-root}]}
apps:
  acme:
    allowlist: true
    dialects:
      rongcloud: {app_key: rk-acme, app_secret: the-rong-secret-of-acme, rate: 0}
      sendbird: {api_tokens: [sb-acme]}
      imkit: {client_keys: [ck-acme], api_keys: [ak-acme], jwt: {secret: the-secret-of-acme-for-its-own-clients}}
  umbra:
    allowlist: true
    dialects:
      rongcloud: {app_key: rk-umbra, app_secret: the-rong-secret-of-umbra, rate: 0, max_clock_skew: 10m, refuse_replay: true}
      sendbird: {api_tokens: [sb-umbra]}
      imkit: {client_keys: [ck-umbra], api_keys: [ak-umbra], jwt: {secret: the-secret-of-umbra-for-its-own-clients}}
`

// hidden is what only the lists of an app hold; no attack names it.
func hidden(app string) string { return app + "-hidden" }

// serveDialects runs the program for both tenants. Each has a list of bob in which
// two users stand whom only it knows, and users of their names.
func serveDialects(t *testing.T) *served {
	t.Helper()
	s := serveHere(t, pgtest.Database(t), dialectTenants).started(t)
	for _, app := range []string{"acme", "umbra"} {
		for i := range 2 {
			who := fmt.Sprint(hidden(app), i)
			for _, w := range []struct{ target, body string }{
				{listOf(app, "bob") + "/blocks/" + who, `{}`}, {listOf(app, "bob") + "/blocks/" + fmt.Sprint("shared", i), `{"note":"` + who + `"}`},
				{listOf(app, who), `{"nickname":"` + who + `"}`}, {listOf(app, fmt.Sprint("shared", i)), `{"nickname":"` + who + `"}`},
			} {
				if a := s.ask("PUT", border.DoorAPI, w.target, w.body, "Authorization", "Bearer api-root"); a.status != http.StatusCreated {
					t.Fatalf("%s: %v", w.target, a)
				}
			}
		}
	}
	return s
}

// stateOf is a digest of every row about an app, in whichever table it stands.
func (s *served) stateOf(t *testing.T, app string) string {
	t.Helper()
	tables := psql(t, s.cfg.Postgres.URL, `select c.table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
		where c.table_schema = 'sidegate' and c.column_name = 'app' and t.table_type = 'BASE TABLE' order by 1`)
	var statements []string
	for table := range strings.FieldsSeq(tables) {
		statements = append(statements, `select '`+table+`', count(*), md5(coalesce(string_agg(r::text, ',' order by r::text), '')) from sidegate.`+table+` r where app = '`+app+`'`)
	}
	return psql(t, s.cfg.Postgres.URL, statements...)
}

// vendorCall is a request of a dialect, before its credential.
type vendorCall struct {
	dialect, method, target, body, kind string
}

// drawCall makes a request about bob, or about somebody near him.
func drawCall(t *rapid.T, mark string) vendorCall {
	user := spell(t, rapid.SampledFrom([]string{"bob", "bob", "alice"}).Draw(t, "user"))
	other := spell(t, rapid.SampledFrom([]string{mark, mark, "shared0", "shared1"}).Draw(t, "other"))
	switch dialect := rapid.SampledFrom([]string{"rongcloud", "sendbird", "imkit"}).Draw(t, "dialect"); dialect {
	case "rongcloud":
		target := rapid.SampledFrom([]string{
			"/user/blocklist/add.json", "/user/blocklist/remove.json", "/user/blacklist/query.json", "/user/whitelist/add.json",
			"/user/whitelist/query.json", "/user/whitesetting/set.json", "/user/whitesetting/query.json", "/user/blacklist/add.json?userId=bob",
		}).Draw(t, "path")
		return vendorCall{dialect, "POST", target, "userId=" + user + "&blackUserId=" + other + "&whiteUserId=" + other + "&whiteSetting=1&size=1", "application/x-www-form-urlencoded"}
	case "sendbird":
		target := "/v3/users/" + user + "/block"
		switch rapid.SampledFrom([]string{"POST", "GET", "DELETE"}).Draw(t, "method") {
		case "POST":
			return vendorCall{dialect, "POST", target, `{"target_id":"` + mark + `"}`, "application/json"}
		case "DELETE":
			return vendorCall{dialect, "DELETE", target + "/" + other, "", ""}
		}
		return vendorCall{dialect, "GET", target + rapid.SampledFrom([]string{"", "?list=blocking_me", "?limit=1", "?user_ids=shared0"}).Draw(t, "query"), "", ""}
	default:
		target := rapid.SampledFrom([]string{"/blockStatus/my", "/blockStatus/my/" + other, "/blockStatus/room/bob", "/blockStatus/room/bob/" + other}).Draw(t, "path")
		return vendorCall{dialect, rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(t, "method"), target, "", ""}
	}
}

// rongHeaders are those of RongCloud: a key, and a signature by a secret.
func rongHeaders(key, secret, nonce string) string {
	at := strconv.FormatInt(time.Now().UnixMilli(), 10)
	return fmt.Sprintf("App-Key: %s\r\nNonce: %s\r\nTimestamp: %s\r\nSignature: %x\r\n", key, nonce, at, sha1.Sum([]byte(secret+nonce+at)))
}

func clientOf(app, user string) string {
	return strings.TrimPrefix(signed("the-secret-of-"+app+"-for-its-own-clients", hs256Header, map[string]any{
		"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "rooms_owned": []string{"bob"},
	}), "Bearer ")
}

// drawCredential makes the headers of a tenant that may pretend to be the other one,
// with everything it has and everything that is no secret.
func drawCredential(t *rapid.T, dialect, own, victim, nonce string) string {
	how := rapid.IntRange(0, 7).Draw(t, "credential")
	switch dialect {
	case "rongcloud":
		mine := rongHeaders("rk-"+own, "the-rong-secret-of-"+own, nonce)
		return [...]string{
			mine, mine,
			rongHeaders("rk-"+victim, "the-rong-secret-of-"+own, nonce),
			mine + "RC-App-Key: rk-" + victim + "\r\n",
			mine + "App-Key: rk-" + victim + "\r\n",
			"RC-App-Key: rk-" + victim + "\r\n" + strings.ReplaceAll(mine, "App-Key: rk-"+own+"\r\n", ""),
			rongHeaders("rk-"+victim, "", nonce),
			rongHeaders("rk-"+own+", rk-"+victim, "the-rong-secret-of-"+own, nonce),
		}[how]
	case "sendbird":
		return [...]string{
			"Api-Token: sb-" + own + "\r\n", "Api-Token: sb-" + own + "\r\n",
			"Api-Token: " + victim + "\r\n", "Api-Token: sb-" + own + "\r\nApi-Token: sb-" + victim + "x\r\n", "Api-Token: SB-" + victim + "\r\n",
			"Api-Token: rk-" + victim + "\r\n", "App-Id: " + victim + "\r\nApi-Token: sb-" + own + "\r\n", "",
		}[how]
	}
	client := func(key, token string) string {
		return "IM-CLIENT-KEY: " + key + "\r\nIM-Authorization: " + token + "\r\n"
	}
	return [...]string{
		client("ck-"+own, clientOf(own, "bob")), "IM-API-KEY: ak-" + own + "\r\n",
		client("ck-"+victim, clientOf(own, "bob")),
		client("ck-"+own, clientOf(own, "bob")) + "IM-CLIENT-KEY: ck-" + victim + "\r\n",
		"IM-CLIENT-KEY: ck-" + victim + "\r\nIM-API-KEY: ak-" + own + "\r\n",
		client("ck-"+victim, strings.TrimPrefix(unsigned(claims("bob", victim, "app")), "Bearer ")),
		"IM-API-KEY: ck-" + victim + "\r\n",
		client("ck-"+own, clientOf(own, "bob")) + "IM-API-KEY: ck-" + victim + "\r\n",
	}[how]
}

// TestTenantsOfDialects lets one tenant after the other do all that it can in the
// vendors' ways. No answer holds what only the other one has, no row of the other one
// changes, and nothing fails; in its own lists the same requests read and write.
func TestTenantsOfDialects(t *testing.T) {
	s := serveDialects(t)
	conn := &rawConn{address: strings.TrimPrefix(s.urls[border.DoorAPI], "http://")}
	defer conn.close()
	n := 0
	for _, side := range []struct{ own, victim string }{{"acme", "umbra"}, {"umbra", "acme"}} {
		victims, mine, read := s.stateOf(t, side.victim), s.stateOf(t, side.own), 0
		rapid.Check(t, func(t *rapid.T) {
			for range 10 {
				n++
				c := drawCall(t, fmt.Sprintf("by-%s-%d", side.own, n))
				raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\n%s", c.method, c.target, drawCredential(t, c.dialect, side.own, side.victim, strconv.Itoa(n)))
				if c.body != "" {
					raw += fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n", c.kind, len(c.body))
				}
				raw += "\r\n" + c.body
				a, err := conn.send(raw)
				switch {
				case err != nil:
					t.Fatalf("%q: %v", raw, err)
				case strings.Contains(a.body, hidden(side.victim)):
					t.Fatalf("%s learns of %s: %q is answered %v", side.own, side.victim, raw, a)
				case a.status >= 500:
					t.Fatalf("%s breaks something: %q is answered %v", side.own, raw, a)
				case strings.Contains(a.body, hidden(side.own)):
					read++
				}
			}
		})
		if now := s.stateOf(t, side.victim); now != victims {
			t.Errorf("%s has changed rows of %s: they were\n%s and are\n%s", side.own, side.victim, victims, now)
		}
		// The attacks would be seen: on the tenant's own lists they arrive.
		if now := s.stateOf(t, side.own); now == mine || read == 0 {
			t.Errorf("of %d requests of %s %d have read its own lists; its rows:\n%s", n, side.own, read, now)
		}
	}
}

// TestPagesOfAnotherTenant: what tells where a page ends opens nothing of another
// tenant, and not of another list either.
func TestPagesOfAnotherTenant(t *testing.T) {
	s := serveDialects(t)
	root := []string{"Authorization", "Bearer api-root"}
	bird := func(app string) []string { return []string{"Api-Token", "sb-" + app} }
	rong := func(app string) (pairs []string) {
		for line := range strings.SplitSeq(strings.TrimSpace(rongHeaders("rk-"+app, "the-rong-secret-of-"+app, "n"+strconv.FormatInt(time.Now().UnixNano(), 10))), "\r\n") {
			name, value, _ := strings.Cut(line, ": ")
			pairs = append(pairs, name, value)
		}
		return append(pairs, "Content-Type", "application/x-www-form-urlencoded")
	}
	native := func(string) []string { return root }
	for _, p := range []struct {
		method  string
		headers func(app string) []string
		target  func(app string) string
		body    string
		field   string // of the answer, that names the next page
		param   string // by which it is asked for
	}{
		{"GET", native, func(app string) string { return listOf(app, "bob") + "/blocks?limit=1" }, "", "next_cursor", "cursor"},
		{"GET", native, func(app string) string { return listOf(app, "bob") + "/history?limit=1" }, "", "next_cursor", "cursor"},
		{"GET", native, func(app string) string { return listOf(app, "shared0") + "/blocked-by?limit=1" }, "", "next_cursor", "cursor"},
		{"GET", bird, func(string) string { return "/v3/users/bob/block?limit=1" }, "", "next", "token"},
		{"GET", bird, func(string) string { return "/v3/users/shared0/block?list=blocking_me&limit=1" }, "", "next", "token"},
		{"POST", rong, func(string) string { return "/user/blacklist/query.json" }, "userId=bob&size=1", "next", "pageToken"},
	} {
		if strings.Contains(p.target("acme"), "shared0") { // a second one who blocks them
			if a := s.ask("PUT", border.DoorAPI, listOf("acme", "eve")+"/blocks/shared0", "{}", root...); a.status >= 300 {
				t.Fatal(a)
			}
		}
		ask := func(app, next string) answer {
			target, body := p.target(app), p.body
			switch more := p.param + "=" + url.QueryEscape(next); {
			case next == "":
			case body != "":
				body += "&" + more
			default:
				target += "&" + more
			}
			return s.ask(p.method, border.DoorAPI, target, body, p.headers(app)...)
		}
		first := ask("acme", "")
		next := textField(t, first.body, p.field)
		if first.status != 200 || next == "" {
			t.Errorf("%s: %v has no next page", p.target("acme"), first)
			continue
		}
		if a := ask("acme", next); a.status != 200 {
			t.Errorf("%s: one's own next page: %v", p.target("acme"), a)
		}
		if a := ask("umbra", next); a.status != 400 || strings.Contains(a.body, "hidden") {
			t.Errorf("%s: another's next page: %v", p.target("umbra"), a)
		}
	}
}

// textField returns a text of a JSON object.
func textField(t *testing.T, body, name string) string {
	t.Helper()
	_, rest, _ := strings.Cut(body, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
