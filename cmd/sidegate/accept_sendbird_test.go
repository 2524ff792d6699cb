package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

const birdApps = `
apps:
  bird: {preset: sendbird, dialects: {sendbird: {api_tokens: [t1, t1-next]}}}
  known: {preset: sendbird, known_users: true, dialects: {sendbird: {api_tokens: [t2]}}}
  slow: {preset: sendbird, dialects: {sendbird: {api_tokens: [t3], rate: 2}}}
  tiny: {preset: sendbird, limit: 2, dialects: {sendbird: {api_tokens: [t4]}}}
`

// bird sends a request of Sendbird's API.
func (s *sidecar) bird(token, method, path, body string) answer {
	s.t.Helper()
	return ask(s.t, s.client, method, s.urls["api"]+path, body, "Api-Token", token)
}

func birdPath(user string) string { return "/v3/users/" + url.PathEscape(user) + "/block" }

// birdUser is a user of whom the directory knows nothing.
func birdUser(id string) string {
	name, _ := json.Marshal(id) // of a string
	return `{"user_id":` + string(name) + `,"nickname":"","profile_url":"","is_online":false,"last_seen_at":0,"metadata":{}}`
}

func birdUsers(ids ...string) string {
	var users []string
	for _, id := range ids {
		users = append(users, birdUser(id))
	}
	return `{"users":[` + strings.Join(users, ",") + `],"next":""}`
}

// is compares an answer, status and body.
func (a answer) is(t *testing.T, what string, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("%s: %v\nwant %d %s", what, a, status, body)
	}
}

// birdCode reads an error of Sendbird.
func (a answer) birdCode(t *testing.T) int {
	t.Helper()
	var doc struct {
		Message string
		Code    int
		Error   bool
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || !doc.Error || doc.Message == "" ||
		!strings.HasSuffix(a.body, fmt.Sprintf(`,"code":%d,"error":true}`, doc.Code)) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("no error of Sendbird: %v", a)
	}
	return doc.Code
}

// birdPage reads whom a page names, and where the next begins.
func (a answer) birdPage(t *testing.T) (ids []string, next string) {
	t.Helper()
	var page struct {
		Users []struct {
			UserID string `json:"user_id"`
		}
		Next *string
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != http.StatusOK || page.Users == nil || page.Next == nil {
		t.Fatalf("no page: %v, %v", a, err)
	}
	for _, u := range page.Users {
		ids = append(ids, u.UserID)
	}
	return ids, *page.Next
}

// register puts a user into the directory.
func (s *sidecar) register(app, user, profile string) {
	s.t.Helper()
	a := ask(s.t, s.client, http.MethodPut, s.urls["api"]+"/v1/apps/"+app+"/users/"+url.PathEscape(user), profile, "Authorization", "Bearer "+apiToken)
	if a.status != http.StatusCreated {
		s.t.Fatalf("%s: %v", user, a)
	}
}

// TestAcceptS1Block: the example of the page, and all forms of a body.
func TestAcceptS1Block(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, birdApps).ready()
	s.bird("t1", "POST", "/v3/users/Jay/block", `{"target_id":"Tom"}`).is(t, "of the page", 200, birdUser("Tom"))
	s.bird("t1-next", "POST", "/v3/users/Jay/block", `{"target_id":"Tom"}`).is(t, "again", 200, birdUser("Tom"))
	s.bird("t1", "POST", "/v3/users/Jay/block", `{"target_id":"Ann","user_id":"Joe"}`).is(t, "with a user_id", 200, birdUser("Ann"))
	s.bird("t1", "POST", "/v3/users/Jay/block", `{"user_ids":["a","b"]}`).is(t, "user_ids", 200, birdUsers("a", "b"))
	s.bird("t1", "POST", "/v3/users/Jay/block", `{"users":[{"user_id":"c"},{"user_id":"a"}]}`).is(t, "users", 200, birdUsers("c", "a"))
	s.bird("t1", "GET", "/v3/users/Jay/block", "").is(t, "the list", 200, birdUsers("c", "b", "a", "Ann", "Tom"))
	if got := psql(t, dsn, "SELECT DISTINCT app, source, actor FROM sidegate.block"); got != "bird|sendbird|" {
		t.Errorf("the entries are of %q", got)
	}

	const seen = "2033-06-03T03:08:02.551Z"
	s.register("bird", "Tom", `{"nickname":"MissionImpossible","profile_url":"https://example.com/tom.png","is_online":false,"last_seen_at":"`+seen+
		`","metadata":{"font_preference":"times new roman","font_color":"black"}}`)
	const tom = `{"user_id":"Tom","nickname":"MissionImpossible","profile_url":"https://example.com/tom.png","is_online":false,` +
		`"last_seen_at":2001380882551,"metadata":{"font_color":"black","font_preference":"times new roman"}}`
	s.bird("t1", "POST", "/v3/users/Jay/block", `{"target_id":"Tom"}`).is(t, "of the directory", 200, tom)
	s.bird("t1", "GET", "/v3/users/Jay/block?user_ids=Tom", "").is(t, "listed", 200, `{"users":[`+tom+`],"next":""}`)

	// Any Content-Type, or none, is JSON.
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf8"} {
		req, err := http.NewRequest(http.MethodPost, s.urls["api"]+birdPath("Kim"), strings.NewReader(`{"target_id":"Tom"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Api-Token"] = []string{"t1"}
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%q: %d", kind, resp.StatusCode)
		}
	}
}

// TestAcceptS2List: both directions in pages of all sizes, and the filters.
func TestAcceptS2List(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), birdApps).ready()
	var mine, of []string
	for i := range 23 {
		id := fmt.Sprint("u", i)
		s.block("bird", "Jay", id)
		s.block("bird", id, "Tom")
		mine, of = append(mine, id), append(of, id)
	}
	slices.Reverse(mine)
	slices.Reverse(of)
	for path, want := range map[string][]string{birdPath("Jay") + "?": mine, birdPath("Tom") + "?list=blocking_me&": of} {
		first, next := s.bird("t1", "GET", path, "").birdPage(t)
		if !slices.Equal(first, want[:10]) || next == "" {
			t.Errorf("%s: the first page is %q, then %q", path, first, next)
		}
		for _, limit := range []int{1, 10, 22, 23, 100} {
			var got []string
			for token, more := "", true; more && len(got) < 100; more = token != "" {
				var page []string
				page, token = s.bird("t1", "GET", path+fmt.Sprintf("limit=%d&token=%s", limit, url.QueryEscape(token)), "").birdPage(t)
				got = append(got, page...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s by %d: %q", path, limit, got)
			}
		}
	}
	s.register("bird", "u3", `{"metadata":{"team":"red"}}`)
	s.register("bird", "u7", `{"metadata":{"team":"blue, dark"}}`)
	for query, want := range map[string][]string{
		"user_ids=u3,u9,nobody": {"u9", "u3"}, "user_ids=u3%2Cu9": {"u9", "u3"}, "user_ids=nobody": nil,
		"metadatakey=team": {"u7", "u3"}, "metadatakey=team&metadatavalues_in=red": {"u3"},
		"metadatakey=team&metadatavalues_in=blue%2C%20dark,green": {"u7"}, "metadatakey=other": nil,
		"metadatakey=team&user_ids=u7,u8": {"u7"},
	} {
		for _, path := range []string{birdPath("Jay") + "?", birdPath("Tom") + "?list=blocking_me&"} {
			if got, next := s.bird("t1", "GET", path+query, "").birdPage(t); !slices.Equal(got, want) || next != "" {
				t.Errorf("%s%s: %q, then %q", path, query, got, next)
			}
		}
	}
	_, next := s.bird("t1", "GET", birdPath("Jay"), "").birdPage(t)
	for query, want := range map[string]int{
		"limit=0": 400113, "limit=101": 400113, "limit=-3": 400113, "limit=ten": 400111, "list=both": 400111, "token=x": 400109,
		"list=blocking_me&token=" + next: 400109, "metadatavalues_in=red": 400105, "user_ids=%zz": 400404,
		"user_ids=a" + strings.Repeat(",a", 100): 400203,
	} {
		if a := s.bird("t1", "GET", birdPath("Jay")+"?"+query, ""); a.birdCode(t) != want || a.status != 400 {
			t.Errorf("%s: %v, want %d", query, a, want)
		}
	}
}

// TestAcceptS3Unblock: an unblock is {} and holds at once, on every form of an id; a
// wrong token reveals and changes nothing.
func TestAcceptS3Unblock(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	here, there := startSidecar(t, dsn, birdApps).ready(), startSidecar(t, dsn, birdApps).ready()
	for _, id := range []string{"Tom", "a/block/b", "100%", "%2F", "a+b c", "😀", "سلام", strings.Repeat("é", 128)} {
		q := question{sender: id, recipient: "of " + id, app: "bird"}
		if len(id) == 256 {
			q.recipient = "Jay"
		}
		here.bird("t1", "POST", birdPath(q.recipient), `{"target_id":"`+id+`"}`).is(t, "block", 200, birdUser(id))
		if got := here.decide(q); got != dropped {
			t.Errorf("%q is blocked, and the decision is %+v", id, got)
		}
		there.enforced(q, dropped)
		for range 2 { // also of somebody who is not blocked
			here.bird("t1", "DELETE", birdPath(q.recipient)+"/"+url.PathEscape(id), "").is(t, "unblock", 200, "{}")
		}
		if got := here.decide(q); got != allowed {
			t.Errorf("%q is unblocked, and the decision is %+v", id, got)
		}
		there.enforced(q, allowed)
	}

	here.bird("t1", "POST", birdPath("Jay"), `{"target_id":"Tom"}`)
	for _, token := range []string{"", "T1", "t1x", apiToken} {
		for _, call := range []string{"POST " + birdPath("Jay"), "GET " + birdPath("Jay"), "DELETE " + birdPath("Jay") + "/Tom", "PUT /v3/users/x"} {
			method, path, _ := strings.Cut(call, " ")
			a := here.bird(token, method, path, `{"target_id":"Ann"}`)
			if a.birdCode(t) != 400401 || a.status != 400 || strings.Contains(a.body, "Tom") {
				t.Errorf("%s with %q: %v", call, token, a)
			}
		}
	}
	// The token names the app: another's shows another's lists.
	here.bird("t4", "GET", birdPath("Jay"), "").is(t, "another app", 200, `{"users":[],"next":""}`)
	here.bird("t1", "GET", birdPath("Jay"), "").is(t, "after wrong tokens", 200, birdUsers("Tom"))
}

// TestAcceptS4Errors provokes every code.
func TestAcceptS4Errors(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, birdApps).ready()
	hundred := `"a0"`
	for i := range 100 {
		hundred += fmt.Sprintf(`,"b%d"`, i)
	}
	for _, tc := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "", `{"target_id":7}`, 400100},
		{"POST", "", `{"user_ids":[7]}`, 400100},
		{"POST", "", `{"user_ids":"a"}`, 400102},
		{"POST", "", `{"users":[7]}`, 400103},
		{"POST", "", `{}`, 400105},
		{"POST", "", `{"user_id":"b"}`, 400105},
		{"POST", "", ``, 400105},
		{"POST", "", `{"target_id":"` + strings.Repeat("x", 257) + `"}`, 400110},
		{"POST", "", `{"target_id":"a\u0007"}`, 400111},
		{"POST", "", `{"user_ids":["a","Jay"]}`, 400112},
		{"GET", "?limit=101", "", 400113},
		{"PUT", "", `{}`, 400114},
		{"GET", "/x", "", 400114},
		{"POST", "", `{"user_ids":[` + hundred + `]}`, 400203},
		{"POST", "", `{"target_id":`, 400403},
		{"POST", "", `target_id=Tom`, 400403},
		{"GET", "?user_ids=%zz", "", 400404},
	} {
		if a := s.bird("t1", tc.method, birdPath("Jay")+tc.path, tc.body); a.birdCode(t) != tc.want || a.status != 400 {
			t.Errorf("%s %s %.80s: %v, want %d", tc.method, tc.path, tc.body, a, tc.want)
		}
	}
	if a := s.bird("t1", "GET", "/v3/users/Jay", ""); a.birdCode(t) != 400114 {
		t.Errorf("nothing there: %v", a)
	}
	large := s.bird("t1", "POST", birdPath("Jay"), `{"target_id":"`+strings.Repeat("x", 1<<20)+`"}`)
	if large.birdCode(t) != 400110 || large.status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than a body may have: %.200v", large)
	}
	s.bird("t4", "POST", birdPath("Jay"), `{"target_id":"a"}`)
	if a := s.bird("t4", "POST", birdPath("Jay"), `{"user_ids":["b","c"]}`); a.birdCode(t) != 400203 || a.status != 400 {
		t.Errorf("over the limit: %v", a)
	}
	if got := psql(t, dsn, "SELECT app, target FROM sidegate.block"); got != "tiny|a" {
		t.Errorf("of what was refused there is %q", got)
	}
	for name, value := range s.samples() {
		if strings.HasPrefix(name, "sidegate_http_requests_total") && value > 0 && strings.Contains(name, "sendbird") &&
			!strings.Contains(name, `route="sendbird /v3/users/{user_id}/block`) && !strings.Contains(name, `route="sendbird none"`) {
			t.Errorf("the metric %s", name)
		}
	}
}

// TestAcceptS4UnknownUsers: an app that knows its users finds no others.
func TestAcceptS4UnknownUsers(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), birdApps).ready()
	const notFound = `{"message":"\"User\" not found.","code":400201,"error":true}`
	s.register("known", "Jay", `{}`)
	s.register("known", "Tom", `{}`)
	s.bird("t2", "POST", birdPath("Jay"), `{"target_id":"Tom"}`).is(t, "known", 200, birdUser("Tom"))
	s.bird("t2", "POST", birdPath("Jay"), `{"target_id":"x"}`).is(t, "target", 400, notFound)
	s.bird("t2", "POST", birdPath("Jay"), `{"user_ids":["Tom","x"]}`).is(t, "one of two", 400, notFound)
	s.bird("t2", "POST", birdPath("x"), `{"target_id":"Tom"}`).is(t, "user", 400, notFound)
	s.bird("t2", "GET", birdPath("x"), "").is(t, "list", 400, notFound)
	s.bird("t2", "DELETE", birdPath("Jay")+"/x", "").is(t, "unblock", 400, notFound)
	// Who has been deleted can be unblocked.
	if a := s.must("DELETE", "api", "/v1/apps/known/users/Tom"); a.status != 200 {
		t.Fatalf("%v", a)
	}
	s.bird("t2", "DELETE", birdPath("Jay")+"/Tom", "").is(t, "unblock of a deleted user", 200, "{}")
	s.bird("t2", "GET", birdPath("Jay"), "").is(t, "left", 200, `{"users":[],"next":""}`)
	s.bird("t1", "POST", birdPath("x"), `{"target_id":"y"}`).is(t, "another app takes any id", 200, birdUser("y"))
}

// TestAcceptS4Rate: an app has its requests a second, and is told so by every answer.
func TestAcceptS4Rate(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), birdApps).ready()
	var a answer
	for n := 0; a.status != http.StatusTooManyRequests; n++ {
		if a = s.bird("t3", "GET", birdPath("Jay"), ""); n > 10_000 {
			t.Fatal("the rate is no limit")
		}
		left, wait := a.header.Get("X-RateLimit-Remaining"), a.header.Get("X-RateLimit-RetryAfter")
		if a.header.Get("X-RateLimit-Limit") != "2;w=1" || a.header.Get("X-RateLimit-Reset") != "1" ||
			(left != "1" || wait != "0") && (left != "0" || wait != "1") {
			t.Fatalf("%v: %v", a, a.header)
		}
	}
	if a.birdCode(t) != 500910 {
		t.Errorf("%v", a)
	}
	if a := s.bird("t1", "GET", birdPath("Jay"), ""); a.status != 200 || a.header.Get("X-RateLimit-Limit") != "" {
		t.Errorf("an app without a rate: %v, %v", a, a.header)
	}
	if got := s.samples()[`sidegate_rate_limited_total{api="sendbird"}`]; got != 1 {
		t.Errorf("%v refusals are counted", got)
	}
	waitFor(t, "the next window", func() bool { return s.bird("t3", "GET", birdPath("Jay"), "").status == http.StatusOK })
}

// TestAcceptS4Outage: a database that is away is an error of the server, in the
// vendor's form and without its words.
func TestAcceptS4Outage(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, nil)
	dsn := server.DSN("postgres")
	migrateUp(t, dsn)
	s := startSidecar(t, dsn, birdApps).ready()
	s.bird("t1", "POST", birdPath("Jay"), `{"target_id":"Tom"}`).is(t, "before", 200, birdUser("Tom"))
	if err := server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"t1", "t2"} {
		for _, call := range []string{"POST " + birdPath("Jay"), "GET " + birdPath("Jay"), "DELETE " + birdPath("Jay") + "/Tom"} {
			method, path, _ := strings.Cut(call, " ")
			a := s.bird(token, method, path, `{"target_id":"Ann"}`)
			if a.birdCode(t) != 500901 || a.status != 500 || strings.Contains(a.body, "connect") || strings.Contains(a.body, "SQL") {
				t.Errorf("%s: %v", call, a)
			}
		}
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the list is there again", func() bool {
		a := s.bird("t1", "GET", birdPath("Jay"), "")
		return a.status == 200 && a.body == birdUsers("Tom")
	})
}

// TestAcceptS5Decisions: in 1-to-1 the blocked writes into the void and is not told;
// in 1-to-N everything arrives, without a notification unless the channel has them
// on. A 1-to-1 that has gained members is asked about as a group.
func TestAcceptS5Decisions(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), birdApps).ready()
	s.bird("t1", "POST", birdPath("Jay"), `{"target_id":"Tom"}`).is(t, "block", 200, birdUser("Tom"))
	quiet := verdict{Deliver: true, Action: "deliver", Reason: "recipient_blocked_sender"}
	loud := quiet
	loud.Notify = true
	const toJay, toTom = "sender=Tom&recipient=Jay", "sender=Jay&recipient=Tom"
	check := func(when string, cases map[string]verdict) {
		t.Helper()
		for query, want := range cases {
			a := s.get("check", "/v1/can-deliver?app=bird&"+query)
			if got, ok := a.verdict(t); !ok || got != want {
				t.Errorf("%s, %s: %v, want %+v", when, query, a, want)
			}
		}
	}
	s.enforced(question{sender: "Tom", recipient: "Jay", app: "bird"}, dropped) // memory holds the list from here on
	s.enforced(question{sender: "Jay", recipient: "Tom", app: "bird"}, allowed)
	check("blocked", map[string]verdict{
		toJay + "&room_type=direct":                  dropped,
		toJay + "&room_type=direct&notify_blocked=1": dropped,
		toTom + "&room_type=direct":                  allowed,
		toJay + "&room_type=group":                   quiet,
		toJay + "&room_type=group&notify_blocked=1":  loud,
		toTom + "&room_type=group":                   allowed,
		toJay + "&room_type=open":                    {Deliver: true, Notify: true, Action: "deliver", Reason: "room_not_filtered"},
	})
	s.bird("t1", "DELETE", birdPath("Jay")+"/Tom", "").is(t, "unblock", 200, "{}")
	check("unblocked", map[string]verdict{
		toJay + "&room_type=direct": allowed, toJay + "&room_type=group": allowed,
	})
}
