package sendbird

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

func TestDecodeList(t *testing.T) {
	for raw, want := range map[string][2][]string{
		"":          {nil, nil},
		"a":         {{"a"}, nil},
		"a,b":       {{"a", "b"}, nil},
		"a+b,%2C":   {{"a b", ","}, nil},
		"a%2Cb,c":   {{"a,b", "c"}, nil},
		"a%2Cb":     {{"a,b"}, {"a", "b"}},
		"a%2cb%2Cc": {{"a,b,c"}, {"a", "b", "c"}},
		",":         {{"", ""}, nil},
		"%2C":       {{","}, {"", ""}},
		"a%252Cb":   {{"a%2Cb"}, nil},
	} {
		l, err := decodeList("x", []byte(raw))
		if err != nil || !slices.Equal(l.items, want[0]) || !slices.Equal(l.loose, want[1]) {
			t.Errorf("%q is %q or %q, %v; want %q", raw, l.items, l.loose, err, want)
		}
	}
}

// Of two ways to read a value the one counts by which it names users.
func TestCheckIDsChoosesAReading(t *testing.T) {
	long := strings.Repeat("x", 200) + "," + strings.Repeat("y", 200)
	for _, tc := range []struct {
		list, want list
		code       code
	}{
		{list{items: []string{"a", "b"}}, list{items: []string{"a", "b"}}, 0},
		{list{}, list{}, 0},
		{list{items: []string{"a,b"}, loose: []string{"a", "b"}}, list{items: []string{"a,b"}, loose: []string{"a", "b"}}, 0},
		{list{items: []string{"a,"}, loose: []string{"a", ""}}, list{items: []string{"a,"}}, 0},
		{list{items: []string{long}, loose: strings.Split(long, ",")}, list{items: strings.Split(long, ",")}, 0},
		{list{items: []string{long + ","}, loose: []string{long, ""}}, list{items: []string{long + ","}}, codeTooLong},
		{list{items: []string{""}}, list{items: []string{""}}, codeInvalid},
	} {
		got := tc.list
		err := got.checkIDs()
		f, _ := err.(fault)
		if f.code != tc.code || !slices.Equal(got.items, tc.want.items) || !slices.Equal(got.loose, tc.want.loose) {
			t.Errorf("%.60q: %.60q, %v", tc.list, got, err)
		}
	}
}

func TestText(t *testing.T) {
	for raw, want := range map[string]string{
		`"a"`: "a", `""`: "", `"\u0061"`: "a", `"\ud83d\ude00"`: "😀", `"\\ud800"`: `\ud800`, `"\"\\"`: `"\`, `"\uD83D\uDE00\u0041"`: "😀A",
		`"\ufffd"`: "\ufffd", `"\/\b\n"`: "/\b\n",
		`"\ud800"`: "!", `"\udc00"`: "!", `"\ud83dx"`: "!", `"\ud83d\ud83d"`: "!", `"\ud83d\n"`: "!", `"x\ude00\ud83d"`: "!",
		`7`: "?", `null`: "?", `["a"]`: "?", `{}`: "?", `true`: "?",
	} {
		got, ok, err := text(json.RawMessage(raw))
		switch want {
		case "!":
			if err == nil {
				t.Errorf("%s is taken as %q", raw, got)
			}
		case "?":
			if ok || err != nil {
				t.Errorf("%s is a string: %q, %v", raw, got, err)
			}
		default:
			if got != want || !ok || err != nil {
				t.Errorf("%s is %q, %v, %v; want %q", raw, got, ok, err, want)
			}
		}
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]struct{ query, path string }{
		"": {"", ""}, "abc": {"abc", "abc"}, "a+b": {"a b", "a+b"}, "%41%4a%4A": {"AJJ", "AJJ"}, "%00%ff": {"\x00\xff", "\x00\xff"},
		"++": {"  ", "++"}, "%2B": {"+", "+"}, "%25%32%35": {"%25", "%25"}, "a;b": {"a;b", "a;b"},
	} {
		if got, ok := unescape([]byte(text), true); !ok || got != want.query {
			t.Errorf("in a query %q is %q, %v; want %q", text, got, ok, want.query)
		}
		if got, ok := unescape([]byte(text), false); !ok || got != want.path {
			t.Errorf("in a path %q is %q, %v; want %q", text, got, ok, want.path)
		}
	}
	for _, text := range []string{"a%20b%", "%4", "%g1", "%1g", "%%41"} {
		for _, plus := range []bool{true, false} {
			if got, ok := unescape([]byte(text), plus); ok {
				t.Errorf("%q is read as %q", text, got)
			}
		}
	}
}

// A user who was never seen has no time, and not one in the year 1.
func TestUserShowsWhatIsNotKnownAsEmpty(t *testing.T) {
	known := people{"a": {ID: "a", Nickname: "A"}, "old": {ID: "old", LastSeenAt: time.UnixMilli(1)}}
	for id, want := range map[string]string{
		"a":       `{"user_id":"a","nickname":"A","profile_url":"","is_online":false,"last_seen_at":0,"metadata":{}}`,
		"old":     `{"user_id":"old","nickname":"","profile_url":"","is_online":false,"last_seen_at":1,"metadata":{}}`,
		"unknown": plain("unknown"),
	} {
		got, err := json.Marshal(known.user(id))
		if err != nil || string(got) != want {
			t.Errorf("%s is %s, %v; want %s", id, got, err, want)
		}
	}
	if got := known.show(nil); got == nil {
		t.Error("nobody is null")
	}
	if known.all([]string{"a", "x"}) || !known.all([]string{"a", "old"}) || !known.all(nil) {
		t.Error("all is wrong")
	}
}

func TestStatusOfCodes(t *testing.T) {
	for c, want := range map[code]int{codeToken: 400, codeNotFound: 400, codeResource: 400, codeTooMany: 400, codeServer: 500, codeRate: 429} {
		if got := faultf(c, "x").http(); got != want {
			t.Errorf("%d is HTTP %d, want %d", c, got, want)
		}
	}
	if got := faultf(codeBody, "why").Error(); got != "400403: why" {
		t.Error(got)
	}
}

// However many ask at once, a window gives what it has.
func TestWindowIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(7)
		for range 3 {
			var taken atomic.Int64
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, ok := w.take(time.Now()); ok {
						taken.Add(1)
					}
				})
			}
			wg.Wait()
			if taken.Load() != 7 {
				t.Errorf("%d of 7 were given", taken.Load())
			}
			time.Sleep(time.Second)
		}
	})
	if newWindow(0) != nil {
		t.Error("no limit is a window")
	}
}

// What is handed on outlives the request, whose bytes the next one overwrites.
func TestNothingIsBorrowed(t *testing.T) {
	for _, request := range []string{
		"POST /v3/users/Jay/block HTTP/1.1\r\nHost: h\r\nApi-Token: t1\r\nContent-Length: 24\r\n\r\n" + `{"user_ids":["x","\"y"]}`,
		"DELETE /v3/users/Jay/block/Tom HTTP/1.1\r\nHost: h\r\nApi-Token: t1\r\n\r\n",
		"GET /v3/users/Jay/block?user_ids=Tom&metadatakey=team&metadatavalues_in=red HTTP/1.1\r\nHost: h\r\nApi-Token: t1\r\n\r\n",
	} {
		w := newWorld(t)
		w.lists[blockList("open", "Jay")] = []string{"Tom"}
		var req fasthttp.Request
		if err := req.Read(bufio.NewReader(strings.NewReader(request))); err != nil {
			t.Fatal(err)
		}
		ctx := new(fasthttp.RequestCtx)
		ctx.Init(&req, nil, nil)
		w.Serve(t.Context(), ctx)
		before := fmt.Sprintf("%v %+v %+v", w.lists, w.edits, w.asked)
		for _, b := range [][]byte{ctx.Request.Header.RequestURI(), ctx.Request.Body(), ctx.Request.Header.Peek("Api-Token")} {
			for i := range b {
				b[i] = '#'
			}
		}
		if after := fmt.Sprintf("%v %+v %+v", w.lists, w.edits, w.asked); after != before {
			t.Errorf("%.40q: %s became %s", request, before, after)
		}
	}
}

// The directory is asked where somebody looks at the answer, and before anything is
// written.
func TestDirectoryIsAskedNoMoreThanNeeded(t *testing.T) {
	for _, tc := range []struct {
		token, method, target string
		want                  []string
	}{
		{"t1", "POST", "/v3/users/Jay/block", []string{"lookup", "edit"}},
		{"t1", "DELETE", "/v3/users/Jay/block/Tom", []string{"edit"}},
		{"t1", "GET", "/v3/users/Jay/block", []string{"list"}},
		{"t1", "GET", "/v3/users/Tom/block?list=blocking_me", []string{"blocked by"}},
		{"t2", "POST", "/v3/users/Jay/block", []string{"lookup", "edit"}},
		{"t2", "DELETE", "/v3/users/Jay/block/Tom", []string{"lookup", "edit"}},
		{"t2", "GET", "/v3/users/Jay/block", []string{"lookup", "list"}},
		{"t2", "GET", "/v3/users/x/block", []string{"lookup"}},
	} {
		w := newWorld(t)
		w.users["Jay"], w.users["Tom"] = filter.User{ID: "Jay"}, filter.User{ID: "Tom"}
		w.as(tc.token, tc.method, tc.target, `{"target_id":"Tom"}`)
		if !slices.Equal(w.calls, tc.want) {
			t.Errorf("%s %s with %s: %q, want %q", tc.method, tc.target, tc.token, w.calls, tc.want)
		}
	}
}

// still is a list service and a directory that remember nothing.
type still struct{ edits atomic.Int64 }

func (s *still) Edit(context.Context, filter.Edit) (filter.Written, error) {
	s.edits.Add(1)
	return filter.Written{}, nil
}

func (s *still) List(context.Context, filter.ListRequest) (filter.ListResult, error) {
	return filter.ListResult{Blocks: []filter.Block{{Target: "Tom"}}}, nil
}

func (s *still) BlockedBy(context.Context, filter.BlockedByRequest) (filter.BlockedByResult, error) {
	return filter.BlockedByResult{}, nil
}

func (s *still) Lookup(context.Context, string, []string) (map[string]filter.User, error) {
	return nil, nil
}

// Requests from many goroutines share nothing but the rate.
func TestManyGoroutines(t *testing.T) {
	var lists still
	s, err := New(Options{Apps: []App{{Name: "a", APITokens: []string{"t"}, Rate: 1 << 20}}, Lists: &lists, Users: &lists})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				ctx := new(fasthttp.RequestCtx)
				ctx.Request.Header.Set("Api-Token", "t")
				id, want := fmt.Sprintf("u%d-%d", i, n), ""
				switch n % 2 {
				case 0:
					ctx.Request.Header.SetMethod("POST")
					ctx.Request.SetRequestURI("/v3/users/Jay/block")
					ctx.Request.SetBodyString(`{"target_id":"` + id + `"}`)
					want = plain(id)
				case 1:
					ctx.Request.SetRequestURI("/v3/users/" + id + "/block")
					want = users("Tom")
				}
				if s.Serve(t.Context(), ctx); string(ctx.Response.Body()) != want {
					t.Errorf("%s: %s", id, ctx.Response.Body())
				}
			}
		})
	}
	wg.Wait()
	if lists.edits.Load() != 200 {
		t.Errorf("%d edits", lists.edits.Load())
	}
}
