package imkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sidegate/sidegate/filter"
)

const (
	// verifyTimeout bounds one question to the app's server, from the
	// connection to the last byte.
	verifyTimeout = 3 * time.Second
	// keepGood is how long a token that was good counts unasked: so long does
	// one that its owner has withdrawn still count. If the answer says when the
	// token expires, it ends then at the latest.
	keepGood = time.Minute
	// keepBad is shorter, for a token that is about to be good.
	keepBad = 5 * time.Second
	// maxGood and maxBad are the most tokens that are remembered, some 4 MB of
	// them. They are kept apart, so that nobody can push good tokens out with
	// bad ones.
	maxGood, maxBad = 16 << 10, 4 << 10
	// maxVerifying is the most questions at once; others wait for their turn.
	maxVerifying = 64
	// maxVerified is the most bytes of an answer.
	maxVerified = 64 << 10
)

// Callback is a [Verifier] that asks the app's own server: POST {"token":"…"} is
// answered with {"id":"…"}, and a status of 400 to 499 if the token is not good.
// Nickname and avatar of the answer are not read; the directory has those. It is
// safe for concurrent use.
type Callback struct {
	url    string
	client *http.Client
	idle   func() // closes connections that nobody uses

	mu    sync.Mutex
	good  *memory
	bad   *memory
	under map[tokenKey]*question // being asked
}

// tokenKey stands for a token, which is a secret and not kept.
type tokenKey [sha256.Size]byte

// question is one that is under way; who asks the same waits for it.
type question struct {
	answered chan struct{}
	who      Who
	err      error
}

// NewCallback makes a Verifier that asks a URL. A nil transport is one of our own,
// which uses the proxy of the environment.
func NewCallback(url string, transport http.RoundTripper) *Callback {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			MaxConnsPerHost: maxVerifying, MaxIdleConnsPerHost: maxVerifying, IdleConnTimeout: time.Minute,
		}
	}
	client := &http.Client{
		Transport: transport,
		// Who could redirect us could collect tokens.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Callback{
		url: url, client: client, idle: client.CloseIdleConnections,
		good: newMemory(maxGood), bad: newMemory(maxBad), under: make(map[tokenKey]*question),
	}
}

// Run waits until ctx ends and then closes the connections that are left. Tokens
// are verified before and after.
func (c *Callback) Run(ctx context.Context) error {
	<-ctx.Done()
	c.idle()
	return nil
}

// Verify implements [Verifier]. Of many that bring the same token one asks.
func (c *Callback) Verify(ctx context.Context, token string) (Who, error) {
	key := tokenKey(sha256.Sum256([]byte(token)))
	q, who, err := c.recall(key)
	if q == nil {
		return who, err
	}
	if q.answered == nil { // it is ours
		return c.lead(ctx, key, token)
	}
	select {
	case <-q.answered:
		return q.who, q.err
	case <-ctx.Done():
		return Who{}, ctx.Err()
	}
}

// recall answers from memory, with a nil question, or returns the question that
// is under way. It is one without a channel if the caller is to ask.
func (c *Callback) recall(key tokenKey) (*question, Who, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if who, ok := c.good.get(key, now); ok {
		return nil, who, nil
	}
	if _, ok := c.bad.get(key, now); ok {
		return nil, Who{}, ErrToken
	}
	if q := c.under[key]; q != nil {
		return q, Who{}, nil
	}
	c.under[key] = &question{answered: make(chan struct{})}
	return &question{}, Who{}, nil
}

// lead asks, remembers the answer and tells those who wait for it. That nothing
// could be found out is not remembered.
func (c *Callback) lead(ctx context.Context, key tokenKey, token string) (who Who, err error) {
	var expires time.Time
	err = errors.New("the question was not asked to its end")
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		now := time.Now()
		switch {
		case err == nil:
			until := now.Add(keepGood)
			if !expires.IsZero() && expires.Before(until) {
				until = expires
			}
			c.good.put(key, remembered{who, until})
		case errors.Is(err, ErrToken):
			c.bad.put(key, remembered{until: now.Add(keepBad)})
		}
		q := c.under[key]
		delete(c.under, key)
		q.who, q.err = who, err
		close(q.answered)
	}()
	who, expires, err = c.ask(ctx, token)
	return who, err
}

// ask asks the app's server.
func (c *Callback) ask(ctx context.Context, token string) (Who, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		return Who{}, time.Time{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return Who{}, time.Time{}, unnamed(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return Who{}, time.Time{}, unnamed(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxVerified+1))
	if err != nil {
		return Who{}, time.Time{}, unnamed(err)
	}
	return parseVerified(response.StatusCode, answer, time.Now())
}

// unnamed leaves the URL out of an error: it may hold a secret of the deployer's.
func unnamed(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return fmt.Errorf("ask verify_url: %w", err)
}

// parseVerified reads what the app's server answered. Expires is zero if it does
// not say.
func parseVerified(status int, answer []byte, now time.Time) (who Who, expires time.Time, err error) {
	switch {
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return Who{}, time.Time{}, fmt.Errorf("verify_url answers with status %d", status)
	case 400 <= status && status < 500:
		return Who{}, time.Time{}, ErrToken
	case status != http.StatusOK:
		return Who{}, time.Time{}, fmt.Errorf("verify_url answers with status %d, want 200, or 4xx for a token that is not good", status)
	case len(answer) > maxVerified:
		return Who{}, time.Time{}, fmt.Errorf("verify_url answers with more than %d bytes", maxVerified)
	}
	said, err := readVerified(answer)
	if err != nil {
		return Who{}, time.Time{}, err
	}
	if filter.ValidateUserID(said.id) != nil {
		return Who{}, time.Time{}, ErrToken
	}
	if said.exp != nil {
		// Times beyond any token's, which would overflow, say nothing.
		if *said.exp <= float64(now.Unix()) {
			return Who{}, time.Time{}, ErrToken
		}
		if left := *said.exp - float64(now.Unix()); left < keepGood.Seconds() {
			expires = now.Add(time.Duration(left * float64(time.Second)))
		}
	}
	return Who{User: said.id}, expires, nil
}

// verified is what an answer says.
type verified struct {
	id  string
	exp *float64 // of a server that answers with the claims of the token
}

// readVerified reads an answer to the letter. The library by itself takes "ID", which
// may be a field of the profile, for "id", and puts U+FFFD where text cannot be
// decoded: two users would become one, and a third one at that.
func readVerified(answer []byte) (said verified, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(answer, &members); err != nil {
		return said, fmt.Errorf("verify_url answers with something else than an object with id: %w", err)
	}
	if id, ok := members["id"]; ok {
		if err := json.Unmarshal(id, &said.id); err != nil {
			return said, fmt.Errorf("verify_url answers with an id that is no text: %w", err)
		}
		if !utf8.Valid(id) || strings.Count(said.id, "\ufffd") > bytes.Count(id, []byte("\ufffd"))+bytes.Count(bytes.ToLower(id), []byte(`\ufffd`)) {
			return said, errors.New("verify_url answers with an id that is not in Unicode")
		}
	}
	if exp, ok := members["exp"]; ok {
		if err := json.Unmarshal(exp, &said.exp); err != nil {
			return said, fmt.Errorf("verify_url answers with an exp that is no number: %w", err)
		}
	}
	return said, nil
}

// remembered is an answer and when it is to be forgotten.
type remembered struct {
	who   Who
	until time.Time
}

// memory keeps the answers of two generations; when the young one is full the old
// one is forgotten. It is guarded by its owner.
type memory struct {
	most       int // of one generation
	young, old map[tokenKey]remembered
}

func newMemory(most int) *memory {
	return &memory{most: most / 2, young: make(map[tokenKey]remembered)}
}

func (m *memory) get(key tokenKey, now time.Time) (Who, bool) {
	for _, generation := range [...]map[tokenKey]remembered{m.young, m.old} {
		if r, ok := generation[key]; ok && now.Before(r.until) {
			return r.who, true
		}
	}
	return Who{}, false
}

func (m *memory) put(key tokenKey, r remembered) {
	if len(m.young) >= m.most {
		m.old, m.young = m.young, make(map[tokenKey]remembered)
	}
	m.young[key] = r
}
