package main

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// TestAcceptOutage kills Postgres and looks at three sidecars: one that holds
// everything in memory, one whose memory holds nothing, and one that is started
// while there is no Postgres. Then Postgres comes back.
func TestAcceptOutage(t *testing.T) {
	t.Parallel()
	const soon = "sync: {soft_bound: 300ms, poll_interval: 50ms}\n"
	postgres := pgtest.Server(t, nil)
	dsn := postgres.DSN("postgres")
	migrateUp(t, dsn)

	full := startSidecar(t, dsn, soon).ready()
	tiny := startSidecar(t, dsn, soon+"cache: {max_bytes: 1KiB}").ready()
	full.block("default", "bob", "alice")
	full.loaded()
	blocked := question{sender: "alice", recipient: "bob"}
	unlisted := question{sender: "alice", recipient: "zoe"} // never had a list
	for _, s := range []*sidecar{full, tiny} {
		s.enforced(blocked, dropped)
		s.enforced(unlisted, allowed)
	}

	if err := postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	late := startSidecar(t, dsn, soon)

	full.answersFromMemory(blocked, dropped)
	full.answersFromMemory(unlisted, allowed)
	full.probes(http.StatusOK)
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		checkStoreProblem(t, full.must(method, "api", blockPath("default", "bob", "carol")))
	}
	checkStoreProblem(t, full.get("api", blockPath("default", "bob", "")))

	for _, s := range []*sidecar{tiny, late} {
		for _, q := range []question{blocked, unlisted, {sender: "zoe", recipient: "alice", room: "group"}} {
			checkUnknown(t, s.get("check", q.path()))
		}
	}
	tiny.probes(http.StatusOK)
	late.probes(http.StatusServiceUnavailable)
	if a := late.get("ops", "/startupz"); a.status != http.StatusServiceUnavailable {
		t.Errorf("/startupz before there was a database: %v", a)
	}
	checkStoreProblem(t, late.must(http.MethodPut, "api", blockPath("default", "bob", "carol")))

	if err := postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := []*sidecar{full, tiny, late.ready()}
	for _, s := range all {
		waitFor(t, "the answers are fresh again", func() bool { return !stale.MatchString(s.get("check", blocked.path()).body) })
		s.enforced(blocked, dropped)
		s.probes(http.StatusOK)
	}
	late.block("default", "zoe", "alice")
	for _, s := range all {
		s.enforced(unlisted, dropped)
	}
}

// loaded waits until everything that fits is in memory.
func (s *sidecar) loaded() {
	s.t.Helper()
	waitFor(s.t, "everything is loaded", func() bool { return s.samples()["sidegate_cache_preload_timestamp_seconds"] > 0 })
}

var stale = regexp.MustCompile(`"stale_ms":([1-9][0-9]{2,})[,}]`)

// answersFromMemory checks that a decision outlives the database, and that it
// says how old it is when it is older than the soft bound.
func (s *sidecar) answersFromMemory(q question, want verdict) {
	s.t.Helper()
	waitFor(s.t, "an answer says that it is stale", func() bool {
		a := s.get("check", q.path())
		if got, ok := a.verdict(s.t); !ok || got != want {
			s.t.Fatalf("%+v while Postgres is away: %v", q, a)
		}
		return stale.MatchString(a.body)
	})
}

// probes checks that the process counts as alive, and whether as ready.
func (s *sidecar) probes(ready int) {
	s.t.Helper()
	if a := s.get("ops", "/livez"); a.status != http.StatusOK {
		s.t.Errorf("/livez: %v", a)
	}
	if a := s.get("ops", "/readyz"); a.status != ready {
		s.t.Errorf("/readyz: %v, want %d", a, ready)
	}
}

// internals are words that only the database, its driver or the network say.
var internals = regexp.MustCompile(`(?i)sqlstate|postgres|pgx|dial|socket|connect|refused|/tmp|fatal|errno|EOF`)

func checkStoreProblem(t *testing.T, a answer) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable || a.problem(t) != "store_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("a request that needs the database was answered %v, Retry-After %q", a, a.header.Get("Retry-After"))
	}
	if word := internals.FindString(a.body); word != "" {
		t.Errorf("the client hears of %q: %v", word, a)
	}
}

func checkUnknown(t *testing.T, a answer) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable || a.problem(t) != "unknown" || a.header.Get("Retry-After") != "1" {
		t.Errorf("what is not in memory was answered %v, Retry-After %q", a, a.header.Get("Retry-After"))
	}
	if word := internals.FindString(a.body); word != "" {
		t.Errorf("the client hears of %q: %v", word, a)
	}
}
