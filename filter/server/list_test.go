package server

import (
	"context"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/filter"
)

func TestList(t *testing.T) {
	var got filter.ListRequest
	result := filter.ListResult{
		Blocks: []filter.Block{
			{Owner: "bob", Target: "alice", CreatedAt: noon, ExpiresAt: noon, Note: "n"},
			{Owner: "bob", Target: "carol", CreatedAt: noon},
		},
		Total: 5, Version: 7, Revision: token, Next: "next",
	}
	lists := &fakeLists{list: func(_ context.Context, req filter.ListRequest) (filter.ListResult, error) {
		got = req
		return result, nil
	}}
	r := runAPI(t, lists, Options{})
	const want = `{"blocks":[` +
		`{"owner":"bob","target":"alice","created_at":"2031-01-31T11:00:00.123456Z","expires_at":"2031-01-31T11:00:00.123456Z","note":"n"},` +
		`{"owner":"bob","target":"carol","created_at":"2031-01-31T11:00:00.123456Z","expires_at":null,"note":""}],` +
		`"next_cursor":"next","total":5}`
	a := r.get(bobsPath)
	if a.status != 200 || a.body != want || a.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if got != (filter.ListRequest{List: bobsList}) {
		t.Errorf("asked for %+v", got)
	}
	if r.get(bobsPath + "?limit=1000&cursor=a%2Bb"); got != (filter.ListRequest{List: bobsList, Limit: 1000, Cursor: "a+b"}) {
		t.Errorf("asked for %+v", got)
	}
	if r.get(bobsPath + "?cursor=&limit=1&"); got != (filter.ListRequest{List: bobsList, Limit: 1}) {
		t.Errorf("asked for %+v", got)
	}
	result = filter.ListResult{}
	if a := r.get(bobsPath); a.body != `{"blocks":[],"next_cursor":"","total":0}` {
		t.Errorf("an empty list is %s", a.body)
	}
}

func TestListRefuses(t *testing.T) {
	r := runAPI(t, &fakeLists{}, Options{})
	for query, code := range map[string]string{
		"limit=0": "invalid_limit", "limit=1001": "invalid_limit", "limit=-1": "invalid_limit", "limit=": "invalid_limit",
		"limit": "invalid_limit", "limit=1e2": "invalid_limit", "limit=99999999999": "invalid_limit",
		"limit=1&limit=1": "unknown_parameter", "cursor=a&cursor=a": "unknown_parameter",
		"limt=1": "unknown_parameter", "Limit=1": "unknown_parameter",
		"cursor=%": "invalid_parameter",
	} {
		if a := r.get(bobsPath + "?" + query); a.status != 400 || a.code(t) != code {
			t.Errorf("%s = %d %s, want 400 %s", query, a.status, a.body, code)
		}
	}
}

// TestEntityTag: the tag changes with everything that changes the answer.
func TestEntityTag(t *testing.T) {
	result := filter.ListResult{Total: 5, Version: 7, Revision: token}
	lists := &fakeLists{list: func(context.Context, filter.ListRequest) (filter.ListResult, error) { return result, nil }}
	r := runAPI(t, lists, Options{})
	tag := r.get(bobsPath).header.Get("ETag")
	if !strings.HasPrefix(tag, `"7-`) {
		t.Fatalf("ETag is %s; it begins with the version of the list", tag)
	}
	for header, want := range map[string]int{
		tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, `"x",W/` + tag + `,"y"`: 304, "*": 304,
		"": 200, `"7"`: 200, strings.Trim(tag, `"`): 200,
	} {
		a := r.get(bobsPath, "If-None-Match", header)
		if a.status != want || a.header.Get("ETag") != tag || (a.body == "") != (want == 304) {
			t.Errorf("If-None-Match: %s = %d %v %q, want %d", header, a.status, a.header, a.body, want)
		}
	}
	other := primary
	other.Timeline++
	for name, changed := range map[string]filter.ListResult{
		"a write":           {Total: 5, Version: 8, Revision: token},
		"an entry expired":  {Total: 4, Version: 7, Revision: token},
		"after a promotion": {Total: 5, Version: 7, Revision: filter.NewRevision(other, bobsList, 7)},
	} {
		result = changed
		if a := r.get(bobsPath, "If-None-Match", tag); a.status != 200 {
			t.Errorf("%s: %d, the tag of before still matches", name, a.status)
		}
	}
}
