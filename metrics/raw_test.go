package metrics

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/metrics/border"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// dialOps opens a connection to a listener by its base URL.
func dialOps(t *testing.T, base string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readAll reads answers until the server closes the connection, or as many as are
// wanted if that is more than none.
func readAll(t *testing.T, conn net.Conn, want int) (all []answer) {
	t.Helper()
	in := bufio.NewReader(conn)
	for want == 0 || len(all) < want {
		resp, err := http.ReadResponse(in, nil)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, answer{resp.StatusCode, resp.Header, string(body)})
	}
	return all
}

// TestFraming sends what a proxy and we might read differently. Each of these is
// refused, and what stands behind it on the connection is not answered.
func TestFraming(t *testing.T) {
	base := serveOps(t, newTestOps(t, OpsOptions{}))
	const get = "GET /livez HTTP/1.1\r\nHost: h\r\n"
	const post = "POST /livez HTTP/1.1\r\nHost: h\r\n"
	for _, c := range []struct {
		name, raw string
		status    int
		code      string // "" = net/http answers by itself, in plain text
	}{
		{"length and chunked", get + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked", get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked POST", post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411, "length_required"},
		{"a line end in a chunk extension", get + "Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n", 411, "length_required"},
		{"two encodings", get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, ""},
		{"an unknown encoding", get + "Transfer-Encoding: x\r\n\r\n", 501, ""},
		{"a body that nobody wants", get + "Content-Length: 2\r\n\r\n{}", 400, "unexpected_body"},
		{"a body without end", get + "Content-Length: 99999999\r\n\r\n", 400, "unexpected_body"},
		{"a body too large", post + "Content-Length: 65537\r\n\r\n", 413, "too_large"},
		{"two different lengths", get + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, ""},
		{"a list of lengths", get + "Content-Length: 2, 2\r\n\r\n{}", 400, ""},
		{"space before the colon", get + "X-One : x\r\n\r\n", 400, ""},
		{"no host", "GET /livez HTTP/1.1\r\n\r\n", 400, ""},
		{"two hosts", get + "Host: x\r\n\r\n", 400, ""},
		{"a header of 9 kB", get + "X-One: " + strings.Repeat("a", 9<<10) + "\r\n\r\n", 431, ""},
		{"no HTTP", "nonsense\r\n\r\n", 400, ""},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404, "not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // net/http takes half a second to close such a connection
			conn := dialOps(t, base)
			if _, err := io.WriteString(conn, c.raw+"GET /version HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			all := readAll(t, conn, 0)
			if len(all) != 1 || all[0].status != c.status || c.code != "" && all[0].code(t) != c.code {
				t.Errorf("%d answers, %+v; want one, %d %s", len(all), all, c.status, c.code)
			}
		})
	}
}

// TestOneSpelling: what ServeMux would decode, clean or redirect is not there.
func TestOneSpelling(t *testing.T) {
	o := newTestOps(t, OpsOptions{})
	o.HandleStatus(func(*border.Principal) any { return "read" })
	base := serveOps(t, o)
	for target, want := range map[string]struct {
		status int
		code   string
	}{
		"/livez": {200, ""}, "http://elsewhere/livez": {200, ""}, "/livez?": {200, ""},
		"//livez": {404, "not_found"}, "/./livez": {404, "not_found"}, "/x/../livez": {404, "not_found"}, "/livez/": {404, "not_found"},
		"/livez/.": {404, "not_found"}, "/%6civez": {404, "not_found"}, "/%256civez": {404, "not_found"}, "/livez%00": {404, "not_found"},
		"//a/%2e%2e/livez": {404, "not_found"}, "/LIVEZ": {404, "not_found"}, "*": {404, "not_found"},
		"/v1/%73tatus": {404, "not_found"}, "/v1//status": {404, "not_found"}, "/v1/status": {401, "unauthenticated"},
		"/v1/apps/default/users/a%2Fb/blocks": {404, "wrong_listener"}, "/v1/can-deliver?sender=a%2Fb": {404, "wrong_listener"},
	} {
		conn := dialOps(t, base)
		if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		all := readAll(t, conn, 1)
		if len(all) != 1 || all[0].status != want.status || want.code != "" && all[0].code(t) != want.code {
			t.Errorf("%s = %+v, want %d %s", target, all, want.status, want.code)
		}
	}
	conn := dialOps(t, base)
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if all := readAll(t, conn, 1); len(all) != 1 || all[0].status != 404 {
		t.Errorf("OPTIONS * = %+v", all)
	}
}

// TestWithoutGuards shows what the guards keep out: net/http and its ServeMux
// by themselves take these.
func TestWithoutGuards(t *testing.T) {
	o := newTestOps(t, OpsOptions{})
	o.server.Handler = o.mux
	base := serveOps(t, o)
	const smuggled = "GET /version HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"length and chunked": {"GET /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
		"an escaped path":    {"GET /%6civez HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		"a path to clean":    {"GET //livez HTTP/1.1\r\nHost: h\r\n\r\n", 307},
	} {
		conn := dialOps(t, base)
		if _, err := io.WriteString(conn, c.raw+smuggled); err != nil {
			t.Fatal(err)
		}
		if all := readAll(t, conn, 2); len(all) != 2 || all[0].status != c.status || all[1].status != 200 {
			t.Errorf("%s: %+v; if net/http refuses it now, the guard can go", name, all)
		}
	}
}

// TestSilence: half a request ends the connection, and an idle connection ends.
func TestSilence(t *testing.T) {
	o := newTestOps(t, OpsOptions{})
	o.server.ReadTimeout, o.server.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond
	base := serveOps(t, o)
	for name, raw := range map[string]string{
		"nothing": "", "half a line": "GET /liv", "half a header": "GET /livez HTTP/1.1\r\nHost: h\r\nX: ",
		"a whole request": "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		conn := dialOps(t, base)
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("%s: %v, want the end of the connection", name, err)
		}
	}
	// Without the test's own bounds they are those of the other listeners.
	if s := newTestOps(t, OpsOptions{}).server; s.ReadTimeout != 5*time.Second || s.IdleTimeout != time.Minute || s.WriteTimeout < 30*time.Second {
		t.Errorf("the timeouts are %v, %v, %v", s.ReadTimeout, s.WriteTimeout, s.IdleTimeout)
	}
}

// FuzzExact: whatever is exact is what ServeMux serves unchanged.
func FuzzExact(f *testing.F) {
	for _, s := range []string{"/livez", "//x", "/a/../b", "/%2e", "/a/./b", "/..", "/a..b"} {
		f.Add(s)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.NewRequest("GET", "http://h/"+strings.TrimPrefix(path, "/"), nil)
		if err != nil || r.URL.RawQuery != "" || r.URL.Fragment != "" || !exact(r.URL.EscapedPath()) {
			return
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != 200 || r.URL.Path != r.URL.EscapedPath() {
			t.Fatalf("%q is answered %d as %q", path, w.Code, r.URL.Path)
		}
	})
}
