package main

import (
	"net/http"
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

func (q question) since(revision string) question {
	q.atLeast = revision
	return q
}
