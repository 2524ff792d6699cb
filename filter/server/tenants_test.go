package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// TestTwoTenantsOnOneConnection sends checks of two apps, with ids of all
// lengths, through one connection, so that each lies over the remains of those
// before. Both apps have the same people and opposite lists: one borrowed string
// that outlived its request would show as an answer from the other tenant
// (Invariant 10).
func TestTwoTenantsOnOneConnection(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	people := make([]string, 40)
	for i := range people {
		people[i] = fmt.Sprintf("%d%s", i, strings.Repeat("x", rnd.IntN(200)))
	}
	w := newWorld(t, func(o *filter.Options) {
		o.Apps = map[string]filter.Policy{"default": filter.Default(), "acme": filter.Default()}
	})
	blocks := func(owner, target int) bool { return (owner*7+target*3)%5 < 2 }
	for owner := range people {
		var ours, theirs []string
		for target := range people {
			switch {
			case owner == target:
			case blocks(owner, target):
				ours = append(ours, people[target])
			default:
				theirs = append(theirs, people[target])
			}
		}
		w.put("default", cache.KindBlock, people[owner], ours...)
		w.put("acme", cache.KindBlock, people[owner], theirs...)
	}
	r := runCheck(t, w, Options{})
	for range 40 {
		var raw strings.Builder
		var want []string
		for range 50 {
			sender, recipient := rnd.IntN(len(people)), rnd.IntN(len(people))
			app := []string{"default", "acme"}[rnd.IntN(2)]
			if sender == recipient {
				continue
			}
			raw.WriteString(oneOfTwo(rnd, app, people[sender], people[recipient]))
			if blocks(recipient, sender) == (app == "default") {
				want = append(want, dropped)
			} else {
				want = append(want, delivered)
			}
		}
		for i, a := range r.send(raw.String(), len(want)) {
			if a.body != want[i] {
				t.Fatalf("answer %d is %s, want %s", i, a.body, want[i])
			}
		}
	}
}

// oneOfTwo asks as a GET or as a POST.
func oneOfTwo(rnd *rand.Rand, app, sender, recipient string) string {
	if rnd.IntN(2) == 0 {
		return request("GET", "/v1/can-deliver?room_type=direct&recipient="+recipient+"&app="+app+"&sender="+sender, "")
	}
	return request("POST", "/v1/can-deliver",
		fmt.Sprintf(`{"recipient":%q,"app":%q,"room_type":"direct","sender":%q}`, recipient, app, sender))
}

// TestWritesKeepTheirStrings: the service may keep what it is handed, whatever
// comes through the connection afterwards.
func TestWritesKeepTheirStrings(t *testing.T) {
	var kept []filter.BlockRequest
	lists := &fakeLists{block: func(_ context.Context, req filter.BlockRequest) (filter.BlockResult, error) {
		kept = append(kept, req)
		return filter.BlockResult{}, nil
	}}
	r := runAPI(t, lists, Options{})
	var raw strings.Builder
	name := func(i int) string { return fmt.Sprintf("%d%s", i, strings.Repeat(string(rune('a'+i%26)), i*5%180)) }
	const n = 60
	for i := range n {
		raw.WriteString(request("PUT", "/v1/apps/app"+name(i)+"/users/o%2F"+name(i)+"/blocks/t%20"+name(i),
			`{"note":"\u006e`+name(i)+`"}`))
	}
	if got := len(r.send(raw.String(), n)); got != n {
		t.Fatalf("%d answers", got)
	}
	for i, req := range kept {
		want := filter.BlockRequest{
			List:     filter.ListID{App: "app" + name(i), Kind: cache.KindBlock, Owner: "o/" + name(i)},
			Addition: filter.Addition{Target: "t " + name(i), Note: "n" + name(i)},
			Source:   "native",
		}
		if req != want {
			t.Errorf("write %d has become %+v, want %+v", i, req, want)
		}
	}
}
