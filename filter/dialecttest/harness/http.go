package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Call is a request as it goes over the wire: the path with its query as it is
// written, the names of header fields in the case that is given.
type Call struct {
	Method, Path string
	Header       [][2]string
	Body         string
}

// With adds a header field.
func (c Call) With(name, value string) Call {
	c.Header = append(c.Header[:len(c.Header):len(c.Header)], [2]string{name, value})
	return c
}

// Without takes a header field out.
func (c Call) Without(name string) Call {
	var kept [][2]string
	for _, h := range c.Header {
		if !strings.EqualFold(h[0], name) {
			kept = append(kept, h)
		}
	}
	c.Header = kept
	return c
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a Answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// Send asks the api listener of the node.
func (w *World) Send(t testing.TB, c Call) Answer {
	t.Helper()
	a, err := w.Try(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Try is Send for any goroutine.
func (w *World) Try(c Call) (Answer, error) { return w.Node.send("api", c) }

// Want sends a request and compares the answer; see [Match] for the pattern.
func (w *World) Want(t testing.TB, c Call, status int, pattern string) Answer {
	t.Helper()
	a := w.Send(t, c)
	a.Want(t, status, pattern)
	return a
}

// Want compares an answer with what is documented.
func (a Answer) Want(t testing.TB, status int, pattern string) {
	t.Helper()
	if a.Status != status {
		t.Fatalf("the answer is %v, want %d %s", a, status, pattern)
	}
	if err := Match(pattern, a.Body); err != nil {
		t.Fatalf("%v\nthe answer is %v\nwant %s", err, a, pattern)
	}
	if kind := a.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		t.Fatalf("the Content-Type is %q, want application/json", kind)
	}
}

// Decode reads the body of an answer.
func (a Answer) Decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), into); err != nil {
		t.Fatalf("%v: %v", err, a)
	}
}

// send asks a listener. It may be called from any goroutine.
func (s *Sidecar) send(listener string, c Call) (Answer, error) {
	req, err := http.NewRequest(c.Method, s.urls[listener]+c.Path, bytes.NewReader([]byte(c.Body)))
	if err != nil {
		return Answer{}, err
	}
	for _, h := range c.Header {
		// Not Set: it would correct the case of the name.
		req.Header[h[0]] = append(req.Header[h[0]], h[1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or the read failed
	body, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, string(body)}, err
}
