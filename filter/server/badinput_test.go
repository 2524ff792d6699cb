package server

import (
	"strings"
	"testing"
)

// TestBadQuery: a typo never passes as "not blocked".
func TestBadQuery(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	const good = "sender=alice&recipient=bob&room_type=direct"
	long := strings.Repeat("x", 257)
	for _, c := range []struct {
		query  string
		status int
		code   string
		says   string
	}{
		{"", 400, "invalid_user_id", "sender is missing"},
		{"sender=alice&room_type=direct", 400, "invalid_user_id", "recipient is missing"},
		{"sender=&recipient=bob&room_type=direct", 400, "invalid_user_id", "sender: the user id is empty"},
		{"sender=alice&recipient=" + long + "&room_type=direct", 400, "invalid_user_id", "recipient: the user id has 257 bytes"},
		{"sender=a%00b&recipient=bob&room_type=direct", 400, "invalid_user_id", "control character U+0000"},
		{"sender=a%0Ab&recipient=bob&room_type=direct", 400, "invalid_user_id", "control character U+000A"},
		{"sender=a%C2%85&recipient=bob&room_type=direct", 400, "invalid_user_id", "control character U+0085"},
		{"sender=%FF&recipient=bob&room_type=direct", 400, "invalid_user_id", "not valid UTF-8"},
		{"sender=%ED%A0%80&recipient=bob&room_type=direct", 400, "invalid_user_id", "not valid UTF-8"},
		{"sender=alice&recipient=bob", 400, "invalid_room_type", "room_type is missing"},
		{"sender=alice&recipient=bob&room_type=Direct", 400, "invalid_room_type", `room_type is \"Direct\"`},
		{"sender=alice&recipient=bob&room_type=", 400, "invalid_room_type", "direct, group or open"},
		{good + "&room=", 400, "invalid_user_id", "room: the room id is empty"},
		{good + "&room=%07", 400, "invalid_user_id", "room: the room id has the control character"},
		{good + "&sendr=alice", 400, "unknown_parameter", `\"sendr\" is not a parameter; known are app, at_least`},
		{good + "&Sender=alice", 400, "unknown_parameter", `\"Sender\" is not a parameter`},
		{good + "&=x", 400, "unknown_parameter", "is not a parameter"},
		{good + "&sender=bob", 400, "unknown_parameter", "sender is given twice"},
		{good + "&sende%72=bob", 400, "unknown_parameter", "sender is given twice"},
		{good + ";app=acme", 400, "invalid_room_type", `direct;app=acme`},
		{good + "&%zz=1", 400, "unknown_parameter", "malformed percent-escape"},
		{good + "&app=%4", 400, "invalid_parameter", "app has a malformed percent-escape"},
		{good + "&app=%", 400, "invalid_parameter", "app has a malformed percent-escape"},
		{good + "&origin=client", 400, "invalid_parameter", "the only origin is server"},
		{good + "&origin=", 400, "invalid_parameter", "the only origin is server"},
		{good + "&verify=true", 400, "invalid_parameter", "verify is \\\"true\\\"; it is 1 or 0"},
		{good + "&verify", 400, "invalid_parameter", "verify is"},
		{good + "&notify_blocked=yes", 400, "invalid_parameter", "notify_blocked is"},
		{good + "&status=204", 400, "invalid_parameter", "status is"},
		{good + "&app=acmee", 404, "unknown_app", `the app \"acmee\" is not configured`},
		{good + "&app=", 404, "unknown_app", "is not configured"},
		{good + "#frag", 400, "bad_request", "fragment"},
	} {
		a := r.get("/v1/can-deliver?" + c.query)
		if a.status != c.status || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%.100s = %d %s; want %d %s that says %s", c.query, a.status, a.body, c.status, c.code, c.says)
		}
		if a.closes {
			t.Errorf("%.100s: the connection is closed over a mistake in the arguments", c.query)
		}
	}
}

func TestBadBody(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	const good = `"sender":"alice","recipient":"bob","room_type":"direct"`
	for _, c := range []struct{ body, code, says string }{
		{``, "invalid_json", "the body is empty"},
		{` `, "invalid_json", "the body is empty"},
		{`null`, "invalid_json", "the body is null; expected a JSON object"},
		{`[]`, "invalid_json", "the body is an array"},
		{`"x"`, "invalid_json", "the body is a string"},
		{`sender=alice`, "invalid_json", "not valid JSON"},
		{`{}`, "invalid_user_id", "sender is missing"},
		{`{` + good, "invalid_json", "comma or the closing brace"},
		{`{` + good + `}x`, "invalid_json", "expected nothing after the object"},
		{`{` + good + `}{}`, "invalid_json", "expected nothing after the object"},
		{`{` + good + `,}`, "invalid_json", "name of a field in quotes"},
		{`{,` + good + `}`, "invalid_json", "name of a field in quotes"},
		{`{` + good + ` "app":"acme"}`, "invalid_json", "expected a comma"},
		{`{"sender" "alice"}`, "invalid_json", "expected a colon"},
		{`{'sender':"alice"}`, "invalid_json", "in quotes"},
		{`{` + good + `,"sendr":1}`, "unknown_field", `\"sendr\" is not a field; known are app`},
		{`{` + good + `,"Sender":"x"}`, "unknown_field", "is not a field"},
		{`{` + good + `,"sender":"x"}`, "invalid_json", `\"sender\" is given twice`},
		{`{` + good + `,"s\u0065nder":"x"}`, "invalid_json", `\"sender\" is given twice`},
		{`{"sender":1,"recipient":"bob","room_type":"direct"}`, "invalid_json", `\"sender\" is a number; expected a string`},
		{`{"sender":-1}`, "invalid_json", "is a number"},
		{`{"sender":{"id":1}}`, "invalid_json", "is an object; expected a string"},
		{`{"sender":["alice"]}`, "invalid_json", "is an array; expected a string"},
		{`{"sender":null}`, "invalid_json", "is null; expected a string"},
		{`{"sender":true}`, "invalid_json", "is a boolean; expected a string"},
		{`{"sender":alice}`, "invalid_json", "is not valid JSON; expected a string"},
		{`{` + good + `,"verify":"1"}`, "invalid_json", `\"verify\" is a string; expected true or false`},
		{`{` + good + `,"verify":1}`, "invalid_json", "is a number; expected true or false"},
		{`{` + good + `,"verify":truth}`, "invalid_json", "expected true"},
		{`{` + good + `,"verify":fals}`, "invalid_json", "expected false"},
		{`{` + good + `,"verify":trueish}`, "invalid_json", "comma or the closing brace"},
		{`{` + good + `,"origin":"client"}`, "invalid_parameter", "the only origin is server"},
		{`{"sender":"a` + "\n" + `b"}`, "invalid_json", "control character in a string must be escaped"},
		{`{"sender":"a\nb","recipient":"bob","room_type":"direct"}`, "invalid_user_id", "control character U+000A"},
		{`{"sender":"\ud800","recipient":"bob","room_type":"direct"}`, "invalid_json", "half of a surrogate pair"},
		{`{"sender":"\ud800\u0041"}`, "invalid_json", "half of a surrogate pair"},
		{`{"sender":"\udc00\ud800"}`, "invalid_json", "half of a surrogate pair"},
		{`{"sender":"\x41"}`, "invalid_json", "no such escape"},
		{`{"sender":"\u00g0"}`, "invalid_json", "no such escape"},
		{`{"sender":"\u00"}`, "invalid_json", "no such escape"},
		{`{"sender":"a\`, "invalid_json", "expected an escape"},
		{`{"sender":"a`, "invalid_json", "closing quote"},
		{`{"sender":"\n`, "invalid_json", "closing quote"},
		{"{\"sender\":\"\xff\",\"recipient\":\"bob\",\"room_type\":\"direct\"}", "invalid_user_id", "not valid UTF-8"},
		{"\ufeff{}", "invalid_json", "not valid JSON"},
	} {
		a := r.ask("POST", "/v1/can-deliver", c.body)
		if a.status != 400 || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%.100q = %d %s; want 400 %s that says %s", c.body, a.status, a.body, c.code, c.says)
		}
		if a.closes {
			t.Errorf("%.100q: the connection is closed over a mistake in the body", c.body)
		}
	}
	if a := r.ask("POST", "/v1/can-deliver?sender=alice", `{`+good+`}`); a.status != 400 || a.code(t) != "unknown_parameter" {
		t.Errorf("arguments in query and body: %d %s", a.status, a.body)
	}
}

func TestContentType(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	const body = `{"sender":"alice","recipient":"bob","room_type":"direct"}`
	for contentType, want := range map[string]int{
		"application/json":                          200,
		"Application/JSON":                          200,
		"application/json; charset=utf-8":           200,
		`application/json;charset="UTF-8"`:          200,
		"application/json; charset=latin1":          415,
		"application/json; profile=x":               415,
		"application/jsonx":                         415,
		"text/plain":                                415,
		"application/x-www-form-urlencoded":         415,
		"multipart/form-data; boundary=x":           415,
		"":                                          415,
		"application/problem+json":                  415,
		"application/json, application/x-something": 415,
	} {
		a := r.ask("POST", "/v1/can-deliver", body, "Content-Type", contentType)
		if a.status != want || want == 415 && a.code(t) != "unsupported_media_type" {
			t.Errorf("%q = %d %s, want %d", contentType, a.status, a.body, want)
		}
	}
	if a := r.ask("POST", "/v1/can-deliver", body, "Content-Encoding", "gzip"); a.status != 415 {
		t.Errorf("a compressed body: %d %s", a.status, a.body)
	}
}

func TestBodySize(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	fits := `{"sender":"alice","recipient":"bob","room_type":"direct"}`
	fits += strings.Repeat(" ", checkLimit-len(fits))
	if a := r.ask("POST", "/v1/can-deliver", fits); a.status != 200 || a.body != dropped {
		t.Errorf("a body of the limit: %d %s", a.status, a.body)
	}
	// The client sends all of it before it reads: the answer must survive that.
	for _, size := range []int{checkLimit + 1, 200 << 10} {
		a := r.ask("POST", "/v1/can-deliver", strings.Repeat(" ", size))
		if a.status != 413 || a.code(t) != "too_large" || !a.closes {
			t.Errorf("a body of %d: %d %s", size, a.status, a.body)
		}
	}
}

func TestUnwantedBody(t *testing.T) {
	r := runCheck(t, blockedWorld(t), Options{})
	a := r.ask("GET", "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct", `{"sender":"bob"}`)
	if a.status != 400 || a.code(t) != "unexpected_body" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := r.get("/v1/can-deliver?sender=alice&recipient=bob&room_type=direct", "Content-Length", "0"); a.status != 200 {
		t.Errorf("an empty body: %d %s", a.status, a.body)
	}
}

func TestPathsAndMethods(t *testing.T) {
	check := runCheck(t, blockedWorld(t), Options{})
	for _, c := range []struct {
		method, target string
		status         int
		code, says     string
	}{
		{"GET", "/", 404, "not_found", "the check listener does not serve"},
		{"GET", "*", 404, "not_found", "the check listener"},
		{"GET", "/v1/can-deliver/", 404, "not_found", "the check listener"},
		{"GET", "//v1/can-deliver", 404, "not_found", "the check listener"},
		{"GET", "/v1/./can-deliver", 404, "not_found", "the check listener"},
		{"GET", "/v1/x/../can-deliver", 404, "not_found", "the check listener"},
		{"GET", "/v1/can%2Ddeliver", 404, "not_found", "the check listener"},
		{"GET", "/V1/can-deliver", 404, "not_found", "the check listener"},
		{"POST", "/v1/can-deliver/fanouts", 404, "not_found", "the check listener"},
		{"GET", "/metrics", 404, "wrong_listener", "the ops listener"},
		{"GET", "/readyz?verbose", 404, "wrong_listener", "the ops listener"},
		{"PUT", "/v1/apps/default/users/a/blocks/b", 404, "wrong_listener", "the api listener"},
		{"PUT", "/v1/can-deliver", 405, "method_not_allowed", "GET, HEAD, POST"},
		{"OPTIONS", "/v1/can-deliver", 405, "method_not_allowed", "GET, HEAD, POST"},
		{"BREW", "/v1/can-deliver", 405, "method_not_allowed", "GET, HEAD, POST"},
	} {
		a := check.ask(c.method, c.target, "")
		if a.status != c.status || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %s = %d %s", c.method, c.target, a.status, a.body)
		}
		if c.status == 405 && a.header.Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s: Allow is %q", c.method, a.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/v1/can-deliver/fanout", "/v1/can-deliver/batch"} {
		if a := check.get(path); a.status != 405 || a.code(t) != "method_not_allowed" || a.header.Get("Allow") != "POST" {
			t.Errorf("GET %s = %d %v %s", path, a.status, a.header, a.body)
		}
	}
	api := runAPI(t, &fakeLists{}, Options{})
	if a := api.get("/v1/can-deliver?sender=a"); a.status != 404 || a.code(t) != "wrong_listener" || !strings.Contains(a.body, "the check listener") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
