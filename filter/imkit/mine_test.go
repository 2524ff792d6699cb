package imkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const (
	cathy = `{"_id":"ccc","avatarUrl":"http://x/?a=1&b=2","nickname":"Cathy","id":"ccc","lastLoginTimeMS":1600006869368}`
	ddd   = `{"_id":"ddd","avatarUrl":"","nickname":"","id":"ddd","lastLoginTimeMS":0}`
)

// withCathy has a user whom the directory knows.
func withCathy(t testing.TB, change ...func(*App)) *world {
	w := newWorld(t, change...)
	w.users["acme/ccc"] = filter.User{
		ID: "ccc", Nickname: "Cathy", AvatarURL: "http://x/?a=1&b=2", LastLoginAt: time.UnixMilli(1600006869368),
	}
	w.users["umbra/ddd"] = filter.User{ID: "ddd", Nickname: "not acme's"}
	return w
}

func written(blockee, room, created, updated string) string {
	return `{"RC":0,"RM":"OK","result":{"appID":"acme","blockee":` + blockee + `,"blocker":"aaa","room":"` + room +
		`","createdAt":"` + created + `","updatedAt":"` + updated + `"}}`
}

// TestBlockListUnblock is the life of two blocks, to the byte.
func TestBlockListUnblock(t *testing.T) {
	w := withCathy(t)
	const at0, at1, at2 = "2021-08-04T12:00:00.123Z", "2021-08-04T12:00:01.123Z", "2021-08-04T12:00:02.123Z"
	w.ask("GET", "/blockStatus/my", asAAA...).gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[]}}`)
	w.ask("POST", "/blockStatus/my/ccc", asAAA...).gives(t, 200, written(cathy, "room of aaa and ccc", at0, at0))
	w.now = w.now.Add(time.Second)
	w.ask("POST", "/blockStatus/my/ddd", asAAA...).gives(t, 200, written(ddd, "room of aaa and ddd", at1, at1))
	entry := func(blockee, id, at, ms string) string {
		room := "room of aaa and " + id
		return `{"blockee":` + blockee + `,"blocker":"aaa","room":{"_id":"` + room + `","roomType":"direct","id":"` + room +
			`","createdTimeMS":` + ms + `},"createdAt":"` + at + `","updatedAt":"` + at + `"}`
	}
	w.ask("GET", "/blockStatus/my", asAAA...).gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[`+
		entry(ddd, "ddd", at1, "1628078401123")+`,`+entry(cathy, "ccc", at0, "1628078400123")+`]}}`)
	w.now = w.now.Add(time.Second)
	w.ask("DELETE", "/blockStatus/my/ccc", asAAA...).gives(t, 200, written(cathy, "room of aaa and ccc", at0, at2))
	w.ask("DELETE", "/blockStatus/my/ccc", asAAA...).gives(t, 404,
		`{"RC":404,"RM":"Block relationship not found","error":{"code":"BLOCK_NOT_FOUND","message":"No block relationship exists with this user"}}`)
	w.ask("GET", "/blockStatus/my", asAAA...).gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[`+entry(ddd, "ddd", at1, "1628078401123")+`]}}`)
	if len(w.rooms) != 2 {
		t.Errorf("the rooms are %v", w.rooms)
	}
	if w.log.String() != "" {
		t.Errorf("logged: %s", w.log)
	}
}

// TestNothingFailsAfterTheWrite: whatever can fail is done before the block is
// written, in this order.
func TestNothingFailsAfterTheWrite(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/blockStatus/my/ccc", asAAA...)
	w.ask("DELETE", "/blockStatus/my/ccc", asAAA...)
	want := []string{
		"verify", "lookup acme 1", "direct acme aaa ccc", "block acme block aaa ccc by aaa",
		"verify", "lookup acme 1", "ofpeers acme aaa", "unblock acme block aaa ccc by aaa",
	}
	if !slices.Equal(w.calls, want) {
		t.Errorf("the calls are %q, want %q", w.calls, want)
	}
}

func TestBlockTwice(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/blockStatus/my/ddd", asAAA...)
	w.now = w.now.Add(time.Minute)
	w.ask("POST", "/blockStatus/my/ddd", asAAA...).gives(t, 409,
		`{"RC":409,"RM":"User already blocked","error":{"code":"USER_ALREADY_BLOCKED","message":"This user is already in your block list"}}`)

	w = newWorld(t, upsert)
	w.ask("POST", "/blockStatus/my/ddd", asAAA...)
	w.now = w.now.Add(time.Minute)
	w.ask("POST", "/blockStatus/my/ddd", asAAA...).gives(t, 200,
		written(ddd, "room of aaa and ddd", "2021-08-04T12:00:00.123Z", "2021-08-04T12:01:00.123Z"))
	if n := len(w.lists[filter.ListID{App: "acme", Kind: cache.KindBlock, Owner: "aaa"}]); n != 1 {
		t.Errorf("the list has %d entries", n)
	}
}

// TestUpdatedIsNotBeforeCreated: the clock of the database may be ahead of ours.
func TestUpdatedIsNotBeforeCreated(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/blockStatus/my/ddd", asAAA...)
	w.now = w.now.Add(-time.Hour)
	const at = "2021-08-04T12:00:00.123Z"
	w.ask("DELETE", "/blockStatus/my/ddd", asAAA...).gives(t, 200, written(ddd, "room of aaa and ddd", at, at))
}

func TestRefusedBlocks(t *testing.T) {
	w := withCathy(t, known)
	for _, c := range []struct {
		name, method, target string
		as                   []string
		status               int
		body                 string
	}{
		{"oneself", "POST", "/blockStatus/my/aaa", asAAA, 400,
			`{"RC":400,"RM":"Cannot block yourself","error":{"code":"SELF_BLOCK_FORBIDDEN","message":"Users cannot block themselves"}}`},
		{"oneself, escaped", "POST", "/blockStatus/my/%61a%61", asAAA, 400,
			`{"RC":400,"RM":"Cannot block yourself","error":{"code":"SELF_BLOCK_FORBIDDEN","message":"Users cannot block themselves"}}`},
		{"a user whom the directory lacks", "POST", "/blockStatus/my/ddd", asAAA, 404,
			`{"RC":404,"RM":"User not found","error":{"code":"USER_NOT_FOUND","message":"The specified user does not exist"}}`},
		{"no user", "POST", "/blockStatus/my/", asAAA, 400,
			`{"RC":400,"RM":"Invalid user ID","error":{"code":"INVALID_USER_ID","message":"The specified user ID is not valid"}}`},
		{"an admin's own list", "GET", "/blockStatus/my", asAdmin, 403,
			`{"RC":403,"RM":"Access denied","error":{"code":"INSUFFICIENT_PERMISSIONS","message":"You don't have permission to access this resource"}}`},
		{"nobody", "GET", "/blockStatus/my", nil, 401,
			`{"RC":401,"RM":"Unauthorized","error":{"code":"INVALID_TOKEN","message":"Invalid or expired token"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.ask(c.method, c.target, c.as...).gives(t, c.status, c.body)
		})
	}
	if len(w.lists)+len(w.rooms) > 0 {
		t.Errorf("something was written: %v, %v", w.lists, w.rooms)
	}
	w.t = t
	if a := w.ask("POST", "/blockStatus/my/ccc", asAAA...); a.status != 200 {
		t.Errorf("a user whom the directory holds: %v", a)
	}
	// Who has left the directory can still be unblocked.
	delete(w.users, "acme/ccc")
	if a := w.ask("DELETE", "/blockStatus/my/ccc", asAAA...); a.status != 200 {
		t.Errorf("a user who has left the directory: %v", a)
	}
}

// TestInvalidIDs: a bad id is the same error at every call that takes one.
func TestInvalidIDs(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{
		"", ".", "..", "%2e", "%2E%2e", "%", "%4", "%zz", "%00", "%0a", "%7f", "%c2%80", "%ff", "a%80", "a#b", "#",
		strings.Repeat("x", 257), strings.Repeat("%F0%9F%98%80", 65),
	} {
		for _, method := range []string{"POST", "DELETE"} {
			w.ask(method, "/blockStatus/my/"+id, asAAA...).refuses(t, 400, "INVALID_USER_ID")
			w.ask(method, "/blockStatus/room/r1/"+id, asAdmin...).refuses(t, 400, "INVALID_USER_ID")
			w.ask(method, "/blockStatus/room/"+id+"/ccc", asAdmin...).refuses(t, 404, "ROOM_NOT_FOUND")
		}
		w.ask("GET", "/blockStatus/room/"+id, asAdmin...).refuses(t, 404, "ROOM_NOT_FOUND")
	}
	if len(w.lists) > 0 {
		t.Errorf("something was written: %v", w.lists)
	}
}

// TestIDsSurvive: what a path can carry arrives and comes back unchanged.
func TestIDsSurvive(t *testing.T) {
	for _, id := range []string{
		"a/b", "a%2fb", "100%", "a+b", "a b", " a ", "a?b=c", "a#b", "😀", "مرحبا", "...", "a;b", "\"quoted\"\\", "<&>", "\u2028", "\ufffd",
		strings.Repeat("é", 128), strings.Repeat("😀", 64), "Bearer x", "null", "0",
	} {
		w := newWorld(t)
		escaped := url.PathEscape(id)
		for _, a := range []answer{
			w.ask("POST", "/blockStatus/my/"+escaped, asAAA...), w.ask("GET", "/blockStatus/my", asAAA...),
			w.ask("DELETE", "/blockStatus/my/"+escaped+"?x=y", asAAA...),
		} {
			type row struct {
				Blockee struct {
					Key string `json:"_id"`
					ID  string `json:"id"`
				}
			}
			var body struct {
				Result struct {
					row
					Data []row
				}
			}
			if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != 200 {
				t.Fatalf("%q: %v, %v", id, a, err)
			}
			r := body.Result.row
			if body.Result.Data != nil {
				r = body.Result.Data[0]
			}
			if r.Blockee.Key != id || r.Blockee.ID != id {
				t.Errorf("%q comes back as %+v", id, r)
			}
		}
	}
}

// TestUserOfTheTokenIsTheOwner, whatever client key of the app comes with it.
func TestUserOfTheTokenIsTheOwner(t *testing.T) {
	w := newWorld(t)
	for _, header := range [][]string{
		{"IM-CLIENT-KEY", "ck2", "IM-Authorization", "of a/b"},
		{"im-client-key", "ck1", "im-authorization", "Bearer of a/b"},
		{"IM-CLIENT-KEY", "ck1", "IM-API-KEY", "admin1", "IM-Authorization", "bearer  of a/b"},
		{"IM-API-KEY", "admin1", "IM-Authorization", "of a/b"},
	} {
		if a := w.ask("POST", "/blockStatus/my/ccc", header...); a.status != 200 || !strings.Contains(a.body, `"blocker":"a/b"`) {
			t.Errorf("%q: %v", header, a)
		}
		w.ask("DELETE", "/blockStatus/my/ccc", header...)
	}
}

// TestAppsShareNothing: the same user of another app has another list.
func TestAppsShareNothing(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/blockStatus/my/ccc", asAAA...)
	w.ask("GET", "/blockStatus/my", "IM-CLIENT-KEY", "ck3", "IM-Authorization", "of aaa").gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[]}}`)
	w.ask("DELETE", "/blockStatus/my/ccc", "IM-CLIENT-KEY", "ck3", "IM-Authorization", "of aaa").refuses(t, 404, "BLOCK_NOT_FOUND")
}

func TestLimit(t *testing.T) {
	w := newWorld(t)
	for i := range w.limit {
		w.ask("POST", fmt.Sprint("/blockStatus/my/u", i), asAAA...)
	}
	w.ask("POST", "/blockStatus/my/more", asAAA...).refuses(t, 400, "BLOCK_LIMIT_EXCEEDED")
}

// TestListWithoutRooms: rows whose room is missing are listed all the same.
func TestListWithoutRooms(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/blockStatus/my/ddd", asAAA...)
	clear(w.rooms)
	w.ask("GET", "/blockStatus/my", asAAA...).gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[{"blockee":`+ddd+
		`,"blocker":"aaa","room":{"_id":"","roomType":"direct","id":"","createdTimeMS":0},"createdAt":"2021-08-04T12:00:00.123Z","updatedAt":"2021-08-04T12:00:00.123Z"}]}}`)
	if a := w.ask("DELETE", "/blockStatus/my/ddd", asAAA...); a.status != 200 || !strings.Contains(a.body, `"room":""`) {
		t.Errorf("unblock: %v", a)
	}
}

// TestLongLists: the directory is asked about no more users at once than it
// answers.
func TestLongLists(t *testing.T) {
	w := newWorld(t)
	mine := filter.ListID{App: "acme", Kind: cache.KindBlock, Owner: "aaa"}
	room := filter.ListID{App: "acme", Kind: cache.KindRoom, Owner: "r1"}
	for i := range 3000 {
		at := noon.Add(-time.Duration(i) * time.Second)
		w.lists[mine] = append(w.lists[mine], filter.Block{Owner: "aaa", Target: fmt.Sprint("b", i), CreatedAt: at})
		w.lists[room] = append(w.lists[room], filter.Block{Owner: "r1", Target: fmt.Sprint("r", i), CreatedAt: at, Source: "imkit", Actor: "aaa"})
	}
	w.users["acme/r2999"] = filter.User{ID: "r2999", Nickname: "Last"}
	a := w.ask("GET", "/blockStatus/my", asAAA...)
	if n := strings.Count(a.body, `"blockee"`); n != 6000 || !strings.Contains(a.body, `"Last"`) {
		t.Errorf("%d entries", n)
	}
}

// TestFailures: what is wrong on our side is said without its cause, and logged
// once with it.
func TestFailures(t *testing.T) {
	away := &filter.Error{Code: filter.CodeStoreUnavailable, Detail: "d", Err: errors.New("SQLSTATE 08006")}
	unclear := fmt.Errorf("edit a list: %w", &filter.Error{Code: filter.CodeOutcomeUnknown, Detail: "d", Err: errors.New("SQLSTATE 57P01")})
	bug := errors.New("SQLSTATE 42703")
	for _, c := range []struct {
		method, target string
		asked          []string
	}{
		{"POST", "/blockStatus/my/ccc", []string{"verify", "lookup", "direct", "block"}},
		{"DELETE", "/blockStatus/my/ccc", []string{"verify", "lookup", "ofpeers", "unblock"}},
		{"GET", "/blockStatus/my", []string{"verify", "whole", "bans", "ofpeers", "lookup"}},
		{"POST", "/blockStatus/room/r1/ccc", []string{"verify", "lookup", "block"}},
		{"DELETE", "/blockStatus/room/r1/ccc", []string{"verify", "lookup", "unblock"}},
		{"GET", "/blockStatus/room/r1", []string{"verify", "whole", "lookup"}},
	} {
		for _, what := range c.asked {
			for err, want := range map[error]string{away: "SERVICE_UNAVAILABLE", unclear: "SERVICE_UNAVAILABLE", bug: "INTERNAL_ERROR"} {
				status, again := 503, "1"
				if err == bug && what != "verify" {
					status, again = 500, ""
				} else {
					want = "SERVICE_UNAVAILABLE"
				}
				w := newWorld(t)
				if c.method == "GET" { // an empty list has nobody to look up
					w.ask("POST", "/blockStatus/my/ccc", asOwner...)
					w.ask("POST", "/blockStatus/room/r1/ccc", asOwner...)
				}
				w.broken[what] = err
				a := w.ask(c.method, c.target, asOwner...)
				a.refuses(t, status, want)
				if got := string(a.header.Peek("Retry-After")); got != again {
					t.Errorf("%s %s: Retry-After is %q", c.method, c.target, got)
				}
				if strings.Contains(a.body, "SQLSTATE") {
					t.Errorf("the answer shows the cause: %v", a)
				}
				logged := w.log.String()
				if strings.Count(logged, "request failed") != 1 || !strings.Contains(logged, "SQLSTATE") ||
					!strings.Contains(logged, `route="imkit `+a.call) || strings.Contains(logged, "ccc") || strings.Contains(logged, "aaa") {
					t.Errorf("%s %s with a broken %s: logged %s", c.method, c.target, what, logged)
				}
			}
		}
	}
}
