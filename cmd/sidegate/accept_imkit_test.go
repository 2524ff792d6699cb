package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAcceptI1RoutesAndShapes: block, list and unblock as the pages show them, with
// what the directory knows.
func TestAcceptI1RoutesAndShapes(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, imkitFile).ready()
	put := s.imkit("PUT", "/v1/apps/acme/users/ccc", `{"nickname":"Cathy","avatar_url":"http://loremflickr.com/240/240/style?1628093667","last_login_at":"2020-09-13T14:21:09.368Z"}`,
		"Authorization", "Bearer "+apiToken, "Content-Type", "application/json")
	if put.status != http.StatusCreated {
		t.Fatal(put)
	}
	aaa := s.clientOf("ck1", "aaa")
	if a := aaa.call("GET", "/blockStatus/my"); a.body != `{"RC":0,"RM":"OK","result":{"data":[]}}` || a.status != 200 {
		t.Errorf("an empty list: %v", a)
	}
	// As axios sends it.
	posted := s.imkit("POST", "/blockStatus/my/ccc", `{}`, append([]string{"Content-Type", "application/json"}, aaa.header...)...)
	row, room := posted.one(t)
	shape := regexp.MustCompile(`^\{"RC":0,"RM":"OK","result":\{"appID":"acme","blockee":\{"_id":"ccc","avatarUrl":"http://loremflickr.com/240/240/style\?1628093667",` +
		`"nickname":"Cathy","id":"ccc","lastLoginTimeMS":1600006869368\},"blocker":"aaa","room":"[0-9a-f]{32}","createdAt":"[^"]+","updatedAt":"[^"]+"\}\}$`)
	if !shape.MatchString(posted.body) || *row.CreatedAt != *row.UpdatedAt || posted.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("block: %v %v", posted, posted.header)
	}
	aaa.call("POST", "/blockStatus/my/ddd").one(t)
	list := aaa.call("GET", "/blockStatus/my")
	rows, rooms := list.many(t)
	if got := blockees(rows); !slices.Equal(got, []string{"ddd", "ccc"}) {
		t.Errorf("the list holds %q", got)
	}
	if rooms[1].ID != room || rooms[1].RoomType != "direct" || *rooms[1].CreatedMS < time.Now().Add(-time.Hour).UnixMilli() ||
		*rows[1].CreatedAt != *row.CreatedAt || string(rows[1].Blocker) != `"aaa"` || *rows[1].Blockee.Nickname != "Cathy" {
		t.Errorf("the list is %v", list)
	}
	ended, endedRoom := aaa.call("DELETE", "/blockStatus/my/ccc").one(t)
	if endedRoom != room || *ended.CreatedAt != *row.CreatedAt || string(ended.Blocker) != `"aaa"` || *ended.Blockee.Nickname != "Cathy" {
		t.Errorf("unblock: %+v", ended)
	}
	if got, _ := aaa.call("GET", "/blockStatus/my").many(t); len(got) != 1 {
		t.Errorf("after the unblock: %q", blockees(got))
	}
	// The room and its history stay.
	if got := psql(t, dsn, "SELECT id FROM sidegate.room WHERE app = 'acme' AND (a, b) = ('aaa', 'ccc')"); got != room {
		t.Errorf("the room is %q now, it was %q", got, room)
	}
	if got := psql(t, dsn, "SELECT source, actor, ended_source, ended_actor FROM sidegate.history WHERE target = 'ccc'"); got != "imkit|aaa|imkit|aaa" {
		t.Errorf("history: %s", got)
	}
}

// TestAcceptI1IDsSurvive: any id goes in and comes out, is stored and decided by.
func TestAcceptI1IDsSurvive(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, imkitFile).ready()
	ids := []string{"a/b", "100%", "a+b", "a b", "a%2Fb", "😀", "مرحبا", "a?b#c", `"\`, strings.Repeat("é", 128)}
	owner := s.clientOf("ck1", "o/+ 😀")
	for _, id := range ids {
		if row, _ := owner.call("POST", "/blockStatus/my/"+url.PathEscape(id)).one(t); *row.Blockee.ID != id {
			t.Errorf("%q comes back as %q", id, *row.Blockee.ID)
		}
		if got := s.decide(question{app: "acme", sender: id, recipient: "o/+ 😀"}); got.Reason != "recipient_blocked_sender" {
			t.Errorf("%q: %+v", id, got)
		}
	}
	rows, _ := owner.call("GET", "/blockStatus/my").many(t)
	slices.Reverse(rows)
	if got := blockees(rows); !slices.Equal(got, ids) {
		t.Errorf("the list is %q", got)
	}
	for _, id := range ids {
		owner.call("DELETE", "/blockStatus/my/"+url.PathEscape(id)).one(t)
	}
	if n := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); n != "0" {
		t.Errorf("%s entries are left", n)
	}
}

// TestAcceptI1ListIsComplete: there are no pages, 3000 come at once, whoever wrote
// them.
func TestAcceptI1ListIsComplete(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, imkitFile).ready()
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) SELECT 'acme', 'aaa', 't' || i FROM generate_series(1, 2999) i")
	s.block("acme", "aaa", "native")
	rows, rooms := s.clientOf("ck1", "aaa").call("GET", "/blockStatus/my").many(t)
	seen := map[string]bool{}
	for i, r := range rows {
		seen[*r.Blockee.ID] = true
		if rooms[i].RoomType != "direct" || rooms[i].ID == "" {
			t.Fatalf("row %d has the room %+v", i, rooms[i])
		}
		if i > 0 && *rows[i-1].CreatedAt < *r.CreatedAt {
			t.Fatalf("row %d is newer than the one before", i)
		}
	}
	if len(rows) != 3000 || len(seen) != 3000 || *rows[0].Blockee.ID != "native" {
		t.Errorf("%d rows, %d users, the first is %s", len(rows), len(seen), *rows[0].Blockee.ID)
	}
	// A row whose room is missing is listed all the same.
	psql(t, dsn, "DELETE FROM sidegate.room WHERE b = 'native'")
	if rows, rooms := s.clientOf("ck1", "aaa").call("GET", "/blockStatus/my").many(t); len(rows) != 3000 || rooms[0].ID != "" {
		t.Errorf("%d rows, the first has the room %+v", len(rows), rooms[0])
	}
}

// TestAcceptI2Codes provokes every error of the vendor's table.
func TestAcceptI2Codes(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, imkitFile).ready()
	aaa := s.clientOf("ck1", "aaa")
	block := func(c imkitClient, id string) answer { return c.call("POST", "/blockStatus/my/"+id) }
	block(aaa, "aaa").refused(t, 400, "Cannot block yourself", "SELF_BLOCK_FORBIDDEN", "Users cannot block themselves")
	for _, id := range []string{"", "%00", "%ff", "%2e%2e", strings.Repeat("x", 257)} {
		block(aaa, id).refused(t, 400, "Invalid user ID", "INVALID_USER_ID", "The specified user ID is not valid")
	}
	block(aaa, "ccc").one(t)
	block(aaa, "ccc").refused(t, 409, "User already blocked", "USER_ALREADY_BLOCKED", "This user is already in your block list")
	aaa.call("DELETE", "/blockStatus/my/ddd").refused(t, 404, "Block relationship not found", "BLOCK_NOT_FOUND", "No block relationship exists with this user")
	s.imkit("GET", "/blockStatus/my", "", "IM-API-KEY", "admin1").is403(t)

	strict := s.clientOf("ck2", "aaa")
	block(strict, "ccc").refused(t, 404, "User not found", "USER_NOT_FOUND", "The specified user does not exist")
	for _, id := range []string{"ccc", "ddd", "eee"} {
		s.imkit("PUT", "/v1/apps/strict/users/"+id, `{}`, "Authorization", "Bearer "+apiToken, "Content-Type", "application/json")
	}
	first, room := block(strict, "ccc").one(t)
	waitFor(t, "a millisecond goes by", func() bool { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") > *first.CreatedAt })
	if again, same := block(strict, "ccc").one(t); *again.CreatedAt != *first.CreatedAt || *again.UpdatedAt <= *first.CreatedAt || same != room {
		t.Errorf("upsert: %s %s, at first %s", *again.CreatedAt, *again.UpdatedAt, *first.CreatedAt)
	}
	block(strict, "ddd").one(t)
	block(strict, "eee").refused(t, 400, "Block list full", "BLOCK_LIMIT_EXCEEDED", "The block list is full; nothing was stored")
	aaa.call("PUT", "/blockStatus/my/ccc").refused(t, 405, "Method not allowed", "METHOD_NOT_ALLOWED", "The path does not take this method")
	aaa.call("GET", "/blockStatus/mine").refused(t, 404, "Not found", "NOT_FOUND", "There is nothing at this path")
	big := s.imkit("POST", "/blockStatus/my/fff", strings.Repeat(" ", 1<<20+1), aaa.header...)
	if big.status != 413 || !strings.HasPrefix(big.body, `{"RC":413,"RM":"Request Entity Too Large","error":{"code":"TOO_LARGE","message":"`) {
		t.Errorf("a body of more than a megabyte: %v", big)
	}
	if n := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); n != "3" {
		t.Errorf("%s entries, want 3", n)
	}
}

// TestAcceptI2Unauthorized: what is wrong with a key or a token is one answer, and
// nothing changes by it.
func TestAcceptI2Unauthorized(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, imkitFile).ready()
	s.clientOf("ck1", "aaa").call("POST", "/blockStatus/my/ccc").one(t)
	for name, header := range map[string][]string{
		"nothing":                   nil,
		"no token":                  {"IM-CLIENT-KEY", "ck1"},
		"no client key":             {"IM-Authorization", clientToken("aaa")},
		"an unknown client key":     {"IM-CLIENT-KEY", "ck9", "IM-Authorization", clientToken("aaa")},
		"no JWT":                    {"IM-CLIENT-KEY", "ck1", "IM-Authorization", "aaa"},
		"another secret":            {"IM-CLIENT-KEY", "ck1", "IM-Authorization", strings.TrimPrefix(signed("x"+imkitSecret, hs256Header, claims("aaa", "acme", "app")), "Bearer ")},
		"unsigned":                  {"IM-CLIENT-KEY", "ck1", "IM-Authorization", strings.TrimPrefix(unsigned(claims("aaa", "acme", "app")), "Bearer ")},
		"expired":                   {"IM-CLIENT-KEY", "ck1", "IM-Authorization", clientToken("aaa", "exp", time.Now().Add(-time.Hour).Unix())},
		"without expiry":            {"IM-CLIENT-KEY", "ck1", "IM-Authorization", clientToken("aaa", "exp", nil)},
		"a token without a user":    {"IM-CLIENT-KEY", "ck1", "IM-Authorization", clientToken("aaa", "sub", nil)},
		"an unknown API key":        {"IM-API-KEY", "admin9"},
		"an API key with a forgery": {"IM-API-KEY", "admin1", "IM-Authorization", "x"},
		"the native token":          {"Authorization", "Bearer " + apiToken},
	} {
		for _, c := range []struct{ method, path string }{
			{"GET", "/blockStatus/my"}, {"POST", "/blockStatus/my/ddd"}, {"DELETE", "/blockStatus/my/ccc"},
			{"GET", "/blockStatus/room/r"}, {"POST", "/blockStatus/room/r/ddd"}, {"DELETE", "/blockStatus/room/r/ccc"},
		} {
			if a := s.imkit(c.method, c.path, "", header...); a.status != 401 {
				t.Errorf("%s: %s %s = %v", name, c.method, c.path, a)
			} else {
				a.is401(t)
			}
		}
	}
	if got := psql(t, dsn, "SELECT target FROM sidegate.block"); got != "ccc" {
		t.Errorf("the list is %q", got)
	}
	if a := s.imkit("GET", "/blockStatus/my", "", "IM-CLIENT-KEY", "ck1", "IM-Authorization", "Bearer "+clientToken("aaa")); a.status != 200 {
		t.Errorf("with the word Bearer: %v", a)
	}
	// The token of one app's user is, by a secret that both share, that of the
	// other's: but the list is that of the app whose client key it came with.
	if rows, _ := s.clientOf("ck2", "aaa").call("GET", "/blockStatus/my").many(t); len(rows) != 0 {
		t.Errorf("another app's list: %q", blockees(rows))
	}
}

// TestAcceptI3TwoWayInDirectRooms: a block stops both directions in rooms of two,
// nothing in groups, at once here and soon on another node; so does its end.
func TestAcceptI3TwoWayInDirectRooms(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	here, there := startSidecar(t, dsn, imkitFile).ready(), startSidecar(t, dsn, imkitFile).ready()
	aaa := here.clientOf("ck1", "aaa")
	toBlocker := question{app: "acme", sender: "ccc", recipient: "aaa"}
	toBlocked := question{app: "acme", sender: "aaa", recipient: "ccc"}
	rejected := verdict{Action: "reject", Reason: "recipient_blocked_sender"}
	rejectedToo := verdict{Action: "reject", Reason: "sender_blocked_recipient"}
	_, room := aaa.call("POST", "/blockStatus/my/ccc").one(t)
	if got := here.decide(toBlocker); got != rejected {
		t.Errorf("to the blocker: %+v", got)
	}
	if got := here.decide(toBlocked); got != rejectedToo {
		t.Errorf("to the blocked: %+v", got)
	}
	there.enforced(toBlocker, rejected)
	there.enforced(toBlocked, rejectedToo)
	for _, q := range []question{toBlocker, toBlocked} {
		q.room = "group"
		if got := here.decide(q); !got.Deliver || !got.Notify {
			t.Errorf("in a group: %+v", got)
		}
	}
	aaa.call("DELETE", "/blockStatus/my/ccc").one(t)
	if got := here.decide(toBlocker); got != allowed {
		t.Errorf("after the unblock: %+v", got)
	}
	there.enforced(toBlocker, allowed)
	there.enforced(toBlocked, allowed)

	// One room for the pair, from either side and for ever; it is the app's to name.
	if _, again := there.clientOf("ck1", "ccc").call("POST", "/blockStatus/my/aaa").one(t); again != room {
		t.Errorf("the room is %s, it was %s", again, room)
	}
	set := here.imkit("PUT", "/v1/apps/acme/rooms/direct", `{"users":["ccc","aaa"],"id":"chat/7"}`,
		"Authorization", "Bearer "+apiToken, "Content-Type", "application/json")
	if set.status != 200 || !strings.HasPrefix(set.body, `{"users":["ccc","aaa"],"id":"chat/7","created_at":"`) {
		t.Errorf("naming the room: %v", set)
	}
	if _, named := aaa.call("POST", "/blockStatus/my/ccc").one(t); named != "chat/7" {
		t.Errorf("the room is %s", named)
	}
	if _, rooms := there.clientOf("ck1", "ccc").call("GET", "/blockStatus/my").many(t); len(rooms) != 1 || rooms[0].ID != "chat/7" {
		t.Errorf("the room in the list: %+v", rooms)
	}
}

// TestAcceptI3RoomBans: who is banned from a room cannot send there; only its owner
// and the platform ban, and a user's list shows the user's bans alone.
func TestAcceptI3RoomBans(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, imkitFile).ready()
	owner := s.clientOf("ck1", "aaa", "rooms_owned", []string{"r/1"})
	admin := imkitClient{s, []string{"IM-API-KEY", "admin1"}}
	inRoom := func(sender, room string) verdict {
		a := s.get("check", "/v1/can-deliver?app=acme&room_type=group&recipient=zoe&sender="+sender+"&room="+url.QueryEscape(room))
		v, ok := a.verdict(t)
		if !ok {
			t.Fatal(a)
		}
		return v
	}
	banned := verdict{Action: "reject", Reason: "banned_in_room"}
	owner.call("POST", "/blockStatus/my/first").one(t)
	row, room := owner.call("POST", "/blockStatus/room/r%2F1/ccc").one(t)
	if room != "r/1" || string(row.Blocker) != `"aaa"` || *row.AppID != "acme" {
		t.Errorf("a ban: %+v", row)
	}
	if row, _ := admin.call("POST", "/blockStatus/room/r%2F1/ddd").one(t); string(row.Blocker) != `""` {
		t.Errorf("a ban of the platform: %s", row.Blocker)
	}
	for _, sender := range []string{"ccc", "ddd"} {
		if got := inRoom(sender, "r/1"); got != banned {
			t.Errorf("%s in the room: %+v", sender, got)
		}
		if got := inRoom(sender, "r/2"); !got.Deliver {
			t.Errorf("%s in another room: %+v", sender, got)
		}
	}
	stranger := s.clientOf("ck1", "bbb")
	stranger.call("POST", "/blockStatus/room/r%2F1/eee").is403(t)
	stranger.call("DELETE", "/blockStatus/room/r%2F1/ccc").is403(t)
	stranger.call("GET", "/blockStatus/room/r%2F1").is403(t)
	owner.call("POST", "/blockStatus/room/r%2F2/eee").is403(t)
	owner.call("POST", "/blockStatus/room/r%2F1/ccc").refused(t, 409, "User already blocked", "USER_ALREADY_BLOCKED", "This user is already in your block list")
	owner.call("DELETE", "/blockStatus/room/r%2F1/eee").refused(t, 404, "Block relationship not found", "BLOCK_NOT_FOUND", "No block relationship exists with this user")
	admin.call("GET", "/blockStatus/room/%00").refused(t, 404, "Room not found", "ROOM_NOT_FOUND", "The specified room does not exist")

	rows, rooms := admin.call("GET", "/blockStatus/room/r%2F1").many(t)
	if got := blockees(rows); !slices.Equal(got, []string{"ddd", "ccc"}) || rooms[0].RoomType != "group" || rooms[0].ID != "r/1" {
		t.Errorf("the room's list: %q %+v", got, rooms)
	}
	for i, want := range []string{`{"_id":"",`, `{"_id":"aaa",`} {
		if !strings.HasPrefix(string(rows[i].Blocker), want) {
			t.Errorf("row %d is of %s", i, rows[i].Blocker)
		}
	}
	mine, rooms := owner.call("GET", "/blockStatus/my").many(t)
	if got := blockees(mine); !slices.Equal(got, []string{"ccc", "first"}) || rooms[0].RoomType != "group" || rooms[1].RoomType != "direct" {
		t.Errorf("the user's own list: %q %+v", got, rooms)
	}
	owner.call("DELETE", "/blockStatus/room/r%2F1/ddd").one(t)
	if got := inRoom("ddd", "r/1"); !got.Deliver {
		t.Errorf("after the ban: %+v", got)
	}
}

// TestAcceptX1SharedLists: a block by the native API is in IMKit's list and the
// other way round.
func TestAcceptX1SharedListsIMKit(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, imkitFile).ready()
	aaa := s.clientOf("ck1", "aaa")
	s.block("acme", "aaa", "native")
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('acme', 'aaa', 'sql')")
	aaa.call("POST", "/blockStatus/my/imkit").one(t)
	rows, _ := aaa.call("GET", "/blockStatus/my").many(t)
	if got := blockees(rows); !slices.Equal(got, []string{"imkit", "sql", "native"}) {
		t.Errorf("IMKit lists %q", got)
	}
	if got := s.get("api", listPath("acme", "aaa")).body; strings.Count(got, `"target"`) != 3 || !strings.Contains(got, `"target":"imkit"`) {
		t.Errorf("the native API lists %s", got)
	}
	aaa.call("DELETE", "/blockStatus/my/native").one(t)
	if a := s.get("api", blockPath("acme", "aaa", "native")); a.status != http.StatusNotFound {
		t.Errorf("%v", a)
	}
}

// TestAcceptI2Callback: an app's own server says whose a token is; if it is away
// nobody is told that their token is bad, and who is remembered may go on.
func TestAcceptI2Callback(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var away atomic.Bool
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var body struct{ Token string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/verify" || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		user, good := strings.CutPrefix(body.Token, "session of ")
		switch {
		case away.Load():
			rw.WriteHeader(http.StatusBadGateway)
		case !good:
			rw.WriteHeader(http.StatusUnauthorized)
		default:
			_ = json.NewEncoder(rw).Encode(map[string]string{"id": user, "nickname": "N", "avatarUrl": ""})
		}
	}))
	defer app.Close()
	s := startSidecar(t, database(t), `apps: {acme: {preset: imkit, dialects: {imkit: {client_keys: [ck1], verify_url: "`+app.URL+`/verify"}}}}`).ready()
	as := func(token string) imkitClient {
		return imkitClient{s, []string{"IM-CLIENT-KEY", "ck1", "IM-Authorization", token}}
	}
	if row, _ := as("session of aaa").call("POST", "/blockStatus/my/ccc").one(t); string(row.Blocker) != `"aaa"` {
		t.Errorf("the blocker is %s", row.Blocker)
	}
	as("stolen").call("GET", "/blockStatus/my").is401(t)
	away.Store(true)
	if rows, _ := as("session of aaa").call("GET", "/blockStatus/my").many(t); len(rows) != 1 || asked.Load() != 2 {
		t.Errorf("%d rows after %d questions", len(rows), asked.Load())
	}
	a := as("session of bbb").call("GET", "/blockStatus/my")
	a.refused(t, 503, "Service unavailable", "SERVICE_UNAVAILABLE", "The service cannot answer at the moment; try again")
	if a.header.Get("Retry-After") != "1" || strings.Contains(s.stderr.String(), "session of") {
		t.Errorf("Retry-After is %q, the log is %s", a.header.Get("Retry-After"), &s.stderr)
	}
	away.Store(false)
	as("session of bbb").call("GET", "/blockStatus/my").many(t)
	as("session of aaa").call("GET", "/blockStatus/room/r1").is403(t) // a callback names no rooms
}

// TestAcceptI2CORS: a page of a configured origin may call, others may not.
func TestAcceptI2CORS(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), imkitFile).ready()
	const origin = "https://chat.acme.example"
	a := s.imkit("OPTIONS", "/blockStatus/my/ccc", "", "Origin", origin, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "im-client-key,im-authorization")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": "GET, POST, DELETE", "Access-Control-Max-Age": "600",
		"Access-Control-Allow-Headers":     "IM-CLIENT-KEY, IM-Authorization, IM-API-KEY, Content-Type",
		"Access-Control-Allow-Credentials": "", "Vary": "Origin",
	} {
		if got := a.header.Get(name); got != want || a.status != http.StatusNoContent {
			t.Errorf("%d: %s is %q, want %q", a.status, name, got, want)
		}
	}
	header := append([]string{"Origin", origin}, s.clientOf("ck1", "aaa").header...)
	for _, path := range []string{"/blockStatus/my", "/blockStatus/none", "/blockStatus/room/r1"} {
		if a := s.imkit("GET", path, "", header...); a.header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%s: %v", path, a.header)
		}
	}
	big := s.imkit("POST", "/blockStatus/my/fff", strings.Repeat(" ", 1<<20+1), header...)
	if big.status != 413 || big.header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("%d %v", big.status, big.header)
	}
	header[1] = "https://evil.example"
	for _, method := range []string{"GET", "OPTIONS"} {
		for name := range s.imkit(method, "/blockStatus/my", "", header...).header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s from another origin: %s", method, name)
			}
		}
	}
}
