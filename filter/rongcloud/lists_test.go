package rongcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Errorf("%s: %v", body, err)
	}
}

// TestExampleOfThePage is the vendor's own request.
func TestExampleOfThePage(t *testing.T) {
	w := newWorld(t)
	w.good(w.post("/user/blocklist/add.json", "userId=jlk456j5&blackUserId=jlk454&blackUserId=jlk457"), `{"code":200}`)
	want := filter.Edit{
		List:   filter.ListID{App: "acme", Kind: cache.KindBlock, Owner: "jlk456j5"},
		Add:    []filter.Addition{{Target: "jlk454", Keep: true}, {Target: "jlk457", Keep: true}},
		Source: "rongcloud", Actor: "uwd1c0sxdlx2",
	}
	if len(w.edits) != 1 || !reflect.DeepEqual(w.edits[0], want) {
		t.Errorf("wrote %+v, want %+v", w.edits, want)
	}
	w.good(w.post("/user/blacklist/query.json", "userId=jlk456j5"), `{"code":200,"users":["jlk457","jlk454"]}`)
}

// TestFamilies: both spellings are one list, the allowlist is another.
func TestFamilies(t *testing.T) {
	w := newWorld(t)
	w.good(w.post("/user/blocklist/add.json", "userId=bob&blackUserId=a"), `{"code":200}`)
	w.good(w.post("/user/blacklist/add.json", "userId=bob&blackUserId=b"), `{"code":200}`)
	w.good(w.post("/user/whitelist/add.json", "userId=bob&whiteUserId=c"), `{"code":200}`)
	for path, want := range map[string]string{
		"/user/blocklist/query.json": `{"code":200,"users":["b","a"]}`,
		"/user/blacklist/query.json": `{"code":200,"users":["b","a"]}`,
		"/user/whitelist/query.json": `{"code":200,"users":["c"]}`,
	} {
		w.good(w.post(path, "userId=bob"), want)
		w.good(w.post(path, "userId=nobody"), `{"code":200,"users":[]}`)
	}
	w.good(w.post("/user/blocklist/remove.json", "userId=bob&blackUserId=b"), `{"code":200}`)
	w.good(w.post("/user/blacklist/remove.json", "userId=bob&blackUserId=a"), `{"code":200}`)
	w.good(w.post("/user/whitelist/remove.json", "userId=bob&whiteUserId=c"), `{"code":200}`)
	for _, path := range []string{"/user/blocklist/query.json", "/user/blacklist/query.json", "/user/whitelist/query.json"} {
		w.good(w.post(path, "userId=bob"), `{"code":200,"users":[]}`)
	}
	if kind := w.edits[2].List.Kind; kind != cache.KindAllow {
		t.Errorf("the allowlist is of kind %v", kind)
	}
}

// TestIdempotent: twice, again, oneself and who is not there: all of it is 200.
func TestIdempotent(t *testing.T) {
	w := newWorld(t)
	const same = `{"code":200,"users":["b","a"]}`
	for _, body := range []string{
		"userId=bob&blackUserId=a&blackUserId=b&blackUserId=a", "userId=bob&blackUserId=a", "userId=bob&blackUserId=b&blackUserId=b",
		"userId=bob&blackUserId=bob", "userId=bob&blackUserId=bob&blackUserId=a&blackUserId=bob",
	} {
		w.good(w.post(addPath, body), `{"code":200}`)
		w.good(w.post("/user/blocklist/query.json", "userId=bob"), same)
	}
	for _, body := range []string{"userId=bob&blackUserId=x", "userId=bob&blackUserId=bob", "userId=bob&blackUserId=x&blackUserId=x"} {
		w.good(w.post("/user/blocklist/remove.json", body), `{"code":200}`)
		w.good(w.post("/user/blocklist/query.json", "userId=bob"), same)
	}
	w.good(w.post("/user/blocklist/remove.json", "userId=bob&blackUserId=x&blackUserId=a&blackUserId=a&blackUserId=b"), `{"code":200}`)
	w.good(w.post("/user/blocklist/query.json", "userId=bob"), `{"code":200,"users":[]}`)
	twenty := "userId=bob"
	for i := range 20 {
		twenty += fmt.Sprint("&blackUserId=", i)
	}
	w.good(w.post(addPath, twenty), `{"code":200}`)
}

// TestLimit: over the limit the whole request is refused, and it is told why.
func TestLimit(t *testing.T) {
	w := newWorld(t)
	w.limit = 3
	w.good(w.post(addPath, "userId=bob&blackUserId=a&blackUserId=b"), `{"code":200}`)
	a := w.post(addPath, "userId=bob&blackUserId=c&blackUserId=d")
	if want := `{"code":1002,"errorMessage":"The list holds 2 users and may hold 3; nothing was added.","url":"/user/blocklist/add.json"}`; a.status != 400 || a.body != want {
		t.Errorf("%v, want %s", a, want)
	}
	w.good(w.post("/user/blocklist/query.json", "userId=bob"), `{"code":200,"users":["b","a"]}`)
	w.good(w.post(addPath, "userId=bob&blackUserId=a&blackUserId=c&blackUserId=c&blackUserId=b&blackUserId=bob"), `{"code":200}`)
}

// TestPages: newest first, next only where there is more, all of it exactly once.
func TestPages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 1050 {
		want = append([]string{fmt.Sprint("t", i)}, want...)
	}
	w.lists[filter.ListID{App: "acme", Owner: "bob"}] = want
	read := func(extra string) (p page) {
		decode(t, w.post("/user/blacklist/query.json", "userId=bob"+extra).body, &p)
		return p
	}
	for _, extra := range []string{"", "&size=", "&pageToken=", "&size=1000&pageToken="} {
		if p := read(extra); !slices.Equal(p.Users, want[:1000]) || p.Next == "" {
			t.Errorf("%q: %d users, next %q; want the first 1000 and more", extra, len(p.Users), p.Next)
		}
	}
	for _, size := range []int{1, 7, 50, 1000} {
		var got []string
		for token, more := "", true; more; {
			p := read(fmt.Sprintf("&size=%d&pageToken=%s", size, token))
			if got = append(got, p.Users...); len(p.Users) > size || p.Next != "" && len(p.Users) < size {
				t.Fatalf("a page of %d has %d users and the next %q", size, len(p.Users), p.Next)
			}
			token, more = p.Next, p.Next != ""
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %d users", size, len(got))
		}
	}
	if a := w.post("/user/blacklist/query.json", "userId=bob&size=50&pageToken=1000"); strings.Contains(a.body, "next") {
		t.Errorf("the last page says that there is more: %v", a)
	}
}

// TestKnownUsers: where the directory counts, an id that it lacks is refused, but
// not where somebody is taken off a list.
func TestKnownUsers(t *testing.T) {
	picky := acme()
	picky.KnownUsers = true
	w := newWorld(t, picky)
	w.users["acme bob"], w.users["acme alice"], w.users["other eve"] = true, true, true
	for _, tc := range []struct{ path, body, field string }{
		{"/user/blocklist/add.json", "userId=eve&blackUserId=alice", "userId"},
		{"/user/blocklist/add.json", "userId=bob&blackUserId=alice&blackUserId=eve", "blackUserId"},
		{"/user/whitelist/add.json", "userId=bob&whiteUserId=eve", "whiteUserId"},
		{"/user/blacklist/remove.json", "userId=eve&blackUserId=alice", "userId"},
		{"/user/blacklist/query.json", "userId=eve", "userId"},
		{"/user/whitesetting/set.json", "userId=bob&userId=eve&whiteSetting=1", "userId"},
		{"/user/whitesetting/query.json", "userId=eve", "userId"},
	} {
		if m := w.refused(w.post(tc.path, tc.body), 400, 400); m != tc.field+" is not a user of this app." {
			t.Errorf("%s %s: %s", tc.path, tc.body, m)
		}
	}
	if len(w.edits) > 0 || len(w.modes) > 0 {
		t.Errorf("stored %v %v", w.edits, w.modes)
	}
	w.good(w.post(addPath, "userId=bob&blackUserId=alice"), `{"code":200}`)
	w.good(w.post("/user/blocklist/remove.json", "userId=bob&blackUserId=gone"), `{"code":200}`)
	w.good(w.post("/user/whitesetting/query.json", "userId=bob&userId=alice"),
		`{"code":200,"users":[{"userId":"bob","whiteSetting":"0"},{"userId":"alice","whiteSetting":"0"}]}`)
	w.fail = errors.New("away")
	w.refused(w.post(addPath, "userId=bob&blackUserId=alice"), 500, 1000)
}
