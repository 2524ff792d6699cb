package server

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const (
	fanoutPath = "/v1/can-deliver/fanout"
	pairsPath  = "/v1/can-deliver/batch"
)

// TestFanout asks on a socket and compares answers to the letter.
func TestFanout(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	for name, c := range map[string]struct{ body, want string }{
		"group": {
			`{"sender":"alice","room_type":"group","recipients":["carol","bob","dave"]}`,
			`{"checked":3,"exceptions":[{"index":1,"recipient":"bob","deliver":true,"notify":false,"action":"deliver","reason":"recipient_blocked_sender"}]}`,
		},
		"nothing to say":           {`{"sender":"alice","room_type":"open","recipients":["bob","carol"]}`, `{"checked":2,"exceptions":[]}`},
		"nobody else is there":     {`{"sender":"alice","room_type":"group","recipients":[]}`, `{"checked":0,"exceptions":[]}`},
		"the sender among them":    {`{"sender":"bob","room_type":"direct","recipients":["bob","alice"]}`, `{"checked":2,"exceptions":[]}`},
		"who is moderator":         {`{"app":"acme","sender":"moderator","room_type":"direct","recipients":["bob"]}`, `{"checked":1,"exceptions":[]}`},
		"from the server":          {`{"recipients":["bob"],"sender":"alice","room_type":"direct","origin":"server"}`, `{"checked":1,"exceptions":[]}`},
		"notifies all the same":    {`{"sender":"alice","room_type":"group","notify_blocked":true,"recipients":["bob"]}`, `{"checked":1,"exceptions":[]}`},
		"from the server, checked": {`{"recipients":["bob"],"sender":"alice","room_type":"direct","origin":"server","verify":true}`, `{"checked":1,"exceptions":[{"index":0,"recipient":"bob",` + dropped[1:] + `]}`},
		"twice the same": {
			`{"sender":"alice","room_type":"direct","recipients":["bob","bob"]}`,
			`{"checked":2,"exceptions":[{"index":0,"recipient":"bob",` + dropped[1:] + `,{"index":1,"recipient":"bob",` + dropped[1:] + `]}`,
		},
		"banned": {
			`{"sender":"mallory","room_type":"group","room":"r1","recipients":["bob","mallory"]}`,
			`{"checked":2,"exceptions":[{"index":0,"recipient":"bob","deliver":false,"notify":false,"action":"reject","reason":"banned_in_room"}]}`,
		},
		"an id of everything": {
			`{"sender":"bob","app":"acme","room_type":"direct","recipients":["\"\\/ ü\u00fc","alice"]}`,
			`{"checked":2,"exceptions":[{"index":1,"recipient":"alice","deliver":false,"notify":false,"action":"reject","reason":"sender_blocked_recipient"}]}`,
		},
	} {
		if a := r.ask("POST", fanoutPath, c.body); a.status != 200 || a.body != c.want {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, c.want)
		}
	}
}

// many are the answers to a fan-out or batch, read as a client reads them.
type many struct {
	Checked    int            `json:"checked"`
	StaleMS    int64          `json:"stale_ms"`
	Exceptions []oneException `json:"exceptions"`
	Decisions  []oneDecision  `json:"decisions"`
}

type oneException struct {
	Index     int    `json:"index"`
	Recipient string `json:"recipient"`
	oneDecision
}

type oneDecision struct {
	Deliver  *bool  `json:"deliver"`
	Notify   *bool  `json:"notify"`
	Action   string `json:"action"`
	Reason   string `json:"reason"`
	StaleMS  int64  `json:"stale_ms"`
	Degraded bool   `json:"degraded"`
}

func (r *running) askMany(path string, body any) (answer, many) {
	r.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	a := r.ask("POST", path, string(text))
	var m many
	if a.status == 200 {
		if err := json.Unmarshal([]byte(a.body), &m); err != nil {
			r.t.Fatalf("%v in %.300s", err, a.body)
		}
	}
	return a, m
}

// TestFanoutOfTenThousand compares the largest fan-out, with ids that need
// escapes, with its single checks.
func TestFanoutOfTenThousand(t *testing.T) {
	w := newWorld(t)
	recipients := make([]string, maxFanout)
	blocked := make(map[int]bool)
	for i := range recipients {
		recipients[i] = fmt.Sprintf("%d\"\\/é%s", i, strings.Repeat("x", i%60))
		if rand.IntN(100) == 0 {
			blocked[i] = true
			w.block(recipients[i], "alice")
		}
	}
	r := runCheck(t, w, Options{})
	body := map[string]any{"sender": "alice", "room_type": "direct", "recipients": recipients}
	a, m := r.askMany(fanoutPath, body)
	if a.status != 200 || m.Checked != maxFanout || len(m.Exceptions) != len(blocked) {
		t.Fatalf("%d, %d checked, %d exceptions; want %d", a.status, m.Checked, len(m.Exceptions), len(blocked))
	}
	last := -1
	for _, e := range m.Exceptions {
		if e.Index <= last || !blocked[e.Index] || e.Recipient != recipients[e.Index] || e.Reason != "recipient_blocked_sender" || *e.Deliver {
			t.Fatalf("%+v behind index %d", e, last)
		}
		last = e.Index
	}
	body["recipients"] = slices.Concat(recipients, []string{"one more"})
	if a, _ := r.askMany(fanoutPath, body); a.status != 413 || a.code(t) != "too_large" || !strings.Contains(a.body, "10000") {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
}

// TestManyUnknown: what is unknown says so and no more, beside what is known;
// only if nothing is known there is an error.
func TestManyUnknown(t *testing.T) {
	w := blockedWorld(t)
	r := runCheck(t, w, Options{})
	near := "bob"
	far := pageApart(near)
	r.get("/v1/can-deliver?sender=alice&recipient=bob&room_type=direct") // bob's page is in memory
	w.dark.Store(true)
	const unknown = `"reason":"unknown"}`
	fanout := func(recipients string) answer {
		return r.ask("POST", fanoutPath, `{"sender":"alice","room_type":"direct","recipients":[`+recipients+`]}`)
	}
	check := func(recipient string) string {
		return fmt.Sprintf(`{"sender":"alice","recipient":%q,"room_type":"direct"}`, recipient)
	}
	batch := func(checks ...string) answer {
		return r.ask("POST", pairsPath, `{"checks":[`+strings.Join(checks, ",")+`]}`)
	}
	want := fmt.Sprintf(`{"checked":2,"exceptions":[{"index":0,"recipient":%q,%s,{"index":1,"recipient":"bob",%s]}`, far, unknown, dropped[1:])
	if a := fanout(fmt.Sprintf("%q,%q", far, near)); a.status != 200 || a.body != want {
		t.Errorf("fan-out: %d %s, want %s", a.status, a.body, want)
	}
	want = `{"decisions":[{` + unknown + `,` + dropped + `]}`
	if a := batch(check(far), check(near)); a.status != 200 || a.body != want {
		t.Errorf("batch: %d %s, want %s", a.status, a.body, want)
	}
	for name, a := range map[string]answer{
		"fan-out": fanout(fmt.Sprintf("%q,%q", far, far)), "batch": batch(check(far), check(far)),
	} {
		if a.status != 503 || a.code(t) != "unknown" || a.header.Get("Retry-After") != "1" || strings.Contains(a.body, "dark") {
			t.Errorf("%s of unknowns: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	if a := fanout(""); a.status != 200 {
		t.Errorf("a fan-out to nobody: %d %s", a.status, a.body)
	}
	if a := batch(); a.status != 200 || a.body != `{"decisions":[]}` {
		t.Errorf("a batch of nothing: %d %s", a.status, a.body)
	}
}

// pageApart returns an id whose lists are on another page.
func pageApart(from string) string {
	for n := 0; ; n++ {
		id := fmt.Sprint("far-", n)
		if cache.HashOwner(id, primary.Salt)>>60 != cache.HashOwner(from, primary.Salt)>>60 {
			return id
		}
	}
}

// TestManyDegraded: what on_unknown decided is listed, although it looks like a
// plain delivery.
func TestManyDegraded(t *testing.T) {
	w := blockedWorld(t, func(o *filter.Options) {
		p := o.Apps["default"]
		p.OnUnknown = filter.OnUnknownDeliver
		o.Apps["default"] = p
	})
	w.dark.Store(true)
	r := runCheck(t, w, Options{})
	const degraded = `"deliver":true,"notify":true,"action":"deliver","reason":"unknown","degraded":true}`
	want := `{"checked":1,"exceptions":[{"index":0,"recipient":"bob",` + degraded + `]}`
	if a := r.ask("POST", fanoutPath, `{"sender":"alice","room_type":"direct","recipients":["bob"]}`); a.status != 200 || a.body != want {
		t.Errorf("%d %s, want %s", a.status, a.body, want)
	}
	want = `{"decisions":[{` + degraded + `]}`
	if a := r.ask("POST", pairsPath, `{"checks":[{"sender":"alice","room_type":"direct","recipient":"bob"}]}`); a.status != 200 || a.body != want {
		t.Errorf("%d %s, want %s", a.status, a.body, want)
	}
}

// TestManyStale: a fan-out says its age once, plain deliveries stay unlisted.
func TestManyStale(t *testing.T) {
	r := runCheck(t, blockedWorld(t, func(o *filter.Options) { o.SoftBound = time.Nanosecond }), Options{})
	_, m := r.askMany(fanoutPath, map[string]any{"sender": "alice", "room_type": "direct", "recipients": []string{"carol", "bob"}})
	if m.StaleMS < 1 || len(m.Exceptions) != 1 || m.Exceptions[0].StaleMS < 1 {
		t.Errorf("fan-out: %+v", m)
	}
	_, m = r.askMany(pairsPath, map[string]any{"checks": []any{
		map[string]any{"sender": "alice", "recipient": "carol", "room_type": "direct"},
		map[string]any{"sender": "alice", "recipient": "carol", "room_type": "open"},
	}})
	if len(m.Decisions) != 2 || m.Decisions[0].StaleMS < 1 || m.Decisions[1].StaleMS != 0 {
		t.Errorf("batch: %+v", m)
	}
}

// TestFanoutAtLeast: the token concerns the list that it names and nobody else.
func TestFanoutAtLeast(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	list := filter.ListID{App: "default", Kind: cache.KindBlock, Owner: "bob"}
	seen, ahead := filter.NewRevision(primary, list, 1).String(), filter.NewRevision(primary, list, 9).String()
	list.App = "acme"
	foreign := filter.NewRevision(primary, list, 1).String()
	const to = `{"sender":"alice","room_type":"direct","recipients":[%s]%s}`
	for _, c := range []struct {
		recipients, token, header string
		status                    int
		want                      string // in the answer
	}{
		{`"bob"`, seen, "", 200, `"recipient_blocked_sender"`},
		{`"bob"`, "", seen, 200, `"recipient_blocked_sender"`},
		{`"carol"`, ahead, "", 200, `{"checked":1,"exceptions":[]}`},
		{`"carol","bob"`, ahead, "", 200, `{"checked":2,"exceptions":[{"index":1,"recipient":"bob","reason":"unknown"}]}`},
		{`"bob"`, "", ahead, 503, "not_fresh_enough"},
		{`"bob"`, foreign, "", 400, "invalid_revision"},
		{`"bob"`, "xyz", "", 400, "invalid_revision"},
		{`"bob"`, seen, seen, 400, "unknown_parameter"},
	} {
		var header []string
		more := ""
		if c.header != "" {
			header = []string{"Sidegate-At-Least", c.header}
		}
		if c.token != "" {
			more = fmt.Sprintf(`,"at_least":%q`, c.token)
		}
		a := r.ask("POST", fanoutPath, fmt.Sprintf(to, c.recipients, more), header...)
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
}
