package jwtauth

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics tell an operator what a client is not told. It is safe for concurrent
// use.
type Metrics struct {
	refused     *prometheus.CounterVec
	fetches     prometheus.Counter
	fetchErrors prometheus.Counter
	fetched     prometheus.Gauge
}

// causes are the values of the label cause, with the errors that they stand for
// in the order in which they are looked for.
var causes = []struct {
	name string
	err  error
}{
	{"malformed", jwt.ErrTokenMalformed},
	{"unknown_key", errNoKey},
	{"algorithm", errAlgorithm},
	{"signature", jwt.ErrTokenSignatureInvalid},
	{"expired", jwt.ErrTokenExpired},
	{"not_yet_valid", jwt.ErrTokenNotValidYet},
	{"issuer", jwt.ErrTokenInvalidIssuer},
	{"audience", jwt.ErrTokenInvalidAudience},
	{"too_old", errTooOld},
}

// otherCause is a claim that is missing or of the wrong type, or a header that
// we do not understand.
const otherCause = "claims"

// NewMetrics makes the metrics and registers them; a nil registerer keeps them
// to themselves. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	m := &Metrics{
		refused: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sidegate_jwt_refused_total",
			Help: "Signed tokens that were refused, by the first thing that was wrong. Some expire in every client's hands; " +
				"many unknown keys or wrong issuers mean that the issuer and the configuration do not go together.",
		}, []string{"cause"}),
		fetches: factory.NewCounter(prometheus.CounterOpts{
			Name: "sidegate_jwks_fetches_total",
			Help: "Attempts to fetch the keys of signed tokens, good and bad. Some six an hour are normal; an unknown key adds one a minute.",
		}),
		fetchErrors: factory.NewCounter(prometheus.CounterOpts{
			Name: "sidegate_jwks_fetch_errors_total",
			Help: "Attempts to fetch the keys of signed tokens that failed. The last good keys stay in use, so that the first to notice are tokens signed with a new one.",
		}),
		fetched: factory.NewGauge(prometheus.GaugeOpts{
			Name: "sidegate_jwks_last_success_timestamp_seconds",
			Help: "When the keys of signed tokens were fetched last; 0 = never, so that no such token is taken yet. A key that its owner withdrew since then still counts.",
		}),
	}
	for _, c := range causes {
		m.refused.WithLabelValues(c.name)
	}
	m.refused.WithLabelValues(otherCause)
	return m
}

// refuse counts a refusal.
func (m *Metrics) refuse(why error) {
	for _, c := range causes {
		if errors.Is(why, c.err) {
			m.refused.WithLabelValues(c.name).Inc()
			return
		}
	}
	m.refused.WithLabelValues(otherCause).Inc()
}
