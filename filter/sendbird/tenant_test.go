package sendbird

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	good := func() Options {
		return Options{Apps: []App{{Name: "a", APITokens: []string{"t"}}}, Lists: w, Users: directory{w}}
	}
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"no lists":            func(o *Options) { o.Lists = nil },
		"no users":            func(o *Options) { o.Users = nil },
		"no apps":             func(o *Options) { o.Apps = nil },
		"no tokens":           func(o *Options) { o.Apps[0].APITokens = nil },
		"an empty token":      func(o *Options) { o.Apps[0].APITokens = []string{""} },
		"a negative rate":     func(o *Options) { o.Apps[0].Rate = -1 },
		"a token of two apps": func(o *Options) { o.Apps = append(o.Apps, App{Name: "b", APITokens: []string{"u", "t"}}) },
	} {
		opts := good()
		spoil(&opts)
		if _, err := New(opts); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), `"t"`) {
			t.Errorf("%s: the error shows a token: %v", name, err)
		}
	}
}

// The header has any case; the token names the app, whose lists are its own.
func TestTokenNamesTheApp(t *testing.T) {
	w := newWorld(t)
	w.users["Jay"], w.users["Tom"] = filter.User{ID: "Jay"}, filter.User{ID: "Tom"}
	for i, tc := range []struct{ header, app string }{
		{"Api-Token: t1", "open"}, {"api-token:t1-next", "open"}, {"API-TOKEN: t2", "known"}, {"aPI-tOKEN:  t2 ", "known"},
	} {
		r := w.raw("DELETE /v3/users/Jay/block/Tom HTTP/1.1\r\nHost: h\r\n" + tc.header + "\r\n\r\n")
		if r.body != "{}" || len(w.edits) != i+1 || w.edits[i].List.App != tc.app {
			t.Errorf("%s: %v, %+v", tc.header, r, w.edits)
		}
	}
}

// Without a token nothing is learnt: the answer is one, whatever is asked and of whom.
func TestWithoutATokenNothingIsRevealed(t *testing.T) {
	w := newWorld(t)
	want := ""
	for _, header := range []string{
		"", "Api-Token:\r\n", "Api-Token: T1\r\n", "Api-Token: t1x\r\n", "Api-Token: t1, t2\r\n", "Authorization: Bearer t1\r\n",
		"Session-Key: t1\r\n", "Api-Token: t1\r\nApi-Token: t2\r\n", "Api-Token: t1\r\nApi-Token: t1\r\n",
	} {
		for _, target := range []string{"POST /v3/users/Jay/block", "PUT /v3/users/Jay/block", "GET /v3/users/%/block", "GET /v3/users/"} {
			r := w.raw(target + " HTTP/1.1\r\nHost: h\r\n" + header + "Content-Length: 0\r\n\r\n")
			if want == "" {
				want = r.body
			}
			if r.code(t) != codeToken || r.status != 400 || r.body != want || len(r.header.Peek("Allow")) > 0 {
				t.Errorf("%q, %s: %v", header, target, r)
			}
		}
	}
	if len(w.calls) > 0 {
		t.Errorf("called %q", w.calls)
	}
}

// In an app that knows its users others are not found, whichever part they have in
// a request; and nothing is written.
func TestUnknownUsersAreNotFound(t *testing.T) {
	const notFound = `{"message":"\"User\" not found.","code":400201,"error":true}`
	for _, tc := range []struct {
		method, target, body string
		known                bool
	}{
		{"POST", "/v3/users/Jay/block", `{"target_id":"Tom"}`, true},
		{"POST", "/v3/users/Jay/block", `{"target_id":"x"}`, false},
		{"POST", "/v3/users/x/block", `{"target_id":"Tom"}`, false},
		{"POST", "/v3/users/Jay/block", `{"user_ids":["Tom","x"]}`, false},
		{"GET", "/v3/users/Jay/block", "", true},
		{"GET", "/v3/users/x/block", "", false},
		{"GET", "/v3/users/x/block?list=blocking_me", "", false},
		{"DELETE", "/v3/users/Jay/block/Tom", "", true},
		{"DELETE", "/v3/users/Jay/block/gone", "", true}, // blocked, and deleted since
		{"DELETE", "/v3/users/Jay/block/x", "", false},
		{"DELETE", "/v3/users/x/block/Tom", "", false},
	} {
		w := newWorld(t)
		w.users["Jay"], w.users["Tom"] = filter.User{ID: "Jay"}, filter.User{ID: "Tom"}
		w.lists[blockList("known", "Jay")] = []string{"gone"}
		r := w.as("t2", tc.method, tc.target, tc.body)
		if tc.known && r.status != 200 || !tc.known && (r.status != 400 || r.body != notFound || slices.ContainsFunc(w.edits, adds)) {
			t.Errorf("%s %s %s: %v", tc.method, tc.target, tc.body, r)
		}
		if r := w.as("t1", tc.method, tc.target, tc.body); r.status != 200 {
			t.Errorf("%s %s %s, where any id will do: %v", tc.method, tc.target, tc.body, r)
		}
	}
}

func adds(e filter.Edit) bool { return len(e.Add) > 0 }

// What fails is ours, is logged once, and shows neither its cause nor users.
func TestFailuresOfOurs(t *testing.T) {
	for _, tc := range []struct {
		fails error
		level string
	}{
		{&filter.Error{Code: filter.CodeStoreUnavailable, Detail: "away", Err: errors.New("SQL text")}, "WARN"},
		{&filter.Error{Code: filter.CodeOutcomeUnknown, Detail: "lost", Err: errors.New("SQL text")}, "WARN"},
		{filter.Errorf(filter.CodeConflictingBatch, "SQL text"), "WARN"},
		{errors.New("SQL text"), "ERROR"},
	} {
		for _, request := range []string{"POST /v3/users/Jay/block", "GET /v3/users/Jay/block", "DELETE /v3/users/Jay/block/Tom"} {
			w := newWorld(t)
			w.fails = tc.fails
			method, target, _ := strings.Cut(request, " ")
			r := w.ask(method, target, `{"target_id":"Tom"}`)
			if r.code(t) != codeServer || r.status != 500 || strings.Contains(r.body, "SQL") || strings.Contains(r.body, "away") {
				t.Errorf("%v, %s: %v", tc.fails, request, r)
			}
			log := w.log.String()
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level="+tc.level) || !strings.Contains(log, "code=500901") ||
				!strings.Contains(log, "SQL text") || strings.Contains(log, "Jay") || strings.Contains(log, "Tom") {
				t.Errorf("%v, %s: logged %q", tc.fails, request, log)
			}
		}
	}
}

// What the lists refuse although it looked right here is the client's mistake.
func TestRefusalsOfTheListsKeepTheirMeaning(t *testing.T) {
	for c, want := range map[filter.Code]code{
		filter.CodeSelfBlock: codeSame, filter.CodeLimitExceeded: codeTooMany, filter.CodeInvalidCursor: codePage, filter.CodeInvalidUserID: codeInvalid,
	} {
		w := newWorld(t)
		w.fails = fmt.Errorf("edit a list: %w", filter.Errorf(c, "why"))
		if r := w.ask("DELETE", "/v3/users/Jay/block/Tom", ""); r.code(t) != want || r.status != 400 || w.log.Len() > 0 {
			t.Errorf("%s: %v, logged %q", c, r, &w.log)
		}
	}
}

// TestFail: what the listener refuses has the vendor's form and the status of HTTP.
func TestFail(t *testing.T) {
	w := newWorld(t)
	for problem, want := range map[border.Code]struct {
		status int
		code   code
	}{
		border.CodeBadRequest:     {400, codeBody},
		border.CodeRequestTimeout: {408, codeBody},
		border.CodeLengthRequired: {411, codeBody},
		border.CodeTooLarge:       {413, codeTooLong},
		border.CodeHeaderTooLarge: {431, codeTooLong},
		border.CodeInternal:       {500, codeServer},
		border.CodeOverloaded:     {500, codeServer},
	} {
		var ctx fasthttp.RequestCtx
		w.Fail(&ctx, border.Problemf(problem, "why"))
		r := reply{ctx.Response.StatusCode(), &ctx.Response.Header, string(ctx.Response.Body()), ""}
		if r.status != want.status || r.code(t) != want.code || strings.Contains(r.body, "why") != (want.status < 500) {
			t.Errorf("%s: %v, want %+v", problem, r, want)
		}
	}
}

// rates are the rate headers of an answer, joined by blanks. They are looked for as
// the vendor spells them: some clients compare by the letter.
func (r reply) rates() string {
	found := map[string]string{}
	for name, value := range r.header.All() {
		found[string(name)] = string(value)
	}
	return strings.Join([]string{
		found["X-RateLimit-Limit"], found["X-RateLimit-Remaining"], found["X-RateLimit-Reset"], found["X-RateLimit-RetryAfter"],
	}, " ")
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Apps[0].Rate = 2 })
		get := func(token string) reply { return w.as(token, "GET", "/v3/users/Jay/block", "") }
		if r := w.as("t1", "GET", "/v3/users/Jay", ""); r.code(t) != codeResource || r.rates() != "2;w=1 1 1 0" {
			t.Errorf("an error: %v, %s", r, r.rates())
		}
		if r := get("t1-next"); r.status != 200 || r.rates() != "2;w=1 0 1 1" {
			t.Errorf("the last, by the other token: %v, %s", r, r.rates())
		}
		calls := len(w.calls)
		for range 3 {
			if r := get("t1"); r.status != 429 || r.code(t) != codeRate || r.rates() != "2;w=1 0 1 1" || r.call != patternUser ||
				string(r.header.Peek("Retry-After")) != "1" {
				t.Errorf("too many: %v, %s", r, r.rates())
			}
		}
		if len(w.calls) != calls {
			t.Error("a refused request did something")
		}
		if r := get("wrong"); r.code(t) != codeToken || strings.TrimSpace(r.rates()) != "" {
			t.Errorf("a stranger learns the rate: %v, %s", r, r.rates())
		}
		w.users["Jay"] = filter.User{ID: "Jay"}
		if r := get("t2"); r.status != 200 || strings.TrimSpace(r.rates()) != "" {
			t.Errorf("an app without a rate: %v, %s", r, r.rates())
		}
		time.Sleep(time.Second - 1)
		if r := get("t1"); r.status != 429 {
			t.Errorf("before the window is over: %v", r)
		}
		time.Sleep(time.Nanosecond)
		if r := get("t1"); r.status != 200 || r.rates() != "2;w=1 1 1 0" {
			t.Errorf("the next window: %v, %s", r, r.rates())
		}
	})
}
