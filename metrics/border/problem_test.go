package border

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestEveryCode(t *testing.T) {
	codes := Codes()
	if len(codes) != len(kinds) {
		t.Fatalf("%d codes listed of %d", len(codes), len(kinds))
	}
	for _, code := range codes {
		p := Problem{Code: code, Detail: "why"}
		var doc map[string]any
		if err := json.Unmarshal(p.JSON(), &doc); err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		if doc["code"] != string(code) || doc["detail"] != "why" || doc["title"] == "" ||
			doc["type"] != typeBase+string(code) || doc["status"] != float64(p.Status()) {
			t.Errorf("%s: %v", code, doc)
		}
		if http.StatusText(p.Status()) == "" || p.Status() < 400 {
			t.Errorf("%s: status %d", code, p.Status())
		}
		again := p.Status() == http.StatusServiceUnavailable || p.Status() == http.StatusTooManyRequests
		if p.RetryAfter() != again {
			t.Errorf("%s: every 503 and 429 and nothing else may be tried again", code)
		}
		for _, absent := range []string{"limit", "size"} {
			if _, ok := doc[absent]; ok {
				t.Errorf("%s carries %s without saying something", code, absent)
			}
		}
		if strings.HasSuffix(kinds[code].title, ".") || kinds[code].title != strings.TrimSpace(kinds[code].title) {
			t.Errorf("%s: title %q", code, kinds[code].title)
		}
	}
}

func TestLimitAndSize(t *testing.T) {
	got := string(Problem{Code: "limit_exceeded", Detail: "d", Limit: 3000, Size: 2999}.JSON())
	want := `{"type":"` + typeBase + `limit_exceeded","title":"The list is full; nothing was stored","status":409,` +
		`"detail":"d","code":"limit_exceeded","limit":3000,"size":2999}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUnlistedCodeIsInternal(t *testing.T) {
	p := Problem{Code: "made_up", Detail: "pq: relation \"secret\" does not exist"}
	if p.Status() != 500 || strings.Contains(string(p.JSON()), "secret") ||
		!strings.Contains(string(p.JSON()), `"code":"internal"`) {
		t.Errorf("%d %s", p.Status(), p.JSON())
	}
	if string(Internal().JSON()) != string(p.JSON()) {
		t.Error("an unlisted code differs from an internal error")
	}
}

func TestProblemIsAnError(t *testing.T) {
	var err error = Problemf(CodeNotFound, "nothing at %s", Quote("/x"))
	var p Problem
	if !errors.As(fmt.Errorf("wrapped: %w", err), &p) || p.Code != CodeNotFound {
		t.Errorf("%v does not unwrap to a problem", err)
	}
	if err.Error() != `not_found: nothing at "/x"` {
		t.Errorf("Error() = %q", err)
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"a\"b":                    `"a\"b"`,
		"\xff\x00":                `"\xff\x00"`,
		strings.Repeat("x", 1000): `"` + strings.Repeat("x", 64) + `"…`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("Quote(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestReference(t *testing.T) {
	page := string(Reference())
	for _, code := range Codes() {
		if !strings.Contains(page, "\n## "+string(code)+"\n") {
			t.Errorf("%s has no heading, so that its type leads nowhere", code)
		}
	}
}

func TestDoorOf(t *testing.T) {
	for path, want := range map[string]Door{
		"/v1/can-deliver": DoorCheck, "/v1/can-deliver/fanout": DoorCheck, "/v1/visible": DoorCheck,
		"/v1/apps/default/users/u/blocks": DoorAPI, "/v3/users/u/block": DoorAPI, "/blockStatus/my": DoorAPI,
		"/user/blocklist/add.json": DoorAPI, "/user/blacklist/query.json": DoorAPI,
		"/user/whitelist/remove.json": DoorAPI, "/user/whitesetting/set.json": DoorAPI,
		"/metrics": DoorOps, "/readyz": DoorOps, "/debug/pprof/heap": DoorOps, "/v1/status": DoorOps,
	} {
		if got, ok := DoorOf(path); !ok || got != want {
			t.Errorf("DoorOf(%q) = %q, %v; want %q", path, got, ok, want)
		}
	}
	for _, path := range []string{"", "/", "/v1", "/v1/can-deliver/", "/v1/can-deliverx", "/metrics/", "/v1/apps", "//metrics"} {
		if got, ok := DoorOf(path); ok {
			t.Errorf("DoorOf(%q) = %q, want none", path, got)
		}
	}
}

func TestNoSuchPath(t *testing.T) {
	p := NoSuchPath(DoorAPI, "/metrics")
	if p.Code != CodeWrongListener || !strings.Contains(p.Detail, "the ops listener") || p.Status() != 404 {
		t.Errorf("%+v", p)
	}
	for _, path := range []string{"/nothing", "/v1/apps/x"} {
		if p := NoSuchPath(DoorAPI, path); p.Code != CodeNotFound {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

// TestRefusalsSayNothing: which listener wants a credential is all that a stranger
// learns, and one who may not learns nothing at all.
func TestRefusalsSayNothing(t *testing.T) {
	for _, door := range []Door{DoorCheck, DoorAPI, DoorOps} {
		p := Unauthenticated(door)
		if p.Status() != 401 || !strings.Contains(p.Detail, "the "+string(door)+" listener") || !strings.Contains(p.Detail, "Bearer") {
			t.Errorf("%+v", p)
		}
	}
	if p := Forbidden(); p.Status() != 403 || p != Forbidden() || p.RetryAfter() {
		t.Errorf("%+v", p)
	}
}
