package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/decisionlog"
	"github.com/sidegate/sidegate/metrics/border"
)

// door is what the listeners have in common between a connection and a handler:
// framing, routing, authentication, errors.
type door struct {
	name      border.Door
	log       *slog.Logger
	metrics   *Metrics         // nil: requests are not counted here
	tracer    Tracer           // nil: nobody is told of requests
	decisions *decisionlog.Log // nil: it is off
	rules     atomic.Pointer[rules]

	// base is the context of everything done for a request. It is set before
	// the first connection is accepted, and cancelled when draining is over.
	base     context.Context
	draining atomic.Bool
	// hurrying: what reads bodies without a limit is to come to an end.
	hurrying atomic.Bool

	streamTimeout time.Duration // for each 64 kB of what has no limit
}

// rules are what a door goes by. They never change but are exchanged whole, while
// requests are answered: each by the rules that it began with.
type rules struct {
	routes   []*route // their handlers know what is behind the door
	surfaces []Surface
	auth     border.Authenticator // nil: none is configured
	open     bool                 // without auth everybody may enter, otherwise nobody
	rates    *rates               // nil: there is no limit
	filter   *filter.Filter       // nil on the api listener
}

// serve answers one request. It is the handler of fasthttp, which does not
// recover from panics: one that reached it would end the process.
func (d *door) serve(ctx *fasthttp.RequestCtx) {
	w := d.begin(ctx)
	label := d.answer(ctx, w)
	if d.draining.Load() {
		ctx.SetConnectionClose()
	}
	if ctx.Hijacked() {
		return // it is counted when it ends
	}
	w.ended(label, ctx.Response.StatusCode())
	if d.metrics != nil {
		d.metrics.observe(label, methodOf(&ctx.Request.Header), ctx.Response.StatusCode(), time.Since(ctx.Time()))
	}
}

// answer returns the label of what was called.
func (d *door) answer(ctx *fasthttp.RequestCtx, w work) string {
	by := d.rules.Load()
	if len(by.surfaces) > 0 {
		path, _ := splitTarget(ctx.Request.Header.RequestURI())
		if s := by.surfaceOf(path); s != nil {
			label := d.serveSurface(w.base, s, ctx)
			d.metrics.limitedBy(s, ctx.Response.StatusCode())
			return label
		}
	}
	r, err := d.call(ctx, by, w)
	if err != nil {
		d.fail(w.traced(ctx), &ctx.Response, r, err)
	}
	return r.label()
}

func (d *door) call(ctx *fasthttp.RequestCtx, by *rules, w work) (r *route, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(v)
			hangUp(ctx)
		}
	}()
	return d.handle(ctx, by, w)
}

// panicError is what a handler failed with, and where.
func panicError(v any) error { return fmt.Errorf("panic: %v\n%s", v, debug.Stack()) }

func (d *door) handle(ctx *fasthttp.RequestCtx, by *rules, w work) (*route, error) {
	header := &ctx.Request.Header
	target := header.RequestURI()
	var in input
	var path []byte
	path, in.query = splitTarget(target)
	r := by.match(path, &in.ids)
	streams := r.streamsBody(header)
	if streams {
		// Until a handler takes over, its body stands in the way of whatever
		// comes behind.
		hangUp(ctx)
	}
	if err := checkFraming(header.RawHeaders(), streams); err != nil {
		hangUp(ctx)
		return nil, err
	}
	if bytes.IndexByte(target, '#') >= 0 {
		return nil, border.Problemf(border.CodeBadRequest, "a request target has no fragment; write # as %%23")
	}
	if r == nil {
		return nil, border.NoSuchPath(d.name, string(path))
	}
	var err error
	if in.who, err = by.admit(d.name, header, r); err != nil {
		return r, err
	}
	in.work, in.route, in.open, in.rates = w, r, r.open, by.rates
	m := methodOf(header)
	if m == methodOther || r.handlers[m] == nil {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, r.allow)
		return r, border.Problemf(border.CodeMethodNotAllowed, "this path takes %s", r.allow)
	}
	if err := checkBody(m, &ctx.Request); err != nil {
		return r, err
	}
	if err := r.handlers[m](ctx, in); err != nil {
		return r, err
	}
	if in.staffRead() {
		d.log.InfoContext(w.base, "staff read", "token", in.who.Name, "route", r.label())
	}
	return r, nil
}

func (by *rules) match(path []byte, found *ids) *route {
	for _, r := range by.routes {
		if r.match(path, found) {
			return r
		}
	}
	return nil
}
