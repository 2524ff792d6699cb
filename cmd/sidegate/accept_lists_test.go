package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// edit sends a batch about a list, from any goroutine.
func (s *sidecar) edit(owner, body string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, s.urls["api"]+listPath("default", owner)+":batch", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	req.Header.Set("Content-Type", "application/json")
	return s.do(req)
}

// edits sends a batch that must be answered with a status.
func (s *sidecar) edits(status int, owner, body string) answer {
	s.t.Helper()
	a, err := s.edit(owner, body)
	if err != nil || a.status != status {
		s.t.Fatalf("batch %.200s: %v, %v", body, a, err)
	}
	return a
}

// TestAcceptBatch: a batch is all or nothing, is enforced when it is answered,
// and elsewhere for whoever asks with its revision.
func TestAcceptBatch(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	const limit = "apps: {default: {limit: 1000}}"
	here, there := startSidecar(t, dsn, limit).ready(), startSidecar(t, dsn, limit).ready()
	names := func(from, to int) string {
		var list []string
		for i := from; i < to; i++ {
			list = append(list, fmt.Sprintf(`"t%d"`, i))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	count := func() string { return psql(t, dsn, "SELECT count(*) FROM sidegate.block WHERE owner = 'bob'") }

	a := here.edits(http.StatusOK, "bob", `{"add":`+names(0, 1000)+`}`)
	if !strings.HasPrefix(a.body, `{"added":1000,"removed":0,"unchanged":0,"revision":"`) {
		t.Errorf("a thousand: %v", a)
	}
	q := question{sender: "t999", recipient: "bob"}
	if got := here.decide(q); got != dropped {
		t.Errorf("here: %+v", got)
	}
	if got := there.decide(q.since(a.header.Get("Sidegate-Revision"))); got != dropped {
		t.Errorf("elsewhere, with the revision: %+v", got)
	}
	// The list is full: one more than goes is refused, with what goes.
	before := psql(t, dsn, "SELECT version FROM sidegate.owner WHERE owner = 'bob'")
	full := here.edits(http.StatusConflict, "bob", `{"remove":["t0","t1"],"add":["n1","n2","n3"]}`)
	if full.problem(t) != "limit_exceeded" || !strings.Contains(full.body, `"limit":1000`) {
		t.Errorf("over the limit: %v", full)
	}
	if after := psql(t, dsn, "SELECT version FROM sidegate.owner WHERE owner = 'bob'"); after != before || count() != "1000" ||
		psql(t, dsn, "SELECT count(*) FROM sidegate.history") != "0" {
		t.Errorf("something of a refused batch was stored: version %s was %s, %s entries", after, before, count())
	}
	a = here.edits(http.StatusOK, "bob", `{"remove":["t0","t1","nobody"],"add":["n1",{"target":"n2","note":"x"},"t5",{"target":"t6","note":"y"}]}`)
	if !strings.HasPrefix(a.body, `{"added":2,"removed":2,"unchanged":2,"updated":1,"revision":`) {
		t.Errorf("as many as go: %v", a)
	}
	for body, code := range map[string]string{
		`{"add":["x"],"remove":["x"]}`:    "conflicting_batch",
		`{"add":["x","x"]}`:               "conflicting_batch",
		`{"remove":["t7"],"add":["bob"]}`: "self_block",
		`{"remove":["t7"],"add":[""]}`:    "invalid_user_id",
		`{"remove":["t7","a\u0000"]}`:     "invalid_user_id",
		`{"remove":["t7"],"drop":["t8"]}`: "unknown_field",
		`{"remove":["t7"],"add":["t8"]}]`: "invalid_json",
	} {
		if got := here.edits(http.StatusBadRequest, "bob", body).problem(t); got != code {
			t.Errorf("%s: %s, want %s", body, got, code)
		}
	}
	if got := here.edits(http.StatusRequestEntityTooLarge, "bob", `{"remove":`+names(0, 1001)+`}`).problem(t); got != "too_large" {
		t.Errorf("a thousand and one: %s", got)
	}
	here.edits(http.StatusOK, "bob", `{"remove":`+names(0, 1000)+`}`)
	if count() != "2" {
		t.Errorf("%s entries are left", count())
	}
	there.enforced(q, allowed)
}

// pieces reads something long in pieces of the size and returns what the field of
// every entry says.
func (s *sidecar) pieces(path, field string, size int) (values []string) {
	s.t.Helper()
	for cursor := ""; ; {
		a := s.get("api", path+fmt.Sprintf("limit=%d&cursor=%s", size, url.QueryEscape(cursor)))
		var page struct {
			Blocks, Intervals []map[string]any
			NextCursor        string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != http.StatusOK {
			s.t.Fatalf("%s: %v, %v", path, a, err)
		}
		for _, entry := range append(page.Blocks, page.Intervals...) {
			values = append(values, fmt.Sprint(entry[field]))
		}
		if cursor = page.NextCursor; cursor == "" || len(values) > 1000 {
			return values
		}
	}
}

// TestAcceptWalks: who blocks a user and what has been on a list are read piece by
// piece, by whatever door it was written.
func TestAcceptWalks(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	const users = "/v1/apps/default/users/"
	var owners []string
	for i := range 7 {
		owner := fmt.Sprint("o/", i)
		s.block("default", owner, "alice")
		owners = append([]string{owner}, owners...)
	}
	psql(t, dsn, "INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'sql', 'alice'), ('other', 'far', 'alice')")
	owners = append([]string{"sql"}, owners...)
	for _, size := range []int{1, 3, 8, 100} {
		if got := s.pieces(users+"alice/blocked-by?", "owner", size); !slices.Equal(got, owners) {
			t.Errorf("by %d: alice is blocked by %q, want %q", size, got, owners)
		}
	}

	for range 3 {
		s.edits(http.StatusOK, "bob", `{"add":["alice","carl"]}`)
		s.edits(http.StatusOK, "bob", `{"remove":["alice"]}`)
		psql(t, dsn, "DELETE FROM sidegate.block WHERE owner = 'bob' AND target = 'carl'")
	}
	s.edits(http.StatusOK, "bob", `{"add":["alice"]}`)
	for _, size := range []int{1, 2, 100} {
		got := s.pieces(users+"bob/history?", "ended_source", size)
		if want := []string{"<nil>", "sql", "native", "sql", "native", "sql", "native"}; !slices.Equal(got, want) {
			t.Errorf("by %d: bob's intervals ended by %q, want %q", size, got, want)
		}
		got = s.pieces(users+"bob/history?target=alice&", "target", size)
		if want := []string{"alice", "alice", "alice", "alice"}; !slices.Equal(got, want) {
			t.Errorf("by %d: alice's intervals %q", size, got)
		}
	}
	// A cursor leads on where it comes from, and nowhere else.
	var page struct {
		Next string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(s.get("api", users+"bob/history?limit=1").body), &page); err != nil || page.Next == "" {
		t.Fatal(err)
	}
	for _, path := range []string{"bob/blocks?", "bob/blocked-by?", "carl/history?", "bob/history?target=alice&"} {
		if a := s.get("api", users+path+"cursor="+page.Next); a.status != http.StatusBadRequest || a.problem(t) != "invalid_cursor" {
			t.Errorf("the cursor of bob's history at %s: %v", path, a)
		}
	}
}

// tagged is what a list said under a tag, in all the pages of a test.
type tagged struct {
	mu     sync.Mutex
	bodies map[string]string
}

// same reports whether the tag has always stood for this body.
func (g *tagged) same(a answer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	tag := a.header.Get("ETag")
	if _, known := g.bodies[tag]; !known {
		g.bodies[tag] = a.body
	}
	return g.bodies[tag] == a.body
}

// TestAcceptEntityTags: while others write, one tag always means one list, and
// who has written is never told that what they had before is still right.
func TestAcceptEntityTags(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	seen := &tagged{bodies: map[string]string{}}
	path := listPath("default", "bob")
	look := func(tag string) answer {
		a, err := s.request(http.MethodGet, "api", path, "If-None-Match: "+tag)
		if err != nil || a.status != http.StatusOK && a.status != http.StatusNotModified {
			t.Errorf("%v, %v", a, err)
		} else if a.status == http.StatusOK && !seen.same(a) {
			t.Errorf("a tag stands for two lists: %v", a)
		}
		return a
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	unchanged := make([]int, 2)
	for i := range unchanged {
		readers.Go(func() {
			for tag := ""; ; {
				select {
				case <-done:
					return
				default:
				}
				if a := look(tag); a.status == http.StatusNotModified {
					unchanged[i]++
				} else {
					tag = a.header.Get("ETag")
				}
			}
		})
	}
	for i := range 3 {
		target := fmt.Sprint("t", i)
		bodies := []string{`{"add":["` + target + `"]}`, `{"add":[{"target":"` + target + `","note":"n"}]}`, `{"remove":["` + target + `"]}`}
		writers.Go(func() {
			for n := range 60 {
				tag := look("").header.Get("ETag")
				if a, err := s.edit("bob", bodies[n%3]); err != nil || a.status != http.StatusOK {
					t.Errorf("%v, %v", a, err)
					return
				}
				if a := look(tag); a.status != http.StatusOK || strings.Contains(a.body, `"`+target+`"`) != (n%3 < 2) {
					t.Errorf("after %s: %v", bodies[n%3], a)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	tag := look("").header.Get("ETag")
	if a := look(tag); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("nobody writes: %v", a)
	}
	t.Logf("%d tags, %d and %d answers without a list", len(seen.bodies), unchanged[0], unchanged[1])

	// A list changes by itself when an entry expires.
	until := time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
	s.edits(http.StatusOK, "bob", `{"add":[{"target":"short","expires_at":"`+until+`"}]}`)
	a := look("")
	if !strings.Contains(a.body, `"short"`) {
		t.Fatalf("%v", a)
	}
	waitFor(t, "the tag is out of date when an entry has expired", func() bool {
		now := look(a.header.Get("ETag"))
		return now.status == http.StatusOK && !strings.Contains(now.body, `"short"`)
	})
}
