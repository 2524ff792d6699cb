package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestAcceptRevision: one process writes, another decides, and asks the database
// what is new only once a minute. A check that brings the revision of the write
// is right at once; one that does not is as old as the last poll.
func TestAcceptRevision(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	writer := startSidecar(t, dsn, "").ready()
	reader := startSidecar(t, dsn, "sync: {poll_interval: 1m, soft_bound: 2m, hard_bound: 5m}").ready()
	reader.loaded()

	q := question{sender: "alice", recipient: "bob"}
	if got := reader.decide(q); got != allowed {
		t.Fatalf("before the write: %+v", got)
	}
	revision := writer.block("default", "bob", "alice")
	if revision == "" {
		t.Fatal("the write returned no revision")
	}
	if got := reader.decide(q); got != allowed {
		t.Fatalf("without the revision: %+v; then this test shows nothing", got)
	}
	if got := reader.decide(q.since(revision)); got != dropped {
		t.Errorf("with the revision: %+v", got)
	}
	if got := reader.decide(q); got != dropped {
		t.Errorf("once read, the list stays: %+v", got)
	}

	// The same for the end of a block, and by the header.
	ended := writer.must(http.MethodDelete, "api", blockPath("default", "bob", "alice"))
	if got := reader.decide(q); got != dropped {
		t.Fatalf("without the revision of the unblock: %+v; then this test shows nothing", got)
	}
	a := reader.get("check", q.path(), "Sidegate-At-Least: "+ended.header.Get("Sidegate-Revision"))
	if got, ok := a.verdict(t); !ok || got != allowed {
		t.Errorf("with the revision of the unblock in the header: %v", a)
	}
	if got := reader.decide(q.since(revision)); got != allowed {
		t.Errorf("a revision that is older than what is known: %+v", got)
	}
}

// TestAcceptRevisionOfAnImport: the same for lists that came by the thousand. Then
// a poll comes, and the revision asks nothing any more.
func TestAcceptRevisionOfAnImport(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	writer := startSidecar(t, dsn, "").ready()
	reader := startSidecar(t, dsn, "sync: {poll_interval: 1m, soft_bound: 2m, hard_bound: 5m}").ready()
	reader.loaded()

	a := writer.imports("default", `{"owner":"bob","target":"alice"}`, `{"owner":"carol","target":"alice"}`)
	revision := a.header.Get("Sidegate-Revision")
	if a.status != http.StatusOK || revision == "" || !strings.Contains(a.body, `"revision":"`+revision+`"`) {
		t.Fatalf("the import is answered %v", a)
	}
	owners := []string{"bob", "carol"} // who may share a page: reading one list may bring the other
	for _, owner := range owners {
		if got := reader.decide(question{sender: "alice", recipient: owner}); got != allowed {
			t.Fatalf("without the revision: %+v; then this test shows nothing", got)
		}
	}
	for _, owner := range owners {
		if got := reader.decide(question{sender: "alice", recipient: owner}.since(revision)); got != dropped {
			t.Errorf("with the revision: %+v", got)
		}
	}
	// The writer follows ten times a second; then it asks the database no more.
	waitFor(t, "the feed to come as far", func() bool {
		before := writer.samples()["sidegate_load_duration_seconds_count"]
		return writer.decide(question{sender: "alice", recipient: "bob"}.since(revision)) == dropped &&
			writer.samples()["sidegate_load_duration_seconds_count"] == before
	})
}

// imports puts lines on the lists of an app.
func (s *sidecar) imports(app string, lines ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.urls["api"]+"/v1/apps/"+app+"/import", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	req.Header.Set("Content-Type", "application/x-ndjson")
	a, err := s.do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (q question) since(revision string) question {
	q.atLeast = revision
	return q
}
