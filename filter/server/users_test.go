package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// fakeDirectory is a [UserDirectory] made of functions; one that is not set must
// not be called.
type fakeDirectory struct {
	get    func(app, id string) (filter.User, error)
	put    func(app string, user filter.User) (filter.User, bool, error)
	delete func(app, id string) (filter.User, error)
	edit   func(edit filter.UsersEdit) (filter.UsersEdited, error)
}

func (f *fakeDirectory) Get(_ context.Context, app, id string) (filter.User, error) {
	return f.get(app, id)
}

func (f *fakeDirectory) Put(_ context.Context, app string, user filter.User) (filter.User, bool, error) {
	return f.put(app, user)
}

func (f *fakeDirectory) Delete(_ context.Context, app, id string) (filter.User, error) {
	return f.delete(app, id)
}

func (f *fakeDirectory) Edit(_ context.Context, edit filter.UsersEdit) (filter.UsersEdited, error) {
	return f.edit(edit)
}

func runUsers(t *testing.T, directory UserDirectory, opts Options) *running {
	t.Helper()
	opts.Users = directory
	return runAPI(t, &fakeLists{}, opts)
}

// anybody answers every request about a user.
func anybody() *fakeDirectory {
	user := func(id string) filter.User { return filter.User{ID: id, Metadata: map[string]string{}} }
	return &fakeDirectory{
		get:    func(_, id string) (filter.User, error) { return user(id), nil },
		put:    func(_ string, u filter.User) (filter.User, bool, error) { return user(u.ID), false, nil },
		delete: func(_, id string) (filter.User, error) { return user(id), nil },
		edit:   func(filter.UsersEdit) (filter.UsersEdited, error) { return filter.UsersEdited{}, nil },
	}
}

const (
	bobsUser = "/v1/apps/default/users/bob"
	someone  = `{"user":"bob","nickname":"Bob","avatar_url":"a","profile_url":"p","is_online":true,` +
		`"last_login_at":"2031-01-31T11:00:00.123456Z","last_seen_at":null,"metadata":{"k":"v"},"updated_at":"2031-01-31T11:00:00.123456Z"}`
	nobody = `{"user":"bob","nickname":"","avatar_url":"","profile_url":"","is_online":false,` +
		`"last_login_at":null,"last_seen_at":null,"metadata":{},"updated_at":null}`
)

var bob = filter.User{
	ID: "bob", Nickname: "Bob", AvatarURL: "a", ProfileURL: "p", IsOnline: true,
	LastLoginAt: noon, Metadata: map[string]string{"k": "v"}, UpdatedAt: noon,
}

func TestGetUser(t *testing.T) {
	users := map[string]filter.User{"default bob": bob, "acme bob": {ID: "bob", Metadata: map[string]string{}}}
	r := runUsers(t, &fakeDirectory{get: func(app, id string) (filter.User, error) {
		if u, ok := users[app+" "+id]; ok {
			return u, nil
		}
		return filter.User{}, filter.Errorf(filter.CodeUserNotFound, "not there")
	}}, Options{})
	if a := r.get(bobsUser); a.status != 200 || a.body != someone || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("GET = %d %v %s", a.status, a.header, a.body)
	}
	if a := r.get("/v1/apps/acme/users/bob"); a.status != 200 || a.body != nobody {
		t.Errorf("of another app = %d %s", a.status, a.body)
	}
	if a := r.get("/v1/apps/default/users/carol"); a.status != 404 || a.code(t) != "user_not_found" {
		t.Errorf("an absent user = %d %s", a.status, a.body)
	}
	if a := r.get(bobsUser + "?app=acme"); a.status != 400 || a.code(t) != "unknown_parameter" {
		t.Errorf("a parameter = %d %s", a.status, a.body)
	}
}

func TestPutUser(t *testing.T) {
	var got filter.User
	created := true
	r := runUsers(t, &fakeDirectory{put: func(app string, u filter.User) (filter.User, bool, error) {
		if app != "default" {
			t.Errorf("app %q", app)
		}
		got = u
		return bob, created, nil
	}}, Options{})
	if a := r.ask("PUT", bobsUser, `{}`); a.status != 201 || a.body != someone {
		t.Errorf("a new one = %d %s", a.status, a.body)
	}
	created = false
	for body, want := range map[string]filter.User{
		`{}`:             {},
		`{"user":"bob"}`: {},
		`{"nickname":null,"avatar_url":null,"profile_url":null,"last_login_at":null,"last_seen_at":null}`: {},
		`{"is_online":false,"metadata":{}}`: {Metadata: map[string]string{}},
		` {"nickname" : "a\nb" , "avatar_url":"\ud83d\ude00","profile_url":"p","is_online":true} `:          {Nickname: "a\nb", AvatarURL: "😀", ProfileURL: "p", IsOnline: true},
		`{"last_login_at":"2031-01-31T12:00:00.123456+01:00","last_seen_at":"2031-01-31T11:00:00.123456Z"}`: {LastLoginAt: noon, LastSeenAt: noon},
		`{"metadata":{"":"","user":"x","\u0061":"\u0062"}}`:                                                 {Metadata: map[string]string{"": "", "user": "x", "a": "b"}},
	} {
		want.ID = "bob"
		if a := r.ask("PUT", bobsUser, body); a.status != 200 || a.body != someone {
			t.Errorf("%s = %d %s", body, a.status, a.body)
		}
		if !got.LastLoginAt.Equal(want.LastLoginAt) || !got.LastSeenAt.Equal(want.LastSeenAt) {
			t.Errorf("%s: times %+v", body, got)
		}
		want.LastLoginAt, want.LastSeenAt = got.LastLoginAt, got.LastSeenAt
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: asked for %+v, want %+v", body, got, want)
		}
	}
}

// badUsers are objects that are no user, with what is said of them.
var badUsers = []struct{ body, code, says string }{
	{`{"nick":"x"}`, "unknown_field", "known are user, nickname, avatar_url"},
	{`{"updated_at":"2031-01-31T12:00:00Z"}`, "unknown_field", `\"updated_at\" is not a field`},
	{`{"Nickname":"x"}`, "unknown_field", "is not a field"},
	{`{"nickname":1}`, "invalid_json", "expected a string or null"},
	{`{"nickname":"a","nickname":"b"}`, "invalid_json", "given twice"},
	{`{"is_online":null}`, "invalid_json", "expected true or false"},
	{`{"is_online":"true"}`, "invalid_json", "expected true or false"},
	{`{"user":null}`, "invalid_json", "expected a string"},
	{`{"metadata":null}`, "invalid_json", "expected an object"},
	{`{"metadata":[]}`, "invalid_json", "expected an object"},
	{`{"metadata":{"k":1}}`, "invalid_json", `\"k\" is a number; expected a string`},
	{`{"metadata":{"k":null}}`, "invalid_json", "expected a string"},
	{`{"metadata":{"k":{"l":"m"}}}`, "invalid_json", "expected a string"},
	{`{"metadata":{"k":"a","\u006b":"b"}}`, "invalid_json", "given twice"},
	{`{"metadata":{},"metadata":{}}`, "invalid_json", "given twice"},
	{`{"last_login_at":"today"}`, "invalid_user", "RFC 3339"},
	{`{"last_seen_at":"0001-01-01T00:00:00Z"}`, "invalid_user", "RFC 3339"},
	{`{"last_seen_at":1700000000}`, "invalid_json", "expected a string or null"},
	{`{"nickname":"\ud800"}`, "invalid_json", "surrogate"},
}

func TestPutUserRefuses(t *testing.T) {
	r := runUsers(t, &fakeDirectory{}, Options{}) // the service must not even be asked
	for _, c := range badUsers {
		a := r.ask("PUT", bobsUser, c.body)
		if a.status != 400 || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%s = %d %s, want %s %q", c.body, a.status, a.body, c.code, c.says)
		}
		// In a batch it is said which of them it is.
		a = r.ask("POST", "/v1/apps/default/users:batch", `{"put":[{"user":"a"},`+c.body+`]}`)
		if a.status != 400 || a.code(t) != c.code || !strings.Contains(a.body, `"detail":"put[1]: `) {
			t.Errorf("in a batch %s = %d %s", c.body, a.status, a.body)
		}
	}
	for _, c := range []struct {
		method, target, body, code string
		status                     int
	}{
		{"PUT", bobsUser, ``, "invalid_json", 400},
		{"PUT", bobsUser, `[]`, "invalid_json", 400},
		{"PUT", bobsUser, `{} {}`, "invalid_json", 400},
		{"PUT", bobsUser, `{"user":"carol"}`, "invalid_user_id", 400},
		{"PUT", bobsUser + "?x=1", `{}`, "unknown_parameter", 400},
		{"DELETE", bobsUser, `{}`, "unexpected_body", 400},
		{"DELETE", bobsUser + "?x=1", ``, "unknown_parameter", 400},
		{"POST", bobsUser, `{}`, "method_not_allowed", 405},
		{"GET", "/v1/apps/default/users:batch", ``, "method_not_allowed", 405},
		{"GET", "/v1/apps/default/users", ``, "not_found", 404},
		{"GET", "/v1/apps/default/users/a/", ``, "not_found", 404},
		{"GET", "/v1/apps/default/users/%2", ``, "invalid_user_id", 400},
		{"GET", "/v1/apps/default/users/..", ``, "invalid_user_id", 400},
		{"POST", "/v1/apps/default/users%3Abatch", `{}`, "not_found", 404},
	} {
		if a := r.ask(c.method, c.target, c.body); a.status != c.status || a.code(t) != c.code {
			t.Errorf("%s %s %.40s = %d %s, want %d %s", c.method, c.target, c.body, a.status, a.body, c.status, c.code)
		}
	}
	if a := r.ask("PUT", bobsUser, `{}`, "Content-Type", "text/plain"); a.status != 415 {
		t.Errorf("text/plain = %d %s", a.status, a.body)
	}
}

func TestDeleteUser(t *testing.T) {
	r := runUsers(t, &fakeDirectory{delete: func(app, id string) (filter.User, error) {
		if app != "default" || id != "bob" {
			return filter.User{}, filter.Errorf(filter.CodeUserNotFound, "not there")
		}
		return bob, nil
	}}, Options{})
	if a := r.ask("DELETE", bobsUser, ""); a.status != 200 || a.body != someone {
		t.Errorf("DELETE = %d %s", a.status, a.body)
	}
	if a := r.ask("DELETE", "/v1/apps/default/users/carol", ""); a.status != 404 || a.code(t) != "user_not_found" {
		t.Errorf("an absent user = %d %s", a.status, a.body)
	}
}

func TestBatchOfUsers(t *testing.T) {
	var got filter.UsersEdit
	done := filter.UsersEdited{Created: []bool{true, false, true}, Deleted: []filter.User{{}, {}, {}, {}}}
	r := runUsers(t, &fakeDirectory{edit: func(edit filter.UsersEdit) (filter.UsersEdited, error) {
		got = edit
		return done, nil
	}}, Options{})
	batch := func(body string) answer { return r.ask("POST", "/v1/apps/a%2Fb/users:batch", body) }
	a := batch(`{"delete":["x","y/z"],"put":[{"user":"bob","nickname":"Bob","metadata":{"k":"v"}},{"user":"carol"},{}]}`)
	if a.status != 200 || a.body != `{"created":2,"updated":1,"deleted":4}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	want := filter.UsersEdit{
		App: "a/b", Put: []filter.User{{ID: "bob", Nickname: "Bob", Metadata: map[string]string{"k": "v"}}, {ID: "carol"}, {}},
		Delete: []string{"x", "y/z"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	done = filter.UsersEdited{}
	for _, body := range []string{`{}`, `{"put":[],"delete":[]}`} {
		if a := batch(body); a.status != 200 || a.body != `{"created":0,"updated":0,"deleted":0}` {
			t.Errorf("%s = %d %s", body, a.status, a.body)
		}
	}
	if a := batch(manyOf(`{"user":"x"}`, 600, `"y"`, 400)); a.status != 200 || len(got.Put) != 600 || len(got.Delete) != 400 {
		t.Errorf("a thousand = %d %.100s", a.status, a.body)
	}
}

// manyOf is a batch of so many users.
func manyOf(put string, puts int, remove string, removes int) string {
	list := func(one string, n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	return `{"put":[` + list(put, puts) + `],"delete":[` + list(remove, removes) + `]}`
}

func TestBatchOfUsersRefuses(t *testing.T) {
	r := runUsers(t, &fakeDirectory{}, Options{})
	for _, c := range []struct {
		body, code string
		status     int
	}{
		{`{"put":{}}`, "invalid_json", 400},
		{`{"put":["bob"]}`, "invalid_json", 400},
		{`{"delete":[{"user":"bob"}]}`, "invalid_json", 400},
		{`{"put":[],"put":[]}`, "invalid_json", 400},
		{`{"delete":[],"delete":[]}`, "invalid_json", 400},
		{`{"add":[]}`, "unknown_field", 400},
		{manyOf(`{"user":"x"}`, 1001, "", 0), "too_large", 413},
		{manyOf(`{"user":"x"}`, 600, `"y"`, 401), "too_large", 413},
	} {
		if a := r.ask("POST", "/v1/apps/default/users:batch", c.body); a.status != c.status || a.code(t) != c.code {
			t.Errorf("%.60s = %d %.200s, want %d %s", c.body, a.status, a.body, c.status, c.code)
		}
	}
	if a := r.ask("POST", "/v1/apps/default/users:batch?dry_run=1", `{}`); a.status != 400 || a.code(t) != "unknown_parameter" {
		t.Errorf("a parameter = %d %s", a.status, a.body)
	}
}

// What is too large is refused by its length, before it is sent.
func TestUsersThatAreTooLarge(t *testing.T) {
	r := runUsers(t, &fakeDirectory{}, Options{})
	for target, limit := range map[string]int{"PUT " + bobsUser: listLimit, "POST /v1/apps/default/users:batch": usersLimit} {
		raw := fmt.Sprintf("%s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", target, limit+1)
		if a := r.send(raw, 1)[0]; a.status != 413 || a.code(t) != "too_large" {
			t.Errorf("%s = %d %s", target, a.status, a.body)
		}
	}
}

// TestUserIDsInPaths: an id may hold anything, and neither hides nor is hidden by
// the routes of a list.
func TestUserIDsInPaths(t *testing.T) {
	directory, asked := anybody(), ""
	directory.get = func(_, id string) (filter.User, error) {
		asked = id
		return filter.User{ID: id, Metadata: map[string]string{}}, nil
	}
	r := runUsers(t, directory, Options{})
	for escaped, id := range map[string]string{
		"a%2Fb": "a/b", "%2F": "/", "a+b": "a+b", "a%20b": "a b", "100%25": "100%", "a%3Fb": "a?b", "a%23b": "a#b", "ü": "ü",
		"%2561": "%61", "a:b@c,;=": "a:b@c,;=", "...": "...", "bob%2Fblocks": "bob/blocks", "blocks": "blocks", ":batch": ":batch",
		"users:batch": "users:batch", strings.Repeat("%41", 256): strings.Repeat("A", 256),
	} {
		asked = ""
		if a := r.get("/v1/apps/default/users/" + escaped); a.status != 200 || asked != id {
			t.Errorf("%.40s = %d %s: asked for %q, want %q", escaped, a.status, a.body, asked, id)
		}
	}
}

// TestUsersAreForTheAppAlone: no user, not even about themselves, and no staff.
func TestUsersAreForTheAppAlone(t *testing.T) {
	r := runUsers(t, anybody(), Options{Auth: crowd()})
	for _, secret := range slices.Sorted(maps.Keys(crowd().(people))) {
		for _, app := range []string{"acme", "umbra"} {
			want := secret == app || secret == "everything"
			path := "/v1/apps/" + app + "/users"
			for request, body := range map[string]string{
				"GET " + path + "/bob": "", "PUT " + path + "/bob": "{}", "DELETE " + path + "/bob": "", "POST " + path + ":batch": "{}",
			} {
				method, target, _ := strings.Cut(request, " ")
				a := r.ask(method, target, body, "Authorization", "Bearer "+secret)
				if want != (a.status == 200) || !want && a.status != 403 {
					t.Errorf("%s: %s = %d %s", secret, request, a.status, a.body)
				}
			}
		}
	}
	if a := r.get(bobsUser); a.status != 401 {
		t.Errorf("without a credential = %d %s", a.status, a.body)
	}
}

// TestUsersOnlyWhereThereIsADirectory: a listener without one does not serve them.
func TestUsersOnlyWhereThereIsADirectory(t *testing.T) {
	r := runAPI(t, &fakeLists{}, Options{})
	for _, target := range []string{bobsUser, "/v1/apps/default/users:batch"} {
		if a := r.send(request("GET", target, ""), 1)[0]; a.status != 404 || a.code(t) != "not_found" {
			t.Errorf("%s = %d %s", target, a.status, a.body)
		}
	}
}

func TestRateOfUsers(t *testing.T) {
	r := runUsers(t, anybody(), Options{Rate: Rate{PerApp: 1}})
	statuses := map[int]int{}
	for range 20 { // as long as seconds go by between two
		statuses[r.ask("POST", "/v1/apps/default/users:batch", "{}").status]++
		statuses[r.get(bobsUser).status]++
	}
	if statuses[200] == 0 || statuses[429] == 0 || len(statuses) != 2 {
		t.Errorf("%v", statuses)
	}
}

// A batch is about no one owner: it uses up the rate of its app alone.
func TestRateOfBatchesIsThatOfTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRates(Rate{PerApp: 5, PerOwner: 1})
		take := func() error { return r.takeApp("acme") }
		if got := passed(20, take); got != 5 {
			t.Errorf("%d of 20 batches have passed, want 5", got)
		}
		if err := r.take("acme", "bob"); err == nil {
			t.Error("the rate of the app is used up, and a request about an owner passes")
		}
		time.Sleep(time.Hour)
		if got := passed(20, take); got != 5 {
			t.Errorf("after an hour %d have passed, want 5", got)
		}
	})
	var none *rates
	if err := none.takeApp("acme"); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfTheDirectory(t *testing.T) {
	directory := anybody()
	secret := errors.New(`ERROR: relation "secret" does not exist`)
	r := runUsers(t, directory, Options{})
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{&filter.Error{Code: filter.CodeDirectoryReadOnly, Detail: "elsewhere", Err: secret}, 409, "directory_read_only"},
		{&filter.Error{Code: filter.CodeInvalidUser, Detail: "too long"}, 400, "invalid_user"},
		{&filter.Error{Code: filter.CodeStoreUnavailable, Detail: "away", Err: secret}, 503, "store_unavailable"},
		{secret, 500, "internal"},
	} {
		err := fmt.Errorf("edit the directory: %w", c.err)
		directory.put = func(string, filter.User) (filter.User, bool, error) { return filter.User{}, false, err }
		directory.edit = func(filter.UsersEdit) (filter.UsersEdited, error) { return filter.UsersEdited{}, err }
		for _, a := range []answer{r.ask("PUT", bobsUser, "{}"), r.ask("POST", "/v1/apps/default/users:batch", "{}")} {
			if a.status != c.status || a.code(t) != c.code || strings.Contains(a.body, "secret") {
				t.Errorf("%v = %d %s", c.err, a.status, a.body)
			}
		}
	}
}

// TestUsersKeepTheirStrings: the service may keep what it is handed, whatever
// comes through the connection afterwards.
func TestUsersKeepTheirStrings(t *testing.T) {
	var kept []filter.UsersEdit
	directory := anybody()
	directory.edit = func(edit filter.UsersEdit) (filter.UsersEdited, error) {
		kept = append(kept, edit)
		return filter.UsersEdited{}, nil
	}
	r := runUsers(t, directory, Options{})
	name := func(i int) string { return fmt.Sprint(i, strings.Repeat(string(rune('a'+i%26)), i*5%180)) }
	const n = 60
	var raw strings.Builder
	for i := range n {
		raw.WriteString(request("POST", "/v1/apps/app"+name(i)+"/users:batch", strings.ReplaceAll(
			`{"put":[{"user":"u\u002f*","nickname":"n*","avatar_url":"a*","profile_url":"p*","metadata":{"k*":"v*"}}],"delete":["d*"]}`, "*", name(i))))
	}
	if got := len(r.send(raw.String(), n)); got != n {
		t.Fatalf("%d answers", got)
	}
	for i, edit := range kept {
		x := name(i)
		want := filter.UsersEdit{App: "app" + x, Delete: []string{"d" + x}, Put: []filter.User{{
			ID: "u/" + x, Nickname: "n" + x, AvatarURL: "a" + x, ProfileURL: "p" + x, Metadata: map[string]string{"k" + x: "v" + x},
		}}}
		if !reflect.DeepEqual(edit, want) {
			t.Errorf("write %d has become %+v, want %+v", i, edit, want)
		}
	}
}
