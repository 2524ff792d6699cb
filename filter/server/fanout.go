package server

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// maxFanout is the most recipients of one fan-out, and invitees of one invitation.
const maxFanout = 10_000

const recipientsField = "recipients"

var (
	fanoutArguments = setOf(argRecipient, argStatus)
	fanoutFields    = fanoutArguments.names(recipientsField)
)

// fanout answers one message to many recipients.
func (c *checks) fanout(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return argumentsInBody()
	}
	s := c.space()
	defer c.release(s)
	var q question
	if err := s.parseFanout(&q, ctx.Request.Body()); err != nil {
		return err
	}
	if err := q.readHeader(&ctx.Request.Header); err != nil {
		return err
	}
	check, err := q.message()
	if err != nil {
		return err
	}
	if err := s.checkIDs(recipientsField); err != nil {
		return err
	}
	if err := c.mayAsk(in.who, check.App); err != nil {
		return err
	}
	check.API = filter.APIFanout
	decisions := s.answers(len(s.recipients))
	c.filter.Fanout(check, s.recipients, decisions)
	id := q.answerID(&ctx.Response)
	c.recordFanout(ctx, check, s, id)
	if why, all := allUnknown(decisions); all {
		return undecided(why)
	}
	writeFanout(&ctx.Response, s.recipients, decisions)
	nameAnswer(&ctx.Response, id)
	return nil
}

func argumentsInBody() error {
	return border.Problemf(border.CodeUnknownParameter, "this path takes its arguments in the body and none in the query")
}

// parseFanout reads the arguments into q and the recipients into the space.
func (s *space) parseFanout(q *question, body []byte) error {
	given := false
	o := object{buf: body}
	for o.next() {
		switch {
		case string(o.name) == recipientsField:
			if given {
				o.twice()
			}
			given = true
			s.readIDs(&o, recipientsField)
		case !q.member(&o, fanoutArguments):
			o.unknown(fanoutFields)
		}
	}
	if o.err == nil && !given {
		return border.Problemf(border.CodeInvalidJSON, "the field %q is missing; expected an array of user ids", recipientsField)
	}
	return o.err
}

// readIDs reads an array of user ids into the space.
func (s *space) readIDs(o *object, field string) {
	for some := o.array(); some; some = o.more() {
		id := o.text()
		if o.err != nil {
			o.err = located(field, len(s.recipients), o.err)
			return
		}
		s.recipients = append(s.recipients, id)
		o.atMost(maxFanout, len(s.recipients))
	}
}

// checkIDs looks at the ids that readIDs has read.
func (s *space) checkIDs(field string) error {
	for i, id := range s.recipients {
		if err := filter.ValidateUserID(id); err != nil {
			return located(field, i, err)
		}
	}
	return nil
}

// writeFanout lists the recipients whose decision is not a plain delivery: the
// chat server has something else to do for them. Age is said of the answer as a
// whole, because it is no reason to list anybody.
//
// What an app in shadow would have done has a list of its own. A chat server may
// take whoever is among the exceptions for one who is not to have the message.
func writeFanout(resp *fasthttp.Response, recipients []string, decisions []filter.Decision) {
	resp.Header.SetContentTypeBytes(jsonType)
	var oldest time.Duration
	for i := range decisions {
		oldest = max(oldest, decisions[i].Stale)
	}
	var buf [64]byte
	b := append(buf[:0], `{"checked":`...)
	b = strconv.AppendInt(b, int64(len(decisions)), 10)
	b = appendAge(b, oldest)
	resp.AppendBody(append(b, `,"exceptions":[`...))
	writeExceptions(resp, recipients, decisions, false)
	if wouldDiffer(decisions) {
		resp.AppendBodyString(`],"would_exceptions":[`)
		writeExceptions(resp, recipients, decisions, true)
	}
	resp.AppendBodyString("]}")
}

// writeExceptions writes the exceptions of what was answered, or of what would have
// been.
func writeExceptions(resp *fasthttp.Response, recipients []string, decisions []filter.Decision, would bool) {
	var buf [1 << 10]byte
	b := buf[:0]
	for i := range decisions {
		d := decisions[i]
		if w, differs := d.Would(); differs {
			d = w
			if !would {
				continue
			}
		} else if would || !exception(&d) {
			continue
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"recipient":`...)
		b = appendString(b, recipients[i])
		b = append(b, ',')
		b = appendOneOf(b, &d)
		// An id is at most 256 bytes, 512 as JSON: what is left of buf does
		// for the next one.
		resp.AppendBody(b)
		b = append(buf[:0], ',')
	}
}

// wouldDiffer reports whether an app in shadow would have answered something else.
func wouldDiffer(decisions []filter.Decision) bool {
	for i := range decisions {
		if _, differs := decisions[i].Would(); differs {
			return true
		}
	}
	return false
}
