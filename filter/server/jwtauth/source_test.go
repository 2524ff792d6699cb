package jwtauth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/metrics"
)

func now() time.Time { return time.Now() }

// issuer is the URL of a set of keys, inside a bubble where nothing real can be
// waited for.
type issuer struct {
	mu      sync.Mutex
	log     bytes.Buffer
	set     string
	err     error
	takes   time.Duration // until it answers
	fetches []time.Duration
	began   time.Time
}

func (i *issuer) change(f func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(i)
}

// Write takes the log of the verifier.
func (i *issuer) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.Write(p)
}

func (i *issuer) logged() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.String()
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.fetches)
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches = append(i.fetches, time.Since(i.began))
	set, err, takes := i.set, i.err, i.takes
	i.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(strings.NewReader(set)), Request: r}, nil
}

// fetching returns a verifier that runs until the test ends and gets its keys from
// an issuer that takes some time. It is to be made in a bubble, where time is not
// real.
func fetching(t *testing.T, set string, takes time.Duration) (*Authenticator, *issuer) {
	t.Helper()
	i := &issuer{set: set, takes: takes, began: time.Now()}
	a := verifier(t, Options{JWKSURL: "https://id.example/keys", Transport: i, Logger: slog.New(slog.NewTextHandler(i, nil))})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return a, i
}

// timed returns how long a request with the token took, and whether it was taken.
func (a *Authenticator) timed(token string) (took time.Duration, ok bool) {
	begin := time.Now()
	_, ok = a.ask(token)
	return time.Since(begin), ok
}

// TestNewKeyIsFetched: the first token with a new key is taken as soon as the key
// is there, whoever asks meanwhile shares the one fetch, and the next unknown key
// has to wait for its minute.
func TestNewKeyIsFetched(t *testing.T) {
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		a, i := fetching(t, jwks(jwk(k.rsa, "kid", "a")), 0)
		synctest.Wait()
		takes(t, a, sign(t, "RS256", k.rsa, good(), "kid", "a"))
		i.change(func(i *issuer) {
			i.set, i.takes = jwks(jwk(k.rsa, "kid", "a"), jwk(k.p256, "kid", "b")), 300*time.Millisecond
		})
		fresh := sign(t, "ES256", k.p256, good(), "kid", "b")
		if took, ok := a.timed(fresh); ok || took != 0 {
			t.Errorf("in the first minute: taken %v after %v, want a refusal at once", ok, took)
		}
		time.Sleep(askEvery)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if took, ok := a.timed(fresh); !ok || took != 300*time.Millisecond {
					t.Errorf("taken: %v after %v, want after the fetch", ok, took)
				}
			})
		}
		all.Wait()
		for n := range 200 { // unknown keys every 500 ms, for 100 s
			forged := sign(t, "ES256", k.p256b, good(), "kid", string(rune('c'+n%20)))
			if _, ok := a.timed(forged); ok {
				t.Error("a token with an unknown key is taken")
			}
			takes(t, a, fresh)
			time.Sleep(500 * time.Millisecond)
		}
		if got := i.count(); got != 3 {
			t.Errorf("%d fetches, want the first, one for the new key and one for the forged ones: %v", got, i.fetches)
		}
	})
}

// TestRequestsWaitABoundedTime: whatever the issuer does, a request is answered
// within a second, and known keys do not wait at all.
func TestRequestsWaitABoundedTime(t *testing.T) {
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		a, i := fetching(t, jwks(jwk(k.rsa, "kid", "a")), 0)
		synctest.Wait()
		i.change(func(i *issuer) { i.takes = time.Hour })
		time.Sleep(askEvery)
		if took, ok := a.timed(sign(t, "RS256", k.rsa, good(), "kid", "z")); ok || took != waitForKeys {
			t.Errorf("taken: %v after %v, want a refusal after %v", ok, took, waitForKeys)
		}
		if took, ok := a.timed(sign(t, "RS256", k.rsa, good(), "kid", "a")); !ok || took != 0 {
			t.Errorf("a known key: taken %v after %v", ok, took)
		}
		time.Sleep(fetchTimeout)
		if !strings.Contains(i.logged(), "could not be fetched") {
			t.Errorf("an issuer that hangs leaves no line: %s", i.logged())
		}
	})
}

// TestLastGoodSetStays: an issuer that is away, or answers nonsense, takes no key
// from us; it is asked again with growing pauses, and the log has one line for
// the beginning and one for the end.
func TestLastGoodSetStays(t *testing.T) {
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		a, i := fetching(t, jwks(jwk(k.rsa, "kid", "a")), 0)
		synctest.Wait()
		token := func() string { return sign(t, "RS256", k.rsa, good(), "kid", "a") }
		i.change(func(i *issuer) { i.err = errors.New("no route to host") })
		time.Sleep(refetchEvery + time.Hour)
		takes(t, a, token())
		i.change(func(i *issuer) { i.err, i.set = nil, "<html>under maintenance</html>" })
		time.Sleep(time.Hour)
		takes(t, a, token())
		fetches := i.count()
		if fetches < 120 || fetches > 135 {
			t.Errorf("%d fetches in two hours of failing, want one a minute", fetches)
		}
		if got := i.fetches[1:6]; got[1]-got[0] != time.Second || got[2]-got[1] != 2*time.Second || got[4]-got[3] != 8*time.Second {
			t.Errorf("asked again at %v, want pauses that double", got)
		}
		i.change(func(i *issuer) { i.set = jwks(jwk(k.rsa, "kid", "a")) })
		time.Sleep(maxRetry)
		takes(t, a, token())
		lines := strings.Split(strings.TrimSpace(i.logged()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "no route to host") ||
			!strings.Contains(lines[1], "fetched again") {
			t.Errorf("the log is %q", lines)
		}
	})
}

// TestWithdrawnKey: what the issuer no longer publishes counts for ten minutes at
// most.
func TestWithdrawnKey(t *testing.T) {
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		a, i := fetching(t, jwks(jwk(k.rsa, "kid", "a"), jwk(k.p256, "kid", "b")), 0)
		synctest.Wait()
		stolen := sign(t, "RS256", k.rsa, good(), "kid", "a")
		takes(t, a, stolen)
		i.change(func(i *issuer) { i.set = jwks(jwk(k.p256, "kid", "b")) })
		time.Sleep(refetchEvery)
		synctest.Wait()
		if _, ok := a.ask(stolen); ok {
			t.Error("a key that was withdrawn still counts")
		}
		takes(t, a, sign(t, "ES256", k.p256, good(), "kid", "b"))
	})
}

// TestStart: a request that comes before the first fetch has ended waits for it.
func TestStart(t *testing.T) {
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		a, i := fetching(t, jwks(jwk(k.rsa, "kid", "a")), 700*time.Millisecond)
		if took, ok := a.timed(sign(t, "RS256", k.rsa, good())); !ok || took != 700*time.Millisecond {
			t.Errorf("taken: %v after %v", ok, took)
		}
		if got := i.count(); got != 1 {
			t.Errorf("%d fetches, want one", got)
		}
	})
}

// TestWithoutRun: nothing is fetched by a request.
func TestWithoutRun(t *testing.T) {
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: jwks(jwk(k.rsa))}
		a := verifier(t, Options{JWKSURL: "https://id.example/keys", Transport: i})
		for range 3 {
			if took, ok := a.timed(sign(t, "RS256", k.rsa, good())); ok || took != waitForKeys {
				t.Errorf("taken: %v after %v", ok, took)
			}
		}
		if i.count() != 0 {
			t.Error("a request has fetched")
		}
	})
}

func TestRunOfAFixedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := verifier(t, Options{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("Run does not block")
		default:
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		takes(t, a, hs256(t, good())) // afterwards as before
	})
}

// TestFileIsReadAgain: a mounted secret is replaced while we run.
func TestFileIsReadAgain(t *testing.T) {
	k := keys()
	path := write(t, jwks(jwk(k.rsa, "kid", "a")))
	synctest.Test(t, func(t *testing.T) {
		a := verifier(t, Options{JWKSFile: path})
		takes(t, a, sign(t, "RS256", k.rsa, good(), "kid", "a"))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		if err := os.WriteFile(path, []byte(jwks(jwk(k.p256, "kid", "b"))), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(askEvery)
		takes(t, a, sign(t, "ES256", k.p256, good(), "kid", "b"))
		if _, ok := a.ask(sign(t, "RS256", k.rsa, good(), "kid", "a")); ok {
			t.Error("a key that is not in the file any more is taken")
		}
		stop()
		<-ended
	})
}

// TestOnlyFilesAreRead: what would have to be waited for is no file of keys. A
// socket stands for all of these: it is there on every system, and opening it fails
// without a guard too, which then says so in other words.
func TestOnlyFilesAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, path := range []string{path, t.TempDir()} {
		_, err := New(Options{JWKSFile: path, Algorithms: []string{"RS256"}})
		if err == nil || !strings.Contains(err.Error(), path+" is no file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestURL fetches over real connections: only what the one URL itself answers
// with 200 and in reasonable size is read.
func TestURL(t *testing.T) {
	k := keys()
	set := jwks(jwk(k.rsa, "kid", "a"))
	var followed atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, set) })
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, _ *http.Request) {
		followed.Store(true)
		_, _ = io.WriteString(w, set)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, set, http.StatusInternalServerError) })
	mux.HandleFunc("/created", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat(" ", maxDocument)+set)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	load := func(path string) (*keySet, error) {
		return verifier(t, Options{JWKSURL: server.URL + path}).source.load(t.Context())
	}
	if got, err := load("/keys"); err != nil || len(got.keys) != 1 {
		t.Errorf("/keys: %v", err)
	}
	for path, says := range map[string]string{
		"/redirect": "302", "/broken": "500", "/created": "201", "/nowhere": "404", "/endless": "more than", "/keys\x00": "invalid control character",
	} {
		if _, err := load(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", path, err, says)
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
	server.Close()
	if _, err := load("/keys"); err == nil {
		t.Error("a server that is away has answered")
	}
}

func TestMetrics(t *testing.T) {
	k := keys()
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	read := func(context.Context) ([]byte, error) { return []byte(jwks(jwk(k.rsa))), nil }
	s := newSource(read, slog.New(slog.DiscardHandler), m)
	s.fetch(t.Context(), false)
	s.read = func(context.Context) ([]byte, error) { return nil, errors.New("away") }
	s.fetch(t.Context(), false)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	s.fetch(stopped, false) // no fault of the issuer
	if f, e := testutil.ToFloat64(m.fetches), testutil.ToFloat64(m.fetchErrors); f != 3 || e != 1 {
		t.Errorf("%v fetches, %v errors; want 3 and 1", f, e)
	}
	if at := testutil.ToFloat64(m.fetched); at < float64(time.Now().Add(-patience).Unix()) {
		t.Errorf("fetched at %v", at)
	}
	if found := metrics.Lint(reg); len(found) != 0 {
		t.Errorf("lint: %q", found)
	}
}

// patience is how long a test may take.
const patience = time.Minute
