package sendbird

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestUnblock(t *testing.T) {
	w := newWorld(t)
	w.ask("POST", "/v3/users/Jay/block", `{"user_ids":["a","b"]}`)
	for range 2 { // of a user who is not blocked it is the same
		if r := w.ask("DELETE", "/v3/users/Jay/block/a", `{"target_id":"b"}`); r.status != 200 || r.body != "{}" || r.call != patternTarget {
			t.Errorf("%v", r)
		}
	}
	if got := w.lists[blockList("open", "Jay")]; !slices.Equal(got, []string{"b"}) {
		t.Errorf("left are %q", got)
	}
	if r := w.ask("DELETE", "/v3/users/Jay/block/Jay", ""); r.body != "{}" {
		t.Errorf("oneself: %v", r)
	}
	if edit := w.edits[1]; edit.Source != "sendbird" || len(edit.Add) > 0 {
		t.Errorf("%+v", edit)
	}
}

// A path is split as it was sent and decoded after, so that ids hold anything.
func TestPathKeepsIDsAsTheyAre(t *testing.T) {
	for _, id := range []string{"a/b", "100%", "%2F", "a+b", "a b", "😀", "سلام", "a,b", "a?b#c", "...", strings.Repeat("é", 128), "block", "a\ufffd"} {
		w := newWorld(t)
		path := "/v3/users/" + url.PathEscape(id) + "/block"
		if r := w.ask("POST", path, `{"target_id":"Tom"}`); r.body != tom {
			t.Errorf("%q: %v", id, r)
		}
		if got, _ := w.ask("GET", path+"?limit=1", "").ids(t); !slices.Equal(got, []string{"Tom"}) {
			t.Errorf("%q has blocked %q", id, got)
		}
		w.ask("POST", "/v3/users/Jay/block", `{"target_id":`+quoted(id)+`}`)
		if r := w.ask("DELETE", "/v3/users/Jay/block/"+url.PathEscape(id), ""); r.body != "{}" || len(w.lists[blockList("open", "Jay")]) != 0 {
			t.Errorf("%q: %v, left are %q", id, r, w.lists)
		}
	}
}

func TestPathRefuses(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, tc := range []struct {
		method, path string
		want         code
		call, allow  string
	}{
		{"GET", "/v3/users/", codeResource, "", ""},
		{"GET", "/v3/users/Jay", codeResource, "", ""},
		{"POST", "/v3/users/Jay/Block", codeResource, "", ""},
		{"POST", "/v3/users/Jay/block%20", codeResource, "", ""},
		{"POST", "/v3/users/a/b/block", codeResource, "", ""},
		{"DELETE", "/v3/users/Jay/block/a/b", codeResource, "", ""},
		{"DELETE", "/v3/users/Jay/block/a/", codeResource, "", ""},
		{"GET", "/v3/users/Jay/mute", codeResource, "", ""},
		{"PUT", "/v3/users/Jay/block", codeResource, patternUser, "GET, HEAD, POST"},
		{"DELETE", "/v3/users/Jay/block", codeResource, patternUser, "GET, HEAD, POST"},
		{"get", "/v3/users/Jay/block", codeResource, patternUser, "GET, HEAD, POST"},
		{"GET", "/v3/users/Jay/block/a", codeResource, patternTarget, "DELETE"},
		{"POST", "/v3/users/Jay/block/a", codeResource, patternTarget, "DELETE"},
		{"POST", "/v3/users//block", codeInvalid, patternUser, ""},
		{"POST", "/v3/users/./block", codeInvalid, patternUser, ""},
		{"POST", "/v3/users/%2e%2E/block", codeInvalid, patternUser, ""},
		{"POST", "/v3/users/a%0a/block", codeInvalid, patternUser, ""},
		{"POST", "/v3/users/%ff/block", codeInvalid, patternUser, ""},
		{"POST", "/v3/users/" + long + "/block", codeTooLong, patternUser, ""},
		{"POST", "/v3/users/a%/block", codeURL, patternUser, ""},
		{"POST", "/v3/users/%zz/block", codeURL, patternUser, ""},
		{"POST", "/v3/users/a%4z/block", codeURL, patternUser, ""},
		{"DELETE", "/v3/users/Jay/block/", codeInvalid, patternTarget, ""},
		{"DELETE", "/v3/users/Jay/block/..", codeInvalid, patternTarget, ""},
		{"DELETE", "/v3/users/Jay/block/%00", codeInvalid, patternTarget, ""},
		{"DELETE", "/v3/users/Jay/block/" + long, codeTooLong, patternTarget, ""},
		{"DELETE", "/v3/users/Jay/block/%", codeURL, patternTarget, ""},
		{"DELETE", "/v3/users/Jay/block/a#b", codeURL, patternTarget, ""},
	} {
		w := newWorld(t)
		r := w.ask(tc.method, tc.path, `{"target_id":"Tom"}`)
		if r.code(t) != tc.want || r.status != 400 || r.call != tc.call || string(r.header.Peek("Allow")) != tc.allow || len(w.calls) > 0 {
			t.Errorf("%s %.60s: %v as %q, allow %q, after %q; want %d", tc.method, tc.path, r, r.call, r.header.Peek("Allow"), w.calls, tc.want)
		}
	}
}

func TestOwns(t *testing.T) {
	s := newWorld(t)
	for path, want := range map[string]bool{
		"/v3/users/": true, "/v3/users/a/block": true, "/v3/users/a": true, "/v3/users": false, "/v3/group_channels": false, "": false,
		"/V3/users/a": false, "//v3/users/a": false, "/user/blacklist/add.json": false,
	} {
		if s.Owns([]byte(path)) != want {
			t.Errorf("owns %q: want %v", path, want)
		}
	}
	if s.Name() != "sendbird" {
		t.Error(s.Name())
	}
}

func TestSplitTarget(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a?b": {"/a", "b"}, "/a": {"/a", ""}, "/a?b?c": {"/a", "b?c"}, "http://h/a?b": {"/a", "b"}, "http://h?b": {"", "b"},
		"*": {"", ""}, "": {"", ""},
	} {
		if path, query := splitTarget([]byte(target)); string(path) != want[0] || string(query) != want[1] {
			t.Errorf("%q = %q and %q, want %q", target, path, query, want)
		}
	}
}

// FuzzPath: a path is taken exactly if its parts are, and an id that is taken is what
// net/url makes of it.
func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"/v3/users/Jay/block", "/v3/users/a%2Fb/block/c%25", "/v3/users//block/", "/v3/users/a/block/b/c", "/v3/users/+/block/%zz", "/", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := parsePath(raw)
		if p.pattern == "" {
			return
		}
		again := "/v3/users/" + string(p.user) + "/block"
		if p.pattern == patternTarget {
			again += "/" + string(p.target)
		}
		if again != string(raw) {
			t.Fatalf("%q is read as %q", raw, again)
		}
		for _, part := range [][]byte{p.user, p.target} {
			if id, err := decodeID(part); err == nil {
				if want, err := url.PathUnescape(string(part)); err != nil || want != id {
					t.Fatalf("%q is the id %q, want %q, %v", part, id, want, err)
				}
			}
		}
	})
}
