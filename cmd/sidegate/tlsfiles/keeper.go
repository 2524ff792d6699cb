package tlsfiles

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// lookEvery is how often the files are looked at. A new certificate comes days
// before the old one expires.
const lookEvery = 5 * time.Second

// Metrics tell when certificates expire and whether new ones were taken. It is safe
// for concurrent use.
type Metrics struct {
	notAfter        *prometheus.GaugeVec
	reloads, failed *prometheus.CounterVec
	begun, accepted *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them; a nil registerer keeps them to
// themselves. It panics if they are registered already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	counter := func(name, help string) *prometheus.CounterVec {
		return factory.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"listener"})
	}
	return &Metrics{
		notAfter: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidegate_tls_certificate_not_after_timestamp_seconds",
			Help: "When the certificate that a listener shows expires, as Unix time. One that comes near means that nobody renews it, or that the renewed one was not taken.",
		}, []string{"listener"}),
		reloads: counter("sidegate_tls_reloads_total",
			"Changes of certificate files that were looked at, good and bad."),
		failed: counter("sidegate_tls_reloads_failed_total",
			"Changes of certificate files that could not be used: the old certificate stays, the log says why."),
		begun: counter("sidegate_tls_handshakes_total",
			"Connections whose client has begun to speak TLS."),
		accepted: counter("sidegate_tls_handshakes_accepted_total",
			"Handshakes in which nothing was wrong with the client. Many fewer than were begun mean clients without a certificate that is believed, or that speak too old a version."),
	}
}

// Announce makes the series of a listener, so that they are there before anything
// has happened.
func (m *Metrics) Announce(listener string) {
	m.notAfter.WithLabelValues(listener)
	for _, v := range []*prometheus.CounterVec{m.reloads, m.failed, m.begun, m.accepted} {
		v.WithLabelValues(listener)
	}
}

// Options configure a [Keeper].
type Options struct {
	// Files are looked at again and again.
	Files Files
	// Listener names whose they are, for metrics and the log.
	Listener string
	// Metrics counts; required.
	Metrics *Metrics
	// Logger hears of what changes and of what cannot be used. Default
	// slog.Default().
	Logger *slog.Logger
}

// Keeper holds the certificate that a listener shows.
type Keeper struct {
	opts    Options
	current atomic.Pointer[Pair]

	begun, accepted prometheus.Counter

	// Only Run touches what follows.

	// doubted is what the last look found and could not use, complained says that
	// this was said.
	doubted    string
	complained bool
}

// New reads the files and makes a Keeper. It starts nothing.
func New(opts Options) (*Keeper, error) {
	if opts.Metrics == nil {
		return nil, errors.New("tlsfiles: metrics are required")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	opts.Metrics.Announce(opts.Listener)
	k := &Keeper{
		opts:     opts,
		begun:    opts.Metrics.begun.WithLabelValues(opts.Listener),
		accepted: opts.Metrics.accepted.WithLabelValues(opts.Listener),
	}
	pair, err := opts.Files.Load()
	if err != nil {
		return nil, err
	}
	k.take(pair)
	return k, nil
}

// take shows a pair from the next handshake on. Connections that stand keep what
// they agreed on.
func (k *Keeper) take(pair *Pair) {
	pair.config.VerifyConnection = func(tls.ConnectionState) error {
		k.accepted.Inc()
		return nil
	}
	k.current.Store(pair)
	k.opts.Metrics.notAfter.WithLabelValues(k.opts.Listener).Set(float64(pair.NotAfter().Unix()))
}

// Config returns what a server needs. It always shows the newest certificate.
func (k *Keeper) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			k.begun.Inc()
			return k.current.Load().config, nil
		},
	}
}

// Run looks at the files until ctx ends, and returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.look()
		case <-ctx.Done():
			return nil
		}
	}
}

// look takes what the files hold if it is new and can be used.
func (k *Keeper) look() {
	contents, err := k.opts.Files.read()
	if err == nil && contents == k.current.Load().contents {
		k.doubted, k.complained = "", false
		return
	}
	var pair *Pair
	if err == nil {
		pair, err = k.opts.Files.parse(contents)
	}
	if err != nil {
		k.doubt(err, contents)
		return
	}
	k.doubted, k.complained = "", false
	k.take(pair)
	k.opts.Metrics.reloads.WithLabelValues(k.opts.Listener).Inc()
	k.opts.Logger.Info("new certificate", "listener", k.opts.Listener, "not_after", pair.NotAfter().UTC())
}

// doubt complains about what cannot be used, once, when it has been found twice.
func (k *Keeper) doubt(err error, contents [3]string) {
	found := err.Error() + "\x00" + contents[0] + "\x00" + contents[1] + "\x00" + contents[2]
	if found != k.doubted {
		k.doubted, k.complained = found, false
		return
	}
	if k.complained {
		return
	}
	k.complained = true
	k.opts.Metrics.reloads.WithLabelValues(k.opts.Listener).Inc()
	k.opts.Metrics.failed.WithLabelValues(k.opts.Listener).Inc()
	k.opts.Logger.Error("the new certificate cannot be used; the old one stays", "listener", k.opts.Listener,
		"not_after", k.current.Load().NotAfter().UTC(), "error", err)
}

// firstName returns a name that the first certificate of a file is for, "" if there
// is none.
func firstName(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return ""
	case len(leaf.DNSNames) > 0:
		// A name of a wildcard, for what it stands for is not called *.
		return strings.Replace(leaf.DNSNames[0], "*", "sidegate", 1)
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	}
	return ""
}
