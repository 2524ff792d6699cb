package imkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// server is an app's own server, without a network.
type server func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func says(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
}

// tokenOf reads the token of a question.
func tokenOf(t testing.TB, r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	token, ok := strings.CutPrefix(string(body), `{"token":"`)
	if !ok || !strings.HasSuffix(token, `"}`) || r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the question is %s %s", r.Method, body)
	}
	return strings.TrimSuffix(token, `"}`)
}

// TestCallbackOverHTTP asks a real server.
func TestCallbackOverHTTP(t *testing.T) {
	asked := make(chan string, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch token := tokenOf(t, r); token {
		case "moved":
			http.Redirect(rw, r, "/elsewhere", http.StatusTemporaryRedirect)
		case "forged":
			http.Error(rw, "no", http.StatusUnauthorized)
		default:
			fmt.Fprintf(rw, `{"id":%q,"nickname":"N","avatarUrl":"http://a"}`, token)
		}
		asked <- r.URL.Path
	}))
	closed := make(chan struct{}, 10)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.Start()
	defer s.Close()
	c := NewCallback(s.URL+"/verify", nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	if who, err := c.Verify(t.Context(), "a/b"); err != nil || who.User != "a/b" || who.RoomsOwned != nil {
		t.Errorf("%+v, %v", who, err)
	}
	if _, err := c.Verify(t.Context(), "forged"); !errors.Is(err, ErrToken) {
		t.Errorf("a forged token: %v", err)
	}
	if _, err := c.Verify(t.Context(), "moved"); err == nil || errors.Is(err, ErrToken) {
		t.Errorf("a redirect: %v", err)
	}
	if len(closed) > 0 {
		t.Error("connections are not kept between questions")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-closed // by Run, while the server would keep it
	close(asked)
	for path := range asked {
		if path != "/verify" {
			t.Errorf("a token was sent to %s", path)
		}
	}
	s.Close()
	if _, err := c.Verify(t.Context(), "late"); err == nil || errors.Is(err, ErrToken) || strings.Contains(err.Error(), "/verify") {
		t.Errorf("a server that is gone: %v", err)
	}
}

// TestCallbackAnswers is the table of what answers mean.
func TestCallbackAnswers(t *testing.T) {
	now := time.Now()
	exp := func(d time.Duration) string { return fmt.Sprintf(`{"id":"bob","exp":%d}`, now.Add(d).Unix()) }
	for _, c := range []struct {
		name   string
		status int
		body   string
		user   string
		bad    bool // the token, otherwise the server
	}{
		{"a user", 200, `{"id":"bob"}`, "bob", false},
		{"a user and more", 200, `{"_id":7,"id":"b😀/","nickname":null,"role":["x"]}`, "b😀/", false},
		{"claims", 200, exp(time.Hour), "bob", false},
		{"claims for ever", 200, `{"id":"bob","exp":1e300}`, "bob", false},
		{"claims of the past", 200, exp(-time.Second), "", true},
		{"claims of long ago", 200, `{"id":"bob","exp":-1e300}`, "", true},
		{"nobody", 200, `{}`, "", true},
		{"an empty id", 200, `{"id":""}`, "", true},
		{"an id that is none", 200, `{"id":"a\u0000"}`, "", true},
		{"an id that is too long", 200, `{"id":"` + strings.Repeat("x", 257) + `"}`, "", true},
		{"null", 200, `null`, "", true},
		{"bad request", 400, ``, "", true},
		{"unauthorized", 401, `{"id":"bob"}`, "", true},
		{"forbidden", 403, `x`, "", true},
		{"not found", 404, ``, "", true},
		{"too slow", 408, ``, "", false},
		{"too many", 429, ``, "", false},
		{"a field beside the id", 200, `{"id":"bob","ID":"eve","Id":"eve","EXP":1}`, "bob", false},
		{"an id in other letters", 200, `{"ID":"bob"}`, "", true},
		{"an id with a character that stands for what is none", 200, "{\"id\":\"b\ufffd\\ufffd\"}", "b\ufffd\ufffd", false},
		{"an id that is not in UTF-8", 200, "{\"id\":\"b\xff\"}", "", false},
		{"an id with half a character", 200, `{"id":"b\ud800"}`, "", false},
		{"an exp that is text", 200, `{"id":"bob","exp":"x"}`, "", false},
		{"an id that is a number", 200, `{"id":7}`, "", false},
		{"no object", 200, `["bob"]`, "", false},
		{"no JSON", 200, `<html>`, "", false},
		{"nothing", 200, ``, "", false},
		{"too much", 200, `{"id":"bob","x":"` + strings.Repeat("x", maxVerified) + `"}`, "", false},
		{"no content", 204, ``, "", false},
		{"moved", 302, `{"id":"bob"}`, "", false},
		{"broken", 500, `{"id":"bob"}`, "", false},
		{"away", 503, ``, "", false},
	} {
		callback := NewCallback("http://app/verify", server(func(*http.Request) (*http.Response, error) { return says(c.status, c.body) }))
		who, err := callback.Verify(t.Context(), "t")
		if who.User != c.user || (err == nil) != (c.user != "") || errors.Is(err, ErrToken) != c.bad {
			t.Errorf("%s: %+v, %v", c.name, who, err)
		}
		if err != nil && (strings.Contains(err.Error(), "app/verify") || strings.Contains(err.Error(), "bob")) {
			t.Errorf("%s: the error shows too much: %v", c.name, err)
		}
	}
}

// TestCallbackIsRemembered: a good token for a minute, a bad one for seconds, a
// server that is away not at all, and nothing longer than the token itself.
func TestCallbackIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[string]int{}
		away := false
		c := NewCallback("http://app", server(func(r *http.Request) (*http.Response, error) {
			token := tokenOf(t, r)
			asked[token]++
			switch {
			case away:
				return nil, errors.New("connection refused")
			case token == "short":
				return says(200, fmt.Sprintf(`{"id":"bob","exp":%d}`, time.Now().Add(10*time.Second).Unix()))
			case token == "good":
				return says(200, `{"id":"bob"}`)
			}
			return says(401, "")
		}))
		ask := func(token string, times int) {
			t.Helper()
			who, err := c.Verify(t.Context(), token)
			if good := token != "bad"; good != (err == nil) || good != (who.User == "bob") || !good && !errors.Is(err, ErrToken) {
				t.Errorf("%s: %+v, %v", token, who, err)
			}
			if asked[token] != times {
				t.Errorf("%s was asked about %d times, want %d", token, asked[token], times)
			}
		}
		for range 3 {
			ask("good", 1)
			ask("bad", 1)
			ask("short", 1)
		}
		time.Sleep(keepBad - 1)
		ask("bad", 1)
		time.Sleep(time.Nanosecond)
		ask("bad", 2)
		time.Sleep(5*time.Second - 1)
		ask("short", 1)
		time.Sleep(time.Nanosecond)
		ask("short", 2)
		time.Sleep(keepGood - 10*time.Second - 1)
		ask("good", 1)
		away = true
		ask("good", 1) // what is remembered outlives the server
		time.Sleep(time.Nanosecond)
		for n := range 2 {
			if _, err := c.Verify(t.Context(), "good"); err == nil || errors.Is(err, ErrToken) || asked["good"] != 2+n {
				t.Errorf("away: %v after %d questions", err, asked["good"])
			}
		}
		away = false
		ask("good", 4)
	})
}

// TestCallbackAsksOnce: of many with one token one asks, and all get the answer;
// other tokens do not wait for it.
func TestCallbackAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		answer := make(chan struct{})
		c := NewCallback("http://app", server(func(r *http.Request) (*http.Response, error) {
			token := tokenOf(t, r)
			if token == "slow" {
				asked.Add(1)
				<-answer
			}
			return says(200, `{"id":"`+token+`"}`)
		}))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if who, err := c.Verify(t.Context(), "slow"); err != nil || who.User != "slow" {
					t.Errorf("%+v, %v", who, err)
				}
			})
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Verify(impatient, "slow"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who does not wait any longer: %v", err)
		}
		if who, err := c.Verify(t.Context(), "fast"); err != nil || who.User != "fast" {
			t.Errorf("%+v, %v", who, err)
		}
		close(answer)
		all.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestCallbackHangs: a server that does not answer costs no more than the bound,
// and the next to come asks again.
func TestCallbackHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := NewCallback("http://app", server(func(r *http.Request) (*http.Response, error) {
			if n++; n > 1 {
				return says(200, `{"id":"bob"}`)
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		begun := time.Now()
		if _, err := c.Verify(t.Context(), "t"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(begun); took != verifyTimeout {
			t.Errorf("it took %v", took)
		}
		if who, err := c.Verify(t.Context(), "t"); err != nil || who.User != "bob" {
			t.Errorf("%+v, %v", who, err)
		}
	})
}

// TestCallbackPanics: a question that ends in a panic is over for those who wait.
func TestCallbackPanics(t *testing.T) {
	panics := true
	c := NewCallback("http://app", server(func(*http.Request) (*http.Response, error) {
		if panics {
			panic("a bug")
		}
		return says(200, `{"id":"bob"}`)
	}))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = c.Verify(t.Context(), "t")
	}()
	panics = false
	if who, err := c.Verify(t.Context(), "t"); err != nil || who.User != "bob" {
		t.Errorf("%+v, %v", who, err)
	}
}

// TestCallbackMemoryIsBounded, and bad tokens push no good one out of it.
func TestCallbackMemoryIsBounded(t *testing.T) {
	asked := 0
	c := NewCallback("http://app", server(func(r *http.Request) (*http.Response, error) {
		asked++
		if strings.HasPrefix(tokenOf(t, r), "bad") {
			return says(401, "")
		}
		return says(200, `{"id":"bob"}`)
	}))
	verify := func(token string) { _, _ = c.Verify(t.Context(), token) }
	verify("first")
	for i := range 2 * maxBad {
		verify(fmt.Sprint("bad", i))
	}
	if n := len(c.bad.young) + len(c.bad.old); n > maxBad || n < maxBad/2 {
		t.Errorf("%d bad tokens are remembered", n)
	}
	asked = 0
	if verify("first"); asked != 0 {
		t.Error("a good token was forgotten")
	}
	for i := range 2 * maxGood {
		verify(fmt.Sprint("good", i))
	}
	if n := len(c.good.young) + len(c.good.old); n > maxGood || n < maxGood/2 {
		t.Errorf("%d good tokens are remembered", n)
	}
	asked = 0
	if verify("first"); asked != 1 {
		t.Error("nothing is ever forgotten")
	}
	if len(c.under) > 0 {
		t.Errorf("%d questions never end", len(c.under))
	}
}

// TestCallbackFromEverywhere: many users with many tokens at once each get their
// own answer.
func TestCallbackFromEverywhere(t *testing.T) {
	c := NewCallback("http://app", server(func(r *http.Request) (*http.Response, error) {
		if token := tokenOf(t, r); !strings.HasPrefix(token, "bad") {
			return says(200, `{"id":"`+token+`"}`)
		}
		return says(403, "")
	}))
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 200 {
				token := fmt.Sprint("u", (worker+i)%20)
				if who, err := c.Verify(t.Context(), token); err != nil || who.User != token {
					t.Errorf("%s is %+v, %v", token, who, err)
				}
				if _, err := c.Verify(t.Context(), fmt.Sprint("bad", i%20)); !errors.Is(err, ErrToken) {
					t.Errorf("a bad token: %v", err)
				}
			}
		})
	}
	all.Wait()
}
