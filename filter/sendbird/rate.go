package sendbird

import (
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// window counts the requests of an app in windows of a second, which is what the
// headers of the vendor speak of: so many calls in so many seconds, and how many
// are left. It is safe for concurrent use.
type window struct {
	limit int

	mu    sync.Mutex
	since time.Time
	taken int
}

// newWindow returns nil if there is no limit.
func newWindow(perSecond int) *window {
	if perSecond == 0 {
		return nil
	}
	return &window{limit: perSecond}
}

// take takes a place in the window, if there is one.
func (w *window) take(now time.Time) (left int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.since) >= time.Second {
		w.since, w.taken = now, 0
	}
	if w.taken >= w.limit {
		return 0, false
	}
	w.taken++
	return w.limit - w.taken, true
}

// take counts a request of an app and writes the headers that tell about it, or
// refuses it.
func (t *tenant) take(header *fasthttp.ResponseHeader, now time.Time) error {
	if t.rate == nil {
		return nil
	}
	left, ok := t.rate.take(now)
	wait := "0"
	if left == 0 {
		wait = "1" // a window is over in a second at the latest
	}
	for _, h := range [...]struct{ name, value string }{
		{"X-RateLimit-Limit", strconv.Itoa(t.rate.limit) + ";w=1"},
		{"X-RateLimit-Remaining", strconv.Itoa(left)},
		{"X-RateLimit-Reset", "1"},
		{"X-RateLimit-RetryAfter", wait},
	} {
		header.SetCanonical([]byte(h.name), []byte(h.value)) // as the vendor spells it
	}
	if !ok {
		return faultf(codeRate, "Too many requests: at most %d a second are allowed.", t.rate.limit)
	}
	return nil
}
