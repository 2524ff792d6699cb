package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sidegate/sidegate/filter"
)

// TestBadMany: a mistake in a fan-out or batch is named with its place, and
// nothing is decided.
func TestBadMany(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	fanout := func(recipients string) string {
		return `{"sender":"alice","room_type":"direct","recipients":` + recipients + `}`
	}
	const good = `{"sender":"alice","recipient":"bob","room_type":"direct"}`
	batch := func(check string) string { return `{"checks":[` + good + `,` + check + `]}` }
	for _, c := range []struct{ path, body, code, says string }{
		{fanoutPath, ``, "invalid_json", "the body is empty"},
		{fanoutPath, `[]`, "invalid_json", "expected a JSON object"},
		{fanoutPath, `{}`, "invalid_json", `recipients\" is missing; expected an array of user ids`},
		{fanoutPath, `{"recipients":[]}`, "invalid_user_id", "sender is missing"},
		{fanoutPath, `{"recipients":[],"sender":"alice"}`, "invalid_room_type", "room_type is missing"},
		{fanoutPath, fanout(`[]`) + "x", "invalid_json", "nothing after the object"},
		{fanoutPath, fanout(`null`), "invalid_json", "null; expected an array"},
		{fanoutPath, fanout(`"bob"`), "invalid_json", "a string; expected an array"},
		{fanoutPath, fanout(`[1]`), "invalid_json", "recipients[0]: the field \\\"recipients\\\" is a number; expected a string"},
		{fanoutPath, fanout(`["bob",null]`), "invalid_json", "recipients[1]: "},
		{fanoutPath, fanout(`["bob",["carol"]]`), "invalid_json", "recipients[1]: "},
		{fanoutPath, fanout(`["bob",]`), "invalid_json", "recipients[1]: "},
		{fanoutPath, fanout(`["bob" "carol"]`), "invalid_json", "a comma or the closing bracket"},
		{fanoutPath, fanout(`["bob"`), "invalid_json", "byte"},
		{fanoutPath, fanout(`["bob","\ud800"]`), "invalid_json", "recipients[1]: the body is not valid JSON"},
		{fanoutPath, fanout(`["bob",""]`), "invalid_user_id", "recipients[1]: the user id is empty"},
		{fanoutPath, fanout(`["bob","` + strings.Repeat("x", 257) + `"]`), "invalid_user_id", "recipients[1]: the user id has 257 bytes"},
		{fanoutPath, fanout(`["bob","a\u0000"]`), "invalid_user_id", "recipients[1]: the user id has the control character U+0000"},
		{fanoutPath, fanout("[\"bob\",\"a\xff\"]"), "invalid_user_id", "recipients[1]: the user id is not valid UTF-8"},
		{fanoutPath, fanout(`[],"recipients":[]`), "invalid_json", "given twice"},
		{fanoutPath, fanout(`[],"sender":"bob"`), "invalid_json", "given twice"},
		{fanoutPath, fanout(`[],"recipient":"bob"`), "unknown_field", "known are app, at_least, decision_id, notify_blocked, origin, recipients, room, room_type, sender, verify"},
		{fanoutPath, fanout(`[],"status":true`), "unknown_field", "status"},
		{fanoutPath, fanout(`[],"origin":"client"`), "invalid_parameter", "the only origin is server"},
		{fanoutPath, fanout(`[],"room":""`), "invalid_user_id", "room: the room id is empty"},
		{fanoutPath, fanout(`[],"app":"none"`), "unknown_app", "none"},
		{fanoutPath + "?app=default", fanout(`[]`), "unknown_parameter", "in the body"},
		{fanoutPath + "?status=1", fanout(`[]`), "unknown_parameter", "in the body"},
		{pairsPath, ``, "invalid_json", "the body is empty"},
		{pairsPath, `{}`, "invalid_json", `checks\" is missing; expected an array of checks`},
		{pairsPath, `{"checks":{}}`, "invalid_json", "an object; expected an array"},
		{pairsPath, `{"checks":[],"checks":[]}`, "invalid_json", "given twice"},
		{pairsPath, `{"checks":[],"sender":"alice"}`, "unknown_field", "known are app, at_least, checks"},
		{pairsPath, batch(`"x"`), "invalid_json", "checks[1]: "},
		{pairsPath, batch(`{}`), "invalid_user_id", "checks[1]: sender is missing"},
		{pairsPath, batch(`{"sender":"alice","room_type":"direct"}`), "invalid_user_id", "checks[1]: recipient is missing"},
		{pairsPath, batch(`{"sender":"alice","room_type":"private"}`), "invalid_room_type", "checks[1]: room_type is"},
		{pairsPath, batch(`{"sender":"a","sender":"b"}`), "invalid_json", "checks[1]: the field \\\"sender\\\" is given twice"},
		{pairsPath, batch(`{"sender":1}`), "invalid_json", "checks[1]: the field \\\"sender\\\" is a number"},
		{pairsPath, batch(`{"status":true}`), "unknown_field", "checks[1]: \\\"status\\\" is not a field; known are app, "},
		{pairsPath, batch(`{"sendr":"alice"}`), "unknown_field", "checks[1]: \\\"sendr\\\" is not a field"},
		{pairsPath, batch(`{"sender":"","recipient":"bob","room_type":"direct"}`), "invalid_user_id", "checks[1]: sender: the user id is empty"},
		{pairsPath, batch(`{"sender":"alice","recipient":"bob","room_type":"direct","app":"none"}`), "unknown_app", "none"},
		{pairsPath, batch(`{"sender":"alice"`), "invalid_json", "checks[1]: "},
		{pairsPath, batch(good) + "]", "invalid_json", "nothing after the object"},
		{pairsPath + "?at_least=x", batch(good), "unknown_parameter", "in the body"},
	} {
		a := r.ask("POST", c.path, c.body)
		if a.status < 400 || a.status > 499 || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %.200s = %d %s; want %s that says %s", c.path, c.body, a.status, a.body, c.code, c.says)
		}
	}
}

// TestManyBodies: how large a body may be, and how it must come.
func TestManyBodies(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	for _, path := range []string{fanoutPath, pairsPath, visiblePath, inviteesPath} {
		body := `{"recipients":["` + strings.Repeat("x", manyLimit-20) + `"]}`
		if a := r.ask("POST", path, body+strings.Repeat(" ", manyLimit-len(body))); a.status != 400 {
			t.Errorf("%s with 4 MB: %d %s", path, a.status, a.body)
		}
		raw := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: sidegate\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, manyLimit+1)
		if a := r.send(raw, 1); len(a) != 1 || a[0].status != 413 || a[0].code(t) != "too_large" {
			t.Errorf("%s with more than 4 MB: %+v", path, a)
		}
		raw = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: sidegate\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", path)
		if a := r.send(raw, 1); len(a) != 1 || a[0].status != 411 {
			t.Errorf("%s, chunked: %+v", path, a)
		}
		if a := r.ask("POST", path, "{}", "Content-Type", "text/plain"); a.status != 415 {
			t.Errorf("%s as text: %d %s", path, a.status, a.body)
		}
	}
}

// manySeeds are bodies for both fuzz targets.
var manySeeds = []string{
	`{"sender":"a","room_type":"direct","recipients":["b","c"]}`, `{"recipients":["\u00e9\ud83d\ude00","\"\\"],"sender":"a"}`,
	`{"recipients":[],"at_least":"x","app":"y","verify":true}`, `{"recipients":["a",1]}`, `{"recipients":["\ud800"]}`,
	`{"checks":[{"sender":"a","recipient":"b","room_type":"group","verify":false},{}],"app":"x"}`, `{"checks":[{}]} `,
	`{"checks":[{"sender":"a","sender":"b"}]}`, "{\"recipients\":[\"\xff\"]}", `{"checks":[{"origin":"server"}`, `{"recipients":null}`,
}

// FuzzFanoutBody compares the reader with encoding/json: what it takes, it takes
// to mean the same.
func FuzzFanoutBody(f *testing.F) {
	for _, s := range manySeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s space
		var q question
		if s.parseFanout(&q, bytes.Clone(body)) != nil || !utf8.Valid(body) {
			return // encoding/json replaces what is not UTF-8, we leave it to the ids
		}
		var want struct {
			fuzzArguments
			Recipients []string `json:"recipients"`
		}
		if err := strictly(body, &want); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if !slices.Equal(s.recipients, want.Recipients) {
			t.Fatalf("%q: recipients are %q, want %q", body, s.recipients, want.Recipients)
		}
		want.compare(t, &q)
		if _, err := q.message(); err == nil && (filter.ValidateUserID(q.values[argSender]) != nil || want.RoomType == nil) {
			t.Fatalf("%q makes a message", body)
		}
	})
}

// FuzzPairsBody is the same for batches.
func FuzzPairsBody(f *testing.F) {
	for _, s := range manySeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s space
		var common question
		if s.parseChecks(&common, bytes.Clone(body)) != nil || !utf8.Valid(body) {
			return
		}
		var want struct {
			App     *string         `json:"app"`
			AtLeast *string         `json:"at_least"`
			Checks  []fuzzArguments `json:"checks"`
		}
		if err := strictly(body, &want); err != nil || len(want.Checks) != len(s.questions) {
			t.Fatalf("%q was taken as %d checks: %v", body, len(s.questions), err)
		}
		(&fuzzArguments{App: want.App, AtLeast: want.AtLeast}).compare(t, &common)
		for i := range want.Checks {
			want.Checks[i].compare(t, &s.questions[i])
		}
		if s.makeChecks(&common) == nil && len(s.checks) != len(want.Checks) {
			t.Fatalf("%q: %d checks of %d", body, len(s.checks), len(want.Checks))
		}
	})
}

// fuzzArguments are the arguments as encoding/json reads them.
type fuzzArguments struct {
	App       *string `json:"app"`
	AtLeast   *string `json:"at_least"`
	Sender    *string `json:"sender"`
	Recipient *string `json:"recipient"`
	Room      *string `json:"room"`
	RoomType  *string `json:"room_type"`
	Origin    *string `json:"origin"`
	Verify    *bool   `json:"verify"`
	Notify    *bool   `json:"notify_blocked"`
}

func (a *fuzzArguments) compare(t *testing.T, q *question) {
	t.Helper()
	for arg, want := range map[argument]*string{
		argApp: a.App, argAtLeast: a.AtLeast, argSender: a.Sender, argRecipient: a.Recipient, argRoom: a.Room,
		argRoomType: a.RoomType, argOrigin: a.Origin, argVerify: yesNo(a.Verify), argNotifyBlocked: yesNo(a.Notify),
	} {
		if q.has(arg) != (want != nil) || want != nil && q.values[arg] != *want {
			t.Fatalf("%s is %q", argumentNames[arg], q.values[arg])
		}
	}
}

func yesNo(b *bool) *string {
	if b == nil {
		return nil
	}
	text := map[bool]string{true: "1", false: "0"}[*b]
	return &text
}

// strictly decodes a body that must be one object of known fields.
func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("something follows")
	}
	return nil
}
