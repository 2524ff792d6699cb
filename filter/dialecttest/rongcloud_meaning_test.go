package dialecttest

import (
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

func TestR6_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/R6") }

// allowlist reads a user's allowlist through RongCloud.
func allowlist(t *testing.T, w *harness.World, app harness.App, user string) []string {
	t.Helper()
	return rcQuery(t, w, app, "/user/whitelist/query.json", harness.Form(user, "")).Users
}

// setMode switches users between blocklist and allowlist.
func setMode(t *testing.T, w *harness.World, app harness.App, mode string, users ...string) {
	t.Helper()
	form := "whiteSetting=" + mode
	for _, user := range users {
		form += "&userId=" + url.QueryEscape(user)
	}
	w.Want(t, app.RongCloud("/user/whitesetting/set.json", form), 200, rcOK)
}

func TestR6_TheAllowlistIsAListOfItsOwn(t *testing.T) {
	w := harness.Shared(t)
	user, targets := harness.ID("bob"), many(3)
	for _, target := range targets {
		w.Want(t, harness.Ring.RongCloud("/user/whitelist/add.json", harness.Form(user, "whiteUserId", target)), 200, rcOK)
	}
	wantList(t, "newest first", allowlist(t, w, harness.Ring, user), reversed(targets))
	wantList(t, "the blocklist", w.RongCloudList(t, harness.Ring, user), []string{})
	w.Want(t, harness.Ring.RongCloud("/user/whitelist/add.json", harness.Form(user, "whiteUserId", targets[0], targets[0])), 200, rcOK)
	for range 2 {
		w.Want(t, harness.Ring.RongCloud("/user/whitelist/remove.json", harness.Form(user, "whiteUserId", targets[0], targets[2])), 200, rcOK)
		wantList(t, "removed", allowlist(t, w, harness.Ring, user), targets[1:2])
	}
}

func TestR6_TheAllowlistIsPagedAsTheBlocklist(t *testing.T) {
	w := harness.Shared(t)
	user, targets := harness.ID("bob"), many(1040)
	for i := 0; i < len(targets); i += 20 {
		w.Want(t, harness.Ring.RongCloud("/user/whitelist/add.json", harness.Form(user, "whiteUserId", targets[i:i+20]...)), 200, rcOK)
	}
	first := rcQuery(t, w, harness.Ring, "/user/whitelist/query.json", "userId="+user)
	if len(first.Users) != 1000 || first.Next == nil {
		t.Fatalf("%d users, next %v", len(first.Users), first.Next)
	}
	rest := rcQuery(t, w, harness.Ring, "/user/whitelist/query.json", "userId="+user+"&pageToken="+url.QueryEscape(*first.Next))
	if len(rest.Users) != 40 || rest.Next != nil {
		t.Fatalf("%d users, next %v", len(rest.Users), rest.Next)
	}
	seen := map[string]bool{}
	for _, u := range append(first.Users, rest.Users...) {
		seen[u] = true
	}
	if len(seen) != len(targets) {
		t.Errorf("%d of %d are on the pages", len(seen), len(targets))
	}
}

func TestR6_TheModeIsAText(t *testing.T) {
	w := harness.Shared(t)
	users := ids("bob", "carol", "dave")
	form := "userId=" + users[0] + "&userId=" + users[1] + "&userId=" + users[2]
	query := harness.Ring.RongCloud("/user/whitesetting/query.json", form)
	pattern := func(a, b, c string) string {
		return fmt.Sprintf(`{"code":200,"users":[{"userId":%q,"whiteSetting":%q},{"userId":%q,"whiteSetting":%q},{"userId":%q,"whiteSetting":%q}]}`,
			users[0], a, users[1], b, users[2], c)
	}
	w.Want(t, query, 200, pattern("0", "0", "0"))
	setMode(t, w, harness.Ring, "1", users[0], users[2])
	w.Want(t, query, 200, pattern("1", "0", "1"))
	setMode(t, w, harness.Ring, "1", users[0])
	setMode(t, w, harness.Ring, "0", users[2])
	w.Want(t, query, 200, pattern("1", "0", "0"))
}

func TestR6_TheBlocklistSleepsInAllowlistModeAndIsKept(t *testing.T) {
	w := harness.Shared(t)
	app := harness.Ring
	bob, eve, carol, friend := harness.ID("bob"), harness.ID("eve"), harness.ID("carol"), harness.ID("friend")
	asks := func(sender string) harness.Question {
		return harness.Question{App: app, Sender: sender, Recipient: bob}
	}
	notListed := harness.Verdict{Action: "reject", Reason: "not_on_allowlist"}
	// The node of the write knows at once, the sidecar in a moment.
	want := func(what, sender string, v harness.Verdict) {
		t.Helper()
		if got := w.Node.Decide(t, asks(sender)); got != v {
			t.Errorf("%s: %+v, want %+v", what, got, v)
		}
		w.Sidecar.Decides(t, asks(sender), v)
	}
	add := func(list, key string, targets ...string) {
		t.Helper()
		w.Want(t, app.RongCloud("/user/"+list+"/add.json", harness.Form(bob, key, targets...)), 200, rcOK)
	}
	add("blacklist", "blackUserId", eve)
	add("whitelist", "whiteUserId", friend)
	want("blocklist: the blocked", eve, rejected)
	want("blocklist: anybody", carol, harness.Allowed)

	setMode(t, w, app, "1", bob)
	want("allowlist: anybody", carol, notListed)
	want("allowlist: the blocked", eve, notListed)
	want("allowlist: who is on it", friend, harness.Allowed)
	wantList(t, "asleep", w.RongCloudList(t, app, bob), []string{eve})
	add("whitelist", "whiteUserId", eve)
	want("on both lists the allowlist wins", eve, harness.Allowed)
	add("blacklist", "blackUserId", friend)
	want("blocked while the list sleeps", friend, harness.Allowed)
	if got := w.Node.Decide(t, harness.Question{App: app, Sender: bob, Recipient: carol}); got != harness.Allowed {
		t.Errorf("the allowlist is the recipient's alone: %+v", got)
	}
	if got := w.Node.Decide(t, harness.Question{App: app, Sender: carol, Recipient: bob, Room: "group"}); !got.Deliver || !got.Notify {
		t.Errorf("a group knows no allowlist: %+v", got)
	}
	w.WithoutPostgres(t, func() {
		for sender, v := range map[string]harness.Verdict{carol: notListed, eve: harness.Allowed, friend: harness.Allowed} {
			if got := w.Sidecar.Decide(t, asks(sender)); got != v {
				t.Errorf("from memory, %s: %+v, want %+v", sender, got, v)
			}
		}
	})

	setMode(t, w, app, "0", bob)
	want("back: the blocked", eve, rejected)
	want("back: who was blocked meanwhile", friend, rejected)
	want("back: anybody", carol, harness.Allowed)
	wantList(t, "the allowlist is kept too", allowlist(t, w, app, bob), []string{eve, friend})
}

func TestR6_AnAppWithoutAllowlistsSaysSo(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	for path, form := range map[string]string{
		"/user/whitelist/add.json":    harness.Form(user, "whiteUserId", "x"),
		"/user/whitesetting/set.json": "whiteSetting=1&userId=" + user,
	} {
		a := w.Send(t, harness.Plain.RongCloud(path, form))
		if a.Status == 200 || harness.Match(rcError(1010), a.Body) != nil {
			t.Errorf("%s: %v, want 1010: allowlist not enabled", path, a)
		}
	}
	if got := w.Node.Decide(t, harness.Question{App: harness.Plain, Sender: "x", Recipient: user}); got != harness.Allowed {
		t.Errorf("after the refusals: %+v", got)
	}
}

func TestR7_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/R7") }

func TestR7_ABlockWorksOneWayAndInPrivateOnly(t *testing.T) {
	w := harness.Shared(t)
	bob, eve := harness.ID("bob"), harness.ID("eve")
	w.Want(t, harness.Ring.RongCloud("/user/blocklist/add.json", harness.Black(bob, eve)), 200, rcOK)
	for _, c := range []struct {
		name string
		q    harness.Question
		want harness.Verdict
	}{
		{"the blocked", harness.Question{Sender: eve, Recipient: bob}, rejected},
		{"the other way", harness.Question{Sender: bob, Recipient: eve}, harness.Allowed},
		{"in a group", harness.Question{Sender: eve, Recipient: bob, Room: "group"}, harness.Verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "room_not_filtered"}},
		{"in the open", harness.Question{Sender: eve, Recipient: bob, Room: "open"}, harness.Verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "room_not_filtered"}},
	} {
		c.q.App = harness.Ring
		if got := w.Node.Decide(t, c.q); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		w.Sidecar.Decides(t, c.q, c.want)
	}
}

func TestR7_AServersMessagePassesUnlessItAsksForVerification(t *testing.T) {
	w := harness.Shared(t)
	bob, eve := harness.ID("bob"), harness.ID("eve")
	w.Want(t, harness.Ring.RongCloud("/user/blocklist/add.json", harness.Black(bob, eve)), 200, rcOK)
	for _, c := range []struct {
		more string
		want harness.Verdict
	}{
		{"", rejected},
		{"origin=server", harness.Verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "unverified_origin"}},
		{"origin=server&verify=1", rejected},
	} {
		if got := w.Node.Decide(t, harness.Question{App: harness.Ring, Sender: eve, Recipient: bob, More: c.more}); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.more, got, c.want)
		}
	}
	// How an app's server asks about its toUserId before it publishes.
	body := fmt.Sprintf(`{"app":"ring","sender":%q,"room_type":"direct","origin":"server","verify":true,"recipients":["x",%q]}`, eve, bob)
	a := w.Node.Ask(t, "/v1/can-deliver/fanout", body)
	a.Want(t, 200, fmt.Sprintf(`{"checked":2,"exceptions":[{"index":1,"recipient":%q,"deliver":false,"notify":false,"action":"reject","reason":"recipient_blocked_sender"}]}`, bob))
}

// flood sends a call from many clients until it is refused for its rate, and
// returns that answer.
func flood(t *testing.T, w *harness.World, status int, call func() harness.Call) harness.Answer {
	t.Helper()
	var mu sync.Mutex
	var refused *harness.Answer
	var failed error
	done := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return refused != nil || failed != nil
	}
	harness.WaitFor(t, "a refusal for the rate", func() bool {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for range 20 {
					a, err := w.Try(call())
					mu.Lock()
					if err != nil {
						failed = err
					} else if a.Status == status {
						refused = &a
					} else if a.Status != 200 {
						failed = fmt.Errorf("the answer is %v", a)
					}
					mu.Unlock()
					if done() {
						return
					}
				}
			})
		}
		all.Wait()
		return done()
	})
	if failed != nil {
		t.Fatal(failed)
	}
	return *refused
}

func TestR7_MoreThanTheRateIs1008(t *testing.T) {
	w := harness.Shared(t)
	for name, app := range map[string]harness.App{"configured": harness.Slow, "the vendor's 100": harness.Default} {
		user := harness.ID("bob")
		a := flood(t, w, 429, func() harness.Call {
			return app.RongCloud("/user/blacklist/query.json", "userId="+user)
		})
		if err := harness.Match(rcError(1008), a.Body); err != nil {
			t.Errorf("%s: %v: %v", name, err, a)
		}
	}
}

// An app's rate is its own.
func TestR7_AnotherAppIsNotHeldUp(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	flood(t, w, 429, func() harness.Call { return harness.Slow.RongCloud("/user/blacklist/query.json", "userId="+user) })
	for range 50 {
		w.Want(t, harness.Plain.RongCloud("/user/blacklist/query.json", "userId="+user), 200, `{"code":200,"users":[]}`)
	}
}
