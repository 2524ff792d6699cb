package metrics

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/sidegate/sidegate/metrics/border"
)

// The times and sizes of the ops listener. WriteTimeout is for what
// is answered at once: net/http/pprof moves it for a profile that takes its time.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 60 * time.Second
	idleTimeout  = 60 * time.Second
	// net/http adds 4 kB to what it is told, so that this makes 8 kB of request
	// line and header, as on the other listeners.
	maxHeaderBytes = 4 << 10

	// DrainTimeout is how long requests under way may take once the context
	// of Run has ended, unless OpsOptions.DrainTimeout says otherwise.
	DrainTimeout = 5 * time.Second
)

// OpsOptions configure an [Ops].
type OpsOptions struct {
	// Listen are the addresses to serve on; none means that nothing is served.
	Listen []border.Address
	// Bound are listeners that somebody else has bound, such as a service
	// manager; if there are any they are served in place of Listen.
	Bound []net.Listener
	// TLS is spoken on addresses that are no Unix sockets; nil means that none is.
	TLS *tls.Config
	// DrainTimeout stands in place of the constant of this name; 0 = the constant.
	DrainTimeout time.Duration
	// Gatherer is what /metrics shows. Required.
	Gatherer prometheus.Gatherer
	// Build is what /version shows.
	Build Build
	// Auth knows the staff. With nil nobody is staff, so that every staff
	// read answers 401, on loopback as well: all containers of a pod share it.
	Auth border.Authenticator
	// Live, Ready and Started are asked by /livez, /readyz and /startupz. A
	// path without a probe is green. Started stays green once it has been.
	Live, Ready, Started []Probe
	// Logger receives one line for each staff read. Default slog.Default().
	Logger *slog.Logger
}

// Ops is the listener for Prometheus, kubelet and staff. /metrics, /livez,
// /readyz, /startupz and /version are open to everybody and show no user id;
// whatever else is handed in says itself whether it is.
type Ops struct {
	opts   OpsOptions
	mux    *http.ServeMux
	calls  []string // the patterns of mux
	server *http.Server
	bound  []net.Listener
}

// NewOps makes the listener. It starts nothing.
func NewOps(opts OpsOptions) (*Ops, error) {
	if opts.Gatherer == nil {
		return nil, errors.New("metrics: ops listener: a gatherer is required")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.DrainTimeout == 0 {
		opts.DrainTimeout = DrainTimeout
	}
	o := &Ops{opts: opts, mux: http.NewServeMux()}
	errorLog := log.New(troubles{opts.Logger}, "", 0)
	o.server = &http.Server{
		Handler: http.HandlerFunc(o.serve), ErrorLog: errorLog, MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		DisableGeneralOptionsHandler: true, // OPTIONS * is no path of ours
		ConnState:                    newConnections(maxConnections).track,
	}
	o.Handle("GET /metrics", promhttp.HandlerFor(opts.Gatherer, promhttp.HandlerOpts{
		// A collector that fails must not hide what the others say.
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: errorLog,
	}))
	o.Handle("GET /livez", &probeSet{path: "/livez", probes: opts.Live})
	o.Handle("GET /readyz", &probeSet{path: "/readyz", probes: opts.Ready})
	o.Handle("GET /startupz", &probeSet{path: "/startupz", probes: opts.Started, once: true})
	o.Handle("GET /version", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, opts.Build)
	}))
	return o, nil
}

// Handle serves a pattern of [http.ServeMux] to everybody. Call it before Run.
func (o *Ops) Handle(pattern string, h http.Handler) {
	o.calls = append(o.calls, pattern)
	o.mux.Handle(pattern, h)
}

// Calls lists the patterns that are served: what a description of the listener has
// to name.
func (o *Ops) Calls() []string { return slices.Clone(o.calls) }

// HandleStaff serves a pattern to credentials with scope staff alone; each
// request is logged with the name of the credential. The handler finds the
// credential by [border.FromContext]: it may be for certain apps only, and only
// the handler knows which app is asked about. Call it before Run.
func (o *Ops) HandleStaff(pattern string, h http.Handler) {
	o.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, p, ok := o.staff(r)
		if !ok {
			writeProblem(w, p)
			return
		}
		o.opts.Logger.InfoContext(r.Context(), "staff read", "token", who.Name, "route", r.Pattern)
		h.ServeHTTP(w, r.WithContext(border.NewContext(r.Context(), who)))
	}))
}

// HandleStatus serves GET /v1/status to staff: whatever the function returns at
// that moment for who asks, as JSON.
func (o *Ops) HandleStatus(status func(who *border.Principal) any) {
	o.HandleStaff("GET /v1/status", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, status(border.FromContext(r.Context())))
	}))
}

func (o *Ops) staff(r *http.Request) (who *border.Principal, p border.Problem, ok bool) {
	if o.opts.Auth != nil {
		who, ok = o.opts.Auth.Authenticate([]byte(r.Header.Get("Authorization")))
	}
	switch {
	case !ok:
		return nil, border.Unauthenticated(border.DoorOps), false
	case !who.Has(border.ScopeStaff):
		return nil, border.Forbidden(), false
	}
	return who, border.Problem{}, true
}

// serve answers what no pattern takes with a problem document, in place of the
// plain text of ServeMux.
func (o *Ops) serve(w http.ResponseWriter, r *http.Request) {
	if t := border.ParseTrace([]byte(r.Header.Get(border.TraceHeader))); !t.IsZero() {
		r = r.WithContext(border.WithTrace(r.Context(), t))
	}
	if p, ok := checkFraming(r); !ok {
		w.Header().Set("Connection", "close") // what follows on it may be anything
		writeProblem(w, p)
		return
	}
	if path := r.URL.EscapedPath(); !exact(path) {
		writeProblem(w, border.NoSuchPath(border.DoorOps, path))
		return
	}
	unmatched, pattern := o.mux.Handler(r)
	if pattern != "" {
		o.mux.ServeHTTP(w, r)
		return
	}
	var refusal refusalWriter
	unmatched.ServeHTTP(&refusal, r)
	if refusal.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", refusal.Header().Get("Allow"))
		writeProblem(w, border.Problemf(border.CodeMethodNotAllowed,
			"this path takes %s", refusal.Header().Get("Allow")))
		return
	}
	writeProblem(w, border.NoSuchPath(border.DoorOps, r.URL.EscapedPath()))
}

// refusalWriter learns what ServeMux would have answered: it alone knows which
// methods the other patterns of a path take.
type refusalWriter struct {
	header http.Header
	status int
}

func (w *refusalWriter) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

func (w *refusalWriter) WriteHeader(status int)      { w.status = status }
func (w *refusalWriter) Write(p []byte) (int, error) { return len(p), nil }

// Listen binds all addresses, or none. It comes before Run, so that a busy port
// is an error of the start and Addrs can be told to others.
func (o *Ops) Listen() error {
	if len(o.opts.Bound) > 0 {
		o.bound = o.opts.Bound
		return nil
	}
	bound, err := border.ListenAll(o.opts.Listen)
	if err != nil {
		return err
	}
	o.bound = bound
	return nil
}

// Close releases the addresses of a listener whose Run will not be called. It
// may be called more than once.
func (o *Ops) Close() error {
	var errs []error
	for _, l := range o.bound {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Addrs returns the bound addresses in the order of OpsOptions.Listen, or of Bound.
func (o *Ops) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(o.bound))
	for i, l := range o.bound {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Run serves until ctx ends, then accepts nothing new, lets requests under way
// finish within the DrainTimeout and returns nil; an error means that an address
// could not be served any longer. Call it once, after Listen.
func (o *Ops) Run(ctx context.Context) error {
	if len(o.bound) == 0 && len(o.opts.Listen) > 0 {
		return errors.New("metrics: ops listener: Run before Listen")
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range o.bound {
		if o.opts.TLS != nil && l.Addr().Network() != "unix" {
			// Its handshake is net/http's, which bounds it by ReadTimeout and
			// tells who speaks plain HTTP what is spoken here.
			l = tls.NewListener(l, o.opts.TLS)
		}
		g.Go(func() error {
			if err := o.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		return o.stop(context.WithoutCancel(ctx))
	})
	return g.Wait()
}

func (o *Ops) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, o.opts.DrainTimeout)
	defer cancel()
	if err := o.server.Shutdown(ctx); err != nil {
		// Whoever is still reading a profile loses it.
		return o.server.Close()
	}
	return nil
}

// troubles takes what net/http and the collectors complain about. A handshake that
// fails is the client's doing: a port scanner or a probe of TCP makes one each time.
type troubles struct{ logger *slog.Logger }

func (t troubles) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	if bytes.HasPrefix(line, []byte("http: TLS handshake error")) {
		t.logger.Debug("a connection is in trouble", "error", text)
	} else {
		t.logger.Warn("the ops listener complains", "error", text)
	}
	return len(line), nil
}
