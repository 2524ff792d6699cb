package main

import (
	"fmt"
	"net/http"
	"testing"
)

// TestFaultHotOwner: the database itself writes to one list, change after change and
// commit after commit, as fast as it can, while the list is asked about. What does
// not change is answered right all the time, what does is right at the end, and
// memory holds the list, not its changes.
func TestFaultHotOwner(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	const changes = 10_000
	dsn := database(t)
	s := startSidecar(t, dsn, faultConfiguration).ready()
	s.loaded()
	s.block("default", "hot", "always")
	session, err := openSession(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.close() })
	before, memory := s.samples(), residentMB(t, s.process)
	ended := make(chan error, 1)
	go func() {
		_, err := session.say(fmt.Sprintf(`DO $$ BEGIN
			FOR n IN 1..%d LOOP
				INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'hot', 'entry' || n %% 100);
				COMMIT;
				DELETE FROM sidegate.block WHERE app = 'default' AND owner = 'hot' AND target = 'entry' || n %% 100;
				COMMIT;
			END LOOP;
			INSERT INTO sidegate.block (app, owner, target) VALUES ('default', 'hot', 'last');
		END $$; SELECT 'done';`, changes/2), 1)
		ended <- err
	}()
	answers, unknown := 0, 0
	for going := true; going; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, session.close())
			}
			going = false
		default:
		}
		for sender, want := range map[string]verdict{"always": dropped, "never": allowed} {
			a := s.must(http.MethodGet, "check", question{sender: sender, recipient: "hot"}.path())
			if a.unknown() {
				unknown++
			} else if got, ok := a.verdict(t); !ok || got != want {
				t.Fatalf("%s: %v", sender, a)
			}
			answers++
		}
	}
	s.enforced(question{sender: "last", recipient: "hot"}, dropped)
	for n := range 100 {
		if got := s.decide(question{sender: fmt.Sprint("entry", n), recipient: "hot"}); got != allowed {
			t.Errorf("entry %d: %+v", n, got)
		}
		answers++
	}
	after, grown := s.samples(), residentMB(t, s.process)-memory
	if grown > 64 {
		t.Errorf("the process grew by %d MB", grown)
	}
	applied := after["sidegate_sync_events_total"] - before["sidegate_sync_events_total"]
	loads := after["sidegate_load_duration_seconds_count"] - before["sidegate_load_duration_seconds_count"]
	if applied < changes {
		t.Errorf("%.0f changes came of %d", applied, changes)
	}
	if loads > changes/10 {
		t.Errorf("the list was read %.0f times for %d changes", loads, changes)
	}
	reportRow(t, faultFigures{
		Happened: fmt.Sprintf("%.0f changes of one list were followed; it was read again %.0f times, and the process grew by %d MB", applied, loads, max(grown, 0)),
		Rounds:   1, Answers: answers - unknown, Unknown: unknown,
	})
}
