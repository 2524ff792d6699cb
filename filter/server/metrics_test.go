package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics"
)

func series(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		n += len(f.GetMetric())
	}
	return n
}

func TestRequestsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	lists := &fakeLists{
		list: func(context.Context, filter.ListRequest) (filter.ListResult, error) { return filter.ListResult{}, nil },
		get: func(context.Context, filter.ListID, string) (filter.Block, error) {
			return filter.Block{}, &filter.Error{Code: filter.CodeStoreUnavailable}
		},
	}
	counted := NewMetrics(reg)
	r := runAPI(t, lists, Options{Metrics: counted})
	r.get(bobsPath)
	r.get(bobsPath)
	r.get(bobsPath + "?limit=x")
	r.get(bobsPath + "/alice")
	r.ask("BREW", bobsPath, "")
	r.get("/nowhere")
	r.send("nonsense\r\n\r\n", 1)
	r.stop()
	const list, entry = "/v1/apps/{app}/users/{owner}/blocks", "/v1/apps/{app}/users/{owner}/blocks/{target}"
	for _, c := range []struct {
		route, method, code string
		want                float64
	}{
		{list, "GET", "2xx", 2}, {list, "GET", "4xx", 1}, {entry, "GET", "5xx", 1}, {entry, "PUT", "2xx", 0},
		{list, "other", "4xx", 1}, {"none", "GET", "4xx", 1}, {"none", "other", "4xx", 1},
	} {
		if got := testutil.ToFloat64(counted.requests.WithLabelValues(c.route, c.method, c.code)); got != c.want {
			t.Errorf("%s %s %s: %v, want %v", c.method, c.route, c.code, got, c.want)
		}
	}
	if found := metrics.Lint(reg); len(found) != 0 {
		t.Errorf("lint: %q", found)
	}
}

// TestIDsAddNoSeries: neither user ids nor paths nor methods that somebody makes
// up become labels.
func TestIDsAddNoSeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	lists := &fakeLists{get: func(context.Context, filter.ListID, string) (filter.Block, error) { return filter.Block{}, nil }}
	r := runAPI(t, lists, Options{Metrics: NewMetrics(reg)})
	r.get(bobsPath + "/alice")
	r.get("/nowhere")
	r.ask("BREW", bobsPath, "")
	before := series(t, reg)
	const batch = 100 // few enough that the answers fit into the buffers between us
	for i := 0; i < 10_000; i += batch {
		var raw strings.Builder
		for j := i; j < i+batch; j++ {
			raw.WriteString(request("GET", fmt.Sprintf("/v1/apps/app-%d/users/u-%d/blocks/t-%d", j, j, j), ""))
			raw.WriteString(request("GET", fmt.Sprintf("/nowhere-%d", j), ""))
			raw.WriteString(request(fmt.Sprintf("BREW%d", j), bobsPath, ""))
		}
		if got := len(r.send(raw.String(), 3*batch)); got != 3*batch {
			t.Fatalf("%d answers", got)
		}
	}
	if after := series(t, reg); after != before {
		t.Errorf("%d series have become %d", before, after)
	}
}

func TestClass(t *testing.T) {
	for status, want := range map[int]string{0: "1xx", 100: "1xx", 200: "2xx", 204: "2xx", 304: "3xx", 499: "4xx", 503: "5xx", 999: "5xx"} {
		if got := class(status); got != want {
			t.Errorf("class(%d) = %s, want %s", status, got, want)
		}
	}
}
