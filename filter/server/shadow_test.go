package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// inShadow puts all apps of a world into shadow; default leaves out whom it may
// not invite, to show that a dry run does not.
func inShadow(o *filter.Options) {
	for name, policy := range o.Apps {
		policy.Shadow = true
		policy.Invitations = filter.InvitationsExclude
		o.Apps[name] = policy
	}
}

const (
	plainly      = `"deliver":true,"notify":true,"action":"deliver","reason":"allowed"`
	wouldDrop    = `{"deliver":false,"notify":false,"action":"drop","reason":"recipient_blocked_sender"}`
	wouldSilence = `{"deliver":true,"notify":false,"action":"deliver","reason":"recipient_blocked_sender"}`
)

// TestShadow asks at every door of an app that does not enforce, and compares to
// the letter.
func TestShadow(t *testing.T) {
	r := runCheck(t, blockedWorld(t, inShadow), Options{})
	for name, c := range map[string]struct{ method, path, body, want string }{
		"a check":                     {"GET", goodTarget, "", `{` + plainly + `,"would":` + wouldDrop + `}`},
		"as JSON":                     {"POST", plainPath, `{"sender":"alice","recipient":"bob","room_type":"group"}`, `{` + plainly + `,"would":` + wouldSilence + `}`},
		"nothing else would be":       {"GET", "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct", "", delivered},
		"notifies all the same":       {"GET", "/v1/can-deliver?sender=alice&recipient=bob&room_type=group&notify_blocked=1", "", `{"deliver":true,"notify":true,"action":"deliver","reason":"recipient_blocked_sender"}`},
		"a fan-out":                   {"POST", fanoutPath, `{"sender":"alice","room_type":"group","recipients":["carol","bob","bob"]}`, `{"checked":3,"exceptions":[],"would_exceptions":[{"index":1,"recipient":"bob",` + wouldSilence[1:] + `,{"index":2,"recipient":"bob",` + wouldSilence[1:] + `]}`},
		"a fan-out without exception": {"POST", fanoutPath, `{"sender":"alice","room_type":"open","recipients":["bob"]}`, `{"checked":1,"exceptions":[]}`},
		"a batch":                     {"POST", pairsPath, `{"checks":[{"sender":"alice","recipient":"bob","room_type":"direct"},{"sender":"bob","recipient":"alice","room_type":"direct"}]}`, `{"decisions":[{` + plainly + `,"would":` + wouldDrop + `},` + delivered + `]}`},
		"an invitation":               {"POST", "/v1/invitees", `{"inviter":"alice","invitees":["bob","carol"]}`, `{"allowed":["bob","carol"],"excluded":[],"would_exclude":[{"user":"bob","reason":"invitee_blocked_inviter"}]}`},
	} {
		if a := r.ask(c.method, c.path, c.body); a.status != 200 || a.body != c.want {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, c.want)
		}
	}
	if a := r.ask("GET", goodTarget+"&status=1", ""); a.status != http.StatusNoContent || a.body != "" {
		t.Errorf("status alone: %+v", a)
	}
}

// TestShadowWithoutDatabase: what is not known stops no message of a dry run, at
// any door.
func TestShadowWithoutDatabase(t *testing.T) {
	w := newWorld(t, inShadow, func(o *filter.Options) { o.Evidence = darkEvidence{} })
	w.dark.Store(true)
	r := runCheck(t, w, Options{})
	const unknown = `,"would":{"reason":"unknown"}`
	for name, c := range map[string]struct{ method, path, body, want string }{
		"a check":       {"GET", goodTarget, "", `{` + plainly + unknown + `}`},
		"a fan-out":     {"POST", fanoutPath, `{"sender":"alice","room_type":"group","recipients":["bob"]}`, `{"checked":1,"exceptions":[],"would_exceptions":[{"index":0,"recipient":"bob","reason":"unknown"}]}`},
		"a batch":       {"POST", pairsPath, `{"checks":[{"sender":"alice","recipient":"bob","room_type":"direct"}]}`, `{"decisions":[{` + plainly + unknown + `}]}`},
		"an invitation": {"POST", "/v1/invitees", `{"inviter":"alice","invitees":["bob"]}`, `{"allowed":["bob"],"excluded":[],"would_exclude":[{"user":"bob","reason":"unknown"}]}`},
		"the past":      {"POST", "/v1/visible", `{"recipient":"bob","room_type":"direct","messages":[{"sender":"alice","sent_at":"2026-01-01T00:00:00Z"}]}`, `{"visible":[true],"would_visible":[null]}`},
	} {
		if a := r.ask(c.method, c.path, c.body); a.status != 200 || a.body != c.want {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, c.want)
		}
	}
}

// darkEvidence is a database of rows that does not answer.
type darkEvidence struct{}

func (darkEvidence) Get(context.Context, filter.ListID, string) (filter.Block, bool, error) {
	return filter.Block{}, false, filter.Errorf(filter.CodeStoreUnavailable, "dark")
}

func (darkEvidence) Recall(context.Context, []filter.Moment) ([]filter.Interval, error) {
	return nil, filter.Errorf(filter.CodeStoreUnavailable, "dark")
}

// everBlocked is a history in which bob blocked alice, always.
type everBlocked struct{ darkEvidence }

func (everBlocked) Recall(_ context.Context, moments []filter.Moment) ([]filter.Interval, error) {
	found := make([]filter.Interval, len(moments))
	for i, m := range moments {
		if m.List.Kind == cache.KindBlock && m.List.Owner == "bob" && m.Target == "alice" {
			found[i] = filter.Interval{Owner: "bob", Target: "alice", BlockedAt: m.At.Add(-time.Hour)}
		}
	}
	return found, nil
}

// TestShadowOfThePast: nothing is hidden, and it is said what would be.
func TestShadowOfThePast(t *testing.T) {
	const body = `{"recipient":"bob","room_type":"direct","messages":[{"sender":"alice","sent_at":"2026-01-01T00:00:00Z"},{"sender":"carol","sent_at":"2026-01-01T00:00:00Z"}]}`
	evidence := func(o *filter.Options) { o.Evidence = everBlocked{} }
	for want, w := range map[string]*world{
		`{"visible":[false,true]}`:                             newWorld(t, evidence),
		`{"visible":[true,true],"would_visible":[false,true]}`: newWorld(t, evidence, inShadow),
	} {
		if a := runCheck(t, w, Options{}).ask("POST", "/v1/visible", body); a.status != 200 || a.body != want {
			t.Errorf("%d %s, want %s", a.status, a.body, want)
		}
	}
}

// TestQuickInShadow: requests of a dry run are answered beneath fasthttp, to the
// byte as it answers them, and without an allocation.
func TestQuickInShadow(t *testing.T) {
	with, without := bothListeners(t, inShadow)
	for _, raw := range append(plainOnes, otherOnes...) {
		got, _ := converse(with, raw, plainOnes[0])
		if want, _ := converse(without, raw, plainOnes[0]); got != want {
			t.Errorf("%q:\n%q, and by fasthttp alone\n%q", raw, got, want)
		}
	}
	if got, opened := converse(with, plainOnes[0]); opened != 0 || !bytes.Contains([]byte(got), []byte(`"would":`+wouldDrop)) {
		t.Errorf("a plain request came to fasthttp, or its answer lacks what would be: %q", got)
	}
	old := newCheckListener(t, blockedWorld(t, inShadow, func(o *filter.Options) { o.SoftBound = time.Nanosecond }), Options{Logger: slog.New(slog.DiscardHandler)})
	if got, _ := converse(old, plainOnes[0]); !regexp.MustCompile(`\{` + plainly + `,"stale_ms":\d+,"would":` + wouldDrop + `\}$`).MatchString(got) {
		t.Errorf("with an age: %q", got)
	}
}

// TestShadowAllocatesNothing measures a check and its answer from bytes to bytes.
func TestShadowAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for by, change := range map[string]func(*Listener) *Listener{"quick": func(l *Listener) *Listener { return l }, "fasthttp": slow} {
		w := blockedWorld(t, inShadow, func(o *filter.Options) { o.Metrics = filter.NewMetrics(prometheus.NewRegistry()) })
		steps := serveSteps(t, change(newCheckListener(t, w, Options{})))
		raw := []byte(request("GET", goodTarget, ""))
		if got := steps.step(raw); !bytes.Contains(got, []byte(`"would":`)) {
			t.Fatalf("by %s: %s", by, got)
		}
		if n := testing.AllocsPerRun(2000, func() { steps.step(raw) }); n != 0 {
			t.Errorf("by %s: %v allocations for one request, want none", by, n)
		}
	}
}
