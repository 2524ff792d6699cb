package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestFaultSlowDatabase: every packet of the database is so late that no poll comes
// to its end. Answers come from memory, with their age. A sidecar whose memory holds
// nothing says that it does not know, and takes no more reads than it can.
func TestFaultSlowDatabase(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newFaultScene(t, faultConfiguration)
	n, address := startNetwork(t, w.server.TCPDSN("postgres"))
	tiny := startSidecar(t, address, faultConfiguration+"cache: {max_bytes: 1KiB}").ready()
	w.crowded()
	networks := append(w.networks, n)
	var decisions float64
	var unknown int
	w.endures(5, func(round int) struck {
		for _, n := range networks {
			n.slow(packetLate)
		}
		stale := agesShow(w.sidecars)
		var counts []hits
		for _, s := range w.sidecars {
			counts = append(counts, s.countHits())
		}
		return struck{
			cut: w.sidecars, held: func() bool {
				if !stale() {
					return false
				}
				for i := range 5 {
					a := tiny.get("check", question{sender: "alice", recipient: fmt.Sprint("bob", round, i)}.path())
					if checkUnknown(t, a); a.unknown() {
						unknown++
					}
				}
				return true
			},
			repair: func() {
				for i := range counts {
					_, d := counts[i].waits()
					decisions += d
				}
				for _, n := range networks {
					n.slow(0)
				}
			},
		}
	})
	w.report(fmt.Sprintf("of %.0f decisions from memory none waited; all %d about lists that were not there were unknown", decisions, unknown))
}

// TestFaultCommitUnanswered: the network breaks each connection on which the server
// says that it has stored something. Nobody is told that it was refused, and who
// repeats a request finds it done, once.
func TestFaultCommitUnanswered(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newFaultScene(t, faultConfiguration).crowded()
	repeated := 0
	w.endures(5, func(round int) struck {
		s, n := w.sidecars[round%2], w.networks[round%2]
		before := w.doubts.Load()
		path := blockPath("default", fmt.Sprint("again", round), "alice")
		n.cut(answersToWrites)
		return struck{
			held: func() bool { return w.doubts.Load() >= before+2 },
			repair: func() {
				for range 3 {
					waitFor(t, "the outcome of a write is unknown", func() bool {
						a := s.must(http.MethodPut, "api", path)
						if a.status != http.StatusServiceUnavailable {
							t.Fatalf("answered in spite of all: %v", a)
						}
						return a.problem(t) == "outcome_unknown"
					})
				}
				n.cut(nil)
				for _, method := range []string{http.MethodPut, http.MethodDelete} {
					var a answer
					waitFor(t, method+" has an answer", func() bool {
						a = s.must(method, "api", path)
						return a.status != http.StatusServiceUnavailable || a.problem(t) != "store_unavailable"
					})
					if a.status != http.StatusOK {
						t.Errorf("%s: %v", method, a)
					}
				}
				steps := psql(t, w.dsn, fmt.Sprintf("SELECT string_agg(op::text, '' ORDER BY version) FROM sidegate.change WHERE owner = 'again%d'", round))
				if steps != "AR" {
					t.Errorf("the feed has the steps %q of what was asked for four times and undone once", steps)
				}
				repeated++
			},
		}
	})
	w.report(fmt.Sprintf("%d writes of unknown outcome; each of %d that were repeated had been stored, once", w.doubts.Load(), repeated))
}

// TestFaultNotificationsStuck: with hints, somebody listens and never comes to read:
// what was notified piles up at the server. A full queue would refuse the hints, and
// nothing else: they are sent after the commit, by themselves.
func TestFaultNotificationsStuck(t *testing.T) {
	onlyChaos(t)
	t.Parallel()
	w := newFaultScene(t, strings.Replace(faultConfiguration, "{", "{hints: true, ", 1)).crowded()
	var piled, sent float64
	w.endures(3, func(int) struck {
		stuck := w.session("LISTEN sidegate_hint; BEGIN; SELECT 1 \\g /dev/null\n")
		before := w.sidecars[0].samples()["sidegate_sync_hints_sent_total"]
		others := w.progress(20)
		return struck{
			held: func() bool {
				_, err := fmt.Sscan(psql(t, w.dsn, "SELECT pg_notification_queue_usage()"), &piled)
				w.do(err)
				return piled > 0 && others()
			},
			repair: func() {
				sent += w.sidecars[0].samples()["sidegate_sync_hints_sent_total"] - before
				w.do(sayNothing(stuck, "ROLLBACK;"))
			},
		}
	})
	if sent == 0 {
		t.Error("no hints were sent")
	}
	w.report(fmt.Sprintf("%.0f hints piled up; every writer got on, and no answer was late", sent))
}
