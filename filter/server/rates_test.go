package server

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/metrics"
)

// passed counts how many of n requests pass.
func passed(n int, take func() error) (count int) {
	for range n {
		if take() == nil {
			count++
		}
	}
	return count
}

func testRates(r Rate) *rates {
	return newRates(r, NewMetrics(nil).rateLimited(0))
}

func TestRatePerOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRates(Rate{PerOwner: 5})
		take := func(app, owner string) func() error { return func() error { return r.take(app, owner) } }
		if got := passed(20, take("acme", "bob")); got != 5 {
			t.Errorf("%d of 20 requests at once have passed, want 5", got)
		}
		if got := passed(20, take("acme", "alice")) + passed(20, take("umbra", "bob")); got != 10 {
			t.Errorf("another owner, and the same in another app: %d have passed, want 10", got)
		}
		time.Sleep(400 * time.Millisecond)
		if got := passed(20, take("acme", "bob")); got != 2 {
			t.Errorf("after 0.4 s %d have passed, want 2", got)
		}
		time.Sleep(time.Hour)
		if got := passed(20, take("acme", "bob")); got != 5 {
			t.Errorf("after an hour %d have passed, want 5", got)
		}
	})
}

// TestRateIsKeptOverGenerations: an owner who never stops asking gets the rate,
// whatever others do and however often buckets are dropped.
func TestRateIsKeptOverGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRates(Rate{PerOwner: 10})
		got := 0
		for i := range 10_000 { // 10 s
			if r.take("acme", "bob") == nil {
				got++
			}
			if i%7 == 0 {
				_ = r.take("acme", fmt.Sprint(i))
			}
			time.Sleep(time.Millisecond)
		}
		if got < 109 || got > 110 {
			t.Errorf("%d requests have passed in 10 s, want 10 at once and 10 a second", got)
		}
	})
}

// TestRateForgetsNothingEarly: a bucket that is dropped was full again. One is
// emptied at each moment of a generation and asked again after each pause.
func TestRateForgetsNothingEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for offset := time.Duration(0); offset <= 2*time.Second; offset += 90 * time.Millisecond {
			for pause := time.Duration(0); pause <= 2500*time.Millisecond; pause += 100 * time.Millisecond {
				b := newBuckets[string](10)
				b.take("other", time.Now())
				time.Sleep(offset)
				for range 10 {
					b.take("bob", time.Now())
				}
				time.Sleep(pause)
				got := 0
				for b.take("bob", time.Now()) {
					got++
				}
				if want := min(10, int(pause/(100*time.Millisecond))); got != want {
					t.Fatalf("emptied %v after the generation began, asked again after %v: %d pass, want %d", offset, pause, got, want)
				}
			}
		}
	})
}

// TestRatesStayBounded: who makes up owners gets no memory for it.
func TestRatesStayBounded(t *testing.T) {
	b := newBuckets[string](1)
	now := time.Now()
	for i := range 5 * maxBuckets {
		if !b.take(fmt.Sprint(i), now) {
			t.Fatalf("owner %d is refused the first request", i)
		}
		if len(b.present)+len(b.past) > 2*maxBuckets {
			t.Fatalf("%d buckets are kept, at most %d may be", len(b.present)+len(b.past), 2*maxBuckets)
		}
	}
	b.take("x", now.Add(time.Hour))
	if got := len(b.present) + len(b.past); got != 1 {
		t.Errorf("%d buckets are kept after an hour", got)
	}
}

func TestRatePerApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRates(Rate{PerApp: 7, PerOwner: 3})
		got := 0
		for i := range 10 {
			got += passed(1, func() error { return r.take("acme", fmt.Sprint(i)) })
		}
		if got != 7 {
			t.Errorf("%d requests of an app have passed, want 7", got)
		}
		// What the owner is refused must not use up what the app has.
		if got := passed(100, func() error { return r.take("umbra", "bob") }); got != 3 {
			t.Errorf("%d of one owner", got)
		}
		if got := passed(100, func() error { return r.take("umbra", "alice") }); got != 3 {
			t.Errorf("%d of the next owner: the first has used up the app's", got)
		}
	})
}

// TestRetryAfterIsTrue: whoever is refused, at whatever moment, and comes again after
// the second that the answer speaks of is let in, however often others of the same
// bucket were refused meanwhile.
func TestRetryAfterIsTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []Rate{{PerOwner: 1}, {PerOwner: 3}, {PerApp: 1}, {PerApp: 7, PerOwner: 2}} {
			r := testRates(rate)
			for i := range 50 {
				for r.take("acme", "bob") == nil {
				}
				passed(20, func() error { return r.take("acme", "bob") })
				time.Sleep(time.Second)
				if err := r.take("acme", "bob"); err != nil {
					t.Fatalf("%+v, time %d: a second later it is refused again: %v", rate, i, err)
				}
				time.Sleep(time.Duration(i) * 37 * time.Millisecond)
			}
		}
	})
}

func TestNoRate(t *testing.T) {
	if r := newRates(Rate{}, nil); r != nil || passed(1000, func() error { return r.take("a", "b") }) != 1000 {
		t.Error("without a rate requests are refused")
	}
}

// TestRateOverHTTP: 429 with Retry-After, counted; refused and unauthenticated
// requests use up nothing, and the other listener has no rate.
func TestRateOverHTTP(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	opts := Options{Auth: crowd(), Rate: Rate{PerOwner: 1}, Metrics: m}
	r := runAPI(t, calm(), opts)
	const target = "/v1/apps/acme/users/bob/blocks"
	for range 5 {
		r.get(target, "Authorization", "Bearer umbra-bob")
		r.get(target, "Authorization", "Bearer alice")
		r.get(target, "Authorization", "Bearer x")
	}
	// One connection, so that all are there within the second that a busy
	// machine may take: at most a few of a thousand can pass.
	const n = 300
	all := r.send(strings.Repeat(request("GET", target, "", "Authorization", "Bearer bob"), n), n)
	limited := 0
	for i, a := range all {
		switch {
		case i == 0 && a.status != 200:
			t.Errorf("the first request is answered %d %s", a.status, a.body)
		case a.status == 429:
			limited++
			if a.code(t) != "rate_limited" || a.header.Get("Retry-After") != "1" {
				t.Fatalf("%v %s", a.header, a.body)
			}
		case a.status != 200:
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if limited < n/2 {
		t.Errorf("%d of %d are refused", limited, n)
	}
	if got := testutil.ToFloat64(m.limited.WithLabelValues("native")); got != float64(limited) {
		t.Errorf("%v are counted, %d were refused", got, limited)
	}
	if found := metrics.Lint(reg); len(found) != 0 {
		t.Errorf("lint: %q", found)
	}
}

func TestNegativeRate(t *testing.T) {
	for _, rate := range []Rate{{PerApp: -1}, {PerOwner: -1}} {
		if _, err := NewAPI(calm(), Options{Rate: rate}); err == nil {
			t.Errorf("%+v was taken", rate)
		}
	}
}
