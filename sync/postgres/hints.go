package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

const (
	// hintChannel is where hints go, one channel for a database.
	hintChannel = "sidegate_hint"
	listenSQL   = `listen ` + hintChannel
	// A hint takes a transaction id. Not durable, the id would be given again after
	// a crash, to a change that followers believe to have seen.
	hintSQL = `select to_json(pg_notify('` + hintChannel + `', $1::text)::text)
		where current_setting('synchronous_commit') in ('on', 'remote_apply') or set_config('synchronous_commit', 'on', true) = 'on'`

	// hintGap is the shortest time between two hints of a process: a NOTIFY takes
	// a lock that all of the cluster share.
	hintGap = 10 * time.Millisecond
	// wakeGap is the shortest time between two polls that hints ask for, however
	// many processes write.
	wakeGap = 5 * time.Millisecond
	// silence is how long nothing may be heard before the connection is tried.
	silence = 30 * time.Second
	// hintTimeout bounds what is asked of the listening connection.
	hintTimeout = 5 * time.Second
	// deafPause is the first pause before listening is tried again, and the last
	// is maxDeafPause.
	deafPause    = time.Second
	maxDeafPause = 30 * time.Second
)

// HintOptions configures [Hints]. Store and Wake are required.
type HintOptions struct {
	Store *Store
	// Wake asks for a poll at once. It must not block.
	Wake    func()
	Metrics *HintMetrics // nil = not counted
	Logger  *slog.Logger // nil = nothing is logged
}

// Hints shortens the wait for the next poll: whoever has written tells the others
// so, after the commit and at most once in ten milliseconds. A hint carries no
// truth. Who hears one polls, as they would have done a little later; losing them
// all costs nothing but that.
//
// It needs a connection that keeps its session, which a pooler in transaction mode
// does not give: there nothing is ever heard.
type Hints struct {
	store   *Store
	wake    func()
	metrics *HintMetrics
	logger  *slog.Logger

	origin string        // tells our own hints apart
	heard  chan struct{} // holds one element while a poll is due
}

// NewHints makes hints, which do nothing until [Hints.Run].
func NewHints(o HintOptions) (*Hints, error) {
	if o.Store == nil || o.Wake == nil {
		return nil, errors.New("postgres: hints: a store and a way to wake are required")
	}
	h := &Hints{
		store: o.Store, wake: o.Wake, metrics: o.Metrics, logger: o.Logger,
		origin: strconv.FormatUint(rand.Uint64(), 36), heard: make(chan struct{}, 1),
	}
	if h.metrics == nil {
		h.metrics = NewHintMetrics(nil)
	}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// Run sends and hears hints until ctx ends and returns nil then. While it cannot
// listen it tries again, with pauses from one second to half a minute; what it
// fails to send is not sent again. Call it once.
func (h *Hints) Run(ctx context.Context) error {
	var loops errgroup.Group
	for _, loop := range []func(context.Context){h.send, h.listen, h.rouse} {
		loops.Go(func() error { loop(ctx); return nil })
	}
	return loops.Wait()
}

// send passes on that something was written, the first time at once and what
// comes within the gap together.
func (h *Hints) send(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.store.wrote:
		}
		var nothing string
		err := h.store.tryWrite(ctx, writeTimeout, &nothing, hintSQL, h.origin)
		switch {
		case err == nil:
			h.metrics.sent.Inc()
		case ctx.Err() == nil && !failing:
			h.logger.WarnContext(ctx, "hints cannot be sent; others learn of changes at their next poll", "error", err)
		}
		failing = err != nil
		if !pause(ctx, hintGap) {
			return
		}
	}
}

// rouse asks for the polls.
func (h *Hints) rouse(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.heard:
		}
		h.wake()
		if !pause(ctx, wakeGap) {
			return
		}
	}
}

// listen keeps a listening connection.
func (h *Hints) listen(ctx context.Context) {
	wait := deafPause
	for failing := false; ; {
		listened, err := h.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		if listened {
			wait, failing = deafPause, false
		}
		if !failing {
			h.logger.WarnContext(ctx, "hints are not heard; changes are learned of at the next poll", "error", err)
		}
		failing = true
		if !pause(ctx, wait/2+rand.N(wait/2)) {
			return
		}
		wait = min(2*wait, maxDeafPause)
	}
}

// hear listens on a new connection until it fails, and reports whether it ever
// listened.
func (h *Hints) hear(ctx context.Context) (listened bool, err error) {
	conn, err := h.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	// What was written before we listened was told to nobody: poll once.
	h.due()
	for {
		note, err := h.next(ctx, conn)
		if err != nil {
			return true, err
		}
		if note != "" && note != h.origin {
			h.metrics.heard.Inc()
			h.due()
		}
	}
}

func (h *Hints) due() {
	select {
	case h.heard <- struct{}{}:
	default: // one is due already, and it has not begun
	}
}

func (h *Hints) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, hintTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, h.store.config.ConnConfig.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Exec(ctx, listenSQL); err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("listen: %w", err)
	}
	return conn, nil
}

// next waits for a hint and returns who sent it; "" is nobody: it was silent for
// long, but the connection lives.
func (h *Hints) next(ctx context.Context, conn *pgx.Conn) (origin string, err error) {
	waiting, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	note, err := conn.WaitForNotification(waiting)
	switch {
	case err == nil:
		return note.Payload, nil
	case ctx.Err() != nil || waiting.Err() == nil:
		return "", fmt.Errorf("wait for a hint: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, hintTimeout)
	defer cancel()
	if err := conn.Ping(asking); err != nil {
		return "", fmt.Errorf("ask the listening connection: %w", err)
	}
	return "", nil
}

// HintMetrics counts hints.
type HintMetrics struct{ sent, heard prometheus.Counter }

// NewHintMetrics makes the metrics and registers them; nil registers nothing.
func NewHintMetrics(reg prometheus.Registerer) *HintMetrics {
	count := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sidegate", Name: name, Help: help})
		if reg != nil {
			reg.MustRegister(c)
		}
		return c
	}
	return &HintMetrics{
		sent: count("sync_hints_sent_total",
			"Times that this process told others of its writes, at most 100 a second. More than some thousand a second in all processes together slow Postgres down."),
		heard: count("sync_hints_received_total",
			"Hints of other processes that were heard. Standing still while others send: the connection is through a pooler that keeps no session."),
	}
}

// written notes that lists have changed, for whoever sends hints.
func (s *Store) written() {
	select {
	case s.wrote <- struct{}{}:
	default: // noted already
	}
}
