package server

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

func TestSplitTarget(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a?b": {"/a", "b"}, "/a": {"/a", ""}, "/a?": {"/a", ""}, "/a?b?c": {"/a", "b?c"}, "?a": {"?a", ""},
		"http://h/a?b": {"/a", "b"}, "http://h": {"", ""}, "http://h?b": {"", "b"}, "*": {"*", ""}, "h:1": {"h:1", ""}, "": {"", ""},
	} {
		if target == "?a" {
			want = [2]string{"", "a"}
		}
		path, query := splitTarget([]byte(target))
		if string(path) != want[0] || string(query) != want[1] {
			t.Errorf("%q = %q and %q, want %q", target, path, query, want)
		}
	}
}

// TestEveryRouteIsKnown: a path that a listener serves is in the table by which
// the others send people here.
func TestEveryRouteIsKnown(t *testing.T) {
	for door, routes := range map[border.Door][]*route{
		border.DoorCheck: (&checks{}).routes(),
		border.DoorAPI:   (&blocks{}).routes(),
	} {
		for _, r := range routes {
			path := strings.NewReplacer("{app}", "a", "{owner}", "o", "{target}", "t").Replace(r.pattern)
			if got, ok := border.DoorOf(path); !ok || got != door {
				t.Errorf("%s belongs to %q, %v; want %q", r.pattern, got, ok, door)
			}
			if !r.match([]byte(path), new(ids)) {
				t.Errorf("%s does not match %s", r.pattern, path)
			}
			if r.limit < 1 || r.limit > maxBody {
				t.Errorf("%s takes bodies of %d bytes", r.pattern, r.limit)
			}
		}
	}
}

// TestEveryFilterCodeIsListed: a code without an entry in the table of problems
// would reach clients as an internal error.
func TestEveryFilterCodeIsListed(t *testing.T) {
	for code, status := range map[filter.Code]int{
		filter.CodeInvalidUserID: 400, filter.CodeSelfBlock: 400, filter.CodeInvalidExpiry: 400, filter.CodeInvalidNote: 400,
		filter.CodeInvalidRevision: 400, filter.CodeInvalidCursor: 400, filter.CodeInvalidLimit: 400, filter.CodeConflictingBatch: 400,
		filter.CodeUnknownApp: 404, filter.CodeBlockNotFound: 404, filter.CodeLimitExceeded: 409,
		filter.CodeStoreUnavailable: 503, filter.CodeOutcomeUnknown: 503,
	} {
		p, _ := problemOf(filter.Errorf(code, "why"))
		if p.Status() != status || string(p.Code) != string(code) || p.Detail != "why" {
			t.Errorf("%s is %+v with status %d, want %d", code, p, p.Status(), status)
		}
	}
}

func TestMethodOf(t *testing.T) {
	for name, want := range map[string]method{
		"GET": methodGet, "HEAD": methodGet, "POST": methodPost, "PUT": methodPut, "DELETE": methodDelete,
		"get": methodOther, "PATCH": methodOther, "": methodGet, // fasthttp's default
	} {
		var h fasthttp.RequestHeader
		h.SetMethod(name)
		if got := methodOf(&h); got != want {
			t.Errorf("%q is method %d, want %d", name, got, want)
		}
	}
}

// FuzzPath: whatever the bytes, a path is split into the same ids that a reader
// finds who splits first and decodes after.
func FuzzPath(f *testing.F) {
	for _, s := range [][3]string{
		{"a", "b", "c"}, {"a", "b%2Fc", "%c3%bc"}, {"", "", ""}, {"a", "..", "%2e"}, {"%", "%zz", "%4"}, {"a", "b/c", "d"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	r := (&blocks{}).routes()[1]
	f.Fuzz(func(t *testing.T, app, owner, target string) {
		path := "/v1/apps/" + app + "/users/" + owner + "/blocks/" + target
		in := input{who: &anyone}
		raw := []byte(path)
		matched := r.match(raw, &in.ids)
		parts := strings.Split(path, "/")
		want := len(parts) == 8 && parts[0] == "" && parts[1] == "v1" && parts[2] == "apps" && parts[4] == "users" && parts[6] == "blocks"
		if matched != want {
			t.Fatalf("%q: matched is %v", path, matched)
		}
		if !matched {
			return
		}
		for i, part := range []string{parts[3], parts[5], parts[7]} {
			decoded, err := url.PathUnescape(part)
			id, idErr := in.id(i)
			if (idErr == nil) != (err == nil && decoded != "." && decoded != "..") {
				t.Fatalf("%q: %s is refused with %v, net/url says %v", path, idNames[i], idErr, err)
			}
			if idErr == nil && id != decoded {
				t.Fatalf("%q: %s is %q, net/url reads %q", path, idNames[i], id, decoded)
			}
		}
	})
}

// TestIDIsACopy: what a handler of the api listener keeps must not change when
// the connection's buffer does (Invariant 10).
func TestIDIsACopy(t *testing.T) {
	raw := []byte("alice")
	in := input{ids: ids{raw}}
	id, err := in.id(0)
	if err != nil {
		t.Fatal(err)
	}
	copy(raw, "XXXXX")
	if id != "alice" {
		t.Errorf("the id became %q with the buffer", id)
	}
	// Without the copy it does: this is what borrow is for, and nothing else.
	if borrowed := borrow(raw); borrowed != "XXXXX" || !bytes.Equal([]byte(borrowed), raw) {
		t.Errorf("a borrowed string is %q", borrowed)
	}
}
