package server

import (
	"bytes"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/decisionlog"
	"github.com/sidegate/sidegate/metrics/border"
)

// headerDecisionID carries the id of an answer, also of one that has no body or is
// a problem.
const headerDecisionID = "Sidegate-Decision-Id"

// answerID makes the id of an answer if its client asks for one.
func (q *question) answerID(resp *fasthttp.Response) (id decisionlog.ID) {
	if q.yes(argDecisionID) {
		id = decisionlog.NewID(time.Now())
		resp.Header.Set(headerDecisionID, id.String())
	}
	return id
}

// nameAnswer puts the id into an answer that is an object, as its last member.
func nameAnswer(resp *fasthttp.Response, id decisionlog.ID) {
	body := resp.Body()
	if id.IsZero() || len(body) == 0 {
		return
	}
	// A copy: the body may be one that all answers share.
	named := append(make([]byte, 0, len(body)+64), body[:len(body)-1]...)
	named = id.Append(append(named, `,"decision_id":"`...))
	resp.SetBodyRaw(append(named, `"}`...))
}

// record records a decision if the log wants it. One whose id its client was told
// is wanted in any case.
func (c *checks) record(ctx *fasthttp.RequestCtx, check *filter.Check, d *filter.Decision, id decisionlog.ID) {
	if c.door.decisions.Wants(d) || !id.IsZero() {
		c.door.decisions.Record(check, d, decisionlog.About{ID: id, Trace: traceOf(&ctx.Request.Header)})
	}
}

// aboutMany begins the records of a request about many: all have one id.
func aboutMany(ctx *fasthttp.RequestCtx, id decisionlog.ID) decisionlog.About {
	if id.IsZero() {
		id = decisionlog.NewID(time.Now())
	}
	return decisionlog.About{ID: id, Many: true, Trace: traceOf(&ctx.Request.Header)}
}

// recordFanout records the recipients for whom there is something else to do than
// to deliver. Deliveries are not sampled: they are not a part of the answer either.
func (c *checks) recordFanout(ctx *fasthttp.RequestCtx, check filter.Check, s *space, id decisionlog.ID) {
	if c.door.decisions == nil {
		return
	}
	about := aboutMany(ctx, id)
	for i, recipient := range s.recipients {
		if d := &s.decisions[i]; decisionlog.Exception(d) {
			about.Index, check.Recipient = i, recipient
			c.door.decisions.Record(&check, d, about)
		}
	}
}

// recordBatch records those of many checks that the log wants, and all of them if
// the client was told the id.
func (c *checks) recordBatch(ctx *fasthttp.RequestCtx, s *space, id decisionlog.ID) {
	if c.door.decisions == nil {
		return
	}
	about := aboutMany(ctx, id)
	for i := range s.checks {
		if d := &s.decisions[i]; c.door.decisions.Wants(d) || !id.IsZero() {
			about.Index = i
			c.door.decisions.Record(&s.checks[i], d, about)
		}
	}
}

// exception reports whether a decision is anything but a plain delivery.
func exception(d *filter.Decision) bool { return !d.Deliver || !d.Notify || d.Degraded }

// traceOf returns the trace that a request is a part of, the zero Trace if it is of
// none.
func traceOf(h *fasthttp.RequestHeader) border.Trace {
	return border.ParseTrace(h.PeekCanonical(traceHeader))
}

var traceHeader = []byte(border.TraceHeader)

// traceparent finds the header in a plain request, whose lines are known to be well
// formed. It is looked for only when there is a record to put it into. Of two
// headers the first counts, as it does for fasthttp.
func traceparent(raw []byte) border.Trace {
	_, lines, _ := bytes.Cut(raw, []byte("\r\n"))
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(":"))
		if found && bytes.EqualFold(name, traceHeader) {
			return border.ParseTrace(bytes.TrimSpace(value))
		}
	}
	return border.Trace{}
}
