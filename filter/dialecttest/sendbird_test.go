package dialecttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

// sbUser is Sendbird's user of whom the directory knows nothing.
func sbUser(id string) string {
	return fmt.Sprintf(`{"user_id":%q,"nickname":"","profile_url":"","is_online":false,"last_seen_at":0,"metadata":{}}`, id)
}

func sbUsers(next string, list ...string) string {
	users := make([]string, len(list))
	for i, id := range list {
		users[i] = sbUser(id)
	}
	return fmt.Sprintf(`{"users":[%s],"next":%q}`, strings.Join(users, ","), next)
}

// sbError is Sendbird's envelope.
func sbError(code int) string {
	return fmt.Sprintf(`{"error":true,"code":%d,"message":"<text>"}`, code)
}

// wantSB wants an error with one of some codes: where the pages leave a choice,
// each of them is right.
func wantSB(t *testing.T, what string, a harness.Answer, codes ...int) {
	t.Helper()
	for _, code := range codes {
		if a.Status == 400 && harness.Match(sbError(code), a.Body) == nil {
			return
		}
	}
	t.Errorf("%s: %v, want 400 with one of %v", what, a, codes)
}

func quoted(list ...string) string {
	text, _ := json.Marshal(list) // of strings
	return string(text)
}

func TestS1_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/S1") }

func TestS1_OneTargetIsAnsweredByTheUserAndSeveralByAList(t *testing.T) {
	w := harness.Shared(t)
	post := func(user, body string) harness.Call {
		return harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(user), body)
	}
	jay, tom, ann, joe := harness.ID("Jay"), harness.ID("Tom"), harness.ID("Ann"), harness.ID("Joe")
	for range 2 { // a second block is answered as the first
		w.Want(t, post(jay, fmt.Sprintf(`{"target_id":%q}`, tom)), 200, sbUser(tom))
		wantList(t, "target_id", w.Targets(t, harness.Plain, jay), []string{tom})
	}
	w.Want(t, post(jay, fmt.Sprintf(`{"target_id":%q,"user_id":%q}`, ann, joe)), 200, sbUser(ann))
	wantList(t, "user_id beside a target", w.Targets(t, harness.Plain, jay), []string{ann, tom})
	for name, body := range map[string]string{
		"user_ids":         fmt.Sprintf(`{"user_ids":[%q,%q]}`, ann, joe),
		"users":            fmt.Sprintf(`{"users":[{"user_id":%q},{"user_id":%q}]}`, ann, joe),
		"user_id as well":  fmt.Sprintf(`{"user_id":"x","user_ids":[%q,%q]}`, ann, joe),
		"fields of others": fmt.Sprintf(`{"comment":"x","user_ids":[%q,%q],"n":{"a":[1]}}`, ann, joe),
	} {
		user := harness.ID("Kim")
		w.Want(t, post(user, body), 200, sbUsers("", ann, joe))
		if got := w.Targets(t, harness.Plain, user); len(got) != 2 {
			t.Errorf("%s: the list is %q", name, got)
		}
	}
	one := harness.ID("Kim")
	w.Want(t, post(one, fmt.Sprintf(`{"user_ids":[%q]}`, tom)), 200, sbUsers("", tom))
}

func TestS1_AnyContentTypeIsReadAsJSON(t *testing.T) {
	w := harness.Shared(t)
	for _, kind := range []string{"", "application/json", "application/json; charset=utf8", "text/plain", "application/x-www-form-urlencoded"} {
		jay, tom := harness.ID("Jay"), harness.ID("Tom")
		call := harness.Plain.SendbirdBlock(jay, tom)
		if kind != "" {
			call = call.With("Content-Type", kind)
		}
		if a := w.Send(t, call); a.Status != 200 {
			t.Errorf("%q: %v", kind, a)
		}
		wantList(t, kind, w.Targets(t, harness.Plain, jay), []string{tom})
	}
}

func TestS1_TheDirectoryFillsTheUser(t *testing.T) {
	w := harness.Shared(t)
	jay, tom := harness.ID("Jay"), harness.ID("Tom")
	seen := time.UnixMilli(2001604082551).UTC()
	w.Register(t, harness.Plain, harness.Profile{
		Nickname: "Mission \"Impossible\"", ProfileURL: "https://example.com/tom.png", IsOnline: true, LastSeenAt: &seen,
		Metadata: map[string]string{"font_preference": "times new roman", "font_color": "black"},
	}, tom)
	full := fmt.Sprintf(`{"user_id":%q,"nickname":"Mission \"Impossible\"","profile_url":"https://example.com/tom.png","is_online":true,
		"last_seen_at":2001604082551,"metadata":{"font_preference":"times new roman","font_color":"black"}}`, tom)
	w.Want(t, harness.Plain.SendbirdBlock(jay, tom), 200, full)
	w.Want(t, harness.Plain.Sendbird(http.MethodGet, harness.SendbirdPath(jay), ""), 200, `{"users":[`+full+`],"next":""}`)
	other := harness.ID("Jay")
	w.Want(t, harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(other), `{"user_ids":`+quoted(tom)+`}`), 200, `{"users":[`+full+`],"next":""}`)
}

func TestS1_ABlockOfManyIsAllOrNothing(t *testing.T) {
	w := harness.Shared(t)
	jay := harness.ID("Jay")
	a := w.Send(t, harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(jay), `{"user_ids":`+quoted(many(101)...)+`}`))
	wantSB(t, "101 ids", a, 400203)
	a = w.Send(t, harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(jay), `{"user_ids":`+quoted("a", jay)+`}`))
	wantSB(t, "oneself among others", a, 400112)
	wantList(t, "refused", w.Targets(t, harness.Plain, jay), []string{})
	a = w.Send(t, harness.Plain.Sendbird(http.MethodPost, harness.SendbirdPath(jay), `{"user_ids":`+quoted(many(100)...)+`}`))
	if got := w.Targets(t, harness.Plain, jay); a.Status != 200 || len(got) != 100 {
		t.Errorf("100 ids: %d, %d stored", a.Status, len(got))
	}
}

func TestS2_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/S2") }

func sbList(app harness.App, user, query string) harness.Call {
	return app.Sendbird(http.MethodGet, harness.SendbirdPath(user)+query, "")
}

func sbPage(t *testing.T, w *harness.World, app harness.App, user, query string) (got []string, next string) {
	t.Helper()
	a := w.Send(t, sbList(app, user, query))
	var page harness.SendbirdPage
	if a.Decode(t, &page); a.Status != 200 || page.Users == nil || page.Next == nil {
		t.Fatalf("%s: %v", query, a)
	}
	got = []string{}
	for _, u := range page.Users {
		got = append(got, u.UserID)
	}
	return got, *page.Next
}

func TestS2_ListsBothDirections(t *testing.T) {
	w := harness.Shared(t)
	jay, tom, ann := harness.ID("Jay"), harness.ID("Tom"), harness.ID("Ann")
	w.Block(t, harness.Plain, jay, tom)
	w.Block(t, harness.Plain, jay, ann)
	w.Block(t, harness.Plain, ann, tom)
	for query, want := range map[string][]string{"": {ann, tom}, "?list=blocked_by_me": {ann, tom}, "?list=blocking_me": {}} {
		got, next := sbPage(t, w, harness.Plain, jay, query)
		wantList(t, "of Jay "+query, got, want)
		if next != "" {
			t.Errorf("%s: next is %q", query, next)
		}
	}
	got, _ := sbPage(t, w, harness.Plain, tom, "?list=blocking_me")
	wantList(t, "who blocks Tom", reversed(sortedPair(got)), reversed(sortedPair([]string{jay, ann})))
	got, _ = sbPage(t, w, harness.Other, tom, "?list=blocking_me")
	wantList(t, "in another app", got, []string{})
	wantSB(t, "a list that there is not", w.Send(t, sbList(harness.Plain, jay, "?list=friends")), 400111)
}

func sortedPair(list []string) []string {
	if len(list) == 2 && list[0] > list[1] {
		return []string{list[1], list[0]}
	}
	return list
}

func TestS2_PagesOfAWholeListAreInOrderAndEnd(t *testing.T) {
	w := harness.Shared(t)
	jay, targets := harness.ID("Jay"), many(25)
	for _, target := range targets {
		w.Block(t, harness.Plain, jay, target)
	}
	want := reversed(targets)
	got, next := sbPage(t, w, harness.Plain, jay, "")
	wantList(t, "the default is ten", got, want[:10])
	if next == "" {
		t.Fatal("there is no next")
	}
	for _, limit := range []int{1, 5, 24, 25, 100} {
		var all []string
		for token := ""; ; {
			page, next := sbPage(t, w, harness.Plain, jay, fmt.Sprintf("?limit=%d&token=%s", limit, url.QueryEscape(token)))
			if len(page) > limit || len(page) == 0 || len(all) > len(want) {
				t.Fatalf("limit %d: a page of %d", limit, len(page))
			}
			all = append(all, page...)
			if token = next; token == "" {
				break
			}
		}
		wantList(t, fmt.Sprint("limit ", limit), all, want)
	}
	by, _ := sbPage(t, w, harness.Plain, targets[0], "?list=blocking_me&limit=1")
	wantList(t, "the other direction", by, []string{jay})
}

func TestS2_PagesOfTheOtherDirectionAreComplete(t *testing.T) {
	w := harness.Shared(t)
	tom, owners := harness.ID("Tom"), many(7)
	for _, owner := range owners {
		w.Block(t, harness.Plain, owner, tom)
	}
	seen := map[string]bool{}
	for token := ""; ; {
		page, next := sbPage(t, w, harness.Plain, tom, "?list=blocking_me&limit=3&token="+url.QueryEscape(token))
		for _, u := range page {
			if seen[u] {
				t.Errorf("%s came twice", u)
			}
			seen[u] = true
		}
		if token = next; token == "" || len(page) == 0 {
			break
		}
	}
	if len(seen) != len(owners) {
		t.Errorf("%d of %d came", len(seen), len(owners))
	}
}

func TestS2_RefusesAWrongLimitOrToken(t *testing.T) {
	w := harness.Shared(t)
	jay, tom := harness.ID("Jay"), harness.ID("Tom")
	w.Block(t, harness.Plain, jay, tom)
	for query, codes := range map[string][]int{
		"?limit=0":                     {400111, 400113},
		"?limit=101":                   {400111, 400113},
		"?limit=-1":                    {400106, 400111, 400113},
		"?limit=99999999999999999999":  {400111, 400113},
		"?limit=ten":                   {400101, 400111},
		"?limit=1.5":                   {400101, 400111},
		"?token=nobody-made-this":      {400109, 400111},
		"?list=blocking_me&token=%FF!": {400109, 400111},
	} {
		wantSB(t, query, w.Send(t, sbList(harness.Plain, jay, query)), codes...)
	}
	for _, query := range []string{"?limit=1", "?limit=100", "?token=", "?unknown=1&limit=10"} {
		got, _ := sbPage(t, w, harness.Plain, jay, query)
		wantList(t, query, got, []string{tom})
	}
}

func TestS2_FiltersByUserIDs(t *testing.T) {
	w := harness.Shared(t)
	jay := harness.ID("Jay")
	n := harness.ID("")
	tom, ann, joe, odd := "Tom"+n, "Ann"+n, "Joe"+n, "a b/ü"+n
	for _, target := range []string{tom, ann, joe, odd} {
		w.Block(t, harness.Plain, jay, target)
	}
	esc := url.QueryEscape
	for query, want := range map[string][]string{
		"?user_ids=" + tom:                                      {tom},
		"?user_ids=" + tom + "," + joe:                          {joe, tom},
		"?user_ids=" + tom + "%2C" + joe:                        {joe, tom},
		"?user_ids=" + tom + ",nobody":                          {tom},
		"?user_ids=nobody":                                      {},
		"?user_ids=" + strings.ReplaceAll(esc(odd), "+", "%20"): {odd},
		"?limit=1&user_ids=" + ann:                              {ann},
	} {
		got, next := sbPage(t, w, harness.Plain, jay, query)
		wantList(t, query, got, want)
		if next != "" {
			t.Errorf("%s: next is %q", query, next)
		}
	}
}

func TestS2_FiltersByMetadata(t *testing.T) {
	w := harness.Shared(t)
	jay, tom, ann, joe := harness.ID("Jay"), harness.ID("Tom"), harness.ID("Ann"), harness.ID("Joe")
	w.Register(t, harness.Plain, harness.Profile{Metadata: map[string]string{"colour": "red"}}, tom)
	w.Register(t, harness.Plain, harness.Profile{Metadata: map[string]string{"colour": "blue"}}, ann)
	for _, target := range []string{tom, ann, joe} {
		w.Block(t, harness.Plain, jay, target)
	}
	for query, want := range map[string][]string{
		"?metadatakey=colour&metadatavalues_in=red":      {tom},
		"?metadatakey=colour&metadatavalues_in=red,blue": {ann, tom},
		"?metadatakey=colour&metadatavalues_in=green":    {},
		"?metadatakey=shape&metadatavalues_in=red":       {},
	} {
		got, _ := sbPage(t, w, harness.Plain, jay, query)
		wantList(t, query, got, want)
	}
}

func TestS3_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/S3") }

func TestS3_UnblockAnswersAnEmptyObjectAlsoTwice(t *testing.T) {
	w := harness.Shared(t)
	jay, tom := harness.ID("Jay"), harness.ID("Tom")
	w.Block(t, harness.Plain, jay, tom)
	for range 2 {
		w.Want(t, harness.Plain.SendbirdUnblock(jay, tom), 200, `{}`)
		wantList(t, "unblocked", w.Targets(t, harness.Plain, jay), []string{})
	}
}

func TestS3_PathsAreSplitBeforeTheyAreDecoded(t *testing.T) {
	w := harness.Shared(t)
	n := harness.ID("")
	owner, target := "a/block/b"+n, "c/d%2Fe?"+n
	w.Want(t, harness.Plain.SendbirdBlock(owner, target), 200, sbUser(target))
	wantList(t, "native", w.Targets(t, harness.Plain, owner), []string{target})
	w.Want(t, harness.Plain.SendbirdUnblock(owner, target), 200, `{}`)
	wantList(t, "native", w.Targets(t, harness.Plain, owner), []string{})
}

func TestS3_TheTokenHeaderIsNamedInAnyCase(t *testing.T) {
	w := harness.Shared(t)
	for _, name := range []string{"Api-Token", "api-token", "API-TOKEN", "aPI-tOKEN"} {
		jay, tom := harness.ID("Jay"), harness.ID("Tom")
		w.Want(t, harness.Plain.SendbirdBlock(jay, tom).Without("Api-Token").With(name, harness.Plain.APIToken()), 200, sbUser(tom))
	}
}

func TestS3_AWrongTokenChangesNothing(t *testing.T) {
	w := harness.Shared(t)
	jay, tom, ann := harness.ID("Jay"), harness.ID("Tom"), harness.ID("Ann")
	w.Block(t, harness.Plain, jay, tom)
	calls := map[string]harness.Call{
		"block": harness.Plain.SendbirdBlock(jay, ann), "unblock": harness.Plain.SendbirdUnblock(jay, tom),
		"list": sbList(harness.Plain, jay, ""), "who blocks": sbList(harness.Plain, tom, "?list=blocking_me"),
	}
	for name, c := range calls {
		for _, token := range []string{"wrong", "T-ACME", harness.Plain.AppSecret(), harness.NativeToken, harness.Plain.APIToken() + "x"} {
			a := w.Send(t, c.Without("Api-Token").With("Api-Token", token))
			wantSB(t, name+" with "+token, a, 400401)
			if strings.Contains(a.Body, tom) {
				t.Errorf("%s reveals a list: %v", name, a)
			}
		}
		wantSB(t, name+" without a token", w.Send(t, c.Without("Api-Token")), 400401, 400402)
		wantSB(t, name+" with an empty token", w.Send(t, c.Without("Api-Token").With("Api-Token", "")), 400401, 400402)
	}
	wantList(t, "after wrong tokens", w.Targets(t, harness.Plain, jay), []string{tom})
}
