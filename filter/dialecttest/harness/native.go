package harness

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// Question is what one asks of the check listener.
type Question struct {
	App               App
	Sender, Recipient string
	Room              string // room type; direct unless given
	More              string // further parameters: "origin=server&verify=1"
}

func (q Question) path() string {
	values := url.Values{"app": {string(q.App)}, "sender": {q.Sender}, "recipient": {q.Recipient}, "room_type": {"direct"}}
	if q.Room != "" {
		values.Set("room_type", q.Room)
	}
	path := "/v1/can-deliver?" + values.Encode()
	if q.More != "" {
		path += "&" + q.More
	}
	return path
}

// Verdict is a decision as it is answered.
type Verdict struct {
	Deliver bool   `json:"deliver"`
	Notify  bool   `json:"notify"`
	Action  string `json:"action"`
	Reason  string `json:"reason"`
}

// Allowed is the decision that no list stands against.
var Allowed = Verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "allowed"}

// Decide asks for a decision. A list that is neither in memory nor read yet is
// asked about again: a busy machine may take its time for the first read.
func (s *Sidecar) Decide(t testing.TB, q Question) (v Verdict) {
	t.Helper()
	WaitFor(t, "a decision", func() bool {
		a, err := s.send("check", Call{Method: http.MethodGet, Path: q.path()})
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == http.StatusServiceUnavailable {
			return false
		}
		if a.Status != http.StatusOK {
			t.Fatalf("%+v: %v", q, a)
		}
		v = Verdict{}
		a.Decode(t, &v)
		return v.Reason != "unknown"
	})
	return v
}

// Decides waits until a sidecar that only follows has taken in what was written
// elsewhere.
func (s *Sidecar) Decides(t testing.TB, q Question, want Verdict) {
	t.Helper()
	WaitFor(t, "the decision "+want.Reason, func() bool { return s.Decide(t, q) == want })
}

// Ask posts JSON to the check listener.
func (s *Sidecar) Ask(t testing.TB, path, body string) Answer {
	t.Helper()
	a, err := s.send("check", Call{http.MethodPost, path, [][2]string{{"Content-Type", "application/json"}}, body})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Native is a call of the native API.
func Native(method, path, body string) Call {
	c := Call{Method: method, Path: path, Body: body}.With("Authorization", "Bearer "+NativeToken)
	if body != "" {
		c = c.With("Content-Type", "application/json")
	}
	return c
}

// UserPath is the native path of a user.
func (a App) UserPath(user string) string {
	return "/v1/apps/" + string(a) + "/users/" + url.PathEscape(user)
}

// BlockPath is the native path of an entry.
func (a App) BlockPath(owner, target string) string {
	return a.UserPath(owner) + "/blocks/" + url.PathEscape(target)
}

// Block writes an entry by the native API.
func (w *World) Block(t testing.TB, a App, owner, target string) {
	t.Helper()
	if got := w.Send(t, Native(http.MethodPut, a.BlockPath(owner, target), "")); got.Status/100 != 2 {
		t.Fatalf("block: %v", got)
	}
}

// Targets reads a whole list by the native API, newest first.
func (w *World) Targets(t testing.TB, a App, owner string) []string {
	t.Helper()
	list := []string{}
	for cursor := ""; ; {
		path := a.UserPath(owner) + "/blocks?limit=1000"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		got := w.Send(t, Native(http.MethodGet, path, ""))
		if got.Status != http.StatusOK {
			t.Fatalf("list: %v", got)
		}
		var page struct {
			Blocks     []struct{ Target string }
			NextCursor string `json:"next_cursor"`
		}
		got.Decode(t, &page)
		for _, b := range page.Blocks {
			list = append(list, b.Target)
		}
		if cursor = page.NextCursor; cursor == "" {
			return list
		}
	}
}

// Clear ends everything on a list: with -count the tests that use the ids of the
// vendors' pages find what they left behind.
func (w *World) Clear(t testing.TB, a App, owner string) {
	t.Helper()
	if list := w.Targets(t, a, owner); len(list) > 0 {
		body, _ := json.Marshal(map[string]any{"remove": list}) // of strings
		if got := w.Send(t, Native(http.MethodPost, a.UserPath(owner)+"/blocks:batch", string(body))); got.Status != http.StatusOK {
			t.Fatalf("clear: %v", got)
		}
	}
}

// Interval is a time during which an entry stood.
type Interval struct {
	BlockedAt   time.Time  `json:"blocked_at"`
	UnblockedAt *time.Time `json:"unblocked_at"`
}

// History reads the intervals of a pair.
func (w *World) History(t testing.TB, a App, owner, target string) []Interval {
	t.Helper()
	got := w.Send(t, Native(http.MethodGet, a.UserPath(owner)+"/history?target="+url.QueryEscape(target), ""))
	if got.Status != http.StatusOK {
		t.Fatalf("history: %v", got)
	}
	var page struct{ Intervals []Interval }
	got.Decode(t, &page)
	return page.Intervals
}

// Profile is what the directory holds about a user; see docs of the native API.
type Profile struct {
	Nickname    string            `json:"nickname"`
	AvatarURL   string            `json:"avatar_url"`
	ProfileURL  string            `json:"profile_url"`
	IsOnline    bool              `json:"is_online"`
	LastLoginAt *time.Time        `json:"last_login_at"`
	LastSeenAt  *time.Time        `json:"last_seen_at"`
	Metadata    map[string]string `json:"metadata"`
}

// Register writes users into the directory.
func (w *World) Register(t testing.TB, a App, p Profile, users ...string) {
	t.Helper()
	if p.Metadata == nil {
		p.Metadata = map[string]string{}
	}
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		if got := w.Send(t, Native(http.MethodPut, a.UserPath(user), string(body))); got.Status/100 != 2 {
			t.Fatalf("register a user: %v", got)
		}
	}
}
