package imkit

import (
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// TestRoomBans is the life of bans by a user who owns the room and by the
// platform, to the byte.
func TestRoomBans(t *testing.T) {
	w := withCathy(t)
	w.users["acme/aaa"] = filter.User{ID: "aaa", Nickname: "Anna"}
	const at0, at1, at2 = "2021-08-04T12:00:00.123Z", "2021-08-04T12:00:01.123Z", "2021-08-04T12:00:02.123Z"
	w.ask("GET", "/blockStatus/room/r%2F2", asOwner...).gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[]}}`)
	w.ask("POST", "/blockStatus/room/r%2F2/ccc", asOwner...).gives(t, 200, written(cathy, "r/2", at0, at0))
	w.now = w.now.Add(time.Second)
	w.ask("POST", "/blockStatus/room/r%2F2/ddd", asAdmin...).gives(t, 200,
		strings.Replace(written(ddd, "r/2", at1, at1), `"blocker":"aaa"`, `"blocker":""`, 1))
	w.ask("POST", "/blockStatus/room/r%2F2/ddd", asOwner...).refuses(t, 409, "USER_ALREADY_BLOCKED")

	const room = `"room":{"_id":"r/2","roomType":"group","id":"r/2","createdTimeMS":0}`
	nobody := `{"_id":"","avatarUrl":"","nickname":"","id":"","lastLoginTimeMS":0}`
	anna := `{"_id":"aaa","avatarUrl":"","nickname":"Anna","id":"aaa","lastLoginTimeMS":0}`
	for _, as := range [][]string{asOwner, asAdmin} {
		w.ask("GET", "/blockStatus/room/r%2F2", as...).gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[`+
			`{"blockee":`+ddd+`,"blocker":`+nobody+`,`+room+`,"createdAt":"`+at1+`","updatedAt":"`+at1+`"},`+
			`{"blockee":`+cathy+`,"blocker":`+anna+`,`+room+`,"createdAt":"`+at0+`","updatedAt":"`+at0+`"}]}}`)
	}
	// The user's own list has what the user did, and nothing of the platform's.
	w.ask("GET", "/blockStatus/my", asAAA...).gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[`+
		`{"blockee":`+cathy+`,"blocker":"aaa",`+room+`,"createdAt":"`+at0+`","updatedAt":"`+at0+`"}]}}`)

	w.now = w.now.Add(time.Second)
	w.ask("DELETE", "/blockStatus/room/r%2F2/ddd", asOwner...).gives(t, 200, written(ddd, "r/2", at1, at2))
	w.ask("DELETE", "/blockStatus/room/r%2F2/ddd", asOwner...).refuses(t, 404, "BLOCK_NOT_FOUND")
}

// TestOwnListIsInOrder: blocks and bans of a user, by time.
func TestOwnListIsInOrder(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{"my/u1", "room/r1/u2", "my/u3", "my/u4", "room/r1/u5", "room/r%2F2/u1"} {
		if a := w.ask("POST", "/blockStatus/"+target, asOwner...); a.status != 200 {
			t.Fatal(a)
		}
		w.now = w.now.Add(time.Millisecond)
	}
	a := w.ask("GET", "/blockStatus/my", asAAA...)
	var order []string
	for _, piece := range strings.Split(a.body, `"blockee":{"_id":"`)[1:] {
		id, rest, _ := strings.Cut(piece, `"`)
		kind, _, _ := strings.Cut(rest[strings.Index(rest, `"roomType":"`)+12:], `"`)
		order = append(order, kind+" "+id)
	}
	if got := strings.Join(order, ", "); got != "group u1, group u5, direct u4, direct u3, group u2, direct u1" {
		t.Errorf("the order is %s", got)
	}
}

func TestRoomBansOfOthers(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ method, target string }{
		{"GET", "/blockStatus/room/r3"}, {"POST", "/blockStatus/room/r3/ccc"}, {"DELETE", "/blockStatus/room/r3/ccc"},
		{"POST", "/blockStatus/room/r3/%00"}, {"GET", "/blockStatus/room/r"}, {"GET", "/blockStatus/room/R1"},
	} {
		w.ask(c.method, c.target, asOwner...).refuses(t, 403, "INSUFFICIENT_PERMISSIONS")
		w.ask(c.method, c.target, asAAA...).refuses(t, 403, "INSUFFICIENT_PERMISSIONS")
	}
	if len(w.lists) > 0 {
		t.Errorf("something was written: %v", w.lists)
	}
	// Another app's platform sees the room of the same name, of its own app.
	w.ask("POST", "/blockStatus/room/r1/ccc", asAdmin...)
	w.ask("GET", "/blockStatus/room/r1", "IM-API-KEY", "admin3").gives(t, 200, `{"RC":0,"RM":"OK","result":{"data":[]}}`)
}

func TestRefusedRoomBans(t *testing.T) {
	w := withCathy(t, known)
	w.ask("POST", "/blockStatus/room/r1/aaa", asOwner...).refuses(t, 400, "SELF_BLOCK_FORBIDDEN")
	w.ask("POST", "/blockStatus/room/r1/ddd", asOwner...).refuses(t, 404, "ROOM_OR_USER_NOT_FOUND")
	w.ask("DELETE", "/blockStatus/room/r1/ddd", asOwner...).refuses(t, 404, "BLOCK_NOT_FOUND")
	if a := w.ask("POST", "/blockStatus/room/ccc/ccc", asAdmin...); a.status != 200 {
		t.Errorf("a room that is named like the user: %v", a)
	}
}

// TestAuthorOfABan: an author that another door noted down is no user.
func TestAuthorOfABan(t *testing.T) {
	w := newWorld(t)
	w.users["acme/root"] = filter.User{ID: "root", Nickname: "a user of this name"}
	w.lists[filter.ListID{App: "acme", Kind: cache.KindRoom, Owner: "r1"}] = []filter.Block{
		{Owner: "r1", Target: "ddd", CreatedAt: noon, Source: "sql", Actor: "root"},
	}
	if a := w.ask("GET", "/blockStatus/room/r1", asAdmin...); strings.Contains(a.body, "root") || strings.Contains(a.body, "of this name") {
		t.Errorf("%v", a)
	}
}

// TestUserWithAnAPIKey: the platform that acts for a user makes the user's bans.
func TestUserWithAnAPIKey(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/blockStatus/room/r9/ccc", append([]string{"IM-Authorization", "of aaa"}, asAdmin...)...)
	if a := w.ask("GET", "/blockStatus/my", asAAA...); !strings.Contains(a.body, `"r9"`) {
		t.Errorf("%v", a)
	}
}
