package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const visiblePath = "/v1/visible"

// evidence is a history in which bob had alice on his list from ten to eleven, in
// every app.
type evidence struct {
	filter.EvidenceStore
	err error
}

func (e *evidence) Recall(_ context.Context, moments []filter.Moment) ([]filter.Interval, error) {
	intervals := make([]filter.Interval, len(moments))
	for i, m := range moments {
		if m.List.Kind == cache.KindBlock && m.List.Owner == "bob" && m.Target == "alice" && m.At.UTC().Hour() == 10 {
			intervals[i] = filter.Interval{Owner: "bob", Target: "alice", BlockedAt: m.At}
		}
	}
	return intervals, e.err
}

func withEvidence(e *evidence) func(*filter.Options) {
	return func(o *filter.Options) { o.Evidence = e }
}

func sent(sender, clock string) string {
	return fmt.Sprintf(`{"sender":%q,"sent_at":"2030-01-31T%s"}`, sender, clock)
}

// TestVisible asks on a socket and compares answers to the letter.
func TestVisible(t *testing.T) {
	r := runCheck(t, newWorld(t, withEvidence(&evidence{})), Options{})
	ask := func(app, recipient, room string, messages ...string) string {
		return fmt.Sprintf(`{"app":%q,"recipient":%q,"room_type":%q,"messages":[%s]}`, app, recipient, room, strings.Join(messages, ","))
	}
	day := []string{sent("alice", "09:30:00Z"), sent("alice", "10:30:00Z"), sent("alice", "11:30:00Z")}
	for name, c := range map[string]struct{ body, want string }{
		"before, during, after": {ask("default", "bob", "direct", day...), "[true,false,true]"},
		"in another order":      {ask("default", "bob", "direct", day[1], day[0], day[1]), "[false,true,false]"},
		"another zone":          {ask("default", "bob", "direct", sent("alice", "12:30:00.123456789+02:00")), "[false]"},
		"others":                {ask("default", "bob", "direct", sent("carol", "10:30:00Z"), sent("bob", "10:30:00Z")), "[true,true]"},
		"delivered in silence":  {ask("default", "bob", "group", day...), "[true,true,true]"},
		"the other way":         {ask("default", "alice", "direct", sent("bob", "10:30:00Z")), "[true]"},
		"both ways":             {ask("acme", "alice", "direct", sent("bob", "10:30:00Z"), sent("bob", "11:00:00Z")), "[false,true]"},
		"a moderator":           {ask("acme", "bob", "direct", sent("moderator", "10:30:00Z")), "[true]"},
		"nothing":               {ask("default", "bob", "direct"), "[]"},
		"no app":                {`{"messages":[` + day[1] + `],"room_type":"direct","recipient":"bob"}`, "[false]"},
		"the beginning of time": {`{"messages":[{"sent_at":"0001-01-01T00:00:00Z","sender":"alice"}],"room_type":"direct","recipient":"bob"}`, "[true]"},
	} {
		if a := r.ask("POST", visiblePath, c.body); a.status != 200 || a.body != `{"visible":`+c.want+`}` {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, c.want)
		}
	}
	many := make([]string, maxVisible)
	for i := range many {
		many[i] = day[i%3]
	}
	want := strings.TrimSuffix(strings.Repeat("true,false,true,", maxVisible/3), ",") + ",true"
	if a := r.ask("POST", visiblePath, ask("default", "bob", "direct", many...)); a.body != `{"visible":[`+want+`]}` {
		t.Errorf("a thousand: %d %.100s", a.status, a.body)
	}
	if a := r.ask("POST", visiblePath, ask("default", "bob", "direct", slices.Concat(many, day[:1])...)); a.status != 413 || a.code(t) != "too_large" {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
}

// TestVisibleUnavailable: without history there is no answer, and the log alone
// knows why; nor is there one where somebody's mode is not known.
func TestVisibleUnavailable(t *testing.T) {
	e := &evidence{err: &filter.Error{
		Code: filter.CodeStoreUnavailable, Detail: "the database cannot be read", Err: fmt.Errorf("dial tcp: secret"),
	}}
	w := newWorld(t, withEvidence(e), func(o *filter.Options) {
		p := o.Apps["acme"]
		p.Allowlist = true
		o.Apps["acme"] = p
	})
	r := runCheck(t, w, Options{})
	ask := func(app string) answer {
		return r.ask("POST", visiblePath, `{"app":"`+app+`","recipient":"bob","room_type":"direct","messages":[`+sent("alice", "10:30:00Z")+`]}`)
	}
	if a := ask("default"); a.status != 503 || a.code(t) != "store_unavailable" || a.header.Get("Retry-After") != "1" || strings.Contains(a.body, "secret") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if text := r.log.String(); strings.Count(text, "secret") != 1 {
		t.Errorf("the log says %s", text)
	}
	e.err = nil
	w.dark.Store(true)
	if a := ask("acme"); a.status != 503 || a.code(t) != "unknown" {
		t.Errorf("a mode that is not known: %d %s", a.status, a.body)
	}
	if a := ask("default"); a.status != 200 {
		t.Errorf("memory is not needed: %d %s", a.status, a.body)
	}
}

// TestBadVisible: a mistake is named with its place.
func TestBadVisible(t *testing.T) {
	r := runCheck(t, newWorld(t, withEvidence(&evidence{})), Options{})
	body := func(messages, more string) string {
		return `{"recipient":"bob","room_type":"direct","messages":` + messages + more + `}`
	}
	good := sent("alice", "10:30:00Z")
	second := func(message string) string { return body("["+good+","+message+"]", "") }
	for _, c := range []struct{ body, code, says string }{
		{``, "invalid_json", "the body is empty"},
		{`{}`, "invalid_json", `messages\" is missing; expected an array of messages`},
		{`{"messages":[]}`, "invalid_user_id", "recipient is missing"},
		{`{"messages":[],"recipient":"bob"}`, "invalid_room_type", "room_type is missing"},
		{`{"messages":[],"recipient":"bob","room_type":"x"}`, "invalid_room_type", "room_type is"},
		{`{"messages":[],"recipient":"","room_type":"direct"}`, "invalid_user_id", "recipient: the user id is empty"},
		{body(`{}`, ""), "invalid_json", "an object; expected an array"},
		{body(`[]`, `,"messages":[]`), "invalid_json", "given twice"},
		{body(`[]`, `,"recipient":"x"`), "invalid_json", "given twice"},
		{body(`[]`, `,"sender":"x"`), "unknown_field", "known are app, messages, recipient, room_type"},
		{body(`[]`, `,"at_least":"x"`), "unknown_field", "at_least"},
		{body(`[]`, `,"app":"none"`), "unknown_app", "none"},
		{second(`"x"`), "invalid_json", "messages[1]: "},
		{second(`{}`), "invalid_user_id", "messages[1].sender is missing"},
		{second(`{"sender":"alice"}`), "invalid_parameter", "messages[1].sent_at is missing"},
		{second(`{"sent_at":"2030-01-31T10:30:00Z"}`), "invalid_user_id", "messages[1].sender is missing"},
		{second(`{"sender":"","sent_at":"2030-01-31T10:30:00Z"}`), "invalid_user_id", "messages[1].sender: the user id is empty"},
		{second(`{"sender":"alice","sent_at":"yesterday"}`), "invalid_parameter", `messages[1].sent_at is \"yesterday\"; it is a time like`},
		{second(`{"sender":"alice","sent_at":"2030-01-31T10:30:00"}`), "invalid_parameter", "messages[1].sent_at is"},
		{second(`{"sender":"alice","sent_at":1896085800}`), "invalid_json", "messages[1]: the field \\\"sent_at\\\" is a number"},
		{second(`{"sender":"alice","sent_at":null}`), "invalid_json", "messages[1]: the field \\\"sent_at\\\" is null"},
		{second(`{"sender":"a","sender":"b"}`), "invalid_json", "messages[1]: the field \\\"sender\\\" is given twice"},
		{second(`{"sent_at":"x","sent_at":"x"}`), "invalid_json", "messages[1]: the field \\\"sent_at\\\" is given twice"},
		{second(`{"sent":"x"}`), "unknown_field", "messages[1]: \\\"sent\\\" is not a field; known are sender, sent_at"},
		{second(`{"sender":"alice"`), "invalid_json", "messages[1]: "},
		{body(`[]`, "") + "]", "invalid_json", "nothing after the object"},
	} {
		a := r.ask("POST", visiblePath, c.body)
		if a.status < 400 || a.status > 499 || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%.200s = %d %s; want %s that says %s", c.body, a.status, a.body, c.code, c.says)
		}
	}
	if a := r.ask("POST", visiblePath+"?app=default", body("[]", "")); a.code(t) != "unknown_parameter" {
		t.Errorf("in the query: %s", a.body)
	}
}

// FuzzVisibleBody compares the reader with encoding/json: what it takes, it takes
// to mean the same.
func FuzzVisibleBody(f *testing.F) {
	for _, s := range []string{
		`{"recipient":"b","room_type":"direct","messages":[{"sender":"a","sent_at":"2030-01-31T10:30:00Z"}]}`,
		`{"messages":[{"sent_at":"2030-01-31T10:30:00.5+01:00","sender":"\u00e9\"\\"},{}],"app":"x"}`,
		`{"messages":[{"sender":"a","sent_at":"0000-01-01T00:00:00Z"}]}`, `{"messages":[{"sender":"a","sent_at":"x"}]}`,
		`{"messages":null}`, `{"messages":[]} `, `{"messages":[{"sender":"a"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s space
		var q question
		if s.parseVisible(&q, bytes.Clone(body)) != nil || !utf8.Valid(body) {
			return // encoding/json replaces what is not UTF-8, we leave it to the ids
		}
		var want struct {
			fuzzArguments
			Messages []struct {
				Sender string `json:"sender"`
				SentAt string `json:"sent_at"`
			} `json:"messages"`
		}
		if err := strictly(body, &want); err != nil || len(want.Messages) != len(s.messages) {
			t.Fatalf("%q was taken as %d messages: %v", body, len(s.messages), err)
		}
		want.compare(t, &q)
		for i, m := range want.Messages {
			at, err := time.Parse(time.RFC3339, m.SentAt)
			if err != nil || m.Sender != s.messages[i].Sender || !at.Equal(s.messages[i].At) {
				t.Fatalf("%q: message %d is %+v, %v", body, i, s.messages[i], err)
			}
		}
		if _, err := q.addressee(); err == nil && (filter.ValidateUserID(q.values[argRecipient]) != nil || want.RoomType == nil) {
			t.Fatalf("%q is a question", body)
		}
	})
}

// FuzzInviteesBody is the same for invitations.
func FuzzInviteesBody(f *testing.F) {
	for _, s := range []string{
		`{"inviter":"a","invitees":["b","c"]}`, `{"invitees":["\u00e9\ud83d\ude00","\"\\"],"inviter":"a","app":"x","at_least":"t"}`,
		`{"invitees":[]}`, `{"inviter":"a","inviter":"b","invitees":[]}`, `{"invitees":null}`, `{"invitees":["a",1]}`, `{"invitees":["a"]} x`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s space
		var q question
		if s.parseInvitees(&q, bytes.Clone(body)) != nil || !utf8.Valid(body) {
			return
		}
		var want struct {
			App      *string  `json:"app"`
			AtLeast  *string  `json:"at_least"`
			Inviter  *string  `json:"inviter"`
			Invitees []string `json:"invitees"`
		}
		if err := strictly(body, &want); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		(&fuzzArguments{App: want.App, AtLeast: want.AtLeast, Sender: want.Inviter}).compare(t, &q)
		if text, _ := json.Marshal(s.recipients); len(s.recipients) != len(want.Invitees) {
			t.Fatalf("%q: invitees are %s", body, text)
		}
		for i, id := range want.Invitees {
			if id != s.recipients[i] {
				t.Fatalf("%q: invitee %d is %q", body, i, s.recipients[i])
			}
		}
	})
}
