package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/tlsfiles"
)

// maxAnswer bounds what is read of an answer. The largest one is a page of a
// list: 1,000 entries with notes of 1 KiB.
const maxAnswer = 16 << 20

// client speaks to one listener of a running sidegate, over TCP or a Unix socket.
// It makes a connection for each request unless it is told otherwise: a command makes
// few, and what is not kept open needs no closing.
type client struct {
	shown string // the address for people
	base  string // what a path is appended to
	token string // "" = none is sent
	http  *http.Client
}

// dialing says how a client shows and protects itself.
type dialing struct {
	token   string
	timeout time.Duration
	tls     tlsfiles.Client
	// keep keeps connections open between requests; whoever sets it closes them.
	keep bool
	// serverName is what the certificate has to be for, if that is not the host.
	serverName string
}

// newClient makes a client of an address: http(s)://host:port, or
// unix:///path of a socket.
func newClient(address string, how dialing) (*client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, usageError{fmt.Errorf("%q is not a URL; write http://host:port or unix:///path", address)}
	}
	// No proxy: the server stands beside us, and a token must not go anywhere
	// else because of a variable that was meant for a browser.
	transport := &http.Transport{DisableKeepAlives: !how.keep}
	c := &client{shown: address, base: strings.TrimSuffix(address, "/"), token: how.token}
	switch {
	case u.Scheme == "http" && u.Host != "":
	case u.Scheme == "https" && u.Host != "":
		if transport.TLSClientConfig, err = how.tls.Config(); err != nil {
			return nil, usageError{err}
		}
		if how.serverName != "" {
			transport.TLSClientConfig.ServerName = how.serverName
		}
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		c.base = "http://sidegate"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", u.Path)
		}
	default:
		return nil, usageError{fmt.Errorf("%q is no address of a listener; write http://host:port or unix:///path", address)}
	}
	// A redirect is no answer of ours; following it would carry the token away.
	c.http = &http.Client{
		Transport: transport, Timeout: how.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// call is one request.
type call struct {
	method string
	path   string // escaped
	query  url.Values
	body   any // nil = none
}

// do sends a request and returns the body of a successful answer. Its error is a
// *problem if the server refused, otherwise an unreachableError or, for what
// cannot even be asked, a usageError. None of them holds a user id or the token.
func (c *client) do(ctx context.Context, r call) (status int, body []byte, err error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return 0, nil, usageError{err}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, unreachableError{fmt.Errorf("no sidegate answers at %s: %w", c.shown, cause(err))}
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, unreachableError{fmt.Errorf("read the answer of %s: %w", c.shown, err)}
	}
	if resp.StatusCode < 300 {
		return resp.StatusCode, body, nil
	}
	return resp.StatusCode, nil, c.refusal(resp, body)
}

// request makes the HTTP request of a call.
func (c *client) request(ctx context.Context, r call) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false) // six bytes for one, and bodies have limits
		if err := enc.Encode(r.body); err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("User-Agent", "sidegate/"+build().Version)
	return req, nil
}

// stream sends a request whose body, or answer, is as long as it likes: nothing
// bounds it but ctx. The caller closes the body of the answer, which is one of
// success; errors are those of do.
func (c *client) stream(ctx context.Context, r call, body io.Reader, header http.Header) (*http.Response, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, usageError{err}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(body), -1
	}
	patient := *c.http
	patient.Timeout = 0
	resp, err := patient.Do(req)
	if err != nil {
		return nil, unreachableError{fmt.Errorf("no sidegate answers at %s: %w", c.shown, cause(err))}
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, unreachableError{fmt.Errorf("read the answer of %s: %w", c.shown, err)}
	}
	return nil, c.refusal(resp, text)
}

// cause strips the URL, which holds user ids, from an error of net/http.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// problem is an application/problem+json answer (RFC 9457). Its members are for
// people, save the code.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	// Report says how far an import came.
	Report *importReport `json:"report"`
}

// refusal reads an answer that is no success. One without a code comes from
// something else that listens there: another program, or a proxy in between.
func (c *client) refusal(resp *http.Response, body []byte) error {
	var p problem
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return unreachableError{fmt.Errorf("what answers at %s is not sidegate: %s, without a problem document", c.shown, resp.Status)}
	}
	p.Status = resp.StatusCode // what was received counts, not what the body says
	return &p
}

// Error is a sentence for people, with the code for scripts.
func (p *problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	text = fmt.Sprintf("%s (%s, HTTP %d)", printable(text), printable(p.Code), p.Status)
	if p.Status == http.StatusUnauthorized {
		text += "; give a token with " + envToken + " or --token"
	}
	return text
}

// exitCode: what the caller can repair is usage, what the store refuses or
// cannot do is the store's.
func (p *problem) exitCode() int {
	if p.Status == http.StatusConflict || p.Status == http.StatusTooManyRequests || p.Status >= 500 {
		return exitStore
	}
	return exitUsage
}

// decode reads the JSON of a successful answer.
func (c *client) decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return c.strange(err)
	}
	return nil
}

// strange is the error for an answer that no sidegate gives.
func (c *client) strange(err error) error {
	return unreachableError{fmt.Errorf("what answers at %s is not sidegate: %w", c.shown, err)}
}
