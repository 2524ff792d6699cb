package metrics

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sidegate/sidegate/metrics/border"
)

// lockedBuffer takes the log of a listener that runs beside the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newTestOps(t *testing.T, opts OpsOptions) *Ops {
	t.Helper()
	if opts.Gatherer == nil {
		opts.Gatherer = New(Build{Version: "test"})
	}
	if opts.Listen == nil {
		opts.Listen = []border.Address{{Network: "tcp", Address: "127.0.0.1:0"}}
	}
	o, err := NewOps(opts)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// serveOps runs o until the test ends and returns its base URL.
func serveOps(t *testing.T, o *Ops) string {
	t.Helper()
	if err := o.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return "http://" + o.Addrs()[0].String()
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	var doc struct{ Code string }
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Errorf("not a problem document: %q", a.body)
	}
	if got := a.header.Get("Content-Type"); got != border.ContentType {
		t.Errorf("Content-Type is %q", got)
	}
	return doc.Code
}

func ask(t *testing.T, method, url string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func TestOpenPaths(t *testing.T) {
	base := serveOps(t, newTestOps(t, OpsOptions{Build: Build{Version: "1.2.3", Revision: "abc", Date: "2026-01-02T03:04:05Z", GoVersion: "go9"}}))
	for path, body := range map[string]string{
		"/livez": "ok\n", "/readyz": "ok\n", "/startupz": "ok\n",
		"/version": `{"version":"1.2.3","revision":"abc","date":"2026-01-02T03:04:05Z","go_version":"go9"}`,
	} {
		if a := ask(t, "GET", base+path); a.status != 200 || a.body != body {
			t.Errorf("GET %s = %d %q", path, a.status, a.body)
		}
		if a := ask(t, "HEAD", base+path); a.status != 200 || a.body != "" {
			t.Errorf("HEAD %s = %d %q", path, a.status, a.body)
		}
	}
	if a := ask(t, "GET", base+"/metrics"); a.status != 200 || !strings.Contains(a.body, "sidegate_build_info{") {
		t.Errorf("GET /metrics = %d %.200q", a.status, a.body)
	}
}

func TestStaffOnly(t *testing.T) {
	log := new(lockedBuffer)
	o := newTestOps(t, OpsOptions{
		Logger: slog.New(slog.NewTextHandler(log, nil)),
		Auth: border.NewTokens([]border.Token{
			{Name: "server", SHA256: sha256.Sum256([]byte("plain")), Scopes: border.ScopeApp},
			{Name: "alice-of-support", SHA256: sha256.Sum256([]byte("staff")), Scopes: border.ScopeStaff},
		}),
	})
	o.HandleStatus(func(*border.Principal) any { return map[string]string{"state": "synced"} })
	o.HandleStaff("GET /who", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeText(w, 200, border.FromContext(r.Context()).Name)
	}))
	base := serveOps(t, o)

	if a := ask(t, "GET", base+"/who", "Authorization", "Bearer staff"); a.body != "alice-of-support" {
		t.Errorf("the handler does not know who was let in: %q", a.body)
	}
	log.Reset()
	if a := ask(t, "GET", base+"/v1/status"); a.status != 401 || a.code(t) != "unauthenticated" ||
		a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without a token: %d %s", a.status, a.body)
	}
	if a := ask(t, "GET", base+"/v1/status", "Authorization", "Bearer wrong"); a.status != 401 {
		t.Errorf("with a wrong token: %d %s", a.status, a.body)
	}
	if a := ask(t, "GET", base+"/v1/status", "Authorization", "Bearer plain"); a.status != 403 || a.code(t) != "forbidden" {
		t.Errorf("without scope staff: %d %s", a.status, a.body)
	}
	if strings.Contains(log.String(), "staff read") {
		t.Errorf("a refused read was logged as one: %s", log)
	}
	if a := ask(t, "GET", base+"/v1/status", "Authorization", "Bearer staff"); a.status != 200 || a.body != `{"state":"synced"}` {
		t.Errorf("with scope staff: %d %s", a.status, a.body)
	}
	if !strings.Contains(log.String(), "token=alice-of-support") || !strings.Contains(log.String(), "/v1/status") {
		t.Errorf("the read was not logged with the token's name: %s", log)
	}
}

func TestWithoutTokensNobodyIsStaff(t *testing.T) {
	o := newTestOps(t, OpsOptions{})
	o.HandleStatus(func(*border.Principal) any { t.Error("the status was read"); return nil })
	if a := ask(t, "GET", serveOps(t, o)+"/v1/status", "Authorization", "Bearer "); a.status != 401 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestUnmatched(t *testing.T) {
	base := serveOps(t, newTestOps(t, OpsOptions{}))
	for _, c := range []struct {
		method, path, code, detail string
		status                     int
	}{
		{"GET", "/nothing", "not_found", "the ops listener", 404},
		{"GET", "/v1/can-deliver?sender=a", "wrong_listener", "the check listener", 404},
		{"PUT", "/v1/apps/default/users/a%2Fb/blocks/c", "wrong_listener", "the api listener", 404},
		{"POST", "/metrics", "method_not_allowed", "GET, HEAD", 405},
		{"DELETE", "/readyz", "method_not_allowed", "GET, HEAD", 405},
		{"GET", "/readyz?verbos", "unknown_parameter", "verbose", 400},
		{"GET", "/readyz?verbose&verbose", "unknown_parameter", "repeated", 400},
	} {
		a := ask(t, c.method, base+c.path)
		if a.status != c.status || a.code(t) != c.code || !strings.Contains(a.body, c.detail) {
			t.Errorf("%s %s = %d %s", c.method, c.path, a.status, a.body)
		}
	}
	if a := ask(t, "POST", base+"/metrics"); a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
}

func TestHandle(t *testing.T) {
	o := newTestOps(t, OpsOptions{})
	o.Handle("GET /debug/things/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, 200, "things") }))
	o.Handle("GET /broken", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, func() {}) }))
	base := serveOps(t, o)
	if a := ask(t, "GET", base+"/debug/things/x"); a.status != 200 || a.body != "things" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := ask(t, "GET", base+"/broken"); a.status != 500 || a.code(t) != "internal" {
		t.Errorf("an answer that cannot be encoded: %d %s", a.status, a.body)
	}
}

func TestAFailingCollectorHidesNoOther(t *testing.T) {
	registry := New(Build{})
	registry.MustRegister(brokenCollector{})
	base := serveOps(t, newTestOps(t, OpsOptions{Gatherer: registry, Logger: slog.New(slog.DiscardHandler)}))
	if a := ask(t, "GET", base+"/metrics"); a.status != 200 || !strings.Contains(a.body, "sidegate_build_info") {
		t.Errorf("%d %.200s", a.status, a.body)
	}
}

func TestUnixSocketAndStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ops.sock")
	o := newTestOps(t, OpsOptions{Listen: []border.Address{
		{Network: "tcp", Address: "127.0.0.1:0"},
		{Network: "unix", Address: path, Mode: 0o600},
	}})
	if err := o.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()

	dialer := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	// Keep-alive on purpose: an idle connection must not hold up the stop.
	transport := &http.Transport{DialContext: dialer}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://ops/livez")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()

	cancel()
	if err := <-done; err != nil {
		t.Fatalf("Run = %v", err)
	}
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("the socket still answers")
	}
	if _, err := net.Dial("tcp", o.Addrs()[0].String()); err == nil {
		t.Error("the port still answers")
	}
}

// TestStopFinishesRequests: a read under way is answered before Run returns.
func TestStopFinishesRequests(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	o := newTestOps(t, OpsOptions{})
	o.Handle("GET /slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		writeText(w, 200, "done")
	}))
	if err := o.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- o.Run(ctx) }()
	answered := make(chan answer, 1)
	go func() { answered <- ask(t, "GET", "http://"+o.Addrs()[0].String()+"/slow") }()
	<-entered
	cancel()
	for { // until the port is closed the stop has not begun
		nc, err := net.Dial("tcp", o.Addrs()[0].String())
		if err != nil {
			break
		}
		nc.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("Run returned over a request under way: %v", err)
	default:
	}
	close(leave)
	if a := <-answered; a.status != 200 || a.body != "done" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestRunFailsWithItsListener(t *testing.T) {
	o := newTestOps(t, OpsOptions{})
	if err := o.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := o.bound[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := o.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run = %v, want the error of the listener", err)
	}
}

func TestWrongOrder(t *testing.T) {
	if _, err := NewOps(OpsOptions{}); err == nil {
		t.Error("a listener without a gatherer was made")
	}
	if err := newTestOps(t, OpsOptions{}).Run(t.Context()); err == nil {
		t.Error("Run before Listen served nothing and said nothing")
	}
	busy := newTestOps(t, OpsOptions{})
	if err := busy.Listen(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for range 2 {
			if err := busy.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
		}
	}()
	second := newTestOps(t, OpsOptions{Listen: []border.Address{{Network: "tcp", Address: busy.Addrs()[0].String()}}})
	if err := second.Listen(); err == nil {
		t.Error("a busy port was bound")
	}
}

func TestOffServesNothing(t *testing.T) {
	o, err := NewOps(OpsOptions{Gatherer: New(Build{})})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Run(ctx); err != nil || len(o.Addrs()) != 0 {
		t.Errorf("Run = %v on %v", err, o.Addrs())
	}
}
