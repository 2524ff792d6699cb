package metrics

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// brokenCollector fails at every scrape.
type brokenCollector struct{}

func (brokenCollector) Describe(c chan<- *prometheus.Desc) {
	c <- prometheus.NewDesc("sidegate_broken", "Broken.", nil, nil)
}

func (brokenCollector) Collect(c chan<- prometheus.Metric) {
	c <- prometheus.NewInvalidMetric(prometheus.NewDesc("sidegate_broken", "Broken.", nil, nil), errors.New("broken"))
}

func probe(s *probeSet, target, accept string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Accept", accept)
	s.ServeHTTP(w, r)
	return w
}

func TestProbeForms(t *testing.T) {
	snapshot := error(nil)
	s := &probeSet{path: "/readyz", probes: []Probe{
		{"snapshot", func() error { return snapshot }},
		{"listeners", func() error { return nil }},
	}}
	for _, c := range []struct {
		err                  error
		target, accept, body string
		status               int
	}{
		{nil, "/readyz", "", "ok\n", 200},
		{nil, "/readyz?verbose", "*/*", "[+]snapshot ok\n[+]listeners ok\nreadyz check passed\n", 200},
		{nil, "/readyz", "application/json", `{"ok":true,"checks":[{"name":"snapshot","ok":true},{"name":"listeners","ok":true}]}`, 200},
		{errors.New("older than 5m"), "/readyz?verbose=1", "", "[-]snapshot failed: older than 5m\n[+]listeners ok\nreadyz check failed\n", 503},
		{
			errors.New("older than 5m"), "/readyz", "text/html, application/json",
			`{"ok":false,"checks":[{"name":"snapshot","ok":false,"detail":"older than 5m"},{"name":"listeners","ok":true}]}`, 503,
		},
	} {
		snapshot = c.err
		if w := probe(s, c.target, c.accept); w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s (%v, Accept %q) = %d %q, want %d %q", c.target, c.err, c.accept, w.Code, w.Body, c.status, c.body)
		}
	}
}

func TestNotReadyIsAProblem(t *testing.T) {
	s := &probeSet{path: "/readyz", probes: []Probe{{"snapshot", func() error { return errors.New("older than 5m") }}}}
	w := probe(s, "/readyz", "")
	a := answer{w.Code, w.Header(), w.Body.String()}
	if a.status != 503 || a.code(t) != "not_ready" || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestReadinessComesAndGoes(t *testing.T) {
	err := errors.New("not yet")
	probes := []Probe{{"sync", func() error { return err }}}
	ready := &probeSet{path: "/readyz", probes: probes}
	started := &probeSet{path: "/startupz", probes: probes, once: true}
	for step, want := range []struct {
		err                error
		readyAt, startedAt int
	}{
		{errors.New("not yet"), 503, 503},
		{nil, 200, 200},
		{errors.New("lost again"), 503, 200}, // a start-up happens once
	} {
		err = want.err
		if got := probe(ready, "/readyz", "").Code; got != want.readyAt {
			t.Errorf("step %d: /readyz is %d, want %d", step, got, want.readyAt)
		}
		if got := probe(started, "/startupz", "").Code; got != want.startedAt {
			t.Errorf("step %d: /startupz is %d, want %d", step, got, want.startedAt)
		}
	}
}
