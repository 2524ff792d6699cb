package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// passing is what differs between two answers that say the same.
var passing = regexp.MustCompile(`"(revision|created_at|ended_at|blocked_at|unblocked_at|next_cursor|expires_at)":"[^"]*"`)

// TestWhoBlocksLearnsNothing: a user may write to their own list. Whether those whom
// they name exist, block them, or have anything to do with anybody shows in no
// answer.
func TestWhoBlocksLearnsNothing(t *testing.T) {
	s := serveHere(t, pgtest.Database(t), "api: {tokens: [{name: root, token: root}], jwt: {secret: "+jwtSecret+", issuer: test, audience: sidegate}}\napps: {acme: {allowlist: true}}\n").started(t)
	bob := signed(jwtSecret, hs256Header, claims("bob", "acme", "user"))
	ask := func(who, method, target, body string) answer {
		return s.ask(method, border.DoorAPI, target, body, "Authorization", who)
	}
	targets := []string{"ghost1", "exists", "hatesb", "blockd", "allows"}
	for _, w := range []struct{ target, body string }{
		{listOf("acme", "exists"), `{"nickname":"somebody"}`}, {listOf("acme", "hatesb"), `{}`},
		{listOf("acme", "hatesb") + "/blocks/bob", `{"note":"him"}`}, {listOf("acme", "others") + "/blocks/blockd", `{}`},
		{listOf("acme", "allows"), `{}`},
	} {
		if a := ask("Bearer root", "PUT", w.target, w.body); a.status >= 300 {
			t.Fatalf("%s: %v", w.target, a)
		}
	}
	for _, c := range []struct {
		name, method string
		path         func(target string) string
		body         func(target string) string
		status       int
	}{
		{"look for what is not there", "GET", entryOf, none, http.StatusNotFound},
		{"unblock what is not there", "DELETE", entryOf, none, http.StatusNotFound},
		{"history of what never was", "GET", func(id string) string { return listOf("acme", "bob") + "/history?target=" + id }, none, http.StatusOK},
		{"block", "PUT", entryOf, func(string) string { return `{"note":"n"}` }, http.StatusCreated},
		{"block again", "PUT", entryOf, none, http.StatusOK},
		{"look for it", "GET", entryOf, none, http.StatusOK},
		{"history of it", "GET", func(id string) string { return listOf("acme", "bob") + "/history?target=" + id }, none, http.StatusOK},
		{"unblock", "DELETE", entryOf, none, http.StatusOK},
		{"block in a batch", "POST", batchOf, func(id string) string { return fmt.Sprintf(`{"add":[%q,"also-%s"]}`, id, id) }, http.StatusOK},
		{"unblock in a batch", "POST", batchOf, func(id string) string { return fmt.Sprintf(`{"remove":[%q,"also-%s"]}`, id, id) }, http.StatusOK},
		{"list of theirs", "GET", func(id string) string { return listOf("acme", id) + "/blocks" }, none, http.StatusForbidden},
		{"who blocks them", "GET", func(id string) string { return listOf("acme", id) + "/blocked-by" }, none, http.StatusForbidden},
		{"who they are", "GET", func(id string) string { return listOf("acme", id) }, none, http.StatusForbidden},
		{"who blocks me", "GET", func(string) string { return listOf("acme", "bob") + "/blocked-by" }, none, http.StatusForbidden},
	} {
		want := ""
		for _, target := range targets {
			a := ask(bob, c.method, c.path(target), c.body(target))
			a.header.Del("Date")
			for _, name := range []string{"Sidegate-Revision", "Etag"} { // of bob's own list
				if a.header.Get(name) != "" {
					a.header.Set(name, "…")
				}
			}
			a.header.Del("Content-Length") // a time may have a digit more
			said := strings.ReplaceAll(passing.ReplaceAllString(a.body, `"$1":"…"`), target, "TARGET")
			said = fmt.Sprint(a.status, said, a.header)
			if want == "" {
				want = said
			}
			if a.status != c.status || said != want {
				t.Errorf("%s, about %s:\n%s\nand about %s:\n%s", c.name, target, said, targets[0], want)
			}
		}
	}
}

func entryOf(target string) string { return listOf("acme", "bob") + "/blocks/" + target }
func batchOf(string) string        { return listOf("acme", "bob") + "/blocks:batch" }
func none(string) string           { return "" }
