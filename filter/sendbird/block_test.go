package sendbird

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

const tom = `{"user_id":"Tom","nickname":"","profile_url":"","is_online":false,"last_seen_at":0,"metadata":{}}`

// plain is a user of whom the directory knows nothing.
func plain(id string) string { return strings.Replace(tom, "Tom", id, 1) }

func users(ids ...string) string {
	var all []string
	for _, id := range ids {
		all = append(all, plain(id))
	}
	return `{"users":[` + strings.Join(all, ",") + `],"next":""}`
}

func TestBlockAnswersTheFormItWasAskedIn(t *testing.T) {
	for _, tc := range []struct {
		body, want string
		stored     []string
	}{
		{`{"target_id":"Tom"}`, tom, []string{"Tom"}},
		{`{"target_id":"Tom","user_id":"Jay"}`, tom, []string{"Tom"}},
		{`{"target_id":"Tom","user_id":7,"unknown":[{}]}`, tom, []string{"Tom"}},
		{`{"target_id":"Tom","user_ids":null,"users":null}`, tom, []string{"Tom"}},
		{"\t{ \"target_id\" :\n \"T\\u006fm\" } ", tom, []string{"Tom"}},
		{`{"user_ids":["Tom"]}`, users("Tom"), []string{"Tom"}},
		{`{"user_ids":["a","b","a"]}`, users("a", "b"), []string{"a", "b"}},
		{`{"users":[{"user_id":"a"},{"user_id":"b","nickname":"B"}]}`, users("a", "b"), []string{"a", "b"}},
		{`{"users":["a", {"user_id":"b"}]}`, users("a", "b"), []string{"a", "b"}},
		{`{"target_id":"a","user_ids":["b"],"users":[{"user_id":"c"}]}`, users("a", "b", "c"), []string{"a", "b", "c"}},
		{`{"target_id":"a<b>&"}`, plain("a<b>&"), []string{"a<b>&"}},
	} {
		w := newWorld(t)
		for range 2 { // again is the same
			r := w.ask("POST", "/v3/users/Jay/block", tc.body)
			if r.status != 200 || r.body != tc.want || r.call != patternUser {
				t.Errorf("%s: %v, want %s", tc.body, r, tc.want)
			}
			if got := string(r.header.ContentType()); got != "application/json; charset=utf-8" {
				t.Errorf("%s: the content type is %q", tc.body, got)
			}
		}
		stored := w.lists[blockList("open", "Jay")]
		slices.Reverse(stored)
		if !slices.Equal(stored, tc.stored) {
			t.Errorf("%s: stored %q, want %q", tc.body, stored, tc.stored)
		}
		for _, add := range w.edits[0].Add {
			if !add.Keep || w.edits[0].Source != "sendbird" {
				t.Errorf("%s: %+v of %q", tc.body, add, w.edits[0].Source)
			}
		}
	}
}

func TestBlockShowsWhatTheDirectoryKnows(t *testing.T) {
	w := newWorld(t)
	w.users["Tom"] = filter.User{
		ID: "Tom", Nickname: "Tommy", ProfileURL: "https://x/p.png", AvatarURL: "https://x/a.png", IsOnline: true,
		LastSeenAt: time.UnixMilli(2001604082551), Metadata: map[string]string{"font": "times & new", "n": "7"},
	}
	const known = `{"user_id":"Tom","nickname":"Tommy","profile_url":"https://x/p.png","is_online":true,` +
		`"last_seen_at":2001604082551,"metadata":{"font":"times & new","n":"7"}}`
	if r := w.ask("POST", "/v3/users/Jay/block", `{"target_id":"Tom"}`); r.body != known {
		t.Errorf("one: %v", r)
	}
	if r := w.ask("POST", "/v3/users/Jay/block", `{"user_ids":["x","Tom"]}`); r.body != `{"users":[`+plain("x")+`,`+known+`],"next":""}` {
		t.Errorf("several: %v", r)
	}
	if r := w.ask("GET", "/v3/users/Jay/block", ""); r.body != `{"users":[`+plain("x")+`,`+known+`],"next":""}` {
		t.Errorf("listed: %v", r)
	}
}

func TestBlockRefuses(t *testing.T) {
	long, ids := strings.Repeat("x", 257), `"a"`+strings.Repeat(`,"a"`, maxTargets)
	for _, tc := range []struct {
		body string
		want code
	}{
		{"", codeMissing},
		{`{}`, codeMissing},
		{`{"user_id":"b"}`, codeMissing},
		{`{"target_id":null}`, codeMissing},
		{`{"Target_ID":"a","USERS":["b"]}`, codeMissing},
		{`{"user_ids":[]}`, codeMissing},
		{`{"users":[{}]}`, codeMissing},
		{`{"users":[{"user_id":null}]}`, codeMissing},
		{`{"target_id":7}`, codeNotString},
		{`{"target_id":true}`, codeNotString},
		{`{"target_id":["a"]}`, codeNotString},
		{`{"target_id":{"user_id":"a"}}`, codeNotString},
		{`{"user_ids":["a",7]}`, codeNotString},
		{`{"user_ids":["a",null]}`, codeNotString},
		{`{"user_ids":[{"user_id":"a"}]}`, codeNotString},
		{`{"users":[{"user_id":7}]}`, codeNotString},
		{`{"user_ids":"a"}`, codeNotList},
		{`{"user_ids":{}}`, codeNotList},
		{`{"users":7}`, codeNotList},
		{`{"users":{"user_id":"a"}}`, codeNotList},
		{`{"users":[7]}`, codeNotJSON},
		{`{"users":[null]}`, codeNotJSON},
		{`{"users":[["a"]]}`, codeNotJSON},
		{`{"target_id":""}`, codeInvalid},
		{`{"target_id":"a\u0000"}`, codeInvalid},
		{`{"user_ids":["a","\u0085"]}`, codeInvalid},
		{`{"target_id":"` + long + `"}`, codeTooLong},
		{`{"user_ids":["a","` + long + `"]}`, codeTooLong},
		{`{"target_id":"Jay"}`, codeSame},
		{`{"user_ids":["a","J\u0061y"]}`, codeSame},
		{`{"user_ids":[` + ids + `]}`, codeTooMany},
		{`{"target_id":"b","user_ids":[` + ids[4:] + `]}`, codeTooMany},
		{`{"target_id":"a"`, codeBody},
		{`{"target_id":"a"}}`, codeBody},
		{`{"target_id":"a"} {}`, codeBody},
		{`{"target_id":"a",}`, codeBody},
		{`{"target_id":"a","target_id":"b"}`, codeBody},
		{`{"users":[{"user_id":"a","user_id":"b"}]}`, codeBody},
		{`{"target_id":"a" "b"}`, codeBody},
		{`{target_id:"a"}`, codeBody},
		{`target_id=a`, codeBody},
		{`[]`, codeBody}, {`"a"`, codeBody}, {`null`, codeBody}, {`7`, codeBody},
		{"{\"target_id\":\"\xff\"}", codeBody},
		{`{"target_id":"\ud800"}`, codeBody},
		{`{"target_id":"\udc00\ud800"}`, codeBody},
		{`{"user_ids":["\ud83d\u0041"]}`, codeBody},
	} {
		w := newWorld(t)
		r := w.ask("POST", "/v3/users/Jay/block", tc.body)
		if got := r.code(t); got != tc.want || r.status != 400 || len(w.edits) > 0 {
			t.Errorf("%.100s: %v with %d edits, want %d", tc.body, r, len(w.edits), tc.want)
		}
		if strings.Contains(r.body, long) || w.log.Len() > 0 {
			t.Errorf("%.100s: repeated in %.200v, logged %q", tc.body, r, &w.log)
		}
	}
}

func TestBlockTakesAHundred(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range maxTargets {
		ids = append(ids, fmt.Sprint("u", i))
	}
	r := w.ask("POST", "/v3/users/Jay/block", `{"user_ids":["`+strings.Join(ids, `","`)+`"]}`)
	if r.body != users(ids...) {
		t.Errorf("%v", r)
	}
}

func TestBlockBeyondTheLimitStoresNothing(t *testing.T) {
	w := newWorld(t)
	w.limit = 2
	w.ask("POST", "/v3/users/Jay/block", `{"target_id":"a"}`)
	r := w.ask("POST", "/v3/users/Jay/block", `{"user_ids":["b","c"]}`)
	if r.code(t) != codeTooMany || r.status != 400 || !strings.Contains(r.body, "at most 2") {
		t.Errorf("%v", r)
	}
	if got := w.lists[blockList("open", "Jay")]; !slices.Equal(got, []string{"a"}) {
		t.Errorf("stored %q", got)
	}
}

// Ids are opaque: whatever may be one is stored and shown as it is.
func TestBlockKeepsIDsAsTheyAre(t *testing.T) {
	for _, id := range []string{"a/b", "100%", "%2F", "a+b", "a b", "😀", "سلام", "a,b", ".", "..", "\ufffd", "a?b#c", strings.Repeat("é", 128)} {
		w := newWorld(t)
		for _, body := range []string{`{"target_id":` + quoted(id) + `}`, `{"target_id":` + escapedAll(id) + `}`} {
			if r := w.ask("POST", "/v3/users/Jay/block", body); r.body != strings.Replace(tom, `"Tom"`, quoted(id), 1) {
				t.Errorf("%s: %v", body, r)
			}
		}
		if got := w.lists[blockList("open", "Jay")]; !slices.Equal(got, []string{id}) {
			t.Errorf("stored %q, want %q", got, id)
		}
	}
}
