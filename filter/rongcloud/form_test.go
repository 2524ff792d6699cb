package rongcloud

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/filter"
)

// oddIDs must survive every form unchanged.
var oddIDs = []string{
	"a/b", "50%", "a+b", "a b", " a ", "a&b=c", "a;b", "你好", "😀👍", "مرحبا", "\u202e", "<a href=\"x\">", "'", ".", "..",
	strings.Repeat("x", 256), strings.Repeat("😀", 64),
}

// TestOddIDs: any id comes out of a list as it went in.
func TestOddIDs(t *testing.T) {
	w := newWorld(t)
	for _, owner := range oddIDs {
		var pairs []string
		for _, id := range oddIDs {
			pairs = append(pairs, "blackUserId", id)
		}
		w.good(w.post("/user/blacklist/add.json", encode(append(pairs, "userId", owner)...)), `{"code":200}`)
		list := w.lists[filter.ListID{App: "acme", Owner: owner}]
		if want := slices.DeleteFunc(slices.Clone(oddIDs), func(id string) bool { return id == owner }); !sameSet(list, want) {
			t.Errorf("%q has on the list %q", owner, list)
		}
		a := w.post("/user/blacklist/query.json", encode("userId", owner))
		var p page
		decode(t, a.body, &p)
		if !slices.Equal(p.Users, list) {
			t.Errorf("the list of %q is answered %v", owner, a)
		}
	}
}

// TestIDsAreNotEscapedForPages: what a browser might read as markup stays as it is.
func TestIDsAreNotEscapedForPages(t *testing.T) {
	w := newWorld(t)
	w.good(w.post(addPath, encode("userId", "bob", "blackUserId", "<a>&\u2028")), `{"code":200}`)
	if a := w.post("/user/blacklist/query.json", "userId=bob"); !strings.Contains(a.body, `"<a>&`) {
		t.Errorf("%v", a)
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// TestBadFields: what is missing, empty, too long, too much or no id.
func TestBadFields(t *testing.T) {
	w := newWorld(t)
	many := "userId=bob" + strings.Repeat("&blackUserId=a", 21)
	for _, tc := range []struct {
		path, body string
		code       int
		message    string
	}{
		{"/user/blocklist/add.json", "", 1002, "userId is required."},
		{"/user/blocklist/add.json", "&&&", 1002, "userId is required."},
		{"/user/blocklist/add.json", "blackUserId=a", 1002, "userId is required."},
		{"/user/blocklist/add.json", "userId=&blackUserId=a", 1002, "userId is required."},
		{"/user/blocklist/add.json", "userId&blackUserId=a", 1002, "userId is required."},
		{"/user/blocklist/add.json", "userId=bob", 1002, "blackUserId is required."},
		{"/user/blocklist/add.json", "userId=bob&whiteUserId=a", 1002, "blackUserId is required."},
		{"/user/blocklist/add.json", "userId=bob&blackUserId=", 1002, "blackUserId is required."},
		{"/user/blocklist/add.json", "userId=bob&blackUserId=a&blackUserId=", 1002, "blackUserId is required."},
		{"/user/blocklist/add.json", many, 1002, "blackUserId is given 21 times; at most 20 are allowed."},
		{"/user/blocklist/add.json", "userId=bob&userId=eve&blackUserId=a", 1002, "userId is given more than once."},
		{"/user/blocklist/add.json", "userId=bob&blackUserId=" + strings.Repeat("x", 257), 1005, "blackUserId has 257 bytes; at most 256 are allowed."},
		{"/user/blocklist/add.json", "userId=" + strings.Repeat("x", 257) + "&blackUserId=a", 1005, "userId has 257 bytes; at most 256 are allowed."},
		{"/user/blocklist/add.json", "userId=bob&blackUserId=a%00", 1002, "blackUserId: the user id has the control character U+0000 at byte 1; none is allowed."},
		{"/user/blocklist/add.json", "userId=bob&blackUserId=%ff", 1002, "blackUserId: the user id is not valid UTF-8 at byte 0."},
		{"/user/blocklist/add.json", "userId=bob&blackUserId=%zz", 1002, "blackUserId has a malformed percent-escape."},
		{"/user/blocklist/add.json", "%zz=bob&blackUserId=a", 1002, "The body has a malformed percent-escape in the name of a field."},
		{"/user/blocklist/remove.json", "userId=bob", 1002, "blackUserId is required."},
		{"/user/blacklist/remove.json", many, 1002, "blackUserId is given 21 times; at most 20 are allowed."},
		{"/user/blacklist/query.json", "", 1002, "userId is required."},
		{"/user/blacklist/query.json", "userId=bob&userId=bob", 1002, "userId is given more than once."},
		{"/user/blacklist/query.json", "userId=bob&size=0", 1002, "size must be a number from 1 to 1000."},
		{"/user/blacklist/query.json", "userId=bob&size=1001", 1002, "size must be a number from 1 to 1000."},
		{"/user/blacklist/query.json", "userId=bob&size=ten", 1002, "size must be a number from 1 to 1000."},
		{"/user/blacklist/query.json", "userId=bob&size=1&size=2", 1002, "size is given more than once."},
		{"/user/blacklist/query.json", "userId=bob&pageToken=1&pageToken=2", 1002, "pageToken is given more than once."},
		{"/user/blacklist/query.json", "userId=bob&pageToken=x", 1002, "pageToken is none of this list; pass next of the page before unchanged."},
		{"/user/whitelist/add.json", "userId=bob&blackUserId=a", 1002, "whiteUserId is required."},
		{"/user/whitelist/remove.json", "userId=bob&blackUserId=a", 1002, "whiteUserId is required."},
		{"/user/whitelist/query.json", "", 1002, "userId is required."},
		{"/user/whitesetting/set.json", "", 1002, "userId is required."},
		{"/user/whitesetting/set.json", "userId=bob", 1002, "whiteSetting is required."},
		{"/user/whitesetting/set.json", "userId=bob&whiteSetting=2", 1002, "whiteSetting must be 0 or 1."},
		{"/user/whitesetting/set.json", "userId=bob&whiteSetting=1&whiteSetting=0", 1002, "whiteSetting is given more than once."},
		{"/user/whitesetting/set.json", "whiteSetting=1" + strings.Repeat("&userId=a", 21), 1002, "userId is given 21 times; at most 20 are allowed."},
		{"/user/whitesetting/query.json", "", 1002, "userId is required."},
		{"/user/whitesetting/query.json", "userId=", 1002, "userId is required."},
	} {
		a := w.post(tc.path, tc.body)
		want := fmt.Sprintf(`{"code":%d,"errorMessage":%q,"url":%q}`, tc.code, tc.message, tc.path)
		if a.status != 400 || a.body != want || a.call != tc.path {
			t.Errorf("%s %.80q:\n%v\nwant %s", tc.path, tc.body, a, want)
		}
	}
	if len(w.edits) > 0 || len(w.modes) > 0 {
		t.Errorf("stored %v %v", w.edits, w.modes)
	}
}

// TestUnknownFieldsAreIgnored, in the body and in the query.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	w := newWorld(t)
	w.good(w.post(addPath+"?userId=eve&blackUserId=mallory", "x=%zz&userId=bob&&reason=spam&blackUserId=a&blackUserId=b&"), `{"code":200}`)
	if list := w.lists[filter.ListID{App: "acme", Owner: "bob"}]; !slices.Equal(list, []string{"b", "a"}) || len(w.lists) != 1 {
		t.Errorf("%v", w.lists)
	}
}

func TestContentType(t *testing.T) {
	w := newWorld(t)
	for kind, good := range map[string]bool{
		"application/x-www-form-urlencoded": true, "application/x-www-form-urlencoded; charset=utf-8": true,
		"APPLICATION/X-WWW-FORM-URLENCODED;charset=UTF-8": true, `application/x-www-form-urlencoded; charset="utf8"`: true, "": true,
		"application/x-www-form-urlencoded; charset=utf-8;": true, `application/x-www-form-urlencoded; charset="utf-8"; x=y`: true,
		"application/x-www-form-urlencoded;": true, "application/x-www-form-urlencoded; x=y; charset=gbk": false,
		"application/x-www-form-urlencoded; charset=utf-8; charset=gbk": false,
		"application/x-www-form-urlencoded; charset=gbk":                false, "application/json": false, "multipart/form-data; boundary=x": false,
		"text/plain": false, "application/x-www-form-urlencodedx": false, "\xff": false,
	} {
		h := headers(acme())
		h["Content-Type"] = kind
		a := w.serve(raw("POST", addPath, addBody, h))
		if good {
			w.good(a, `{"code":200}`)
		} else {
			w.refused(a, 400, 1002)
		}
	}
	h := headers(acme())
	h["Content-Encoding"] = "gzip"
	w.refused(w.serve(raw("POST", addPath, addBody, h)), 400, 1002)
}

// FuzzForm holds the parser to the standard library's, for the fields that count.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"userId=a&blackUserId=b+c&blackUserId=%2F", "userId", "=&=", "%75serId=x", "userId=%", "size=1&pageToken=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseForm([]byte(body))
		if err != nil || strings.Contains(body, ";") {
			return // there the standard library drops a pair
		}
		want, _ := url.ParseQuery(body) // an error is about a field that we ignore
		for _, field := range fields {
			if !slices.Equal(got[field], want[field]) {
				t.Errorf("%q: %s is %q, want %q", body, field, got[field], want[field])
			}
		}
		for _, field := range []string{fieldUser, fieldBlock} {
			ids, err := got.ids(field)
			if err == nil && (len(ids) == 0 || len(ids) > maxIDs) {
				t.Errorf("%q has %d ids", body, len(ids))
			}
			for _, id := range ids {
				if filter.ValidateUserID(id) != nil || !slices.Contains(want[field], id) {
					t.Errorf("%q has the id %q", body, id)
				}
			}
		}
	})
}

func FuzzContentType(f *testing.F) {
	for _, s := range []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8", ";", "application/json"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, kind []byte) {
		if isForm(kind) && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(string(kind))), "application/x-www-form-urlencoded") {
			t.Errorf("%q is taken for a form", kind)
		}
	})
}
