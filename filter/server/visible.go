package server

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// maxVisible is the most messages of one request.
const maxVisible = 1000

const messagesField = "messages"

var (
	// There is no at_least, since the database has every write, and neither room
	// nor origin: what is asked is whether a block between two users hid a message.
	visibleArguments = argumentSet(1<<argApp | 1<<argRecipient | 1<<argRoomType)
	visibleFields    = visibleArguments.names(messagesField)
)

// visible answers which messages of the past their recipient may see: those that
// a block withheld when they were sent stay withheld when it has ended.
func (c *checks) visible(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return argumentsInBody()
	}
	s := c.space()
	defer c.release(s)
	var q question
	if err := s.parseVisible(&q, ctx.Request.Body()); err != nil {
		return err
	}
	check, err := q.addressee()
	if err != nil {
		return err
	}
	for i := range s.messages {
		if err := filter.ValidateUserID(s.messages[i].Sender); err != nil {
			return inMessage(i, border.Problemf(border.Code(filter.CodeInvalidUserID), "sender: %s", detailOf(err)))
		}
	}
	if err := c.mayAsk(in.who, check.App); err != nil {
		return err
	}
	// Unlike a check this reads the database each time, with the patience of a
	// request to a list.
	op, cancel := in.operation()
	defer cancel()
	decisions := s.answers(len(s.messages))
	if err := c.filter.Visible(op, check, s.messages, decisions); err != nil {
		return err
	}
	for i := range decisions {
		// A yes or no cannot say unknown, unlike a decision among others.
		if decisions[i].Unknown() {
			return undecided(decisions[i].Cause)
		}
	}
	writeVisible(&ctx.Response, decisions)
	return nil
}

// addressee is message for a request that names the recipient, and a sender for
// each message.
func (q *question) addressee() (filter.Check, error) {
	c := filter.Check{App: defaultApp, Recipient: q.values[argRecipient]}
	if q.has(argApp) {
		c.App = q.values[argApp]
	}
	if err := q.checkID(argRecipient); err != nil {
		return c, err
	}
	var ok bool
	if c.RoomType, ok = filter.ParseRoomType(q.values[argRoomType]); !ok {
		return c, q.badRoomType()
	}
	return c, nil
}

// inMessage says which message a mistake is in: messages[3].sent_at is …
func inMessage(i int, p border.Problem) error {
	p.Detail = place(messagesField, i) + "." + p.Detail
	return p
}

// parseVisible reads the arguments into q and the messages into the space.
func (s *space) parseVisible(q *question, body []byte) error {
	given := false
	o := object{buf: body}
	for o.next() {
		switch {
		case string(o.name) == messagesField:
			if given {
				o.twice()
			}
			given = true
			s.readMessages(&o)
		case !q.member(&o, visibleArguments):
			o.unknown(visibleFields)
		}
	}
	if o.err == nil && !given {
		return border.Problemf(border.CodeInvalidJSON, "the field %q is missing; expected an array of messages", messagesField)
	}
	return o.err
}

func (s *space) readMessages(o *object) {
	for some := o.array(); some; some = o.more() {
		in := o.within()
		m, problem := in.message()
		o.resume(in)
		switch i := len(s.messages); {
		case o.err != nil:
			o.err = located(messagesField, i, o.err)
			return
		case problem != nil:
			o.err = inMessage(i, *problem)
			return
		}
		s.messages = append(s.messages, m)
		o.atMost(maxVisible, len(s.messages))
	}
}

// message reads one message. A problem is a field that is missing or has a value
// which is none; it is told apart from an error of the reader, which comes first
// because it may be the reason, and which names its field by itself.
func (o *object) message() (m filter.Sent, problem *border.Problem) {
	var hasSender, hasTime bool
	for o.next() {
		switch string(o.name) {
		case "sender":
			if hasSender {
				o.twice()
			}
			hasSender = true
			m.Sender = o.text()
		case "sent_at":
			if hasTime {
				o.twice()
			}
			hasTime = true
			if text := o.text(); o.err == nil && problem == nil {
				m.At, problem = parseSent(text)
			}
		default:
			o.unknown("sender, sent_at")
		}
	}
	switch {
	case problem != nil:
		return m, problem
	case !hasSender:
		problem = &border.Problem{Code: border.Code(filter.CodeInvalidUserID), Detail: "sender is missing"}
	case !hasTime:
		problem = &border.Problem{Code: border.CodeInvalidParameter, Detail: "sent_at is missing"}
	}
	return m, problem
}

// parseSent reads when a message was sent. A time that has not come yet is none
// of the client's mistakes: clocks differ, and it counts as now.
func parseSent(text string) (time.Time, *border.Problem) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		p := border.Problemf(border.CodeInvalidParameter,
			"sent_at is %s; it is a time like 2030-01-31T12:00:00Z (RFC 3339)", border.Quote(text))
		return time.Time{}, &p
	}
	return at, nil
}

// writeVisible answers with one yes or no for each message: why is said by
// explain, to staff.
func writeVisible(resp *fasthttp.Response, decisions []filter.Decision) {
	resp.Header.SetContentTypeBytes(jsonType)
	b := append(make([]byte, 0, len(`{"visible":[]}`)+len(decisions)*len("false,")), `{"visible":[`...)
	for i := range decisions {
		b = appendYesOrNo(b, i, &decisions[i])
	}
	if wouldDiffer(decisions) {
		b = append(b, `],"would_visible":[`...)
		for i := range decisions {
			would, _ := decisions[i].Would()
			b = appendYesOrNo(b, i, &would)
		}
	}
	resp.SetBodyRaw(append(b, "]}"...))
}

// appendYesOrNo appends the i-th element of an array; null: it is not known, which
// only a decision that is not obeyed may be.
func appendYesOrNo(b []byte, i int, d *filter.Decision) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	if d.Unknown() {
		return append(b, "null"...)
	}
	return strconv.AppendBool(b, d.Deliver)
}
