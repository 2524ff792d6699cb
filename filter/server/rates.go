package server

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/sidegate/sidegate/metrics/border"
)

// Rate limits the requests a second to the routes of the api listener; 0 means
// no limit. Short bursts of one second's worth are taken.
type Rate struct {
	PerApp   int
	PerOwner int // per app and owner: requests about the lists of one user
}

// rates holds requests to a [Rate]. A nil *rates lets everything pass. It is safe
// for concurrent use.
type rates struct {
	apps    *buckets[string]
	owners  *buckets[ownerKey]
	refused prometheus.Counter
}

type ownerKey struct{ app, owner string }

// newRates returns nil if there is nothing to limit.
func newRates(r Rate, refused prometheus.Counter) *rates {
	if r.PerApp == 0 && r.PerOwner == 0 {
		return nil
	}
	return &rates{apps: newBuckets[string](r.PerApp), owners: newBuckets[ownerKey](r.PerOwner), refused: refused}
}

// rate is what the requests are held to.
func (r *rates) rate() Rate {
	if r == nil {
		return Rate{}
	}
	return Rate{PerApp: r.apps.perSecond, PerOwner: r.owners.perSecond}
}

// take takes a place for a request, or refuses it. The owner comes first: who
// asks too often about one user must not use up the rate of the whole app with
// requests that are refused anyway.
func (r *rates) take(app, owner string) error {
	if r == nil {
		return nil
	}
	now := time.Now()
	if !r.owners.take(ownerKey{app, owner}, now) || !r.apps.take(app, now) {
		return r.refuse()
	}
	return nil
}

// takeApp is take for a request that is about no one owner.
func (r *rates) takeApp(app string) error {
	if r == nil || r.apps.take(app, time.Now()) {
		return nil
	}
	return r.refuse()
}

func (r *rates) refuse() error {
	r.refused.Inc()
	return border.Problemf(border.CodeRateLimited, "more requests a second than api.rate allows; slow down and repeat it")
}

// maxBuckets is the most keys of one generation: some 30 MB for
// the longest ids.
const maxBuckets = 1 << 15

// buckets keeps a token bucket for each key that is in use. A bucket is full
// again after a second without requests and then says no more than a fresh one,
// so it need not be kept: buckets live in two generations of a second each, and
// one that was not asked for during a whole generation is dropped with it. What
// is forgotten early, because a generation is full, errs towards letting
// requests pass.
type buckets[K comparable] struct {
	perSecond int

	mu      sync.Mutex
	born    time.Time // of the present generation
	present map[K]*rate.Limiter
	past    map[K]*rate.Limiter
}

func newBuckets[K comparable](perSecond int) *buckets[K] {
	return &buckets[K]{perSecond: perSecond, present: make(map[K]*rate.Limiter)}
}

func (b *buckets[K]) take(key K, now time.Time) bool {
	if b.perSecond == 0 {
		return true
	}
	return b.of(key, now).AllowN(now, 1)
}

func (b *buckets[K]) of(key K, now time.Time) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Before anything is looked up: a key that is asked for all the time must
	// be carried over like any other.
	switch age := now.Sub(b.born); {
	case age >= 2*time.Second:
		b.turn(now)
		b.past = nil
	case age >= time.Second:
		b.turn(now)
	}
	l, ok := b.present[key]
	if ok {
		return l
	}
	if len(b.present) >= maxBuckets {
		b.turn(now)
	}
	if l, ok = b.past[key]; !ok {
		l = rate.NewLimiter(rate.Limit(b.perSecond), b.perSecond)
	}
	b.present[key] = l
	return l
}

// turn begins a generation.
func (b *buckets[K]) turn(now time.Time) {
	b.past, b.present, b.born = b.present, make(map[K]*rate.Limiter), now
}
