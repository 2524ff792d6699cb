package dialecttest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

// imRow is IMKit's entry on block and unblock: room is a text.
func imRow(app harness.App, blocker, blockee string) string {
	return fmt.Sprintf(`{"RC":0,"RM":"OK","result":{"appID":%q,"blockee":{"_id":%q,"nickname":"","avatarUrl":"","id":%q,"lastLoginTimeMS":0},
		"blocker":%q,"room":"<text>","createdAt":"<time>","updatedAt":"<time>"}}`, app, blockee, blockee, blocker)
}

// imList is IMKit's list: room is an object and there is no appID.
func imList(blocker string, blockees ...string) string {
	rows := make([]string, len(blockees))
	for i, b := range blockees {
		rows[i] = fmt.Sprintf(`{"blockee":{"_id":%q,"nickname":"","avatarUrl":"","id":%q,"lastLoginTimeMS":0},"blocker":%q,
			"room":{"_id":"<text>","roomType":"direct","id":"<text>","createdTimeMS":"<ms>"},"createdAt":"<time>","updatedAt":"<time>"}`, b, b, blocker)
	}
	return `{"RC":0,"RM":"OK","result":{"data":[` + strings.Join(rows, ",") + `]}}`
}

// The errors, with the texts of the pages.
var imErrors = map[string]struct {
	status int
	body   string
}{
	"INVALID_TOKEN":            {401, `{"RC":401,"RM":"Unauthorized","error":{"code":"INVALID_TOKEN","message":"Invalid or expired token"}}`},
	"INSUFFICIENT_PERMISSIONS": {403, `{"RC":403,"RM":"Access denied","error":{"code":"INSUFFICIENT_PERMISSIONS","message":"You don't have permission to access this resource"}}`},
	"USER_NOT_FOUND":           {404, `{"RC":404,"RM":"User not found","error":{"code":"USER_NOT_FOUND","message":"The specified user does not exist"}}`},
	"BLOCK_NOT_FOUND":          {404, `{"RC":404,"RM":"Block relationship not found","error":{"code":"BLOCK_NOT_FOUND","message":"No block relationship exists with this user"}}`},
	"SELF_BLOCK_FORBIDDEN":     {400, `{"RC":400,"RM":"Cannot block yourself","error":{"code":"SELF_BLOCK_FORBIDDEN","message":"Users cannot block themselves"}}`},
	"INVALID_USER_ID":          {400, `{"RC":400,"RM":"Invalid user ID","error":{"code":"INVALID_USER_ID","message":"The specified user ID is not valid"}}`},
	"USER_ALREADY_BLOCKED":     {409, `{"RC":409,"RM":"User already blocked","error":{"code":"USER_ALREADY_BLOCKED","message":"This user is already in your block list"}}`},
}

// wantIM wants one of IMKit's errors, to the letter.
func wantIM(t *testing.T, what string, a harness.Answer, code string) {
	t.Helper()
	want := imErrors[code]
	if a.Status != want.status || harness.Match(want.body, a.Body) != nil {
		t.Errorf("%s: %v, want %d %s", what, a, want.status, want.body)
	}
}

// imRowOf reads what a block or an unblock answers.
func imRowOf(t *testing.T, a harness.Answer) (row struct {
	Room                 string
	CreatedAt, UpdatedAt time.Time
}) {
	t.Helper()
	var body struct{ Result any }
	body.Result = &row
	if a.Decode(t, &body); a.Status != 200 {
		t.Fatalf("%v", a)
	}
	return row
}

func TestI1_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/I1") }

func TestI1_TheThreeRoutesHaveTheirShapes(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc, ddd := harness.ID("aaa"), harness.ID("ccc"), harness.ID("ddd")
	w.Want(t, harness.Plain.IMKit(aaa, "GET", "/blockStatus/my"), 200, `{"RC":0,"RM":"OK","result":{"data":[]}}`)
	first := imRowOf(t, w.Want(t, harness.Plain.IMKit(aaa, "POST", harness.MyBlock(ccc)), 200, imRow(harness.Plain, aaa, ccc)))
	// As axios sends it: a body of {} with its type.
	axios := harness.Plain.IMKit(aaa, "POST", harness.MyBlock(ddd)).With("Content-Type", "application/json").With("Accept", "application/json, text/plain, */*")
	axios.Body = "{}"
	second := imRowOf(t, w.Want(t, axios, 200, imRow(harness.Plain, aaa, ddd)))
	w.Want(t, harness.Plain.IMKit(aaa, "GET", "/blockStatus/my"), 200, imList(aaa, ddd, ccc))
	rows := w.IMKitRows(t, harness.Plain, aaa)
	if rows[0].Room.ID != second.Room || rows[1].Room.ID != first.Room || first.Room == second.Room {
		t.Errorf("the rooms of the list are %s and %s, those of the blocks %s and %s", rows[0].Room.ID, rows[1].Room.ID, second.Room, first.Room)
	}
	if !rows[1].CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("createdAt is %v in the list and %v on the block", rows[1].CreatedAt, first.CreatedAt)
	}
	ended := imRowOf(t, w.Want(t, harness.Plain.IMKit(aaa, "DELETE", harness.MyBlock(ddd)), 200, imRow(harness.Plain, aaa, ddd)))
	if ended.Room != second.Room || !ended.CreatedAt.Equal(second.CreatedAt) {
		t.Errorf("the ended row is %+v, the block was %+v", ended, second)
	}
	w.Want(t, harness.Plain.IMKit(aaa, "GET", "/blockStatus/my"), 200, imList(aaa, ccc))
}

func TestI1_TheListIsWholeNewestFirstAndOnesOwn(t *testing.T) {
	w := harness.Shared(t)
	aaa, bbb, targets := harness.ID("aaa"), harness.ID("bbb"), many(150)
	for _, target := range targets {
		w.Block(t, harness.Plain, aaa, target)
	}
	wantList(t, "150 entries", w.IMKitList(t, harness.Plain, aaa), reversed(targets))
	wantList(t, "of another user", w.IMKitList(t, harness.Plain, bbb), []string{})
	wantList(t, "of the same user elsewhere", w.IMKitList(t, harness.Other, aaa), []string{})
}

func TestI1_TheDirectoryFillsTheBlockee(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc := harness.ID("aaa"), harness.ID("ccc")
	login := time.UnixMilli(1600006869368).UTC()
	w.Register(t, harness.Plain, harness.Profile{Nickname: "Cathy", AvatarURL: "http://example.com/240?1", LastLoginAt: &login}, ccc)
	blockee := fmt.Sprintf(`"blockee":{"_id":%q,"avatarUrl":"http://example.com/240?1","nickname":"Cathy","id":%q,"lastLoginTimeMS":1600006869368},"blocker":%q,`, ccc, ccc, aaa)
	row := `{"RC":0,"RM":"OK","result":{"appID":"acme",` + blockee + `"room":"<text>","createdAt":"<time>","updatedAt":"<time>"}}`
	w.Want(t, harness.Plain.IMKit(aaa, "POST", harness.MyBlock(ccc)), 200, row)
	w.Want(t, harness.Plain.IMKit(aaa, "GET", "/blockStatus/my"), 200, `{"RC":0,"RM":"OK","result":{"data":[{`+blockee+
		`"room":{"_id":"<text>","roomType":"direct","id":"<text>","createdTimeMS":"<ms>"},"createdAt":"<time>","updatedAt":"<time>"}]}}`)
	w.Want(t, harness.Plain.IMKit(aaa, "DELETE", harness.MyBlock(ccc)), 200, row)
}

func TestI2_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/I2") }

func TestI2_WrongCredentialsAre401AndChangeNothing(t *testing.T) {
	w := harness.Shared(t)
	app := harness.Plain
	aaa, ccc, ddd := harness.ID("aaa"), harness.ID("ccc"), harness.ID("ddd")
	w.Block(t, app, aaa, ccc)
	none := strings.Replace(app.Token(aaa, nil), "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", 1)
	for _, target := range []harness.Call{app.IMKit(aaa, "POST", harness.MyBlock(ddd)), app.IMKit(aaa, "DELETE", harness.MyBlock(ccc)), app.IMKit(aaa, "GET", "/blockStatus/my")} {
		token := func(text string) harness.Call {
			return target.Without("IM-Authorization").With("IM-Authorization", text)
		}
		key := func(text string) harness.Call { return target.Without("IM-CLIENT-KEY").With("IM-CLIENT-KEY", text) }
		for name, c := range map[string]harness.Call{
			"no token":                        target.Without("IM-Authorization"),
			"no client key":                   target.Without("IM-CLIENT-KEY"),
			"neither":                         target.Without("IM-Authorization").Without("IM-CLIENT-KEY"),
			"an unknown client key":           key("ck-nobody"),
			"an empty client key":             key(""),
			"the client key of another app":   key(harness.Other.ClientKey()),
			"the admin key as client key":     key(app.APIKey()),
			"an unknown admin key":            target.Without("IM-CLIENT-KEY").Without("IM-Authorization").With("IM-API-KEY", "nobody"),
			"no JWT":                          token("hello"),
			"a token of another app":          token(harness.Other.Token(aaa, nil)),
			"an expired token":                token(app.Token(aaa, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})),
			"a token that never expires":      token(app.Token(aaa, map[string]any{"exp": nil})),
			"a token of nobody":               token(app.Token(aaa, map[string]any{"sub": nil})),
			"a token of an empty user":        token(app.Token("", nil)),
			"a token without a signature":     token(none[:strings.LastIndex(none, ".")+1]),
			"a token with another one's name": token(none),
			"a token with half a signature":   token(app.Token(aaa, nil)[:len(app.Token(aaa, nil))-20]),
		} {
			a := w.Send(t, c)
			wantIM(t, target.Method+" with "+name, a, "INVALID_TOKEN")
			if strings.Contains(a.Body, ccc) {
				t.Errorf("%s reveals the list", name)
			}
		}
	}
	wantList(t, "after wrong credentials", w.Targets(t, app, aaa), []string{ccc})
	wantList(t, "in another app", w.Targets(t, harness.Other, aaa), []string{})
}

func TestI2_TheErrorsOfThePages(t *testing.T) {
	w := harness.Shared(t)
	app := harness.Plain
	aaa, ccc := harness.ID("aaa"), harness.ID("ccc")
	send := func(method, path string) harness.Answer { return w.Send(t, app.IMKit(aaa, method, path)) }
	wantIM(t, "unblock of an absent row", send("DELETE", harness.MyBlock(ccc)), "BLOCK_NOT_FOUND")
	wantIM(t, "oneself", send("POST", harness.MyBlock(aaa)), "SELF_BLOCK_FORBIDDEN")
	for name, id := range map[string]string{"257 bytes": strings.Repeat("x", 257), "no UTF-8": "%FF", "a control character": "a%00b", "an escaped dot": "%2E", "two dots": "%2E%2E"} {
		wantIM(t, "block of "+name, send("POST", "/blockStatus/my/"+id), "INVALID_USER_ID")
		wantIM(t, "unblock of "+name, send("DELETE", "/blockStatus/my/"+id), "INVALID_USER_ID")
	}
	if a := send("POST", harness.MyBlock(ccc)); a.Status != 200 {
		t.Fatalf("%v", a)
	}
	before := w.IMKitRows(t, app, aaa)
	wantIM(t, "a second block", send("POST", harness.MyBlock(ccc)), "USER_ALREADY_BLOCKED")
	if after := w.IMKitRows(t, app, aaa); !slices.Equal(before, after) {
		t.Errorf("the refused block has changed %+v to %+v", before, after)
	}
	if a := send("DELETE", harness.MyBlock(ccc)); a.Status != 200 {
		t.Fatalf("%v", a)
	}
	wantIM(t, "a second unblock", send("DELETE", harness.MyBlock(ccc)), "BLOCK_NOT_FOUND")
}

func TestI2_AnUnknownUserIsNotFoundIfTheAppKnowsItsUsers(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc, nobody := harness.ID("aaa"), harness.ID("ccc"), harness.ID("nobody")
	w.Register(t, harness.Strict, harness.Profile{}, aaa, ccc)
	wantIM(t, "an unknown user", w.Send(t, harness.Strict.IMKit(aaa, "POST", harness.MyBlock(nobody))), "USER_NOT_FOUND")
	wantList(t, "refused", w.Targets(t, harness.Strict, aaa), []string{})
	w.Want(t, harness.Strict.IMKit(aaa, "POST", harness.MyBlock(ccc)), 200, imRow(harness.Strict, aaa, ccc))
	w.Want(t, harness.Plain.IMKit(aaa, "POST", harness.MyBlock(nobody)), 200, imRow(harness.Plain, aaa, nobody))
}

// aMillisecondLater waits until a time of the answers differs from an earlier one.
func aMillisecondLater(t *testing.T, since time.Time) {
	t.Helper()
	harness.WaitFor(t, "the next millisecond", func() bool { return time.Now().UnixMilli() > since.UnixMilli()+1 })
}

func TestI2_AnAppMayTakeASecondBlockForAnUpdate(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc := harness.ID("aaa"), harness.ID("ccc")
	post := harness.Upsert.IMKit(aaa, "POST", harness.MyBlock(ccc))
	first := imRowOf(t, w.Want(t, post, 200, imRow(harness.Upsert, aaa, ccc)))
	aMillisecondLater(t, first.UpdatedAt)
	second := imRowOf(t, w.Want(t, post, 200, imRow(harness.Upsert, aaa, ccc)))
	if !second.CreatedAt.Equal(first.CreatedAt) || !second.UpdatedAt.After(first.UpdatedAt) || second.Room != first.Room {
		t.Errorf("the second block is %+v, the first was %+v", second, first)
	}
	wantList(t, "twice blocked", w.IMKitList(t, harness.Upsert, aaa), []string{ccc})
}

func TestI2_UnblockReturnsTheEndedRowWithTheTimeOfItsEnd(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc := harness.ID("aaa"), harness.ID("ccc")
	block := imRowOf(t, w.Want(t, harness.Plain.IMKit(aaa, "POST", harness.MyBlock(ccc)), 200, imRow(harness.Plain, aaa, ccc)))
	aMillisecondLater(t, block.CreatedAt)
	ended := imRowOf(t, w.Want(t, harness.Plain.IMKit(aaa, "DELETE", harness.MyBlock(ccc)), 200, imRow(harness.Plain, aaa, ccc)))
	if !ended.CreatedAt.Equal(block.CreatedAt) || !ended.UpdatedAt.After(block.CreatedAt) {
		t.Errorf("the ended row is %+v, the block was %+v", ended, block)
	}
}

func TestI2_TheAdminKeyAloneIsNobodysList(t *testing.T) {
	w := harness.Shared(t)
	ccc := harness.ID("ccc")
	for _, c := range []harness.Call{harness.Plain.IMKitAdmin("GET", "/blockStatus/my"), harness.Plain.IMKitAdmin("POST", harness.MyBlock(ccc)), harness.Plain.IMKitAdmin("DELETE", harness.MyBlock(ccc))} {
		wantIM(t, c.Method, w.Send(t, c), "INSUFFICIENT_PERMISSIONS")
	}
}

func TestI2_TheAppsOwnServiceVerifiesTokens(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc := harness.ID("aaa"), harness.ID("ccc")
	call := func(method, path, token string) harness.Call {
		return harness.Call{Method: method, Path: path}.With("IM-CLIENT-KEY", harness.Verified.ClientKey()).With("IM-Authorization", token)
	}
	good := "good-for-" + aaa
	w.Want(t, call("POST", harness.MyBlock(ccc), good), 200, imRow(harness.Verified, aaa, ccc))
	for range 10 {
		w.Want(t, call("GET", "/blockStatus/my", good), 200, imList(aaa, ccc))
	}
	if n := w.Verify.Asked(good); n == 0 || n > 5 {
		t.Errorf("11 requests with one token were verified %d times; a cache stands between", n)
	}
	bad := "bad-for-" + aaa
	wantIM(t, "a token that the service refuses", w.Send(t, call("GET", "/blockStatus/my", bad)), "INVALID_TOKEN")
	if w.Verify.Asked(bad) == 0 {
		t.Error("the service was not asked")
	}
}

func TestI2_BrowsersOfTheConfiguredOriginMayCall(t *testing.T) {
	w := harness.Shared(t)
	preflight := func(origin, method string) harness.Answer {
		return w.Send(t, harness.Call{Method: "OPTIONS", Path: "/blockStatus/my/ccc"}.With("Origin", origin).
			With("Access-Control-Request-Method", method).With("Access-Control-Request-Headers", "content-type,im-authorization,im-client-key"))
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		a := preflight(harness.Origin, method)
		headers := strings.ToLower(a.Header.Get("Access-Control-Allow-Headers"))
		if a.Status/100 != 2 || a.Header.Get("Access-Control-Allow-Origin") != harness.Origin ||
			!strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), method) || a.Header.Get("Access-Control-Max-Age") != "600" ||
			!strings.Contains(headers, "content-type") || !strings.Contains(headers, "im-client-key") || !strings.Contains(headers, "im-authorization") {
			t.Errorf("preflight of %s: %v %v", method, a, a.Header)
		}
		if a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight of %s allows credentials", method)
		}
	}
	aaa, ccc := harness.ID("aaa"), harness.ID("ccc")
	axios := harness.Kit.IMKit(aaa, "POST", harness.MyBlock(ccc)).With("Content-Type", "application/json").With("Origin", harness.Origin)
	axios.Body = "{}"
	a := w.Want(t, axios, 200, imRow(harness.Kit, aaa, ccc))
	if a.Header.Get("Access-Control-Allow-Origin") != harness.Origin || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the answer has %v", a.Header)
	}
	wrong := harness.Kit.IMKit(aaa, "GET", "/blockStatus/my").Without("IM-Authorization").With("Origin", harness.Origin)
	if a := w.Send(t, wrong); a.Status != 401 || a.Header.Get("Access-Control-Allow-Origin") != harness.Origin {
		t.Errorf("an error must be readable for the page: %v %v", a, a.Header)
	}
	for _, origin := range []string{"https://evil.example.com", harness.Origin + ".evil.com", "http://chat.example.com", harness.Origin + ":8443", "null"} {
		for name, a := range map[string]harness.Answer{"preflight": preflight(origin, "POST"), "call": w.Send(t, harness.Kit.IMKit(aaa, "GET", "/blockStatus/my").With("Origin", origin))} {
			for header := range a.Header {
				if strings.HasPrefix(header, "Access-Control-") {
					t.Errorf("%s of %s: %s is there", name, origin, header)
				}
			}
		}
	}
	// The origin belongs to one app; another app's answer does not open itself to it.
	if a := w.Send(t, harness.Plain.IMKit(aaa, "GET", "/blockStatus/my").With("Origin", harness.Origin)); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another app allows the origin: %v", a.Header)
	}
}

func TestI2_RoomBlocksAreForAdminsAndOwners(t *testing.T) {
	w := harness.Shared(t)
	app := harness.Kit
	room, owner, spammer, member := harness.ID("room"), harness.ID("owner"), harness.ID("spammer"), harness.ID("member")
	path := "/blockStatus/room/" + room
	owns := harness.Call{}.With("IM-CLIENT-KEY", app.ClientKey()).With("IM-Authorization", app.Token(owner, map[string]any{"rooms_owned": []string{room}}))
	as := func(method, path string) harness.Call {
		return harness.Call{Method: method, Path: path, Header: owns.Header}
	}
	wantIM(t, "a member", w.Send(t, app.IMKit(member, "POST", path+"/"+spammer)), "INSUFFICIENT_PERMISSIONS")
	wantIM(t, "a member's list", w.Send(t, app.IMKit(member, "GET", path)), "INSUFFICIENT_PERMISSIONS")
	wantIM(t, "a member", w.Send(t, app.IMKit(member, "DELETE", path+"/"+spammer)), "INSUFFICIENT_PERMISSIONS")
	wantIM(t, "the owner of another room", w.Send(t, as("POST", "/blockStatus/room/x"+room+"/"+spammer)), "INSUFFICIENT_PERMISSIONS")
	q := harness.Question{App: app, Sender: spammer, Recipient: member, Room: "group", More: "room=" + room}
	if got := w.Node.Decide(t, q); !got.Deliver {
		t.Fatalf("before: %+v", got)
	}
	banned := harness.Verdict{Action: "reject", Reason: "banned_in_room"}
	for name, call := range map[string]func(method, path string) harness.Call{"the owner": as, "an admin": app.IMKitAdmin} {
		a := w.Send(t, call("POST", path+"/"+spammer))
		if a.Status != 200 || !strings.Contains(a.Body, `"RC":0`) {
			t.Fatalf("%s: %v", name, a)
		}
		if got := w.Node.Decide(t, q); got != banned {
			t.Errorf("%s has banned: %+v", name, got)
		}
		w.Sidecar.Decides(t, q, banned)
		if got := w.Node.Decide(t, harness.Question{App: app, Sender: spammer, Recipient: member, Room: "group", More: "room=other"}); !got.Deliver {
			t.Errorf("in another room: %+v", got)
		}
		a = w.Send(t, call("GET", path))
		var list struct {
			RC     int
			RM     string
			Result struct {
				Data []struct{ Blockee, Blocker, Room map[string]any } // objects, all three
			}
		}
		if a.Decode(t, &list); list.RC != 0 || list.RM != "OK" || len(list.Result.Data) != 1 ||
			list.Result.Data[0].Blockee["_id"] != spammer || list.Result.Data[0].Room["_id"] != room || list.Result.Data[0].Room["roomType"] != "group" {
			t.Errorf("the list for %s: %v", name, a)
		}
		if a = w.Send(t, call("DELETE", path+"/"+spammer)); a.Status != 200 {
			t.Errorf("%s: %v", name, a)
		}
		if got := w.Node.Decide(t, q); !got.Deliver {
			t.Errorf("%s has lifted the ban: %+v", name, got)
		}
		if a = w.Send(t, call("DELETE", path+"/"+spammer)); a.Status != 404 {
			t.Errorf("%s, again: %v, want 404", name, a)
		}
	}
}

func TestI3_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/I3") }

func TestI3_BothWaysAreClosedInDirectRoomsAndGroupsUntouched(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc := harness.ID("aaa"), harness.ID("ccc")
	ways := func(what string, there, back, group harness.Verdict) {
		t.Helper()
		for _, c := range []struct {
			q    harness.Question
			want harness.Verdict
		}{
			{harness.Question{Sender: ccc, Recipient: aaa}, there},
			{harness.Question{Sender: aaa, Recipient: ccc}, back},
			{harness.Question{Sender: ccc, Recipient: aaa, Room: "group"}, group},
			{harness.Question{Sender: aaa, Recipient: ccc, Room: "group"}, group},
		} {
			c.q.App = harness.Kit
			if got := w.Node.Decide(t, c.q); got != c.want {
				t.Errorf("%s, %+v: %+v, want %+v", what, c.q, got, c.want)
			}
			w.Sidecar.Decides(t, c.q, c.want)
		}
	}
	group := harness.Verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "room_not_filtered"}
	w.Want(t, harness.Kit.IMKit(aaa, "POST", harness.MyBlock(ccc)), 200, imRow(harness.Kit, aaa, ccc))
	ways("blocked", rejected, harness.Verdict{Action: "reject", Reason: "sender_blocked_recipient"}, group)
	w.Want(t, harness.Kit.IMKit(aaa, "DELETE", harness.MyBlock(ccc)), 200, imRow(harness.Kit, aaa, ccc))
	ways("unblocked", harness.Allowed, harness.Allowed, group)
}

var roomTime = regexp.MustCompile(`"createdTimeMS": ?\d+`)

func TestI3_ARoomIsMadeOnceForAPair(t *testing.T) {
	w := harness.Shared(t)
	aaa, ccc, ddd := harness.ID("aaa"), harness.ID("ccc"), harness.ID("ddd")
	room := func(app harness.App, blocker, blockee string) string {
		t.Helper()
		return imRowOf(t, w.Want(t, app.IMKit(blocker, http.MethodPost, harness.MyBlock(blockee)), 200, imRow(app, blocker, blockee))).Room
	}
	first := room(harness.Kit, aaa, ccc)
	made := roomTime.FindString(w.Send(t, harness.Kit.IMKit(aaa, "GET", "/blockStatus/my")).Body)
	if made == "" {
		t.Fatal("the list does not say when the room was made")
	}
	if ended := imRowOf(t, w.Send(t, harness.Kit.IMKit(aaa, "DELETE", harness.MyBlock(ccc)))); ended.Room != first {
		t.Errorf("the unblock names %s, the block %s", ended.Room, first)
	}
	if again := room(harness.Kit, aaa, ccc); again != first {
		t.Errorf("blocked again the room is %s, was %s", again, first)
	}
	if back := room(harness.Kit, ccc, aaa); back != first {
		t.Errorf("from the other side the room is %s, want %s", back, first)
	}
	if again := roomTime.FindString(w.Send(t, harness.Kit.IMKit(aaa, "GET", "/blockStatus/my")).Body); again != made {
		t.Errorf("the room was made anew: %s, before %s", again, made)
	}
	if other := room(harness.Kit, aaa, ddd); other == first {
		t.Error("another pair has the same room")
	}
	// A row that came by another door has a room as well.
	eee := harness.ID("eee")
	w.Want(t, harness.Kit.SendbirdBlock(aaa, eee), 200, sbUser(eee))
	rows := w.IMKitRows(t, harness.Kit, aaa)
	if rows[0].Blockee.ID != eee || rows[0].Room.ID == "" || rows[0].Room.ID == first {
		t.Errorf("the newest row is %+v", rows[0])
	}
}
