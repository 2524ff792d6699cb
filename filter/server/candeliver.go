package server

import (
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// checks answers decisions.
type checks struct {
	filter *filter.Filter // the type itself, not an interface: see the package document
	door   *door
	spaces sync.Pool // of *space
}

const (
	// checkLimit is the most bytes the body of a single check may have.
	checkLimit = 16 << 10
	// manyLimit is the same where one request asks about many.
	manyLimit = 4 << 20
)

func (c *checks) routes() []*route {
	return []*route{
		newRoute(plainPath, checkLimit, [methods]handler{methodGet: c.get, methodPost: c.post}),
		newRoute("/v1/can-deliver/fanout", manyLimit, [methods]handler{methodPost: c.fanout}),
		newRoute("/v1/can-deliver/batch", manyLimit, [methods]handler{methodPost: c.batch}),
		newRoute("/v1/visible", manyLimit, [methods]handler{methodPost: c.visible}),
		newRoute("/v1/invitees", manyLimit, [methods]handler{methodPost: c.invitees}),
	}
}

var headerAtLeast = []byte("Sidegate-At-Least")

// get answers a decision whose arguments are in the query.
func (c *checks) get(ctx *fasthttp.RequestCtx, in input) error {
	var q question
	if err := q.parseQuery(in.query); err != nil {
		return err
	}
	return c.decide(ctx, &q, in.who)
}

// post answers a decision whose arguments are the fields of a JSON object. Only
// status may also stand in the query, where proxies write it.
func (c *checks) post(ctx *fasthttp.RequestCtx, in input) error {
	var q question
	if err := q.parseQuery(in.query); err != nil {
		return err
	}
	if q.given&^(1<<argStatus) != 0 {
		return border.Problemf(border.CodeUnknownParameter,
			"a POST takes its arguments in the body; only status may stand in the query")
	}
	o := object{buf: ctx.Request.Body()}
	for o.next() {
		if !q.member(&o, checkArguments) {
			o.unknown(knownArguments)
		}
	}
	if o.err != nil {
		return o.err
	}
	return c.decide(ctx, &q, in.who)
}

// member reads the member of an object that next has found, if it is one of
// some arguments. It decodes in place.
func (q *question) member(o *object, some argumentSet) bool {
	a, ok := argumentOf(o.name)
	switch {
	case !ok || !some.has(a):
		return false
	case q.has(a):
		o.twice()
	case !a.boolean():
		q.set(a, o.text())
	case o.flag():
		q.set(a, "1")
	default:
		q.set(a, "0")
	}
	return true
}

func (c *checks) decide(ctx *fasthttp.RequestCtx, q *question, who *border.Principal) error {
	if err := q.readHeader(&ctx.Request.Header); err != nil {
		return err
	}
	check, err := q.check()
	if err != nil {
		return err
	}
	if err := c.mayAsk(who, check.App); err != nil {
		return err
	}
	check.Counts = countsOf(ctx.Conn(), c.filter)
	d := c.filter.CanDeliver(check)
	id := q.answerID(&ctx.Response)
	c.record(ctx, &check, &d, id)
	switch {
	case d.Unknown():
		return undecided(d.Cause)
	case q.yes(argStatus):
		writeVerdict(&ctx.Response, &d)
	default:
		writeDecision(&ctx.Response, &d)
		nameAnswer(&ctx.Response, id)
	}
	return nil
}

// readHeader reads the one argument that may also be a header.
func (q *question) readHeader(h *fasthttp.RequestHeader) error {
	token := h.PeekCanonical(headerAtLeast)
	if len(token) == 0 {
		return nil
	}
	if q.has(argAtLeast) {
		return border.Problemf(border.CodeUnknownParameter, "at_least is given twice, as an argument and as a header")
	}
	q.set(argAtLeast, borrow(token))
	return nil
}

// mayAsk sees that the caller may ask about an app, and that there is one.
func (c *checks) mayAsk(who *border.Principal, app string) error {
	if err := forbidApp(who, app); err != nil {
		return err
	}
	if !c.filter.HasApp(app) {
		return border.Problemf(border.Code(filter.CodeUnknownApp), "the app %s is not configured", border.Quote(app))
	}
	return nil
}

// undecided is the one decision that is an error. Its text depends on us alone:
// a sender who is blocked and one who is not are told the same.
func undecided(why filter.Cause) error {
	switch why {
	case filter.CauseNotFreshEnough:
		return border.Problemf(border.CodeNotFreshEnough, "the write that at_least names has not been seen here in time")
	case filter.CauseNotSynced:
		return border.Problemf(border.CodeUnknown, "the database has not been read since the start")
	case filter.CauseStale:
		return border.Problemf(border.CodeUnknown, "what is in memory is older than the hard bound allows")
	}
	return border.Problemf(border.CodeUnknown, "a list that is needed is not in memory and could not be read")
}
