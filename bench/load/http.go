package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
)

// HTTPCaller sends requests that were written beforehand over one keep-alive
// connection. It implements [Caller].
type HTTPCaller struct {
	conn     net.Conn
	requests [][]byte // each what one exchange sends
	next     int
	depth    int
	in       []byte // what has been read, and not looked at
	buf      []byte
}

// HTTPOptions say what an [HTTPCaller] sends.
type HTTPOptions struct {
	Network, Address string // "tcp" or "unix"
	// Requests are sent one after the other, over and over, beginning with
	// number First. Each is a whole request, with its body.
	Requests [][]byte
	First    int
	// Depth is how many are sent in one write before the answers are read. Zero
	// means one.
	Depth int
}

// readSize takes the answers to sixteen requests at once.
const readSize = 16 << 10

// OpenHTTP connects. Every answer must be a 200 with a Content-Length.
func OpenHTTP(ctx context.Context, opts HTTPOptions) (*HTTPCaller, error) {
	return openHTTP(ctx, opts, Bundles(opts.Requests, max(opts.Depth, 1)))
}

func openHTTP(ctx context.Context, opts HTTPOptions, bundles [][]byte) (*HTTPCaller, error) {
	if len(bundles) == 0 {
		return nil, errors.New("no request to send")
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, opts.Network, opts.Address)
	if err != nil {
		return nil, err
	}
	depth := max(opts.Depth, 1)
	return &HTTPCaller{
		conn: conn, depth: depth, requests: bundles,
		next: opts.First / depth, buf: make([]byte, readSize),
	}, nil
}

// Bundles joins requests into as many whole bundles of depth as there are.
func Bundles(requests [][]byte, depth int) [][]byte {
	if depth == 1 {
		return requests
	}
	var out [][]byte
	for ; len(requests) >= depth; requests = requests[depth:] {
		out = append(out, bytes.Join(requests[:depth], nil))
	}
	return out
}

// OpenHTTPs opens callers that begin at different places among the requests.
func OpenHTTPs(ctx context.Context, callers int, opts HTTPOptions) ([]Caller, error) {
	out := make([]Caller, 0, callers)
	bundles := Bundles(opts.Requests, max(opts.Depth, 1)) // one copy for all
	for i := range callers {
		opts.First = i * len(opts.Requests) / callers
		c, err := openHTTP(ctx, opts, bundles)
		if err != nil {
			for _, open := range out {
				err = errors.Join(err, open.Close())
			}
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Do implements [Caller].
func (c *HTTPCaller) Do() (int, error) {
	if c.next >= len(c.requests) {
		c.next = 0
	}
	if _, err := c.conn.Write(c.requests[c.next]); err != nil {
		return 0, fmt.Errorf("send a request: %w", err)
	}
	c.next++
	for missing := c.depth; missing > 0; {
		n, err := c.skip()
		if err != nil {
			return 0, err
		}
		if missing -= n; missing < 0 || missing == 0 && len(c.in) > 0 {
			return 0, errors.New("more was answered than asked")
		}
		if missing > 0 {
			if err := c.fill(); err != nil {
				return 0, fmt.Errorf("read an answer: %w", err)
			}
		}
	}
	return c.depth, nil
}

// fill reads more, behind what is there.
func (c *HTTPCaller) fill() error {
	kept := copy(c.buf, c.in)
	if kept == len(c.buf) {
		return fmt.Errorf("an answer has more than %d bytes", kept)
	}
	n, err := c.conn.Read(c.buf[kept:])
	c.in = c.buf[:kept+n]
	return err
}

var (
	okLine     = []byte("HTTP/1.1 200 ")
	lengthLine = []byte("\r\nContent-Length: ")
	headEnd    = []byte("\r\n\r\n")
)

// skip drops whole answers from what has been read and returns how many.
func (c *HTTPCaller) skip() (n int, err error) {
	for {
		end := bytes.Index(c.in, headEnd)
		if end < 0 {
			return n, nil
		}
		head := c.in[:end+len(headEnd)]
		at := bytes.Index(head, lengthLine)
		if !bytes.HasPrefix(head, okLine) || at < 0 {
			return n, fmt.Errorf("answered with %q", c.in)
		}
		body := 0
		for _, digit := range head[at+len(lengthLine):] {
			if digit < '0' || digit > '9' {
				break
			}
			body = 10*body + int(digit-'0')
		}
		if len(c.in) < len(head)+body {
			return n, nil
		}
		c.in = c.in[len(head)+body:]
		n++
	}
}

// Close implements [Caller].
func (c *HTTPCaller) Close() error { return c.conn.Close() }
