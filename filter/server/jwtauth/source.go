package jwtauth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// fetchTimeout bounds one fetch, from the connection to the last byte.
	fetchTimeout = 5 * time.Second
	// refetchEvery is how often keys are fetched although none is missing: so
	// long does a key that its owner has withdrawn still count.
	refetchEvery = 10 * time.Minute
	// askEvery is how often unknown keys may cause a fetch.
	askEvery = time.Minute
	// waitForKeys bounds how long a request waits for a fetch.
	waitForKeys = time.Second
	// After a failed fetch the pause doubles from one to the other.
	minRetry = time.Second
	maxRetry = time.Minute
	// maxDocument is the most bytes a JWK set may have.
	maxDocument = 1 << 20
)

// source keeps a set of keys that somebody else publishes.
type source struct {
	read    func(context.Context) ([]byte, error)
	log     *slog.Logger
	metrics *Metrics

	set atomic.Pointer[keySet] // the last good one; nil before the first

	asked chan struct{} // of one place: run shall fetch soon

	mu       sync.Mutex
	fetching bool
	began    time.Time     // of the last fetch; zero before the first
	ended    chan struct{} // closed and replaced at the end of each fetch
}

func newSource(read func(context.Context) ([]byte, error), log *slog.Logger, m *Metrics) *source {
	return &source{read: read, log: log, metrics: m, asked: make(chan struct{}, 1), ended: make(chan struct{})}
}

// find is [keySet.find] over the present set. If the key is missing it asks for a
// fetch, unless one for that reason is less than [askEvery] ago, and looks again
// after it.
func (s *source) find(kid, alg string) []*key {
	fitting, known := s.look(kid, alg)
	if known || !s.await() {
		return fitting
	}
	fitting, _ = s.look(kid, alg)
	return fitting
}

func (s *source) look(kid, alg string) (fitting []*key, known bool) {
	set := s.set.Load()
	if set == nil {
		return nil, false
	}
	return set.find(kid, alg)
}

// await waits for the fetch that is under way or that may be asked for now; it
// reports false at once if there is neither, and after [waitForKeys].
func (s *source) await() bool {
	s.mu.Lock()
	ended := s.ended
	may := s.fetching || s.began.IsZero() || time.Since(s.began) >= askEvery
	s.mu.Unlock()
	if !may {
		return false
	}
	select {
	case s.asked <- struct{}{}:
	default: // somebody else has asked
	}
	timeout := time.NewTimer(waitForKeys)
	defer timeout.Stop()
	select {
	case <-ended:
		return true
	case <-timeout.C:
		return false
	}
}

// run fetches until ctx ends.
func (s *source) run(ctx context.Context) {
	failures := 0
	for {
		if s.fetch(ctx, failures > 0) {
			failures = 0
		} else {
			failures++
		}
		if !s.pause(ctx, failures) {
			return
		}
	}
}

// pause waits until the next fetch is due or asked for; false means that ctx has
// ended.
func (s *source) pause(ctx context.Context, failures int) bool {
	wait := refetchEvery
	if failures > 0 {
		wait = min(minRetry<<min(failures-1, 10), maxRetry)
	}
	due := time.NewTimer(wait)
	defer due.Stop()
	for {
		select {
		case <-due.C:
			return true
		case <-s.asked:
			// Asked for during the fetch that has just ended: whoever did
			// waited for that one.
			if s.old() {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

func (s *source) old() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.began) >= askEvery
}

// fetch gets a new set, or keeps the one there is. A row of failures is logged
// once, and its end.
func (s *source) fetch(ctx context.Context, failing bool) (ok bool) {
	s.begin()
	defer s.end()
	bounded, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	s.metrics.fetches.Inc()
	set, err := s.load(bounded)
	switch {
	case err == nil:
		s.set.Store(set)
		s.metrics.fetched.SetToCurrentTime()
		if failing {
			s.log.Info("the keys of signed tokens are fetched again", "keys", len(set.keys))
		}
	case ctx.Err() != nil: // we are being stopped: nobody's fault
	default:
		s.metrics.fetchErrors.Inc()
		if !failing {
			s.log.Warn("the keys of signed tokens could not be fetched; the last good ones stay in use", "error", err)
		}
	}
	return err == nil
}

func (s *source) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetching, s.began = true, time.Now()
}

func (s *source) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ended)
	s.ended, s.fetching = make(chan struct{}), false
}

func (s *source) load(ctx context.Context) (*keySet, error) {
	document, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	return parseJWKS(document)
}

// fromURL reads a document from a URL and from nowhere else: who could redirect
// us could name keys of their own.
func fromURL(url string, transport http.RoundTripper) func(context.Context) ([]byte, error) {
	if transport == nil {
		// A connection every ten minutes need not be kept.
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Accept", "application/jwk-set+json, application/json")
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the answer is %s, want 200 without a redirect", response.Status)
		}
		return readBounded(response.Body)
	}
}

// fromFile reads a document from a file and from nothing else: to open a pipe is to
// wait for somebody who writes, here while a configuration is being read.
func fromFile(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no file", path)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return readBounded(f)
	}
}

func readBounded(r io.Reader) ([]byte, error) {
	document, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(document) > maxDocument {
		err = fmt.Errorf("the document has more than %d bytes", maxDocument)
	}
	return document, err
}
