package server

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// misframed is a request that a proxy and we might read differently, or that is no
// request, and how it is refused.
type misframed struct {
	name, raw string
	status    int
	code      string
}

// misframedAt are such requests for a GET of one target and a POST to another, which
// takes a body of so many bytes.
func misframedAt(target, to string, limit int) []misframed {
	post := "POST " + to + " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
	get := "GET " + target + " HTTP/1.1\r\nHost: h\r\n"
	return []misframed{
		{"length and chunked", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked", post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked, in other letters", post + "tRANSFER-eNCODING: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked, empty", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked, one byte", post + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked GET", get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "length_required"},
		{"chunked, with extension", post + "Transfer-Encoding: chunked\r\n\r\n0;a=b\r\n\r\n", 411, "length_required"},
		{"a line end in a chunk extension", post + "Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n", 400, "bad_request"},
		{"chunk size is no number", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, "bad_request"},
		{"identity", get + "Transfer-Encoding: identity\r\n\r\n", 411, "length_required"},
		{"two encodings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"},
		{"an unknown encoding", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "bad_request"},
		{"a list of encodings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"},
		{"chunked on HTTP/1.0", strings.Replace(post, "HTTP/1.1", "HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"},
		{"two lengths", post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, "bad_request"},
		{"two different lengths", post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "bad_request"},
		{"a list of lengths", post + "Content-Length: 2, 2\r\n\r\n{}", 400, "bad_request"},
		{"a signed length", post + "Content-Length: +2\r\n\r\n{}", 400, "bad_request"},
		{"a negative length", post + "Content-Length: -2\r\n\r\n{}", 400, "bad_request"},
		{"a length that is no number", post + "Content-Length: 0x2\r\n\r\n{}", 400, "bad_request"},
		{"a length without end", post + "Content-Length: 99999999999999999999\r\n\r\n{}", 400, "bad_request"},
		{"space before the colon", get + "Sidegate-At-Least : x\r\n\r\n", 400, "bad_request"},
		{"a folded line", get + "X-One: a\r\n b\r\n\r\n", 400, "bad_request"},
		{"a folded line, by a tab", get + "X-One: a\r\n\tTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"},
		{"a folded first line", "GET " + target + " HTTP/1.1\r\n Host: h\r\n\r\n", 400, "bad_request"},
		{"a line without a colon", get + "nonsense\r\n\r\n", 400, "bad_request"},
		{"a zero byte in a value", get + "X-One: a\x00b\r\n\r\n", 400, "bad_request"},
		{"no host", "GET " + target + " HTTP/1.1\r\n\r\n", 400, "bad_request"},
		{"two hosts", get + "Host: h\r\n\r\n", 400, "bad_request"},
		{"no version", "GET " + target + "\r\n\r\n", 400, "bad_request"},
		{"a space in the target", "GET /v1/can deliver HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bad_request"},
		{"a control character in the target", "GET /v1/\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bad_request"},
		{"a target that is no path", "GET v1/can-deliver HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bad_request"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad_request"},
		{"a header of 9 kB", get + "X-One: " + strings.Repeat("a", 9<<10) + "\r\n\r\n", 431, "header_too_large"},
		{"a target of 9 kB", "GET /" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 431, "header_too_large"},
		{"a body too large", post + fmt.Sprintf("Content-Length: %d\r\n\r\n", limit+1), 413, "too_large"},
		{"a body too large, elsewhere", "POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n", 413, "too_large"},
	}
}

// TestFraming: at every door each of these is refused, and nothing behind it on the
// connection is read as a request. It stands alone, or behind a request that nothing
// is wrong with: on the check listener that one is answered beneath fasthttp, which
// gets what follows in the midst of a connection.
func TestFraming(t *testing.T) {
	t.Parallel()
	const blocks = "/v1/apps/acme/users/bob/blocks"
	for _, door := range []struct {
		name         string
		r            *running
		target, post string
		limit        int
		vendor       bool
	}{
		{"check", runCheck(t, blockedWorld(t), Options{}), goodTarget, "/v1/can-deliver", 16 << 10, false},
		{"api", runAPI(t, calm(), Options{}), blocks, blocks + ":batch", 1 << 20, false},
		{"a vendor's", runVendor(t, func(context.Context, *fasthttp.RequestCtx) string { return "" }, Options{}), "/vendor/x", "/vendor/y", 1 << 20, true},
	} {
		good := request("GET", door.target, "")
		for _, c := range misframedAt(door.target, door.post, door.limit) {
			for _, before := range []string{"", good, good + good} {
				all := door.r.send(before+c.raw+good, 0)
				if len(all) != 1+len(before)/len(good) {
					t.Errorf("%s, %s: %d answers behind %d, want one and the end of the connection: %+v",
						door.name, c.name, len(all), len(before)/len(good), all)
					continue
				}
				for _, a := range all[:len(all)-1] {
					if a.status != 200 || a.closes {
						t.Errorf("%s, before %s: %+v", door.name, c.name, a)
					}
				}
				a := all[len(all)-1]
				// Whose form the refusal of a vendor's request has is another test's.
				refused := a.status == c.status && a.closes && (door.vendor || a.code(t) == c.code)
				if !refused {
					t.Errorf("%s, %s = %d %s (closes: %v), want %d %s", door.name, c.name, a.status, a.body, a.closes, c.status, c.code)
				}
			}
		}
	}
}

// TestFramingWithoutGuard shows what the guards are for: fasthttp by itself takes
// these, and answers what stands behind them as a second request.
func TestFramingWithoutGuard(t *testing.T) {
	bare := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("taken") }}
	for name, raw := range map[string]string{
		"length and chunked": "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a folded line":      "GET / HTTP/1.1\r\nHost: h\r\nX-One: a\r\n Content-Length: 9\r\n\r\n",
	} {
		c := &memoryConn{in: bytes.NewReader([]byte(raw + smuggled))}
		if err := bare.ServeConn(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Count(c.out.String(), "taken"); got != 2 {
			t.Errorf("%s: %d answers; if fasthttp refuses it now, the guard can go", name, got)
		}
	}
}
