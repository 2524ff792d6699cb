package dialecttest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/filter/dialecttest/harness"
)

// A door is one way to the shared list.
type door struct {
	name          string
	block, remove func(app harness.App, owner, target string) harness.Call
	list          func(t *testing.T, w *harness.World, app harness.App, owner string) []string
}

var doors = []door{
	{
		"RongCloud",
		func(app harness.App, owner, target string) harness.Call {
			return app.RongCloud("/user/blocklist/add.json", harness.Black(owner, target))
		},
		func(app harness.App, owner, target string) harness.Call {
			return app.RongCloud("/user/blacklist/remove.json", harness.Black(owner, target))
		},
		func(t *testing.T, w *harness.World, app harness.App, owner string) []string {
			return w.RongCloudList(t, app, owner)
		},
	},
	{
		"Sendbird", harness.App.SendbirdBlock, harness.App.SendbirdUnblock,
		func(t *testing.T, w *harness.World, app harness.App, owner string) []string {
			return w.SendbirdList(t, app, owner, "")
		},
	},
	{
		"IMKit",
		func(app harness.App, owner, target string) harness.Call {
			return app.IMKit(owner, http.MethodPost, harness.MyBlock(target))
		},
		func(app harness.App, owner, target string) harness.Call {
			return app.IMKit(owner, http.MethodDelete, harness.MyBlock(target))
		},
		func(t *testing.T, w *harness.World, app harness.App, owner string) []string {
			return w.IMKitList(t, app, owner)
		},
	},
	{
		"native",
		func(app harness.App, owner, target string) harness.Call {
			return harness.Native(http.MethodPut, app.BlockPath(owner, target), "")
		},
		func(app harness.App, owner, target string) harness.Call {
			return harness.Native(http.MethodDelete, app.BlockPath(owner, target), "")
		},
		func(t *testing.T, w *harness.World, app harness.App, owner string) []string {
			return w.Targets(t, app, owner)
		},
	},
}

func do(t *testing.T, w *harness.World, what string, c harness.Call) {
	t.Helper()
	if a := w.Send(t, c); a.Status/100 != 2 {
		t.Fatalf("%s: %v", what, a)
	}
}

func TestX1_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/X1") }

func TestX1_ARowOfOneDialectIsListedByAllAndEnforcedOnASecondSidecar(t *testing.T) {
	w := harness.Shared(t)
	for _, from := range doors {
		for _, to := range doors {
			owner, first, second := harness.ID("bob"), harness.ID("eve"), harness.ID("mallory")
			q := harness.Question{App: harness.Plain, Sender: second, Recipient: owner}
			do(t, w, from.name, from.block(harness.Plain, owner, first))
			do(t, w, from.name, from.block(harness.Plain, owner, second))
			for _, reader := range doors {
				wantList(t, from.name+" read by "+reader.name, reader.list(t, w, harness.Plain, owner), []string{second, first})
				wantList(t, from.name+" in another app", reader.list(t, w, harness.Other, owner), []string{})
			}
			w.Sidecar.Decides(t, q, dropped)
			do(t, w, to.name, to.remove(harness.Plain, owner, second))
			for _, reader := range doors {
				wantList(t, to.name+" has removed, read by "+reader.name, reader.list(t, w, harness.Plain, owner), []string{first})
			}
			w.Sidecar.Decides(t, q, harness.Allowed)
		}
	}
}

// hardIDs are hard to carry through paths, forms, queries and JSON.
var hardIDs = []string{
	"a/b", "/", "50%", "%2F", "%", "%zz", "a+b", "a b", " lead and trail ", "😀👩‍👩‍👧", "مرحبا بالعالم", "你好",
	"a?b=c&d#e", "a,b;c", `quote " back \ slash`, "<script>'&amp;", "a%20b+c d", "blackUserId=x", "//", "a/../b", "a:b@c",
	"e\u0301 is not \u00e9", "\u202eright to left", strings.Repeat("x", 256), strings.Repeat("é", 128), strings.Repeat("%/+ ", 64),
}

func TestX1_IDsOfAnyUTF8SurviveEveryDialect(t *testing.T) {
	w := harness.Shared(t)
	app := harness.Ids
	for i, owner := range hardIDs {
		w.Clear(t, app, owner)
		for j, from := range doors {
			target := hardIDs[(i+j+1)%len(hardIDs)]
			do(t, w, fmt.Sprintf("%s blocks %q for %q", from.name, target, owner), from.block(app, owner, target))
			for _, reader := range doors {
				wantList(t, fmt.Sprintf("%s for %q read by %s", from.name, owner, reader.name), reader.list(t, w, app, owner), []string{target})
			}
			if got := w.Node.Decide(t, harness.Question{App: app, Sender: target, Recipient: owner}); got != dropped {
				t.Errorf("%s: %q to %q: %+v", from.name, target, owner, got)
			}
			if got := w.SendbirdList(t, app, target, "list=blocking_me"); !slices.Contains(got, owner) {
				t.Errorf("who blocks %q: %q", target, got)
			}
			to := doors[(j+i)%len(doors)]
			do(t, w, fmt.Sprintf("%s unblocks %q for %q", to.name, target, owner), to.remove(app, owner, target))
			wantList(t, to.name+" has removed", w.Targets(t, app, owner), []string{})
		}
	}
	// "." and ".." travel in forms and JSON, not in paths.
	owner := harness.ID("bob")
	do(t, w, "form", app.RongCloud("/user/blocklist/add.json", harness.Black(owner, ".")))
	do(t, w, "JSON", app.SendbirdBlock(owner, ".."))
	for _, reader := range doors {
		wantList(t, "dots read by "+reader.name, reader.list(t, w, app, owner), []string{"..", "."})
	}
}

func TestX1_TheWholeListIsReadByEveryDialectWhileOthersAddAndRemove(t *testing.T) {
	w := harness.Shared(t)
	owner := harness.ID("bob")
	fill(t, w, harness.Plain, owner, 2900)
	guests := many(80)
	stay := w.Targets(t, harness.Plain, owner)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- comeAndGo(w, owner, guests, stop) }()
	for _, reader := range []struct {
		name string
		read func() []string
	}{
		{"Sendbird", func() []string { return w.SendbirdList(t, harness.Plain, owner, "") }},
		{"IMKit", func() []string { return w.IMKitList(t, harness.Plain, owner) }},
		{"RongCloud", func() []string { return rcWhole(t, w, owner) }},
		{"native", func() []string { return w.Targets(t, harness.Plain, owner) }},
	} {
		got := reader.read()
		seen := map[string]bool{}
		var kept []string
		for _, id := range got {
			if seen[id] {
				t.Errorf("%s: %s came twice", reader.name, id)
			}
			if seen[id] = true; !slices.Contains(guests, id) {
				kept = append(kept, id)
			}
		}
		if !slices.Equal(kept, stay) {
			t.Errorf("%s: %d came of the %d that were there all the time, in order: %v", reader.name, len(kept), len(stay), slices.Equal(kept, stay))
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// comeAndGo adds and removes until it is told to stop, by all dialects in turn.
func comeAndGo(w *harness.World, owner string, guests []string, stop <-chan struct{}) error {
	for round := 0; ; round++ {
		for i, guest := range guests {
			d := doors[(round+i)%len(doors)]
			for _, c := range []harness.Call{d.block(harness.Plain, owner, guest), d.remove(harness.Plain, owner, guest)} {
				if a, err := w.Try(c); err != nil || a.Status/100 != 2 {
					return errors.Join(err, fmt.Errorf("%s: %v", d.name, a))
				}
			}
			select {
			case <-stop:
				return nil
			default:
			}
		}
	}
}

// rcWhole reads a list of more than 1000 by RongCloud's pages.
func rcWhole(t *testing.T, w *harness.World, owner string) []string {
	t.Helper()
	page := rcQuery(t, w, harness.Plain, "/user/blacklist/query.json", "userId="+owner)
	all := page.Users
	for page.Next != nil {
		page = rcQuery(t, w, harness.Plain, "/user/blacklist/query.json", "userId="+owner+"&size=170&pageToken="+*page.Next)
		all = append(all, page.Users...)
	}
	return all
}

func TestX1_AFullListOf3000IsPagedCompletelyByEveryDialect(t *testing.T) {
	w := harness.Shared(t)
	owner := harness.ID("bob")
	added := fill(t, w, harness.Plain, owner, 3000)
	a := w.Send(t, harness.Plain.RongCloud("/user/blocklist/add.json", harness.Black(owner, harness.ID("one too many"))))
	if a.Status != 400 || harness.Match(rcError(1002), a.Body) != nil {
		t.Errorf("the 3001st: %v", a)
	}
	want := w.Targets(t, harness.Plain, owner)
	sorted := slices.Sorted(slices.Values(want))
	if slices.Sort(added); !slices.Equal(sorted, added) {
		t.Fatalf("the list has %d entries, not the 3000 that were added", len(want))
	}
	wantList(t, "Sendbird", w.SendbirdList(t, harness.Plain, owner, ""), want)
	wantList(t, "IMKit", w.IMKitList(t, harness.Plain, owner), want)
	wantList(t, "RongCloud", rcWhole(t, w, owner), want)
}

// A caller with wrong credentials learns nothing: the answer about a user who has
// a list is, byte for byte, that about one who has none.
func TestX1_WrongCredentialsRevealNothing(t *testing.T) {
	w := harness.Shared(t)
	full, empty := harness.ID("bob"), harness.ID("tom")
	eve := harness.ID("eve")
	w.Block(t, harness.Plain, full, eve)
	w.Register(t, harness.Plain, harness.Profile{Nickname: "Bobby"}, full)
	for name, call := range map[string]func(user string) harness.Call{
		"RongCloud query": func(user string) harness.Call {
			return harness.Plain.RongCloud("/user/blacklist/query.json", "userId="+user).Without("Signature").With("Signature", strings.Repeat("0", 40))
		},
		"RongCloud remove": func(user string) harness.Call {
			return harness.Plain.RongCloud("/user/blacklist/remove.json", harness.Black(user, eve)).Without("App-Key").With("App-Key", "nobody")
		},
		"Sendbird list": func(user string) harness.Call {
			return sbList(harness.Plain, user, "").Without("Api-Token").With("Api-Token", "nobody")
		},
		"Sendbird unblock": func(user string) harness.Call {
			return harness.Plain.SendbirdUnblock(user, eve).Without("Api-Token").With("Api-Token", "nobody")
		},
		"IMKit list": func(user string) harness.Call {
			return harness.Plain.IMKit(user, "GET", "/blockStatus/my").Without("IM-CLIENT-KEY").With("IM-CLIENT-KEY", "nobody")
		},
		"IMKit unblock": func(user string) harness.Call {
			return harness.Plain.IMKit(eve, "DELETE", harness.MyBlock(user)).Without("IM-Authorization").With("IM-Authorization", harness.Other.Token(eve, nil))
		},
		"IMKit block": func(user string) harness.Call {
			return harness.Plain.IMKit(eve, "POST", harness.MyBlock(user)).Without("IM-Authorization")
		},
	} {
		a, b := w.Send(t, call(full)), w.Send(t, call(empty))
		if a.Status/100 != 4 || a.Status != b.Status || a.Body != b.Body {
			t.Errorf("%s: %v about a user with a list, %v about one without", name, a, b)
		}
	}
	wantList(t, "afterwards", w.Targets(t, harness.Plain, full), []string{eve})
	wantList(t, "afterwards", w.Targets(t, harness.Plain, eve), []string{})
}

func TestX2_Exchanges(t *testing.T) { harness.Shared(t).Exchanges(t, "testdata/X2") }

func TestX2_AWriteIsInForceAtOnceWhereItWasMadeAndSoonElsewhere(t *testing.T) {
	w := harness.Shared(t)
	for _, d := range doors {
		for range 20 { // once might be luck
			owner, target := harness.ID("bob"), harness.ID("eve")
			q := harness.Question{App: harness.Plain, Sender: target, Recipient: owner}
			if got := w.Node.Decide(t, q); got != harness.Allowed {
				t.Fatalf("%s, before: %+v", d.name, got)
			}
			do(t, w, d.name, d.block(harness.Plain, owner, target))
			if got := w.Node.Decide(t, q); got != dropped {
				t.Fatalf("%s, blocked: %+v", d.name, got)
			}
			do(t, w, d.name, d.remove(harness.Plain, owner, target))
			if got := w.Node.Decide(t, q); got != harness.Allowed {
				t.Fatalf("%s, unblocked: %+v", d.name, got)
			}
		}
		owner, target := harness.ID("bob"), harness.ID("eve")
		q := harness.Question{App: harness.Plain, Sender: target, Recipient: owner}
		w.Sidecar.Decides(t, q, harness.Allowed)
		do(t, w, d.name, d.block(harness.Plain, owner, target))
		w.Sidecar.Decides(t, q, dropped)
		do(t, w, d.name, d.remove(harness.Plain, owner, target))
		w.Sidecar.Decides(t, q, harness.Allowed)
	}
}

// A message about the mode is a change like any other.
func TestX2_AModeIsInForceAtOnceWhereItWasSetAndSoonElsewhere(t *testing.T) {
	w := harness.Shared(t)
	owner, target := harness.ID("bob"), harness.ID("eve")
	q := harness.Question{App: harness.Ring, Sender: target, Recipient: owner}
	for mode, want := range map[string]harness.Verdict{"1": {Action: "reject", Reason: "not_on_allowlist"}, "0": harness.Allowed} {
		setMode(t, w, harness.Ring, mode, owner)
		if got := w.Node.Decide(t, q); got != want {
			t.Errorf("mode %s: %+v", mode, got)
		}
		w.Sidecar.Decides(t, q, want)
	}
}
