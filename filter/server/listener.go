package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/decisionlog"
	"github.com/sidegate/sidegate/metrics/border"
)

const (
	// readBufferSize bounds request line and header together. It is part of
	// what every connection costs.
	readBufferSize = 8 << 10

	// maxBody is the most bytes any route takes; routes have their own limits.
	maxBody = 4 << 20
)

// Options configure a [Listener]. Zero values stand for the defaults.
type Options struct {
	// Listen are the addresses to serve on; none means that nothing is served.
	Listen []border.Address
	// Bound are listeners that somebody else has bound, such as a service
	// manager; if there are any they are served in place of Listen.
	Bound []net.Listener
	// TLS is spoken on addresses that are no Unix sockets; nil means that none is.
	// It is for HTTP/1.1 alone. A client certificate that it asks for decides over
	// the connection; who the client is, Auth says.
	TLS *tls.Config
	// Auth knows who may enter; nil means that no credential is configured.
	// Then the check listener is open, and the api listener answers 401 to
	// everyone unless Open is set. Whether an open check listener may stand
	// on an address that others reach is for the caller to refuse.
	Auth border.Authenticator
	// Open opens an api listener without Auth to everybody. It is for
	// development on one's own machine.
	Open bool
	// Rooms are the direct rooms whose ids the api listener lets an app set; nil
	// means that its path is not there.
	Rooms DirectRooms
	// Users is the directory that the api listener serves beside the lists; nil
	// means that its paths are not there.
	Users UserDirectory
	// Rate limits the requests to the native routes of the api listener.
	Rate Rate
	// Surfaces are the vendors' APIs that the api listener serves besides.
	Surfaces []Surface
	// Decisions records what the check listener decides; nil records nothing.
	Decisions *decisionlog.Log
	// Tracer is told of the requests to the api listener; nil: nobody is.
	Tracer Tracer
	// Metrics counts the requests of the api listener; nil counts nothing.
	Metrics *Metrics
	// Logger receives failures of ours, never what a client did wrong.
	// Default slog.Default().
	Logger *slog.Logger
	// ReadTimeout is how long a request may take to arrive, from its first
	// byte on. Default 5 s.
	ReadTimeout time.Duration
	// WriteTimeout is how long a client may take to read its answer.
	// Default 5 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request. It is
	// to be longer than clients and proxies keep theirs, or they send
	// requests into connections that are being closed. Default 60 s.
	IdleTimeout time.Duration
	// StreamTimeout is how long each 64 kB of an import may take to arrive,
	// and a client to read as much of an export. Default 30 s.
	StreamTimeout time.Duration
	// Transfers moves the lists of whole apps through the api listener; nil
	// leaves its routes out.
	Transfers Transfers
	// DrainTimeout is how long requests under way may take once the context
	// of Run has ended, after half of it imports are ended where they are, and
	// shortly before its end everything else is told to. Default 5 s.
	DrainTimeout time.Duration
	// Concurrency is the most connections; one more is answered 503 and
	// closed. Default 16,384.
	Concurrency int
}

func (o *Options) setDefaults() error {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&o.ReadTimeout, 5 * time.Second},
		{&o.WriteTimeout, 5 * time.Second},
		{&o.IdleTimeout, 60 * time.Second},
		{&o.StreamTimeout, 30 * time.Second},
		{&o.DrainTimeout, 5 * time.Second},
	} {
		if *d.value < 0 {
			return errors.New("timeouts must not be negative")
		}
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	if o.Rate.PerApp < 0 || o.Rate.PerOwner < 0 {
		return errors.New("rates must not be negative")
	}
	if o.Concurrency < 0 {
		return errors.New("concurrency must not be negative")
	}
	if o.Concurrency == 0 {
		o.Concurrency = 16 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Listener serves one of the two doors. It is made by [NewCheck] or [NewAPI],
// which start nothing, then bound by Listen and served by Run, once each.
type Listener struct {
	opts   Options
	door   *door
	server *fasthttp.Server
	filter *filter.Filter // that it began with, which counts for all; nil on the api listener
	quick  *quick         // nil where fasthttp answers everything
	bound  []net.Listener

	served sync.WaitGroup // one for each connection
	mu     sync.Mutex
	open   map[*conn]struct{}
}

// NewCheck makes the listener that answers decisions.
func NewCheck(f *filter.Filter, opts Options) (*Listener, error) {
	if f == nil {
		return nil, errors.New("server: check listener: a filter is required")
	}
	d := &door{name: border.DoorCheck, decisions: opts.Decisions}
	d.rules.Store(checkRules(d, f, opts.Auth))
	l, err := newListener(d, opts)
	if err != nil {
		return nil, err
	}
	l.filter = f
	l.quick = newQuick(d, &l.opts)
	return l, nil
}

// NewAPI makes the listener on which block lists are edited and read, and users if
// there is a directory.
func NewAPI(lists BlockLists, opts Options) (*Listener, error) {
	d := &door{name: border.DoorAPI, metrics: opts.Metrics, tracer: opts.Tracer}
	by, err := apiRules(d, lists, opts)
	if err != nil {
		return nil, err
	}
	d.rules.Store(by)
	if d.metrics != nil {
		d.metrics.announce(by.routes)
	}
	return newListener(d, opts)
}

func newListener(d *door, opts Options) (*Listener, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, fmt.Errorf("server: %s listener: %w", d.name, err)
	}
	d.log, d.base, d.streamTimeout = opts.Logger, context.Background(), opts.StreamTimeout
	l := &Listener{opts: opts, door: d, open: make(map[*conn]struct{})}
	l.server = &fasthttp.Server{
		Handler:        d.serve,
		HeaderReceived: d.limits,
		ErrorHandler:   d.unread,
		ConnState:      trackState,
		Logger:         quiet{opts.Logger},

		ReadBufferSize:     readBufferSize,
		MaxRequestBodySize: maxBody,
		ReadTimeout:        opts.ReadTimeout,
		WriteTimeout:       opts.WriteTimeout,
		IdleTimeout:        opts.IdleTimeout,
		Concurrency:        opts.Concurrency,

		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
		// Its errors quote requests, credentials and all.
		SecureErrorLogMessage: true,
	}
	return l, nil
}

// quiet takes what fasthttp logs by itself: trouble of single connections.
type quiet struct{ log *slog.Logger }

// Printf implements [fasthttp.Logger].
func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("a connection is in trouble", "error", fmt.Sprintf(format, args...))
}

// Listen binds all addresses, or none. It comes before Run, so that a busy port
// is an error of the start and Addrs can be told to others.
func (l *Listener) Listen() error {
	if len(l.opts.Bound) > 0 {
		l.bound = l.opts.Bound
		return nil
	}
	bound, err := border.ListenAll(l.opts.Listen)
	if err != nil {
		return fmt.Errorf("server: %s listener: %w", l.door.name, err)
	}
	l.bound = bound
	return nil
}

// Close releases the addresses of a listener whose Run will not be called. It
// may be called more than once.
func (l *Listener) Close() error { return closeAll(l.bound) }

func closeAll(bound []net.Listener) error {
	var errs []error
	for _, b := range bound {
		if err := b.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Addrs returns the bound addresses in the order of Options.Listen, or of Bound.
func (l *Listener) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(l.bound))
	for i, b := range l.bound {
		addrs[i] = b.Addr()
	}
	return addrs
}

// Run serves until ctx ends, then drains as the package document says and
// returns nil; an error means that an address could not be served any longer.
func (l *Listener) Run(ctx context.Context) error {
	if len(l.bound) == 0 && len(l.opts.Listen) > 0 {
		return fmt.Errorf("server: %s listener: Run before Listen", l.door.name)
	}
	// Requests outlive ctx: they end when they are done, or with the drain.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l.door.base = base

	g, ctx := errgroup.WithContext(ctx)
	for _, b := range l.bound {
		g.Go(func() error { return l.accept(ctx, b) })
	}
	g.Go(func() error {
		<-ctx.Done()
		// First, so that whoever finds the port closed finds every answer
		// saying that its connection ends.
		l.door.draining.Store(true)
		return l.Close()
	})
	err := g.Wait()
	// The accept loops have ended: from here on connections only become fewer.
	l.drain(cancel)
	return err
}
