package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// TestAcceptLastPlaces: 32 writers with 64 requests race for the last ten places
// of a list. Ten win, the list is full to the entry, and all others hear why.
func TestAcceptLastPlaces(t *testing.T) {
	t.Parallel()
	const limit, places, writers, each = 3000, 10, 32, 2
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	psql(t, dsn, fmt.Sprintf("INSERT INTO sidegate.block (app, owner, target) SELECT 'default', 'bob', 't' || n FROM generate_series(1, %d) n", limit-places))

	answers := make([]answer, writers*each)
	target := func(i int) string { return fmt.Sprint("racer", i) }
	var gate, done sync.WaitGroup
	gate.Add(1)
	for w := range writers {
		done.Go(func() {
			gate.Wait()
			for i := w * each; i < (w+1)*each; i++ {
				a, err := s.request(http.MethodPut, "api", blockPath("default", "bob", target(i)))
				for err == nil && a.status == http.StatusServiceUnavailable && t.Context().Err() == nil {
					// The turn did not come in time on a busy machine: try again.
					a, err = s.request(http.MethodPut, "api", blockPath("default", "bob", target(i)))
				}
				if answers[i] = a; err != nil {
					t.Error(err)
				}
			}
		})
	}
	gate.Done()
	done.Wait()

	var won int
	for i, a := range answers {
		want := allowed
		switch a.status {
		case http.StatusCreated:
			won++
			want = dropped
		case http.StatusConflict:
			checkLimitProblem(t, a, limit)
		default:
			t.Errorf("request %d: %v", i, a)
		}
		if got := s.decide(question{sender: target(i), recipient: "bob"}); got != want {
			t.Errorf("request %d was answered %d, and the decision is %+v", i, a.status, got)
		}
	}
	if won != places {
		t.Errorf("%d requests of %d won one of the last %d places", won, len(answers), places)
	}
	if got, want := psql(t, dsn, "SELECT count(*) FROM sidegate.block", "SELECT size FROM sidegate.owner"), fmt.Sprintf("%d\n%d", limit, limit); got != want {
		t.Errorf("rows and size are %q, want %q", got, want)
	}
	var list struct{ Total int }
	if a := s.get("api", blockPath("default", "bob", "")); json.Unmarshal([]byte(a.body), &list) != nil || list.Total != limit {
		t.Errorf("the list has a total of %d, want %d", list.Total, limit)
	}
}

// checkLimitProblem: whoever loses does so because the list was full at that
// moment, and is told so.
func checkLimitProblem(t *testing.T, a answer, limit int) {
	t.Helper()
	var doc struct{ Limit, Size int }
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.problem(t) != "limit_exceeded" || doc.Limit != limit || doc.Size != limit {
		t.Errorf("%v: want limit_exceeded, limit and size %d", a, limit)
	}
}
