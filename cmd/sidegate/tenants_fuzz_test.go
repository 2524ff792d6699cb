package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sidegate/sidegate/metrics/border"
)

// TestTenantsAgainstEachOther lets each tenant try to reach the other with all
// that its credentials and the bytes of a request can do: ids spelled in every
// way, paths that climb, arguments given twice, forms and headers that some proxy
// would rewrite. No answer may hold what is the other's, no write may arrive
// there, and nothing may make the program fail.
func TestTenantsAgainstEachOther(t *testing.T) {
	s := serveTenants(t)
	var attackers []credential
	for _, c := range credentials() {
		if c.apps == "acme" || c.apps == "umbra" {
			attackers = append(attackers, c)
		}
	}
	conns := map[border.Door]*rawConn{}
	for door, address := range s.urls {
		conns[door] = &rawConn{address: strings.TrimPrefix(address, "http://")}
		defer conns[door].close()
	}
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 50 {
			n++
			c := rapid.SampledFrom(attackers).Draw(t, "credential")
			o := rapid.SampledFrom(operations()).Draw(t, "operation")
			victim := strings.TrimSuffix(other(c.apps), "-")
			raw := attack(t, c, o, victim, fmt.Sprintf("by-%s-%d", c.apps, n))
			a, err := conns[o.door].send(raw)
			if err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			for _, theirs := range []string{victim + "-note", `"target":"` + victim, "recipient_blocked_sender"} {
				// An explanation names every rule, and the sender that was asked about.
				if strings.Contains(a.body, theirs) && (theirs == victim+"-note" || o.pattern != "/v1/explain") {
					t.Fatalf("%s learns of %s: %q is answered %v", c.name, victim, raw, a)
				}
			}
			if a.status >= 500 {
				t.Fatalf("%s breaks something: %q is answered %v", c.name, raw, a)
			}
		}
	})
	for _, app := range []string{"acme", "umbra"} {
		for _, user := range []string{"bob", "alice", "acme", "umbra"} {
			a := s.ask("GET", border.DoorAPI, listOf(app, user)+"/history?limit=1000", "", "Authorization", "Bearer api-root")
			if a.status != http.StatusOK || strings.Contains(a.body, "by-"+other(app)) {
				t.Errorf("somebody has written to %s of %s: %v", user, app, a)
			}
		}
	}
	for _, app := range []string{"acme", "umbra"} {
		theirs := psql(t, s.cfg.Postgres.URL, `select id from sidegate.directory where app = '`+app+`' and strpos(id || nickname, 'by-`+other(app)+`') > 0`)
		if theirs != "" {
			t.Errorf("somebody has written users of %s: %s", app, theirs)
		}
	}
	want := 2500
	if testing.Short() {
		want = 500 // with -short, a fifth of the cases are drawn
	}
	if n < want {
		t.Errorf("only %d requests were made", n)
	}
}

// attack makes the bytes of a request about the victim.
func attack(t *rapid.T, c credential, o operation, victim, mark string) string {
	app := rapid.SampledFrom([]string{victim, victim, c.apps, "default"}).Draw(t, "app")
	user := rapid.SampledFrom([]string{"bob", "alice", "bob", victim}).Draw(t, "user")
	target, body := o.fill(app, user, mark)
	// The sender is one whom only the victim's lists hold.
	target = strings.ReplaceAll(target, "acme-target", victim+"-target")
	body = strings.ReplaceAll(body, "acme-target", victim+"-target")
	target = bend(t, target, app, user, victim)
	if body != "" && rapid.Bool().Draw(t, "bend the body") {
		body = rapid.SampledFrom([]string{
			strings.Replace(body, "{", `{"app":"`+c.apps+`",`, 1),
			strings.TrimSuffix(body, "}") + `,"app":"` + victim + `"}`,
			strings.Replace(body, `"app"`, `"\u0061pp"`, 1),
			strings.Replace(body, `"app"`, `"App"`, 1),
			strings.Replace(body, victim, victim+`\u0000`, 1),
			body + body,
		}).Draw(t, "body")
	}
	var raw strings.Builder
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: %s\r\n", o.method, target, rapid.SampledFrom([]string{"sidegate", victim}).Draw(t, "host"))
	for range rapid.IntRange(0, 2).Draw(t, "headers") {
		fmt.Fprintf(&raw, "%s\r\n", rapid.SampledFrom([]string{
			"X-Original-URL: " + listOf(victim, "bob") + "/blocks", "X-HTTP-Method-Override: GET", "X-Forwarded-User: " + victim,
			"X-App: " + victim, "App: " + victim, "Sidegate-App: " + victim, "Cookie: app=" + victim, "Forwarded: for=127.0.0.1",
			"Authorization: Bearer " + victim, "authorization: Bearer nobody",
		}).Draw(t, "header"))
	}
	if c.header != "" {
		fmt.Fprintf(&raw, "Authorization: %s\r\n", c.header)
	}
	if body != "" {
		kind := "application/json"
		if headers := o.headers(); len(headers) > 0 {
			kind = rapid.SampledFrom([]string{headers[1], headers[1], "text/csv", kind}).Draw(t, "content type")
		}
		fmt.Fprintf(&raw, "Content-Type: %s\r\nContent-Length: %d\r\n", kind, len(body))
	}
	return raw.String() + "\r\n" + body
}

// bend spells a target in another way, and maybe so that it means another thing.
func bend(t *rapid.T, target, app, user, victim string) string {
	path, query, asked := strings.Cut(target, "?")
	for _, id := range []string{app, user} {
		spelled := spell(t, id)
		path = strings.Replace(path, "/"+id, "/"+spelled, 1)
		query = strings.Replace(query, "="+id, "="+spelled, 1)
	}
	switch rapid.IntRange(0, 14).Draw(t, "path") {
	case 0:
		path = strings.Replace(path, "/v1/", rapid.SampledFrom([]string{"//v1/", "/./v1/", "/x/../v1/", "/v1//", "/%761/", "/V1/"}).Draw(t, "prefix"), 1)
	case 1:
		path += rapid.SampledFrom([]string{"/", "//", "/..", "/../../../" + victim + "/users/bob/blocks", ";app=" + victim, "%2f", "%00", "/."}).Draw(t, "suffix")
	case 2:
		path = "http://" + victim + path
	case 3:
		query += "&app=" + url.QueryEscape(victim)
		asked = true
	case 4:
		query = "app=" + url.QueryEscape(victim) + "&" + query
		asked = true
	}
	if asked {
		path += "?" + query
	}
	return path
}

// spell writes an id with some of its bytes escaped, or as something near it.
func spell(t *rapid.T, id string) string {
	switch rapid.IntRange(0, 11).Draw(t, "spelling") {
	case 0:
		var out strings.Builder
		for i := range len(id) {
			if rapid.Bool().Draw(t, "escape") {
				fmt.Fprintf(&out, "%%%02x", id[i])
			} else {
				out.WriteByte(id[i])
			}
		}
		return out.String()
	case 1:
		return id + rapid.SampledFrom([]string{"%00", "%20", "+", ".", "%2e", "%0d%0a", "%ff", "%252f", "*", "%", "%2", "%zz"}).Draw(t, "tail")
	case 2:
		return strings.ToUpper(id)
	case 3:
		return "%2e%2e%2f" + id
	}
	return id
}

// rawConn sends requests as they are, over one connection as long as it lasts.
type rawConn struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
}

func (c *rawConn) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *rawConn) send(raw string) (answer, error) {
	a, err := c.try(raw)
	if err != nil { // it was closed over the request before
		c.close()
		a, err = c.try(raw)
	}
	return a, err
}

func (c *rawConn) try(raw string) (answer, error) {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			return answer{}, err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(c.conn, raw); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Close {
		c.close()
	}
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// TestAttacksArrive shows that the attacks of the test above would be seen: sent
// with the victim's own credentials, some of them reach the victim's lists.
func TestAttacksArrive(t *testing.T) {
	s := serveTenants(t)
	conns := map[border.Door]*rawConn{}
	for door, address := range s.urls {
		conns[door] = &rawConn{address: strings.TrimPrefix(address, "http://")}
		defer conns[door].close()
	}
	n, read, written, decided := 0, 0, 0, 0
	arrive := func(t *rapid.T) {
		for range 10 {
			n++
			o := rapid.SampledFrom(operations()).Draw(t, "operation")
			own := credentials()[slices.IndexFunc(credentials(), func(c credential) bool {
				return c.apps == "umbra" && c.scopes == "app" && strings.Contains(c.doors, string(o.door))
			})]
			a, err := conns[o.door].send(attack(t, own, o, "umbra", fmt.Sprintf("by-umbra-%d", n)))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case strings.Contains(a.body, "umbra-note"):
				read++
			case strings.Contains(a.body, `"target":"by-umbra`), strings.Contains(a.body, `"added":1`), strings.Contains(a.body, `"user":"by-umbra`):
				written++
			case strings.Contains(a.body, "recipient_blocked_sender"):
				decided++
			}
		}
	}
	// One request in fifty writes: what a few hundred of them reach is luck, and
	// with -short few are drawn at a time. Thousands that reach nothing are not.
	for n < 4000 && min(read, written, decided) < 5 {
		rapid.Check(t, arrive)
	}
	t.Logf("of %d requests %d have read, %d written, %d been decided by a block", n, read, written, decided)
	if min(read, written, decided) < 5 {
		t.Errorf("of %d requests %d have read, %d written, %d been decided by a block", n, read, written, decided)
	}
}
