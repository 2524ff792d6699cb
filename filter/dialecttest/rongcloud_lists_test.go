package dialecttest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

func TestR3_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/R3") }

// many returns distinct ids.
func many(n int) []string {
	list := make([]string, n)
	prefix := harness.ID("u")
	for i := range list {
		list[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return list
}

func TestR3_RefusesTooManyIDsAndMissingParametersWith1002(t *testing.T) {
	w := harness.Shared(t)
	user, eve := harness.ID("bob"), harness.ID("eve")
	w.Block(t, harness.Ring, user, eve)
	bob := "userId=" + url.QueryEscape(user)
	for _, c := range []struct{ name, path, form string }{
		{"21 ids", "/user/blocklist/add.json", harness.Black(user, many(21)...)},
		{"21 ids, one of them there", "/user/blacklist/add.json", harness.Black(user, append(many(20), eve)...)},
		{"21 ids to remove", "/user/blacklist/remove.json", harness.Black(user, append(many(20), eve)...)},
		{"no userId", "/user/blocklist/add.json", "blackUserId=x"},
		{"an empty userId", "/user/blocklist/add.json", "userId=&blackUserId=x"},
		{"no blackUserId", "/user/blocklist/add.json", bob},
		{"an empty blackUserId", "/user/blacklist/add.json", bob + "&blackUserId="},
		{"one empty blackUserId of two", "/user/blocklist/add.json", bob + "&blackUserId=x&blackUserId="},
		{"an empty body", "/user/blocklist/add.json", ""},
		{"an empty body of the other spelling", "/user/blacklist/add.json", ""},
		{"an empty body to remove", "/user/blacklist/remove.json", ""},
		{"no userId to remove from", "/user/blocklist/remove.json", harness.Form("", "blackUserId", eve)},
		{"nobody to remove", "/user/blocklist/remove.json", bob},
		{"no userId to query", "/user/blocklist/query.json", "size=10"},
		{"an empty userId to query", "/user/blacklist/query.json", "userId="},
		{"an empty body to query", "/user/blacklist/query.json", ""},
		{"a size that is no number", "/user/blacklist/query.json", bob + "&size=ten"},
		{"a size below 1", "/user/blacklist/query.json", bob + "&size=0"},
		{"a negative size", "/user/blacklist/query.json", bob + "&size=-1"},
		{"a pageToken that is not ours", "/user/blacklist/query.json", bob + "&pageToken=xyz&size=10"},
		{"21 ids to allow", "/user/whitelist/add.json", harness.Form(user, "whiteUserId", many(21)...)},
		{"nobody to allow", "/user/whitelist/add.json", bob},
		{"nobody to allow no more", "/user/whitelist/remove.json", bob},
		{"blackUserId on an allowlist", "/user/whitelist/add.json", harness.Black(user, "x")},
		{"an allowlist of nobody", "/user/whitelist/query.json", ""},
		{"a mode of nobody", "/user/whitesetting/set.json", "whiteSetting=1"},
		{"no mode", "/user/whitesetting/set.json", bob},
		{"a mode that there is not", "/user/whitesetting/set.json", bob + "&whiteSetting=2"},
		{"a mode of 21", "/user/whitesetting/set.json", manyUsers(21) + "&whiteSetting=1"},
		{"the modes of 21", "/user/whitesetting/query.json", manyUsers(21)},
		{"the mode of nobody", "/user/whitesetting/query.json", ""},
		{"a control character", "/user/blacklist/add.json", harness.Black(user, "a\x01b")},
		{"no UTF-8", "/user/blacklist/add.json", bob + "&blackUserId=%FF%FE"},
		{"a broken escape", "/user/blacklist/add.json", bob + "&blackUserId=%zz"},
	} {
		a := w.Send(t, harness.Ring.RongCloud(c.path, c.form))
		if a.Status != 400 {
			t.Errorf("%s: %v, want 400", c.name, a)
			continue
		}
		pattern := fmt.Sprintf(`{"code":1002,"errorMessage":"<text>","url":%q}`, c.path)
		if err := harness.Match(pattern, a.Body); err != nil {
			t.Errorf("%s: %v: %v", c.name, err, a)
		}
		if strings.Contains(a.Body, eve) {
			t.Errorf("%s: the answer names a user of the list: %v", c.name, a)
		}
	}
	wantList(t, "after refusals", w.Targets(t, harness.Ring, user), []string{eve})
	wantList(t, "allowed after refusals", allowlist(t, w, harness.Ring, user), []string{})
}

func manyUsers(n int) string {
	var parts []string
	for _, u := range many(n) {
		parts = append(parts, "userId="+u)
	}
	return strings.Join(parts, "&")
}

func TestR3_TwentyIDsAreNotTooMany(t *testing.T) {
	w := harness.Shared(t)
	user, targets := harness.ID("bob"), many(20)
	w.Want(t, harness.Plain.RongCloud("/user/blocklist/add.json", harness.Black(user, targets...)), 200, rcOK)
	if n := len(w.Targets(t, harness.Plain, user)); n != 20 {
		t.Errorf("%d are stored", n)
	}
}

func TestR3_ATooLongIDIsAValueTooLong(t *testing.T) {
	w := harness.Shared(t)
	user, long := harness.ID("bob"), strings.Repeat("x", 257)
	for name, form := range map[string]string{"target": harness.Black(user, "y", long), "owner": harness.Black(long, "y")} {
		a := w.Send(t, harness.Plain.RongCloud("/user/blocklist/add.json", form))
		if a.Status != 400 || harness.Match(rcError(1005), a.Body) != nil {
			t.Errorf("a %s of 257 bytes: %v, want 400 and 1005", name, a)
		}
	}
	wantList(t, "refused", w.Targets(t, harness.Plain, user), []string{})
	w.Want(t, harness.Plain.RongCloud("/user/blocklist/add.json", harness.Black(user, long[:256])), 200, rcOK)
}

// The vendor's newer table has code 400 for an unknown user, and no word on which
// of its calls answer it.
func TestR3_AnUnknownUserIsRefusedIfTheAppKnowsItsUsers(t *testing.T) {
	w := harness.Shared(t)
	bob, eve, nobody := harness.ID("bob"), harness.ID("eve"), harness.ID("nobody")
	w.Register(t, harness.Strict, harness.Profile{}, bob, eve)
	a := w.Send(t, harness.Strict.RongCloud("/user/blacklist/add.json", harness.Black(bob, eve, nobody)))
	if a.Status != 400 || harness.Match(rcError(400), a.Body) != nil && harness.Match(rcError(1002), a.Body) != nil {
		t.Errorf("an unknown user: %v, want 400", a)
	}
	wantList(t, "refused", w.Targets(t, harness.Strict, bob), []string{})
	w.Want(t, harness.Strict.RongCloud("/user/blacklist/add.json", harness.Black(bob, eve)), 200, rcOK)
}

func TestR4_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/R4") }

// fill makes a list of n targets through RongCloud, 20 at a time as its clients
// must, and returns them in the order in which they were added.
func fill(t *testing.T, w *harness.World, app harness.App, user string, n int) []string {
	t.Helper()
	list := many(n)
	for batch := range slices.Chunk(list, 20) {
		w.Want(t, app.RongCloud("/user/blocklist/add.json", harness.Black(user, batch...)), 200, rcOK)
	}
	return list
}

func TestR4_The3001stIsRefusedWholeAndOnlyDistinctIDsCount(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	list := fill(t, w, harness.Plain, user, 3000)
	add := func(targets ...string) harness.Answer {
		return w.Send(t, harness.Plain.RongCloud("/user/blocklist/add.json", harness.Black(user, targets...)))
	}
	remove := func(targets ...string) {
		w.Want(t, harness.Plain.RongCloud("/user/blocklist/remove.json", harness.Black(user, targets...)), 200, rcOK)
	}
	full := func(name string, a harness.Answer, size int) {
		t.Helper()
		if a.Status != 400 || harness.Match(rcError(1002), a.Body) != nil {
			t.Fatalf("%s: %v, want 400 and 1002", name, a)
		}
		if got := len(w.Targets(t, harness.Plain, user)); got != size {
			t.Fatalf("%s: the list has %d entries, want %d", name, got, size)
		}
	}
	full("the 3001st", add(harness.ID("new")), 3000)
	full("the 3001st among 19 that are there", add(append(slices.Clone(list[:19]), harness.ID("new"))...), 3000)
	add(list[:20]...).Want(t, 200, rcOK)
	add(list[7], list[7], list[9]).Want(t, 200, rcOK)

	remove(list[0])
	a, b := harness.ID("a"), harness.ID("b")
	full("two for one place", add(a, b), 2999)
	if got := w.Targets(t, harness.Plain, user); slices.Contains(got, a) || slices.Contains(got, b) {
		t.Fatal("a part of the refused request was stored")
	}
	add(a, a, list[1], a, list[2]).Want(t, 200, rcOK)
	full("once more", add(b), 3000)
}

func TestR4_OneOfManyGetsTheLastPlace(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	fill(t, w, harness.Plain, user, 2999)
	racers := many(30)
	answers := make([]harness.Answer, len(racers))
	var all sync.WaitGroup
	for i, racer := range racers {
		all.Go(func() {
			answers[i], _ = w.Try(harness.Plain.RongCloud("/user/blocklist/add.json", harness.Black(user, racer)))
		})
	}
	all.Wait()
	var won []string
	for i, a := range answers {
		if a.Status == 200 {
			won = append(won, racers[i])
		} else if a.Status != 400 || harness.Match(rcError(1002), a.Body) != nil {
			t.Errorf("a racer: %v", a)
		}
	}
	got := w.Targets(t, harness.Plain, user)
	if len(won) != 1 || len(got) != 3000 || got[0] != won[0] {
		t.Errorf("%d won, the list has %d entries and begins with %s", len(won), len(got), got[0])
	}
}

func TestR5_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/R5") }

func TestR5_TheNewestComeFirst(t *testing.T) {
	w := harness.Shared(t)
	user, targets := harness.ID("bob"), many(5)
	for _, target := range targets {
		w.Want(t, harness.Plain.RongCloud("/user/blacklist/add.json", harness.Black(user, target)), 200, rcOK)
	}
	wantList(t, "query", w.RongCloudList(t, harness.Plain, user), reversed(targets))
	w.Want(t, harness.Plain.RongCloud("/user/blacklist/remove.json", harness.Black(user, targets[1])), 200, rcOK)
	w.Want(t, harness.Plain.RongCloud("/user/blacklist/add.json", harness.Black(user, targets[1])), 200, rcOK)
	wantList(t, "added again", w.RongCloudList(t, harness.Plain, user), []string{targets[1], targets[4], targets[3], targets[2], targets[0]})
}

// rcPage is an answer to a query.
type rcPage struct {
	Code  int
	Users []string
	Next  *string
}

func rcQuery(t *testing.T, w *harness.World, app harness.App, path, form string) (page rcPage) {
	t.Helper()
	a := w.Send(t, app.RongCloud(path, form))
	if a.Decode(t, &page); a.Status != 200 || page.Code != 200 || page.Users == nil {
		t.Fatalf("query %s: %v", form, a)
	}
	if page.Next != nil && *page.Next == "" {
		t.Fatalf("query %s: next is there and empty", form)
	}
	return page
}

func TestR5_WithoutATokenTheFirst1000ComeAndTokensLeadOn(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	fill(t, w, harness.Plain, user, 1700)
	want := w.Targets(t, harness.Plain, user)
	bob := "userId=" + url.QueryEscape(user)
	first := rcQuery(t, w, harness.Plain, "/user/blacklist/query.json", bob)
	if len(first.Users) != 1000 || first.Next == nil {
		t.Fatalf("%d users, next %v", len(first.Users), first.Next)
	}
	for _, size := range []int{1, 300, 700, 1000} {
		got, next := slices.Clone(first.Users), first.Next
		for next != nil && len(got) < 1705 {
			page := rcQuery(t, w, harness.Plain, "/user/blocklist/query.json", fmt.Sprintf("%s&pageToken=%s&size=%d", bob, url.QueryEscape(*next), size))
			if len(page.Users) > size || len(page.Users) == 0 {
				t.Fatalf("a page of %d, size is %d", len(page.Users), size)
			}
			got, next = append(got, page.Users...), page.Next
			if size == 1 && len(got) == 1010 { // 700 requests would show no more
				want := want[:1010]
				wantList(t, "by one", got, want)
				break
			}
		}
		if size != 1 {
			wantList(t, fmt.Sprint("by ", size), got, want)
		}
	}
	// Exactly one page is left: there is no next that would lead to an empty one.
	if page := rcQuery(t, w, harness.Plain, "/user/blacklist/query.json", bob+"&size=700&pageToken="+url.QueryEscape(*first.Next)); page.Next != nil || len(page.Users) != 700 {
		t.Errorf("the last page has %d users and next %v", len(page.Users), page.Next)
	}
	a := w.Send(t, harness.Plain.RongCloud("/user/blacklist/query.json", bob+"&size=1001&pageToken="+url.QueryEscape(*first.Next)))
	if refused := a.Status == 400 && harness.Match(rcError(1002), a.Body) == nil; !refused {
		var page rcPage
		if a.Decode(t, &page); a.Status != 200 || len(page.Users) > 1000 {
			t.Errorf("a size of 1001: %d, %d users", a.Status, len(page.Users))
		}
	}
}

func TestR5_AWholeListHasNoNext(t *testing.T) {
	w := harness.Shared(t)
	user := harness.ID("bob")
	fill(t, w, harness.Plain, user, 1000)
	if page := rcQuery(t, w, harness.Plain, "/user/blacklist/query.json", "userId="+user); len(page.Users) != 1000 || page.Next != nil {
		t.Errorf("%d users, next %v", len(page.Users), page.Next)
	}
}
