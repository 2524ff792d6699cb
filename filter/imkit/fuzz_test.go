package imkit

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// FuzzTarget sends any target with every method: the answer is always the vendor's,
// and an id that comes back is the one that was sent.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{
		"/blockStatus/my", "/blockStatus/my/ccc", "/blockStatus/my/a%2Fb?x=1", "/blockStatus/my/%", "/blockStatus/room/r1/%F0%9F%98%80",
		"/blockStatus/room/r/", "http://h/blockStatus/my/x", "/blockStatus/my/..", "/blockStatus/my/a#b", "*", "",
	} {
		f.Add(target)
	}
	calls := []string{"", myList.pattern, myEntry.pattern, roomList.pattern, roomEntry.pattern}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, target string) {
		w.t, w.calls = t, nil
		clear(w.lists)
		r, ids := parseTarget([]byte(target))
		for _, method := range []string{"POST", "GET", "DELETE", "OPTIONS"} {
			a := w.ask(method, target, "IM-API-KEY", "admin1", "IM-Authorization", "of aaa")
			if !slices.Contains(calls, a.call) {
				t.Fatalf("%q is labelled %q", target, a.call)
			}
			if method == "OPTIONS" {
				continue
			}
			var body struct {
				RC     int
				RM     string
				Result struct{ Blockee struct{ ID string } }
			}
			if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.RM == "" || body.RC != a.status && (body.RC != 0 || a.status != 200) {
				t.Fatalf("%s %q: %v", method, target, a)
			}
			if a.status != 200 || r.post == nil {
				continue
			}
			want, err := url.PathUnescape(ids.blockee)
			if err != nil || body.Result.Blockee.ID != want || filter.ValidateUserID(want) != nil {
				t.Fatalf("%s %q: blocks %q", method, target, body.Result.Blockee.ID)
			}
		}
	})
}

// FuzzHeaders sends any credentials: who asks is never anybody but whom they name.
func FuzzHeaders(f *testing.F) {
	f.Add("ck1", "of aaa", "")
	f.Add("ck3", "Bearer of aaa", "admin1")
	f.Add("", "", "admin3")
	f.Add("ck1", "bearer  x", "admin1")
	w := newWorld(f)
	apps := map[string]string{"ck1": "acme", "ck2": "acme", "ck3": "umbra", "admin1": "acme", "admin3": "umbra"}
	f.Fuzz(func(t *testing.T, clientKey, token, apiKey string) {
		w.t, w.calls = t, nil
		a := w.ask("GET", "/blockStatus/room/r1", "IM-CLIENT-KEY", clientKey, "IM-Authorization", token, "IM-API-KEY", apiKey)
		if a.status == 200 {
			whole := w.calls[slices.IndexFunc(w.calls, func(c string) bool { return c != "verify" })]
			named := apps[clientKey] // what fasthttp makes of a header that it must trim is seen by the calls alone
			if named == "" {
				named = apps[apiKey]
			}
			if named != "" && whole != "whole "+named+" room r1" {
				t.Fatalf("%q %q %q: %s", clientKey, token, apiKey, whole)
			}
		}
		if a.status != 200 && a.status != 401 && a.status != 403 {
			t.Fatalf("%q %q %q: %v", clientKey, token, apiKey, a)
		}
	})
}

// FuzzVerified reads any answer of an app's server: a user is an id, or there is
// none.
func FuzzVerified(f *testing.F) {
	f.Add(200, `{"id":"bob","exp":9999999999}`)
	f.Add(200, `{"id":"bob","exp":-1e99}`)
	f.Add(401, ``)
	f.Add(200, `{"id":"\ud800"}`)
	f.Add(302, `{"id":"bob"}`)
	now := time.Now()
	f.Fuzz(func(t *testing.T, status int, answer string) {
		who, expires, err := parseVerified(status, []byte(answer), now)
		switch {
		case err != nil && who.User != "":
			t.Fatalf("%d %q: %+v beside %v", status, answer, who, err)
		case err == nil && (status != 200 || filter.ValidateUserID(who.User) != nil):
			t.Fatalf("%d %q is taken for %+v", status, answer, who)
		case err == nil && !expires.IsZero() && (expires.Before(now) || expires.After(now.Add(keepGood))):
			t.Fatalf("%d %q is kept until %v", status, answer, expires)
		case errors.Is(err, ErrToken) && status >= 500:
			t.Fatalf("%d says nothing about a token", status)
		}
	})
}
