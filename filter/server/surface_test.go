package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// vendor is a surface that owns everything below /vendor/.
type vendor struct {
	serve func(ctx context.Context, req *fasthttp.RequestCtx) string
}

func (v *vendor) Name() string          { return "vendor" }
func (v *vendor) Owns(path []byte) bool { return bytes.HasPrefix(path, []byte("/vendor/")) }

func (v *vendor) Serve(ctx context.Context, req *fasthttp.RequestCtx) string {
	return v.serve(ctx, req)
}

func (v *vendor) Fail(req *fasthttp.RequestCtx, problem border.Problem) {
	req.Response.SetStatusCode(problem.Status())
	req.Response.SetBodyString("oops " + string(problem.Code))
}

func runVendor(t *testing.T, serve func(ctx context.Context, req *fasthttp.RequestCtx) string, opts Options) *running {
	opts.Surfaces = []Surface{&vendor{serve}}
	opts.Auth = twoCredentials() // native routes ask for one, the surface has its own
	return runAPI(t, &fakeLists{}, opts)
}

func twoCredentials() border.Authenticator {
	return border.NewTokens([]border.Token{{Name: "backend", Scopes: border.ScopeApp}})
}

// TestSurfaceOwnsItsPaths: all methods and all paths below its own reach it, as
// they were sent and without a native credential; nothing else does.
func TestSurfaceOwnsItsPaths(t *testing.T) {
	counted := NewMetrics(nil)
	r := runVendor(t, func(ctx context.Context, req *fasthttp.RequestCtx) string {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the call may take for ever")
		}
		fmt.Fprintf(req, "%s %s %s", req.Method(), req.Request.Header.RequestURI(), req.Request.Body())
		if bytes.Contains(req.Path(), []byte("call")) {
			return "/vendor/{id}/call"
		}
		return ""
	}, Options{Metrics: counted})
	for _, request := range []string{
		"GET /vendor/a%2Fb/call?x=%20", "DELETE /vendor/b/call", "OPTIONS /vendor/c/call", "PATCH /vendor/d/call",
		"GET /vendor/", "GET http://elsewhere/vendor/e/call",
	} {
		raw := request + " HTTP/1.1\r\nHost: x\r\n\r\n"
		if a := r.send(raw, 1)[0]; a.status != 200 || a.body != request+" " {
			t.Errorf("%s: %d %q", request, a.status, a.body)
		}
	}
	raw := "POST /vendor/a/call HTTP/1.1\r\nHost: x\r\nContent-Type: text/odd\r\nContent-Length: 3\r\n\r\nabc"
	if a := r.send(raw, 1)[0]; a.body != "POST /vendor/a/call abc" {
		t.Errorf("a body: %d %q", a.status, a.body)
	}
	if a := r.get("/vendors/a"); a.code(t) != "not_found" {
		t.Errorf("beside its paths: %d %s", a.status, a.body)
	}
	if a := r.get(bobsPath); a.code(t) != "unauthenticated" {
		t.Errorf("a native path: %d %s", a.status, a.body)
	}
	r.stop()
	for _, c := range []struct {
		route, method string
		want          float64
	}{
		{"vendor /vendor/{id}/call", "GET", 2}, {"vendor /vendor/{id}/call", "DELETE", 1}, {"vendor /vendor/{id}/call", "POST", 1},
		{"vendor /vendor/{id}/call", "other", 2}, {"vendor none", "GET", 1},
	} {
		if got := testutil.ToFloat64(counted.requests.WithLabelValues(c.route, c.method, "2xx")); got != c.want {
			t.Errorf("%s %s was counted %v times, want %v", c.method, c.route, got, c.want)
		}
	}
}

// TestSurfaceSaysItsOwnWay: what the door refuses before the surface has its say,
// and what breaks within it, is answered in the form that its clients read.
func TestSurfaceSaysItsOwnWay(t *testing.T) {
	counted := NewMetrics(nil)
	r := runVendor(t, func(_ context.Context, req *fasthttp.RequestCtx) string {
		if req.IsDelete() {
			panic("no more")
		}
		req.Response.SetStatusCode(fasthttp.StatusTooManyRequests)
		return ""
	}, Options{Metrics: counted})
	for _, c := range []struct{ raw, want string }{
		{"POST /vendor/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "oops length_required"},
		{"GET /vendor/x HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", "oops bad_request"},
		{"POST /vendor/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n" + strings.Repeat("x", 1<<20+1), "oops too_large"},
		{"DELETE /vendor/x HTTP/1.1\r\nHost: x\r\n\r\n", "oops internal"},
		{"POST /vendor/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "oops length_required"},
		{"POST http://h/vendor/x?y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "oops length_required"},
		{"GET /vendor/x HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", readBufferSize) + "\r\n\r\n", "oops header_too_large"},
		{"GET /vendor/x HTTP/1.1\r\nno header\r\n\r\n", "oops bad_request"},
	} {
		if all := r.send(c.raw, 0); len(all) != 1 || all[0].body != c.want || !all[0].closes {
			t.Errorf("%.60q is answered %+v, want %s and the end", c.raw, all, c.want)
		}
	}
	if log := r.log.String(); strings.Count(log, "panic: no more") != 1 || !strings.Contains(log, `route="vendor none"`) {
		t.Errorf("logged %s", log)
	}
	r.get("/vendor/x")
	r.stop()
	if n := testutil.ToFloat64(counted.limited.WithLabelValues("vendor")); n != 1 {
		t.Errorf("%v requests count as limited, want the one that was answered 429", n)
	}
}

// TestSurfaceOfUnread: the form of a refusal is that of the request that could not
// be read, not of one before it on the connection, and not of its body.
func TestSurfaceOfUnread(t *testing.T) {
	r := runVendor(t, func(_ context.Context, req *fasthttp.RequestCtx) string { return "" },
		Options{ReadTimeout: 50 * time.Millisecond})
	const (
		vendors = "GET /vendor/x HTTP/1.1\r\nHost: x\r\n\r\n"
		native  = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
		begun   = " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
		unread  = "oops request_timeout"
	)
	for _, c := range []struct {
		name, before, raw string
		vendors           bool
	}{
		{"the vendor's after a native one", native, "POST /vendor/x" + begun + "\r\n", true},
		{"a native one after the vendor's", vendors, "POST /nothing" + begun + "\r\n", false},
		{"the vendor's with a body of its own words", vendors, "POST /vendor/x" + begun + "\r\nPOST /nothing HTTP", true},
		{"a native one with a body of the vendor's", native, "POST /nothing" + begun + "\r\nPOST /vendor/x HTTP", false},
		{"the vendor's that was told to go on", native, "POST /vendor/x" + begun + "Expect: 100-continue\r\n\r\n", true},
	} {
		nc := r.dial()
		defer nc.Close()
		for _, raw := range []string{c.before, c.raw} {
			if _, err := io.WriteString(nc, raw); err != nil {
				t.Fatal(err)
			}
			if raw == c.before {
				if _, err := io.ReadAtLeast(nc, make([]byte, 4096), 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		answer, err := io.ReadAll(nc)
		if err != nil || bytes.Contains(answer, []byte(unread)) != c.vendors || !bytes.Contains(answer, []byte("request_timeout")) {
			t.Errorf("%s: %q, %v", c.name, answer, err)
		}
	}
}

func TestTwoSurfacesOfOneName(t *testing.T) {
	_, err := NewAPI(&fakeLists{}, Options{Surfaces: []Surface{&vendor{}, &vendor{}}})
	if err == nil || !strings.Contains(err.Error(), `two surfaces are named "vendor"`) {
		t.Errorf("%v", err)
	}
}
