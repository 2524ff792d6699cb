package server

import (
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// checks answers decisions.
type checks struct {
	filter *filter.Filter // the type itself, not an interface: see the package document
}

// checkLimit is the most bytes the body of a single check may have.
const checkLimit = 16 << 10

func (c *checks) routes() []*route {
	return []*route{
		newRoute("/v1/can-deliver", checkLimit, [methods]handler{methodGet: c.get, methodPost: c.post}),
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

// post answers a decision whose arguments are the fields of a JSON object.
func (c *checks) post(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return border.Problemf(border.CodeUnknownParameter, "a POST takes its arguments in the body and none in the query")
	}
	var q question
	if err := q.parseJSON(ctx.Request.Body()); err != nil {
		return err
	}
	return c.decide(ctx, &q, in.who)
}

// parseJSON reads the fields of a decision. It decodes in place.
func (q *question) parseJSON(body []byte) error {
	o := object{buf: body}
	for o.next() {
		a, ok := argumentOf(o.name)
		switch {
		case !ok:
			o.unknown(knownArguments)
		case q.has(a):
			o.twice()
		case !a.boolean():
			q.set(a, o.text())
		case o.flag():
			q.set(a, "1")
		default:
			q.set(a, "0")
		}
	}
	return o.err
}

func (c *checks) decide(ctx *fasthttp.RequestCtx, q *question, who *border.Principal) error {
	if token := ctx.Request.Header.PeekCanonical(headerAtLeast); len(token) > 0 {
		if q.has(argAtLeast) {
			return border.Problemf(border.CodeUnknownParameter, "at_least is given twice, as an argument and as a header")
		}
		q.set(argAtLeast, borrow(token))
	}
	check, err := q.check()
	if err != nil {
		return err
	}
	if err := forbidApp(who, check.App); err != nil {
		return err
	}
	if !c.filter.HasApp(check.App) {
		return border.Problemf(border.Code(filter.CodeUnknownApp), "the app %s is not configured", border.Quote(check.App))
	}
	d := c.filter.CanDeliver(check)
	switch {
	case d.Unknown():
		return undecided(d.Cause)
	case q.yes(argStatus):
		writeVerdict(&ctx.Response, &d)
	default:
		writeDecision(&ctx.Response, &d)
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
