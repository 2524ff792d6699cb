package metrics

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/sidegate/sidegate/metrics/border"
)

// Probe is one condition that a probe path asks about.
type Probe struct {
	Name string // one word, for the list of ?verbose
	// Check returns nil if the condition holds. It answers at once, from
	// memory: kubelet asks every second, and a liveness probe that waited for
	// Postgres would restart a pod that only Postgres can heal. The text of
	// its error is shown to whoever asks, so that it names no user.
	Check func() error
}

// probeSet answers one probe path.
type probeSet struct {
	path   string
	probes []Probe
	// once: having been green, the path stays green. A start-up happens once;
	// what comes after it is for readiness to tell.
	once  bool
	green atomic.Bool
}

// probeResult is one line of the answer.
type probeResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

func (s *probeSet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p, ok := onlyVerbose(r); !ok {
		writeProblem(w, p)
		return
	}
	results, ok := s.ask()
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	switch {
	case strings.Contains(r.Header.Get("Accept"), "application/json"):
		writeJSON(w, status, struct {
			OK     bool          `json:"ok"`
			Checks []probeResult `json:"checks"`
		}{ok, results})
	case r.URL.Query().Has("verbose"):
		writeText(w, status, s.verbose(results, ok))
	case ok:
		writeText(w, status, "ok\n")
	default:
		writeProblem(w, border.Problemf(border.CodeNotReady, "%s", failing(results)))
	}
}

// ask runs the checks; a set that is latched green asks no more.
func (s *probeSet) ask() (results []probeResult, ok bool) {
	ok = true
	results = make([]probeResult, 0, len(s.probes))
	latched := s.once && s.green.Load()
	for _, p := range s.probes {
		result := probeResult{Name: p.Name, OK: true}
		if !latched {
			if err := p.Check(); err != nil {
				result.OK, result.Detail, ok = false, err.Error(), false
			}
		}
		results = append(results, result)
	}
	if ok {
		s.green.Store(true)
	}
	return results, ok
}

// verbose is the list in the form that the Kubernetes API server made known.
func (s *probeSet) verbose(results []probeResult, ok bool) string {
	var list strings.Builder
	for _, r := range results {
		if r.OK {
			fmt.Fprintf(&list, "[+]%s ok\n", r.Name)
		} else {
			fmt.Fprintf(&list, "[-]%s failed: %s\n", r.Name, r.Detail)
		}
	}
	verdict := "passed"
	if !ok {
		verdict = "failed"
	}
	fmt.Fprintf(&list, "%s check %s\n", strings.TrimPrefix(s.path, "/"), verdict)
	return list.String()
}

func failing(results []probeResult) string {
	var names []string
	for _, r := range results {
		if !r.OK {
			names = append(names, r.Name+": "+r.Detail)
		}
	}
	return strings.Join(names, "; ")
}

// onlyVerbose refuses every query parameter but one ?verbose.
func onlyVerbose(r *http.Request) (border.Problem, bool) {
	for name, values := range r.URL.Query() {
		if name != "verbose" || len(values) != 1 {
			return border.Problemf(border.CodeUnknownParameter,
				"the parameter %s is unknown or repeated; the only one is verbose", border.Quote(name)), false
		}
	}
	return border.Problem{}, true
}
