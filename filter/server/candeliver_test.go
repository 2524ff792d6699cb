package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const (
	delivered = `{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"}`
	dropped   = `{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}`
)

// blockedWorld: bob has blocked alice in both apps, and mallory in room r1.
func blockedWorld(t testing.TB, change ...func(*filter.Options)) *world {
	w := newWorld(t, change...)
	w.block("bob", "alice", "a/b c+ü?#&=%", "moderator")
	w.put("acme", cache.KindBlock, "bob", "alice", "moderator")
	w.put("default", cache.KindRoom, "r1", "mallory")
	return w
}

// TestDecisions asks everything twice, as a GET and as a POST: they must agree.
func TestDecisions(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	for _, c := range []struct{ name, query, json, want string }{
		{
			"blocked, direct", "sender=alice&recipient=bob&room_type=direct",
			`{"sender":"alice","recipient":"bob","room_type":"direct"}`, dropped,
		},
		{
			"the other way", "sender=bob&recipient=alice&room_type=direct",
			`{"sender":"bob","recipient":"alice","room_type":"direct"}`, delivered,
		},
		{
			"group", "sender=alice&recipient=bob&room_type=group",
			`{"sender":"alice","recipient":"bob","room_type":"group"}`,
			`{"deliver":true,"notify":false,"action":"deliver","reason":"recipient_blocked_sender"}`,
		},
		{
			"group that notifies", "sender=alice&recipient=bob&room_type=group&notify_blocked=1",
			`{"sender":"alice","recipient":"bob","room_type":"group","notify_blocked":true}`,
			`{"deliver":true,"notify":true,"action":"deliver","reason":"recipient_blocked_sender"}`,
		},
		{
			"group that does not", "sender=alice&recipient=bob&room_type=group&notify_blocked=0",
			`{"sender":"alice","recipient":"bob","room_type":"group","notify_blocked":false}`,
			`{"deliver":true,"notify":false,"action":"deliver","reason":"recipient_blocked_sender"}`,
		},
		{
			"open", "sender=alice&recipient=bob&room_type=open",
			`{"sender":"alice","recipient":"bob","room_type":"open"}`,
			`{"deliver":true,"notify":true,"action":"deliver","reason":"room_not_filtered"}`,
		},
		{
			"banned", "sender=mallory&recipient=bob&room_type=group&room=r1",
			`{"sender":"mallory","recipient":"bob","room_type":"group","room":"r1"}`,
			`{"deliver":false,"notify":false,"action":"reject","reason":"banned_in_room"}`,
		},
		{
			"self", "sender=bob&recipient=bob&room_type=direct",
			`{"sender":"bob","recipient":"bob","room_type":"direct"}`,
			`{"deliver":true,"notify":true,"action":"deliver","reason":"self"}`,
		},
		{
			"from the server", "sender=alice&recipient=bob&room_type=direct&origin=server",
			`{"sender":"alice","recipient":"bob","room_type":"direct","origin":"server"}`,
			`{"deliver":true,"notify":true,"action":"deliver","reason":"unverified_origin"}`,
		},
		{
			"from the server, verified", "sender=alice&recipient=bob&room_type=direct&origin=server&verify=1",
			`{"sender":"alice","recipient":"bob","room_type":"direct","origin":"server","verify":true}`, dropped,
		},
		{
			"two-way app", "app=acme&sender=bob&recipient=alice&room_type=direct",
			`{"app":"acme","sender":"bob","recipient":"alice","room_type":"direct"}`,
			`{"deliver":false,"notify":false,"action":"reject","reason":"sender_blocked_recipient"}`,
		},
		{
			"exempt", "app=acme&sender=moderator&recipient=bob&room_type=direct",
			`{"app":"acme","sender":"moderator","recipient":"bob","room_type":"direct"}`,
			`{"deliver":true,"notify":true,"action":"deliver","reason":"exempt"}`,
		},
		{
			"an id of everything", "sender=a%2Fb+c%2B%C3%BC%3F%23%26%3D%25&recipient=bob&room_type=direct",
			`{"sender":"a/b c+ü?#&=%","recipient":"bob","room_type":"direct"}`, dropped,
		},
		{
			"the same, escaped otherwise", "%73ender=a%2fb%20c%2b\u00fc%3f%23%26%3d%25&&recipient=%62ob&room%5ftype=dir%65ct&",
			`{"\u0073ender":"a\/b c+\u00fc?#&=%","recipient":"\u0062ob","room_type":"direct"}`, dropped,
		},
	} {
		if a := r.get("/v1/can-deliver?" + c.query); a.status != 200 || a.body != c.want {
			t.Errorf("%s: GET = %d %s, want %s", c.name, a.status, a.body, c.want)
		}
		if a := r.ask("POST", "/v1/can-deliver", c.json); a.status != 200 || a.body != c.want {
			t.Errorf("%s: POST = %d %s, want %s", c.name, a.status, a.body, c.want)
		}
	}
}

func TestHeadersAreFew(t *testing.T) {
	a := runCheck(t, blockedWorld(t), Options{}).get("/v1/can-deliver?sender=alice&recipient=bob&room_type=direct")
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	if _, err := time.Parse(time.RFC1123, a.header.Get("Date")); err != nil {
		t.Error(err)
	}
	for name := range a.header {
		switch name {
		case "Content-Type", "Content-Length", "Date":
		default:
			t.Errorf("the answer has a header %s", name)
		}
	}
}

func TestHead(t *testing.T) {
	a := runCheck(t, blockedWorld(t), Options{}).ask("HEAD", "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct", "")
	if a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "" {
		t.Errorf("HEAD = %d %v %q", a.status, a.header, a.body)
	}
}

// TestStatusOnly is for proxies that look at nothing but the status.
func TestStatusOnly(t *testing.T) {
	w := blockedWorld(t)
	r := runCheck(t, w, Options{})
	for query, want := range map[string]int{
		"sender=alice&recipient=bob&room_type=direct&status=1": 403,
		"sender=bob&recipient=alice&room_type=direct&status=1": 204,
		"sender=alice&recipient=bob&room_type=direct&status=0": 200,
	} {
		a := r.get("/v1/can-deliver?" + query)
		if a.status != want || (a.body == "") != (want != 200) || a.closes {
			t.Errorf("%s = %d %q", query, a.status, a.body)
		}
	}
	// A POST names it in the body, or in the query, where proxies write it.
	const to = `{"sender":"alice","recipient":%q,"room_type":"direct"%s}`
	for _, c := range []struct {
		query, recipient, more string
		status                 int
	}{
		{"", "bob", `,"status":true`, 403}, {"", "carol", `,"status":true`, 204}, {"", "bob", `,"status":false`, 200},
		{"?status=1", "bob", "", 403}, {"?status=1", "carol", "", 204}, {"?status=0", "bob", "", 200},
		{"?status=1", "bob", `,"status":true`, 400}, {"?status=yes", "bob", "", 400}, {"?status=1&verify=1", "bob", "", 400},
	} {
		a := r.ask("POST", "/v1/can-deliver"+c.query, fmt.Sprintf(to, c.recipient, c.more))
		if a.status != c.status || (a.body == "") != (c.status == 204 || c.status == 403) {
			t.Errorf("POST %s %s%s = %d %q", c.query, c.recipient, c.more, a.status, a.body)
		}
	}
	w.dark.Store(true)
	if a := r.get("/v1/can-deliver?app=acme&sender=x&recipient=y&room_type=direct&status=1"); a.status != 503 || a.code(t) != "unknown" {
		t.Errorf("an unknown decision = %d %q", a.status, a.body)
	}
}

func TestUnknown(t *testing.T) {
	const query = "/v1/can-deliver?sender=alice&recipient=bob&room_type="
	for policy, want := range map[filter.OnUnknown]string{
		filter.OnUnknownDeliver:  `{"deliver":true,"notify":true,"action":"deliver","reason":"unknown","degraded":true}`,
		filter.OnUnknownWithhold: `{"deliver":false,"notify":false,"action":"drop","reason":"unknown","degraded":true}`,
	} {
		w := blockedWorld(t, func(o *filter.Options) {
			p := o.Apps["default"]
			p.OnUnknown = policy
			o.Apps["default"] = p
		})
		w.dark.Store(true)
		if a := runCheck(t, w, Options{}).get(query + "direct"); a.status != 200 || a.body != want {
			t.Errorf("%v: %d %s, want %s", policy, a.status, a.body, want)
		}
	}
	w := blockedWorld(t)
	w.dark.Store(true)
	r := runCheck(t, w, Options{})
	a := r.get(query + "direct")
	if a.status != 503 || a.code(t) != "unknown" || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if strings.Contains(a.body, "dark") {
		t.Errorf("the text of the database reached the client: %s", a.body)
	}
	// Whether the sender is blocked must not show in what is not known.
	if b := r.get("/v1/can-deliver?sender=nobody&recipient=bob&room_type=direct"); b.body != a.body {
		t.Errorf("a blocked sender is told %s, another %s", a.body, b.body)
	}
	// What needs no list is decided all the same.
	if a := r.get(query + "open"); a.status != 200 {
		t.Errorf("an open room: %d %s", a.status, a.body)
	}
}

func TestUnknownNamesItsReason(t *testing.T) {
	for cause, says := range map[filter.Cause]string{
		filter.CauseNotLoaded: "not in memory", filter.CauseNotSynced: "since the start", filter.CauseStale: "hard bound",
	} {
		if err := undecided(cause); !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "unknown: ") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := undecided(filter.CauseNotFreshEnough); !strings.HasPrefix(err.Error(), "not_fresh_enough: ") {
		t.Error(err)
	}
}

func TestStaleAnswerSaysSo(t *testing.T) {
	w := blockedWorld(t, func(o *filter.Options) { o.SoftBound = time.Nanosecond })
	a := runCheck(t, w, Options{}).get("/v1/can-deliver?sender=alice&recipient=bob&room_type=direct")
	prefix := strings.TrimSuffix(dropped, "}") + `,"stale_ms":`
	if a.status != 200 || !strings.HasPrefix(a.body, prefix) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAtLeast(t *testing.T) {
	w := blockedWorld(t)
	list := filter.ListID{App: "default", Kind: cache.KindBlock, Owner: "bob"}
	seen := filter.NewRevision(primary, list, 1).String()
	ahead := filter.NewRevision(primary, list, 9).String()
	list.App = "acme"
	foreign := filter.NewRevision(primary, list, 1).String()
	r := runCheck(t, w, Options{})
	const query = "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct"
	for _, c := range []struct {
		name, query string
		header      []string
		status      int
		code        string
	}{
		{"seen", "&at_least=" + seen, nil, 200, ""},
		{"seen, as a header", "", []string{"Sidegate-At-Least", seen}, 200, ""},
		{"seen, as a header in small letters", "", []string{"sidegate-at-least", seen}, 200, ""},
		{"ahead of the database", "&at_least=" + ahead, nil, 503, "not_fresh_enough"},
		{"ahead, as a header", "", []string{"Sidegate-At-Least", ahead}, 503, "not_fresh_enough"},
		{"another app", "&at_least=" + foreign, nil, 400, "invalid_revision"},
		{"no token", "&at_least=xyz", nil, 400, "invalid_revision"},
		{"empty", "&at_least=", nil, 400, "invalid_revision"},
		{"twice", "&at_least=" + seen, []string{"Sidegate-At-Least", seen}, 400, "unknown_parameter"},
	} {
		a := r.get(query+c.query, c.header...)
		if a.status != c.status || c.code != "" && a.code(t) != c.code {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		if c.status == 503 && a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: no Retry-After", c.name)
		}
	}
	body := `{"sender":"alice","recipient":"bob","room_type":"direct","at_least":"` + ahead + `"}`
	if a := r.ask("POST", "/v1/can-deliver", body); a.status != 503 || a.code(t) != "not_fresh_enough" {
		t.Errorf("POST: %d %s", a.status, a.body)
	}
}
