package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// Metrics count the requests of the api listener. Decisions are not among them:
// filter counts those itself, without HTTP. All labels come from closed sets; a
// path, which holds user ids, is never one. It is safe for concurrent use.
type Metrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	limited   *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them; a nil registerer keeps them
// to themselves. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	labels := []string{"route", "method", "code"}
	return &Metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sidegate_http_requests_total",
			Help: "Requests to the api listener by route, method and class of status; those of a dialect have its name before the path. Route none is what no route " +
				"took or what was not HTTP. Many 4xx mean a client that gets something wrong, 5xx a database that does not answer.",
		}, labels),
		durations: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sidegate_http_request_duration_seconds",
			Help: "Time from the last byte of a request to the api listener to the first of its answer. " +
				"Every write waits for Postgres to commit; a tail near two seconds means that connections to it are scarce.",
			Buckets:                         []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, labels),
		limited: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sidegate_rate_limited_total",
			Help: "Requests to the api listener that were answered 429, by the API they came in by. " +
				"It grows when an app or one of its users asks more often than api.rate, or the rate of the dialect, allows.",
		}, []string{"api"}),
	}
}

// announce makes the series of the routes known from the start, so that a rate
// over the first requests is not lost.
func (m *Metrics) announce(routes []*route) {
	for _, r := range routes {
		for method, h := range r.handlers {
			if h != nil {
				m.requests.WithLabelValues(r.label(), methodNames[method], "2xx")
				m.durations.WithLabelValues(r.label(), methodNames[method], "2xx")
			}
		}
	}
}

// count counts a request that was answered without reaching a handler. A nil m
// counts nothing.
func (m *Metrics) count(label string, method method, status int) {
	if m != nil {
		m.requests.WithLabelValues(label, methodNames[method], class(status)).Inc()
	}
}

func (m *Metrics) observe(label string, method method, status int, took time.Duration) {
	m.count(label, method, status)
	m.durations.WithLabelValues(label, methodNames[method], class(status)).Observe(took.Seconds())
}

// limitedBy counts an answer of a surface if it is a refusal for its rate. A nil m
// counts nothing.
func (m *Metrics) limitedBy(s Surface, status int) {
	if m != nil && status == fasthttp.StatusTooManyRequests {
		m.limited.WithLabelValues(s.Name()).Inc()
	}
}

// rateLimited counts the refusals of one API. A nil m counts where nobody looks.
func (m *Metrics) rateLimited(api filter.API) prometheus.Counter {
	if m == nil {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sidegate_rate_limited_total", Help: "Not registered."})
	}
	return m.limited.WithLabelValues(api.String())
}

// class is the label of a status: which of five kinds it is.
func class(status int) string {
	classes := [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}
	return classes[min(max(status/100, 1), len(classes))-1]
}
