package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sidecar is a process that serves, as its clients see it.
type sidecar struct {
	*process
	urls   map[string]string // of the listeners that are on, by their names
	client *http.Client
}

func newSidecar(p *process, urls map[string]string) *sidecar {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &sidecar{process: p, urls: urls, client: &http.Client{Transport: &documented{t: p.t, next: transport}, Timeout: patience}}
}

// answer is an answer to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// request sends a request. It may be called from any goroutine, unlike the
// methods below, which fail the test if there is no answer.
func (s *sidecar) request(method, door, path string, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, s.urls[door]+path, nil)
	if err != nil {
		return answer{}, err
	}
	if door == "api" {
		req.Header.Set("Authorization", "Bearer "+apiToken)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return s.do(req)
}

// do sends a request that has been made. It may be called from any goroutine.
func (s *sidecar) do(req *http.Request) (answer, error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or the read failed
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func (s *sidecar) must(method, door, path string, headers ...string) answer {
	s.t.Helper()
	a, err := s.request(method, door, path, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *sidecar) get(door, path string, headers ...string) answer {
	s.t.Helper()
	return s.must(http.MethodGet, door, path, headers...)
}

// ready waits until the process has started in every respect.
func (s *sidecar) ready() *sidecar {
	s.t.Helper()
	waitFor(s.t, "/startupz is green", func() bool { return s.get("ops", "/startupz").status == http.StatusOK })
	return s
}

// question is what one asks of the check listener.
type question struct {
	sender, recipient, room, app, atLeast string
}

func (q question) path() string {
	values := url.Values{"sender": {q.sender}, "recipient": {q.recipient}, "room_type": {q.room}}
	if q.room == "" {
		values.Set("room_type", "direct")
	}
	if q.app != "" {
		values.Set("app", q.app)
	}
	if q.atLeast != "" {
		values.Set("at_least", q.atLeast)
	}
	return "/v1/can-deliver?" + values.Encode()
}

// verdict is a decision as it is answered. How stale it may be is asked about
// where it matters: a machine that stands still for two seconds makes any answer
// stale.
type verdict struct {
	Deliver  bool   `json:"deliver"`
	Notify   bool   `json:"notify"`
	Action   string `json:"action"`
	Reason   string `json:"reason"`
	Degraded bool   `json:"degraded"`
}

var (
	allowed = verdict{Deliver: true, Notify: true, Action: "deliver", Reason: "allowed"}
	dropped = verdict{Action: "drop", Reason: "recipient_blocked_sender"}
)

// decide asks and returns the decision.
func (s *sidecar) decide(q question) verdict {
	s.t.Helper()
	a, err := s.known(q)
	if err != nil {
		s.t.Fatal(err)
	}
	v, ok := a.verdict(s.t)
	if !ok {
		s.t.Fatalf("%+v: no decision: %v", q, a)
	}
	return v
}

// known asks until the answer is known, from any goroutine. A check waits for a
// list no longer than 150 ms, and the first reads of a process, on connections
// that have yet to be made, take longer on a machine that has no time for them.
func (s *sidecar) known(q question) (a answer, err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if a, err = s.request(http.MethodGet, "check", q.path()); err != nil || !a.unknown() {
			break
		}
	}
	return a, err
}

// unknown reports whether the answer is that there is none.
func (a answer) unknown() bool {
	return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, `"code":"unknown"`)
}

// verdict reads the decision of an answer, if it has one.
func (a answer) verdict(t *testing.T) (v verdict, ok bool) {
	t.Helper()
	if a.status != http.StatusOK {
		return v, false
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	return v, true
}

// enforced waits until a decision is the wanted one.
func (s *sidecar) enforced(q question, want verdict) {
	s.t.Helper()
	waitFor(s.t, fmt.Sprintf("%+v is decided as %+v", q, want), func() bool {
		got, ok := s.get("check", q.path()).verdict(s.t)
		return ok && got == want
	})
}

// blockPath is the path of an entry, or with an empty target that of the list.
func blockPath(app, owner, target string) string {
	path := listPath(app, owner)
	if target != "" {
		path += "/" + url.PathEscape(target)
	}
	return path
}

// block blocks by the API and returns the revision of the write.
func (s *sidecar) block(app, owner, target string) (revision string) {
	s.t.Helper()
	a := s.must(http.MethodPut, "api", blockPath(app, owner, target))
	if a.status != http.StatusCreated {
		s.t.Fatalf("%s blocks %s: %v", owner, target, a)
	}
	return a.header.Get("Sidegate-Revision")
}

// samples is a scrape of the ops listener: the value of every series.
func (s *sidecar) samples() map[string]float64 {
	s.t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(s.get("ops", "/metrics").body) {
		line = strings.TrimSpace(line)
		cut := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || cut < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			s.t.Fatalf("metrics: %s", line)
		}
		all[line[:cut]] = value
	}
	return all
}

// problem reads the code of a problem document, and whether it is one at all.
func (a answer) problem(t *testing.T) (code string) {
	t.Helper()
	var doc struct {
		Type, Title, Detail, Code string
		Status                    int
	}
	if kind := a.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("%v: the content type is %q", a, kind)
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Status != a.status || doc.Title == "" || doc.Detail == "" || doc.Type == "" {
		t.Errorf("%v is no problem document (%v)", a, err)
	}
	return doc.Code
}
