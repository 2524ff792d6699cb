package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/filter"
)

// fakeRooms is a [DirectRooms] that is one function.
type fakeRooms func(app string, pair filter.Pair, id string) (filter.Room, error)

// SetDirect implements [DirectRooms].
func (f fakeRooms) SetDirect(ctx context.Context, app string, pair filter.Pair, id string) (filter.Room, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return filter.Room{}, errors.New("the operation has no end")
	}
	return f(app, pair, id)
}

const roomsPath = "/v1/apps/default/rooms/direct"

func TestSetDirectRoom(t *testing.T) {
	var asked string
	set := fakeRooms(func(app string, pair filter.Pair, id string) (filter.Room, error) {
		asked = fmt.Sprintf("%q %q %q %q", app, pair.A, pair.B, id)
		return filter.Room{ID: id, CreatedAt: noon}, nil
	})
	r := runAPI(t, &fakeLists{}, Options{Auth: tokens(), Rooms: set})
	put := func(path, body, token string) answer {
		return r.ask("PUT", path, body, "Authorization", "Bearer "+token)
	}
	for body, want := range map[string]string{
		`{"users":["bob","alice"],"id":"r1"}`:                  `"default" "bob" "alice" "r1"`,
		` {"id" : "r\u002f/ \ud83d\ude00" ,"users":["b","a"]}`: `"default" "b" "a" "r// 😀"`,
		`{"users":["a/b","` + strings.Repeat("\\u0041", 256) + `"],"id":"` + strings.Repeat("\\u0042", 256) + `"}`: fmt.Sprintf(`"default" "a/b" %q %q`,
			strings.Repeat("A", 256), strings.Repeat("B", 256)),
	} {
		a := put(roomsPath, body, "all")
		if a.status != 200 || asked != want || !strings.Contains(a.body, `"created_at":"2031-01-31T11:00:00.123456Z"}`) {
			t.Errorf("%s = %d %s, asked for %s, want %s", body, a.status, a.body, asked, want)
		}
	}
	a := put(roomsPath, `{"users":["bob","alice"],"id":"r1"}`, "all")
	if a.body != `{"users":["bob","alice"],"id":"r1","created_at":"2031-01-31T11:00:00.123456Z"}` {
		t.Errorf("the answer is %s", a.body)
	}

	asked = ""
	for body, code := range map[string]string{
		``:                                       "invalid_json",
		`[]`:                                     "invalid_json",
		`{}`:                                     "invalid_user_id",
		`{"users":["a","b"],"id":"r"}x`:          "invalid_json",
		`{"users":["a","b"],"id":7}`:             "invalid_json",
		`{"users":"a","id":"r"}`:                 "invalid_json",
		`{"users":["a",7],"id":"r"}`:             "invalid_json",
		`{"users":["a","b"],"id":"r","id":"s"}`:  "invalid_json",
		`{"users":["a"],"users":["b"],"id":"r"}`: "invalid_json",
		`{"users":["a","b"],"id":"r","x":1}`:     "unknown_field",
		`{"users":["a"],"id":"r"}`:               "invalid_user_id",
		`{"users":[],"id":"r"}`:                  "invalid_user_id",
		`{"users":["a","b","c"],"id":"r"}`:       "invalid_user_id",
	} {
		if a := put(roomsPath, body, "all"); a.code(t) != code {
			t.Errorf("%s = %d %s, want %s", body, a.status, a.body, code)
		}
	}
	if a := put(roomsPath+"?x=1", `{"users":["a","b"],"id":"r"}`, "all"); a.code(t) != "unknown_parameter" {
		t.Errorf("a parameter: %s", a.body)
	}
	if a := put("/v1/apps/other/rooms/direct", `{"users":["a","b"],"id":"r"}`, "acme"); a.code(t) != "forbidden" {
		t.Errorf("another app: %s", a.body)
	}
	if a := put(roomsPath, `{"users":["a","b"],"id":"r"}`, "nobody"); a.code(t) != "unauthenticated" {
		t.Errorf("nobody: %s", a.body)
	}
	if a := put(roomsPath, strings.Repeat(" ", roomLimit+1), "all"); a.code(t) != "too_large" {
		t.Errorf("too much: %s", a.body)
	}
	if asked != "" {
		t.Errorf("what was refused was asked for: %s", asked)
	}
}

// TestSetDirectRoomFails: the service's errors keep their code.
func TestSetDirectRoomFails(t *testing.T) {
	var fails error
	r := runAPI(t, &fakeLists{}, Options{Rooms: fakeRooms(func(string, filter.Pair, string) (filter.Room, error) {
		return filter.Room{}, fails
	})})
	for code, err := range map[string]error{
		"invalid_user_id":   filter.Errorf(filter.CodeInvalidUserID, "a direct room has two different users"),
		"unknown_app":       filter.Errorf(filter.CodeUnknownApp, "no"),
		"store_unavailable": fmt.Errorf("set: %w", filter.Errorf(filter.CodeStoreUnavailable, "away")),
		"outcome_unknown":   filter.Errorf(filter.CodeOutcomeUnknown, "lost"),
		"internal":          errors.New("SQLSTATE 42703"),
	} {
		fails = err
		if a := r.ask("PUT", roomsPath, `{"users":["a","a"],"id":"r"}`); a.code(t) != code || strings.Contains(a.body, "SQLSTATE") {
			t.Errorf("%v = %d %s", err, a.status, a.body)
		}
	}
}

// TestSetDirectRoomCounts towards the rate of its app.
func TestSetDirectRoomCounts(t *testing.T) {
	r := runAPI(t, &fakeLists{}, Options{Rate: Rate{PerApp: 1}, Rooms: fakeRooms(func(string, filter.Pair, string) (filter.Room, error) {
		return filter.Room{ID: "r", CreatedAt: noon}, nil
	})})
	for range 100 { // as long as seconds go by between two
		if a := r.ask("PUT", roomsPath, `{"users":["a","b"],"id":"r"}`); a.status == 429 {
			return
		}
	}
	t.Error("a hundred requests passed")
}

// TestNoDirectRooms: without the service the path is not there.
func TestNoDirectRooms(t *testing.T) {
	r := runAPI(t, &fakeLists{}, Options{})
	if all := r.send(request("PUT", roomsPath, `{"users":["a","b"],"id":"r"}`), 1); len(all) != 1 || all[0].code(t) != "not_found" {
		t.Errorf("%+v", all)
	}
}

// FuzzRoomBody: a body names two users and an id, or is refused.
func FuzzRoomBody(f *testing.F) {
	f.Add(`{"users":["a","b"],"id":"r"}`)
	f.Add(`{"id":"\ud83d\ude00","users":["\u0000",""]}`)
	f.Add(`{"users":[["a"]]}`)
	f.Fuzz(func(t *testing.T, body string) {
		pair, id, err := parseRoom([]byte(body))
		if err != nil && (pair != filter.Pair{} || id != "") {
			t.Fatalf("%q: %+v, %q beside %v", body, pair, id, err)
		}
		if p, cause := problemOf(err); err != nil && (cause != nil || p.Status() != 400) {
			t.Fatalf("%q: %v", body, err)
		}
	})
}
