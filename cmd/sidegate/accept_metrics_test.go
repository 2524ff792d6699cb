package main

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/metrics"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestAcceptMetricNames: dashboards and alerts of others know our metrics by
// name, so that a name that goes or changes is never an accident. All of them
// follow the rules, and show something before anything has happened.
func TestAcceptMetricNames(t *testing.T) {
	t.Parallel()
	registry := registryOfAll(t)
	for _, problem := range metrics.Lint(registry) {
		t.Error(problem)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "sidegate_") {
			shown = append(shown, f.GetName())
		}
	}
	if known := described(registry); !slices.Equal(known, shown) {
		t.Errorf("registered are\n%v\nbut a fresh program shows\n%v", known, shown)
	}

	golden := filepath.Join("testdata", "metrics.golden")
	text := strings.Join(shown, "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the names differ from %s; if that is meant, run the test with -update and say so in the changelog\ngot\n%s", golden, text)
	}
}

// registryOfAll is the registry of a program with all its parts, none of which
// runs; no database is asked.
func registryOfAll(t *testing.T) *prometheus.Registry {
	t.Helper()
	s := builtOfAll(t)
	announceTLS(s)
	return s.registry
}

// builtOfAll is a program with all its parts that is not run.
func builtOfAll(t *testing.T) *sidegate {
	t.Helper()
	cfg, err := config.Load(config.Source{Flags: everyPart("postgres://127.0.0.1:1/none")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := buildSidegate(t.Context(), cfg, slog.New(slog.DiscardHandler), open{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.store.Close)
	return s
}

var descName = regexp.MustCompile(`^Desc\{fqName: "(sidegate_[^"]+)"`)

// described returns the names that are registered, those without a series too.
func described(registry *prometheus.Registry) (names []string) {
	all := make(chan *prometheus.Desc)
	go func() {
		defer close(all)
		registry.Describe(all)
	}()
	for d := range all {
		if m := descName.FindStringSubmatch(d.String()); m != nil {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestAcceptSeriesAreBounded: ten thousand requests with ids that nobody has
// seen before, well-formed and not, add no series.
func TestAcceptSeriesAreBounded(t *testing.T) {
	t.Parallel()
	const requests, clients = 10_000, 8
	s := startSidecar(t, database(t), "").ready()
	for i := range len(strangeRequests) {
		s.strange(i, fmt.Sprint("warm up ", i))
	}
	before := s.samples()

	var done sync.WaitGroup
	for c := range clients {
		done.Go(func() {
			for i := c; i < requests; i += clients {
				s.strange(i, fmt.Sprintf("%x/%d?#é", rand.Uint64(), i))
			}
		})
	}
	done.Wait()

	after := s.samples()
	for series := range after {
		if _, known := before[series]; !known {
			t.Errorf("a new series: %s", series)
		}
	}
	asked := 0.0
	for series, n := range after {
		if strings.HasPrefix(series, "sidegate_decisions_total") || strings.HasPrefix(series, "sidegate_http_requests_total") {
			asked += n
		}
	}
	if asked < requests/2 { // those that ask for no decision and those that are refused at the door are counted elsewhere or not
		t.Errorf("the metrics count only %v of %d requests", asked, requests)
	}
	t.Logf("%d series before and after %d requests", len(before), requests)
}

// strangeRequests are the kinds of request in their share of the whole: most ask
// for decisions, and the writes are few because a database makes them slow. Each
// puts an id that is new into every place that takes text.
var strangeRequests = func() []func(id string) (method, door, path string) {
	decision := func(room string) func(string) (string, string, string) {
		return func(id string) (string, string, string) {
			q := question{sender: "s" + id, recipient: "r" + id, room: room}
			return http.MethodGet, "check", q.path() + "&room=" + url.QueryEscape("room"+id)
		}
	}
	kinds := []func(string) (string, string, string){
		func(id string) (string, string, string) {
			return http.MethodPut, "api", blockPath("default", "o"+id, "t"+id)
		},
		func(id string) (string, string, string) {
			return http.MethodDelete, "api", blockPath("default", "o"+id, "t"+id)
		},
		func(id string) (string, string, string) {
			return http.MethodGet, "api", blockPath("default", "o"+id, "")
		},
		func(id string) (string, string, string) { return http.MethodGet, "api", blockPath("a"+id, "o"+id, "") },
		func(id string) (string, string, string) {
			return "X-" + fmt.Sprint(len(id)), "api", "/" + url.PathEscape(id)
		},
		func(id string) (string, string, string) {
			return http.MethodGet, "check", question{sender: "s" + id, recipient: "r", app: "a" + id}.path()
		},
		func(id string) (string, string, string) {
			return http.MethodGet, "check", question{sender: "s", recipient: "r", atLeast: id}.path()
		},
		func(id string) (string, string, string) {
			return http.MethodGet, "check", question{sender: "s", recipient: "r", room: id}.path()
		},
		func(id string) (string, string, string) {
			return http.MethodGet, "api", strings.TrimSuffix(listPath("default", "o"+id), "/blocks") + "/blocked-by"
		},
		func(id string) (string, string, string) {
			return http.MethodGet, "api", strings.TrimSuffix(listPath("default", "o"+id), "/blocks") + "/history?target=" + url.QueryEscape("t"+id)
		},
		func(id string) (string, string, string) { return http.MethodGet, "ops", "/" + url.PathEscape(id) },
		func(id string) (string, string, string) {
			return http.MethodGet, "ops", "/v1/explain?room_type=direct&sender=" + url.QueryEscape(id)
		},
	}
	for len(kinds) < 100 {
		kinds = append(kinds, decision("direct"), decision("group"), decision("open"))
	}
	return kinds
}()

// strange sends one of the strange requests; whatever is answered is right.
func (s *sidecar) strange(i int, id string) {
	method, door, path := strangeRequests[i%len(strangeRequests)](id)
	if a, err := s.request(method, door, path); err != nil || a.status == http.StatusInternalServerError {
		s.t.Errorf("%s %s: %v, %v", method, path, a, err)
	}
}
