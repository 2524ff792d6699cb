package harness

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct{ name, pattern, body, wrong string }{
		{"equal", `{"code":200}`, `{ "code": 200 }`, ""},
		{"order does not matter", `{"a":1,"b":2}`, `{"b":2,"a":1}`, ""},
		{"a text is no number", `{"code":200}`, `{"code":"200"}`, "want"},
		{"a number is no text", `{"whiteSetting":"0"}`, `{"whiteSetting":0}`, "want"},
		{"missing", `{"a":1}`, `{}`, `no "a"`},
		{"more than documented", `{}`, `{"a":1}`, "not documented"},
		{"optional and there", `{"?url":"<text>"}`, `{"url":"/u"}`, ""},
		{"optional and missing", `{"?url":"<text>"}`, `{}`, ""},
		{"optional and wrong", `{"?url":"<text>"}`, `{"url":1}`, "want"},
		{"null is no empty array", `{"data":[]}`, `{"data":null}`, "no array"},
		{"too few", `[1,2]`, `[1]`, "has 1 elements"},
		{"in another order", `["a","b"]`, `["b","a"]`, "want"},
		{"time", `"<time>"`, `"2021-08-04T15:18:10.735Z"`, ""},
		{"time without milliseconds", `"<time>"`, `"2021-08-04T15:18:10Z"`, "want a <time>"},
		{"time of another zone", `"<time>"`, `"2021-08-04T15:18:10.735+02:00"`, "want a <time>"},
		{"time as a number", `"<time>"`, `1600006869368`, "want a <time>"},
		{"milliseconds", `"<ms>"`, `1600006869368`, ""},
		{"seconds", `"<ms>"`, `1600006869`, "want a <ms>"},
		{"milliseconds as a text", `"<ms>"`, `"1600006869368"`, "want a <ms>"},
		{"a fraction", `"<number>"`, `1.0`, "want a <number>"},
		{"empty text", `"<text>"`, `""`, "want a <text>"},
		{"any text", `"<string>"`, `""`, ""},
		{"null is no text", `"<string>"`, `null`, "want a <string>"},
		{"an object is no array", `[]`, `{}`, "no array"},
		{"an array is no object", `{}`, `[]`, "no object"},
		{"no JSON", `{}`, `{"a":`, "no JSON"},
		{"two values", `{}`, `{} {}`, "something follows"},
	} {
		err := Match(c.pattern, c.body)
		if c.wrong == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: the error is %v, want one about %s", c.name, err, c.wrong)
		}
	}
}

func TestSignFollowsThePublicVector(t *testing.T) {
	if got := Sign(VectorSecret, VectorNonce, VectorTimestamp); got != VectorSignature {
		t.Errorf("the signature is %s, want %s", got, VectorSignature)
	}
}

const file = `### one
POST /user/blocklist/add.json
Auth: rongcloud acme
Content-Type: application/x-www-form-urlencoded

userId=a{n}

HTTP 200 application/json

{"code": 200, "at": "<time>", "next": "<text>", "?url": "<text>", "list": [{"id": "a{n}", "ms": "<ms>"}]}

### two
GET /blockStatus/my
Auth: imkit kit aaa

HTTP *
`

func TestExchangesAreReadAndWritten(t *testing.T) {
	list, err := parseExchanges(file)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %d exchanges", err, len(list))
	}
	c, err := list[0].call(func(s string) string { return strings.ReplaceAll(s, "{n}", "7") })
	if err != nil || c.Method != "POST" || c.Path != "/user/blocklist/add.json" || c.Body != "userId=a7" || len(c.Header) != 5 {
		t.Errorf("%v: %+v", err, c)
	}
	if c, err := list[1].call(func(s string) string { return s }); err != nil || len(c.Header) != 2 {
		t.Errorf("%v: %+v", err, c)
	}
	again, err := parseExchanges(list[0].String() + list[1].String())
	if err != nil || again[0].answer != list[0].answer || again[1].status != "*" {
		t.Errorf("written and read again: %v, %+v", err, again)
	}
	for _, broken := range []string{"POST /", "### no answer\nPOST /"} {
		if _, err := parseExchanges(broken); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
	for _, auth := range []string{"rongcloud", "imkit kit", "nobody kit"} {
		if _, err := credentials(auth, Call{}); err == nil {
			t.Errorf("%q was taken for credentials", auth)
		}
	}
}

func TestUpdateKeepsWhatVaries(t *testing.T) {
	list, err := parseExchanges(file)
	if err != nil {
		t.Fatal(err)
	}
	e := list[0]
	got := Answer{Status: 200, Body: `{"code":201,"at":"2021-08-04T15:18:10.735Z","next":"","url":"/u","list":[{"id":"a77","ms":1600006869368},{"id":"b"}]}`}
	if e.check(got, "77") == nil {
		t.Error("the answer of another status code is taken for the one of the file")
	}
	e.take(got, "77")
	squeezed := strings.NewReplacer("\n", "", " ", "").Replace(e.answer)
	for _, part := range []string{`"code":201`, `"at":"<time>"`, `"next":""`, `"?url":"<text>"`, `"id":"a{n}"`, `"ms":"<ms>"`} {
		if !strings.Contains(squeezed, part) {
			t.Errorf("the updated answer has no %s: %s", part, squeezed)
		}
	}
	if err := e.check(Answer{Status: 200, Body: got.Body, Header: nil}, "77"); err != nil {
		t.Errorf("the updated file does not match its own answer: %v", err)
	}
}

// TestTheProgramRuns shows that the harness works whatever the dialects do.
func TestTheProgramRuns(t *testing.T) {
	w := Shared(t)
	owner, target := ID("bob"), ID("eve")
	q := Question{App: Plain, Sender: target, Recipient: owner}
	if got := w.Node.Decide(t, q); got != Allowed {
		t.Fatalf("before the block: %+v", got)
	}
	w.Block(t, Plain, owner, target)
	blocked := Verdict{Action: "drop", Reason: "recipient_blocked_sender"}
	if got := w.Node.Decide(t, q); got != blocked {
		t.Errorf("on the node of the write: %+v", got)
	}
	w.Sidecar.Decides(t, q, blocked)
	if got := w.Targets(t, Plain, owner); len(got) != 1 || got[0] != target {
		t.Errorf("the list is %v", got)
	}
	if got := w.History(t, Plain, owner, target); len(got) != 1 || got[0].UnblockedAt != nil {
		t.Errorf("the history is %v", got)
	}
	w.WithoutPostgres(t, func() {
		if got := w.Sidecar.Decide(t, q); got != blocked {
			t.Errorf("from memory: %+v", got)
		}
	})
	w.Clear(t, Plain, owner)
	if got := w.Node.Decide(t, q); got != Allowed {
		t.Errorf("after the unblock: %+v", got)
	}
	w.Sidecar.Decides(t, q, Allowed)
}
