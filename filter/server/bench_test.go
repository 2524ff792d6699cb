package server

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// pipeline is a connection in memory whose client sends the same requests over
// and over, sixteen to a write, and reads its answers without looking.
type pipeline struct {
	net.Conn
	chunk  []byte
	rest   []byte
	chunks int
	out    int
}

const pipelined = 16

func newPipeline(raw string, requests int) *pipeline {
	return &pipeline{chunk: []byte(strings.Repeat(raw, pipelined)), chunks: (requests + pipelined - 1) / pipelined}
}

func (c *pipeline) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.chunks == 0 {
			return 0, io.EOF
		}
		c.chunks--
		c.rest = c.chunk
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *pipeline) Write(p []byte) (int, error) {
	c.out += len(p)
	return len(p), nil
}

func (c *pipeline) Close() error                       { return nil }
func (c *pipeline) SetReadDeadline(_ time.Time) error  { return nil }
func (c *pipeline) SetWriteDeadline(_ time.Time) error { return nil }

func benchmark(b *testing.B, l *Listener, raw string) {
	c := newPipeline(raw, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	if err := l.server.ServeConn(l.newConn(c)); err != nil {
		b.Fatal(err)
	}
	if c.out == 0 {
		b.Fatal("nothing was answered")
	}
}

// BenchmarkServer compares requests from bytes to bytes with what fasthttp alone
// takes for the same bytes. Only the ratio of the lines means something.
func BenchmarkServer(b *testing.B) {
	get := request("GET", goodTarget, "")
	post := request("POST", "/v1/can-deliver", `{"sender":"alice","recipient":"bob","room_type":"direct"}`)
	noop := slow(newCheckListener(b, blockedWorld(b), Options{}))
	body := []byte(dropped)
	noop.server.Handler = func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.SetContentTypeBytes(jsonType)
		ctx.Response.SetBodyRaw(body)
	}
	noop.server.HeaderReceived = nil
	check := newCheckListener(b, blockedWorld(b), Options{})
	plain := slow(newCheckListener(b, blockedWorld(b), Options{}))
	guarded := newCheckListener(b, blockedWorld(b), Options{Auth: tokens()})
	b.Run("noop-get", func(b *testing.B) { benchmark(b, noop, get) })
	b.Run("hit-get", func(b *testing.B) { benchmark(b, check, get) })
	b.Run("hit-get-fasthttp", func(b *testing.B) { benchmark(b, plain, get) })
	b.Run("hit-get-token", func(b *testing.B) {
		benchmark(b, guarded, request("GET", goodTarget, "", "Authorization", "Bearer all"))
	})
	b.Run("noop-post", func(b *testing.B) { benchmark(b, noop, post) })
	b.Run("hit-post", func(b *testing.B) { benchmark(b, check, post) })
	b.Run("refused", func(b *testing.B) {
		benchmark(b, check, request("GET", goodTarget+"&sendr=x", ""))
	})
}

func BenchmarkSplitPlain(b *testing.B) {
	raw := []byte(request("GET", goodTarget, "", "User-Agent", "chat/1.0", "Accept", "*/*"))
	b.ReportAllocs()
	for b.Loop() {
		if r := splitPlain(raw); r.size != len(raw) {
			b.Fatal("not plain")
		}
	}
}

func BenchmarkParsePlain(b *testing.B) {
	query := []byte("sender=alice&recipient=bob&room_type=direct")
	b.ReportAllocs()
	for b.Loop() {
		var q question
		if !q.parsePlain(query) {
			b.Fatal("not plain")
		}
	}
}

func BenchmarkParseQuery(b *testing.B) {
	query := []byte("sender=alice&recipient=bob&room_type=direct")
	b.ReportAllocs()
	for b.Loop() {
		var q question
		if err := q.parseQuery(query); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnections reports what a connection takes of the heap and of stacks
// once it has been answered and is idle, client side included.
func BenchmarkConnections(b *testing.B) {
	const connections = 512
	r := runCheck(b, blockedWorld(b), Options{})
	raw := []byte(request("GET", goodTarget, ""))
	used := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc + m.StackInuse)
	}
	for b.Loop() {
		before := used()
		var open []net.Conn
		for range connections {
			nc := r.dial()
			if _, err := nc.Write(raw); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadAtLeast(nc, make([]byte, 512), 100); err != nil {
				b.Fatal(err)
			}
			open = append(open, nc)
		}
		b.ReportMetric((used()-before)/connections, "B/connection")
		for _, nc := range open {
			nc.Close()
		}
	}
}
