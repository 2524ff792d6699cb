package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestAcceptR4Limit: 3000 in batches of 20; the 3001st is refused with all that
// came with it, and only distinct ids count.
func TestAcceptR4Limit(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, rongApps).ready()
	form := func(from, to int) string {
		text := "userId=bob"
		for i := from; i < to; i++ {
			text += fmt.Sprint("&blackUserId=t", i)
		}
		return text
	}
	for i := 0; i < 3000; i += 20 {
		s.rongOK("kring", rongAdd, form(i, i+20), rongOK)
	}
	full := func(form string, size int) {
		t.Helper()
		want := fmt.Sprintf("The list holds %d users and may hold 3000; nothing was added.", size)
		if m := s.rongRefused(fresh("kring"), rongAdd, form, [2]int{400, 1002}); m != want {
			t.Errorf("%s: %s", form, m)
		}
		if n := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); n != strconv.Itoa(size) {
			t.Errorf("%s entries, want %d", n, size)
		}
	}
	full(form(3000, 3001), 3000)
	full(form(2990, 3001), 3000)
	s.rongOK("kring", rongAdd, form(2980, 3000), rongOK)
	s.rongOK("kring", rongAdd, form(7, 8)+"&blackUserId=t7&blackUserId=bob", rongOK)
	s.rongOK("kring", rongRemove, form(0, 1), rongOK)
	full(form(3000, 3002), 2999)
	s.rongOK("kring", rongAdd, form(5, 6)+"&blackUserId=n&blackUserId=n&blackUserId=bob&blackUserId=n", rongOK)
	full("userId=bob&blackUserId=m", 3000)

	s.rongOK("kplain", rongAdd, "userId=bob&blackUserId=a&blackUserId=b", rongOK) // its limit is 2
	if m := s.rongRefused(fresh("kplain"), rongAdd, "userId=bob&blackUserId=c", [2]int{400, 1002}); !strings.Contains(m, "may hold 2") {
		t.Errorf("%s", m)
	}
}

// TestAcceptR5Pages: newest first, in pages of any size, without gaps and without
// anybody twice while others write.
func TestAcceptR5Pages(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, rongApps).ready()
	psql(t, dsn, `INSERT INTO sidegate.block (app, owner, target, created_at)
		SELECT 'ring', 'bob', 't' || n, timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, 1050) n`)
	var want []string
	for i := 1050; i > 0; i-- {
		want = append(want, fmt.Sprint("t", i))
	}
	page := func(more string) (users []string, next string) {
		t.Helper()
		var doc struct {
			Code  int
			Users []string
			Next  *string
		}
		a := s.rongAs(fresh("kring"), rongQuery, "userId=bob"+more)
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 200 || doc.Code != 200 || doc.Next != nil && *doc.Next == "" {
			t.Fatalf("%s: %.200v, %v", more, a, err)
		}
		if doc.Next != nil {
			next = *doc.Next
		}
		return doc.Users, next
	}
	if users, next := page(""); !slices.Equal(users, want[:1000]) || next == "" {
		t.Errorf("without a token: %d users, next %q", len(users), next)
	}
	for _, size := range []int{100, 333, 1000} {
		var got []string
		users, next := page(fmt.Sprintf("&size=%d", size))
		for n := 0; ; n++ {
			if got = append(got, users...); len(users) > size {
				t.Fatalf("a page of %d has %d users", size, len(users))
			}
			if next == "" {
				break
			}
			s.rongOK("kring", rongAdd, fmt.Sprintf("userId=bob&blackUserId=new%d-%d", size, n), rongOK)
			users, next = page(fmt.Sprintf("&size=%d&pageToken=%s", size, url.QueryEscape(next)))
		}
		got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "new") })
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %d users", size, len(got))
		}
	}
	_, next := page("&size=10")
	s.rongRefused(fresh("kring"), rongQuery, "userId=eve&pageToken="+url.QueryEscape(next), [2]int{400, 1002})
	s.rongRefused(fresh("kring"), "/user/whitelist/query.json", "userId=bob&pageToken="+url.QueryEscape(next), [2]int{400, 1002})
}

// TestAcceptR6Allowlist: in allowlist mode the block list sleeps and is kept, and
// only who is allowed gets through; on another process too.
func TestAcceptR6Allowlist(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	here, there := startSidecar(t, dsn, rongApps).ready(), startSidecar(t, dsn, rongApps).ready()
	const mode, modes, white = "/user/whitesetting/set.json", "/user/whitesetting/query.json", "/user/whitelist/"
	to := func(sender string) question { return question{sender: sender, recipient: "bob", app: "ring"} }
	unlisted := verdict{Action: "reject", Reason: "not_on_allowlist"}
	want := func(verdicts map[string]verdict) {
		t.Helper()
		for sender, v := range verdicts {
			if got := here.decide(to(sender)); got != v {
				t.Errorf("%s: %+v, want %+v", sender, got, v)
			}
			there.enforced(to(sender), v)
		}
	}
	here.rongOK("kring", rongAdd, "userId=bob&blackUserId=eve", rongOK)
	here.rongOK("kring", white+"add.json", "userId=bob&whiteUserId=friend&whiteUserId=bob&whiteUserId=other", rongOK)
	here.rongOK("kring", white+"remove.json", "userId=bob&whiteUserId=other&whiteUserId=nobody", rongOK)
	here.rongOK("kring", white+"query.json", "userId=bob", `{"code":200,"users":["friend"]}`)
	here.rongOK("kring", modes, "userId=bob&userId=00", `{"code":200,"users":[{"userId":"bob","whiteSetting":"0"},{"userId":"00","whiteSetting":"0"}]}`)
	want(map[string]verdict{"eve": rejected, "friend": allowed, "carol": allowed})

	here.rongOK("kring", mode, "userId=bob&userId=zoe&whiteSetting=1", rongOK)
	there.rongOK("kring", modes, "userId=00&userId=bob", `{"code":200,"users":[{"userId":"00","whiteSetting":"0"},{"userId":"bob","whiteSetting":"1"}]}`)
	want(map[string]verdict{"eve": unlisted, "friend": allowed, "carol": unlisted})
	here.rongOK("kring", white+"add.json", "userId=bob&whiteUserId=eve", rongOK)
	want(map[string]verdict{"eve": allowed, "carol": unlisted})
	here.rongOK("kring", rongQuery, "userId=bob", `{"code":200,"users":["eve"]}`)

	here.rongOK("kring", mode, "userId=bob&whiteSetting=0", rongOK)
	want(map[string]verdict{"eve": rejected, "friend": allowed, "carol": allowed})
	for _, path := range []string{mode, modes, white + "add.json", white + "remove.json", white + "query.json"} {
		here.rongRefused(fresh("kplain"), path, "userId=bob&whiteUserId=a&whiteSetting=1", [2]int{430, 1010})
	}
}

// TestAcceptR7Meaning: one way, in private alone; what the app's server sends
// passes unless it asks, one recipient or a list of them.
func TestAcceptR7Meaning(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), rongApps).ready()
	s.rongOK("kring", rongAdd, "userId=bob&blackUserId=eve", rongOK)
	open := verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "room_not_filtered"}
	server := verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "unverified_origin"}
	for _, tc := range []struct {
		q    question
		more string
		want verdict
	}{
		{question{sender: "eve", recipient: "bob"}, "", rejected},
		{question{sender: "bob", recipient: "eve"}, "", allowed},
		{question{sender: "eve", recipient: "bob", room: "group"}, "", open},
		{question{sender: "eve", recipient: "bob", room: "open"}, "", open},
		{question{sender: "eve", recipient: "bob"}, "&origin=server", server},
		{question{sender: "eve", recipient: "bob"}, "&origin=server&verify=0", server},
		{question{sender: "eve", recipient: "bob"}, "&origin=server&verify=1", rejected},
	} {
		tc.q.app = "ring"
		s.decide(tc.q) // so that it is in memory
		if got, ok := s.get("check", tc.q.path()+tc.more).verdict(t); !ok || got != tc.want {
			t.Errorf("%+v%s: %+v, want %+v", tc.q, tc.more, got, tc.want)
		}
	}
	for more, want := range map[string]string{
		`,"origin":"server"`: `{"checked":2,"exceptions":[]}`,
		`,"origin":"server","verify":true`: `{"checked":2,"exceptions":[{"index":1,"recipient":"bob","deliver":false,"notify":false,` +
			`"action":"reject","reason":"recipient_blocked_sender"}]}`,
	} {
		body := `{"app":"ring","sender":"eve","room_type":"direct","recipients":["carol","bob"]` + more + `}`
		if a := ask(t, s.client, "POST", s.urls["check"]+"/v1/can-deliver/fanout", body); a.body != want {
			t.Errorf("fanout %s: %v", more, a)
		}
	}
}

// TestAcceptR7Rate: the vendor's 100 a second by default, of each app; strangers use
// nothing of it up, and it is counted.
func TestAcceptR7Rate(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), rongApps).ready()
	forged := fresh("kslow")
	forged.signature = forged.signature[1:] + "0"
	for range 300 {
		s.rongRefused(forged, rongQuery, "userId=bob", [2]int{401, 1004})
	}
	s.rongOK("kslow", rongQuery, "userId=bob", `{"code":200,"users":[]}`)
	var limited atomic.Int32
	waitFor(t, "an app is held to its rate", func() bool {
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for range 50 {
					a, err := s.rong(fresh("kslow"), "", rongQuery, "userId=bob")
					if a.status == 429 && strings.HasPrefix(a.body, `{"code":1008,"errorMessage":"`) {
						limited.Add(1)
					} else if err != nil || a.status != 200 {
						t.Errorf("%v, %v", a, err)
					}
				}
			})
		}
		clients.Wait()
		return limited.Load() > 0 || t.Failed()
	})
	s.rongOK("kring", rongQuery, "userId=bob", `{"code":200,"users":[]}`)
	if n := s.samples()[`sidegate_rate_limited_total{api="rongcloud"}`]; n != float64(limited.Load()) {
		t.Errorf("%v are counted, %d were refused", n, limited.Load())
	}
	if n := s.samples()[`sidegate_http_requests_total{code="2xx",method="POST",route="rongcloud /user/blacklist/query.json"}`]; n < 2 {
		t.Errorf("%v requests are counted", n)
	}
}
