package server

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// pair is a check as a client writes it.
type pair map[string]any

// somePairs are checks of all kinds.
func somePairs(n int) []pair {
	people := []string{"alice", "bob", "mallory", "moderator", "a/b c+ü?#&=%"}
	pick := func(from ...string) string { return from[rand.IntN(len(from))] }
	pairs := make([]pair, n)
	for i := range pairs {
		p := pair{"sender": pick(people...), "recipient": pick(people...), "room_type": pick("direct", "group", "open")}
		for name, value := range map[string]any{
			"app": pick("default", "acme"), "room": pick("r1", "r2"), "origin": "server", "verify": rand.IntN(2) == 0,
			"notify_blocked": rand.IntN(2) == 0,
		} {
			if rand.IntN(3) == 0 {
				p[name] = value
			}
		}
		pairs[i] = p
	}
	return pairs
}

// TestPairsAreSingleChecks sends the largest batch and compares each decision,
// to the letter, with the answer to the check alone.
func TestPairsAreSingleChecks(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	pairs := somePairs(maxPairs)
	a, m := r.askMany(pairsPath, map[string]any{"checks": pairs})
	if a.status != 200 || len(m.Decisions) != maxPairs {
		t.Fatalf("%d, %d decisions", a.status, len(m.Decisions))
	}
	var singles strings.Builder
	for _, p := range pairs {
		one, _ := r.askMany("/v1/can-deliver", p)
		singles.WriteString("," + one.body)
	}
	if want := `{"decisions":[` + singles.String()[1:] + `]}`; a.body != want {
		t.Errorf("the batch differs from its checks:\n%s\n%s", a.body, want)
	}
	if a, _ := r.askMany(pairsPath, map[string]any{"checks": append(pairs, pairs[0])}); a.status != 413 || a.code(t) != "too_large" {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
}

// TestPairsInCommon: app and at_least may stand beside the checks, for all that
// have none of their own.
func TestPairsInCommon(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	token := func(app string, version int64) string {
		return filter.NewRevision(primary, filter.ListID{App: app, Kind: cache.KindBlock, Owner: "bob"}, version).String()
	}
	one := func(more string) string {
		return `{"sender":"alice","recipient":"bob","room_type":"direct"` + more + `}`
	}
	own := func(token string) string { return fmt.Sprintf(`,"at_least":%q`, token) }
	const rejected = `{"deliver":false,"notify":false,"action":"reject","reason":"recipient_blocked_sender"}`
	for name, c := range map[string]struct {
		checks, beside, header string
		status                 int
		want                   string
	}{
		"app":                            {one(""), `,"app":"acme"`, "", 200, `{"decisions":[` + rejected + `]}`},
		"app, and one of its own":        {one("") + "," + one(`,"app":"default"`), `,"app":"acme"`, "", 200, `{"decisions":[` + rejected + `,` + dropped + `]}`},
		"at_least":                       {one(""), own(token("default", 1)), "", 200, `{"decisions":[` + dropped + `]}`},
		"at_least, ahead":                {one(""), own(token("default", 9)), "", 503, "not_fresh_enough"},
		"at_least, as a header":          {one(""), "", token("default", 9), 503, "not_fresh_enough"},
		"at_least, and one of its own":   {one("") + "," + one(own(token("default", 1))), own(token("default", 9)), "", 200, `{"decisions":[{"reason":"unknown"},` + dropped + `]}`},
		"at_least of one":                {one(own(token("default", 9))) + "," + one(""), "", "", 200, `{"decisions":[{"reason":"unknown"},` + dropped + `]}`},
		"at_least of another app":        {one("") + "," + one(`,"app":"acme"`), own(token("default", 1)), "", 400, "checks[1]: the revision belongs"},
		"at_least of one of another app": {one("") + "," + one(own(token("acme", 1))), "", "", 400, "checks[1]: the revision belongs"},
		"at_least twice":                 {one(""), own(token("default", 1)), token("default", 1), 400, "given twice"},
		"at_least that is none":          {one(""), own("xyz"), "", 400, "invalid_revision"},
	} {
		var header []string
		if c.header != "" {
			header = []string{"Sidegate-At-Least", c.header}
		}
		a := r.ask("POST", pairsPath, `{"checks":[`+c.checks+`]`+c.beside+`}`, header...)
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, c.want)
		}
	}
}

// TestManyOfOtherApps: a credential opens the apps that it is for, in every item.
func TestManyOfOtherApps(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{Auth: tokens()})
	fanout := func(app string) string {
		return fmt.Sprintf(`{"app":%q,"sender":"alice","room_type":"direct","recipients":["bob"]}`, app)
	}
	batch := func(apps ...string) string {
		var checks []string
		for _, app := range apps {
			checks = append(checks, fmt.Sprintf(`{"app":%q,"sender":"alice","room_type":"direct","recipient":"bob"}`, app))
		}
		return `{"checks":[` + strings.Join(checks, ",") + `]}`
	}
	var refusal string
	for _, c := range []struct {
		path, token, body string
		status            int
		code              string
	}{
		{fanoutPath, "acme", fanout("acme"), 200, ""},
		{fanoutPath, "acme", fanout("default"), 403, "forbidden"},
		{fanoutPath, "acme", fanout("none"), 403, "forbidden"},
		{fanoutPath, "all", fanout("none"), 404, "unknown_app"},
		{fanoutPath, "staff", fanout("default"), 403, "forbidden"},
		{pairsPath, "acme", batch("acme", "acme"), 200, ""},
		{pairsPath, "acme", batch("acme", "default", "acme"), 403, "forbidden"},
		{pairsPath, "acme", batch("acme", "none"), 403, "forbidden"},
		{pairsPath, "all", batch("acme", "none"), 404, "unknown_app"},
		{pairsPath, "all", batch("acme", "default"), 200, ""},
	} {
		a := r.ask("POST", c.path, c.body, "Authorization", "Bearer "+c.token)
		if a.status != c.status || c.code != "" && a.code(t) != c.code {
			t.Errorf("%s %s as %s: %d %s", c.path, c.body, c.token, a.status, a.body)
		}
		if c.status != 403 {
			continue
		}
		if refusal == "" {
			refusal = a.body
		}
		if a.body != refusal {
			t.Errorf("two refusals differ: %s and %s", a.body, refusal)
		}
	}
	if a := r.ask("POST", fanoutPath, fanout("acme")); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
}

// TestManyTenants sends fan-outs and batches of two apps with opposite lists
// through one connection: a string that outlived its request, in the working
// space too, would show as an answer from the other tenant.
func TestManyTenants(t *testing.T) {
	w := newWorld(t, func(o *filter.Options) {
		o.Apps = map[string]filter.Policy{"default": filter.Default(), "acme": filter.Default()}
	})
	var people []string
	for i := range 40 {
		people = append(people, fmt.Sprintf("%d%s", i, strings.Repeat("x", rand.IntN(200))))
		w.put([]string{"default", "acme"}[i%2], cache.KindBlock, people[i], "alice")
	}
	r := runCheck(t, w, Options{})
	var raw strings.Builder
	var want []string
	for range 100 {
		app := rand.IntN(2)
		some := people[rand.IntN(20):][:rand.IntN(20)]
		var ids, checks, exceptions, decisions []string
		for i, id := range some {
			ids = append(ids, fmt.Sprintf("%q", id))
			checks = append(checks, fmt.Sprintf(`{"sender":"alice","recipient":%q,"room_type":"direct"}`, id))
			n, _, _ := strings.Cut(id, "x")
			if strings.ContainsAny(n[len(n)-1:], "02468") == (app == 0) {
				exceptions = append(exceptions, fmt.Sprintf(`{"index":%d,"recipient":%q,%s`, i, id, dropped[1:]))
				decisions = append(decisions, dropped)
			} else {
				decisions = append(decisions, delivered)
			}
		}
		name := []string{"default", "acme"}[app]
		raw.WriteString(request("POST", fanoutPath, fmt.Sprintf(`{"app":%q,"sender":"alice","room_type":"direct","recipients":[%s]}`, name, strings.Join(ids, ","))))
		want = append(want, fmt.Sprintf(`{"checked":%d,"exceptions":[%s]}`, len(some), strings.Join(exceptions, ",")))
		raw.WriteString(request("POST", pairsPath, fmt.Sprintf(`{"checks":[%s],"app":%q}`, strings.Join(checks, ","), name)))
		want = append(want, `{"decisions":[`+strings.Join(decisions, ",")+`]}`)
	}
	for i, a := range r.send(raw.String(), len(want)) {
		if a.body != want[i] {
			t.Fatalf("answer %d is %s, want %s", i, a.body, want[i])
		}
	}
}
