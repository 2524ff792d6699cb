package server

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

const (
	inviterField  = "inviter"
	inviteesField = "invitees"
)

// Besides its own two fields an invitation takes what stands beside the checks of
// a batch: it is sent to no room, so that nothing else of a check applies.
var inviteesFields = commonArguments.names(inviterField, inviteesField)

// invitees answers whom of many a user may invite.
func (c *checks) invitees(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return argumentsInBody()
	}
	s := c.space()
	defer c.release(s)
	var q question
	if err := s.parseInvitees(&q, ctx.Request.Body()); err != nil {
		return err
	}
	if err := q.readHeader(&ctx.Request.Header); err != nil {
		return err
	}
	check, err := q.invitation()
	if err != nil {
		return err
	}
	if err := s.checkIDs(inviteesField); err != nil {
		return err
	}
	if err := c.mayAsk(in.who, check.App); err != nil {
		return err
	}
	decisions := s.answers(len(s.recipients))
	policy := c.filter.Invitees(check, s.recipients, decisions)
	// With include too: who would be excluded is a part of the answer, and none
	// of it is known. An app in shadow answers whatever it knows.
	if why, all := allUnknown(decisions); all && c.filter.Enforces(check.App) {
		return undecided(why)
	}
	writeInvitees(&ctx.Response, policy, s.recipients, decisions)
	return nil
}

// invitation makes the check of an invitation; the inviter is kept as the sender.
func (q *question) invitation() (filter.Check, error) {
	c := filter.Check{App: defaultApp, Sender: q.values[argSender]}
	if q.has(argApp) {
		c.App = q.values[argApp]
	}
	if !q.has(argSender) {
		return c, border.Problemf(border.Code(filter.CodeInvalidUserID), "inviter is missing")
	}
	if err := filter.ValidateUserID(c.Sender); err != nil {
		return c, border.Problemf(border.Code(filter.CodeInvalidUserID), "inviter: %s", detailOf(err))
	}
	return c, q.atLeast(&c)
}

// parseInvitees reads the arguments into q and the invitees into the space.
func (s *space) parseInvitees(q *question, body []byte) error {
	given := false
	o := object{buf: body}
	for o.next() {
		switch {
		case string(o.name) == inviteesField:
			if given {
				o.twice()
			}
			given = true
			s.readIDs(&o, inviteesField)
		case string(o.name) == inviterField:
			if q.has(argSender) {
				o.twice()
			}
			q.set(argSender, o.text())
		case !q.member(&o, commonArguments):
			o.unknown(inviteesFields)
		}
	}
	if o.err == nil && !given {
		return border.Problemf(border.CodeInvalidJSON, "the field %q is missing; expected an array of user ids", inviteesField)
	}
	return o.err
}

// writeInvitees answers in request order. A user of whom a list is unknown, and
// for whom on_unknown does not decide, is refused as unknown: they are not known
// to be free to be invited.
func writeInvitees(resp *fasthttp.Response, policy filter.Invitations, invitees []string, decisions []filter.Decision) {
	resp.Header.SetContentTypeBytes(jsonType)
	include := policy == filter.InvitationsInclude
	resp.AppendBodyString(`{"allowed":[`)
	writeEach(resp, invitees, func(b []byte, i int) []byte {
		if !include && !decisions[i].Deliver {
			return nil
		}
		return appendString(b, invitees[i])
	})
	// The same list under one name or the other, so that a client which shows it
	// reads one format.
	refused := func(b []byte, i int) []byte {
		if decisions[i].Deliver {
			return nil
		}
		b = appendString(append(b, `{"user":`...), invitees[i])
		b = append(append(b, `,"reason":"`...), whyNot(decisions[i].Reason)...)
		return append(b, `"}`...)
	}
	resp.AppendBodyString(`],"excluded":[`)
	if include {
		resp.AppendBodyString(`],"would_exclude":[`)
	}
	writeEach(resp, invitees, refused)
	var oldest time.Duration
	degraded := false
	for i := range decisions {
		oldest, degraded = max(oldest, decisions[i].Stale), degraded || decisions[i].Degraded
	}
	b := appendAge([]byte{']'}, oldest)
	if degraded {
		b = append(b, `,"degraded":true`...)
	}
	resp.AppendBody(append(b, '}'))
}

// writeEach writes the elements of an array; render returns nil for one that is
// left out.
func writeEach(resp *fasthttp.Response, ids []string, render func(b []byte, i int) []byte) {
	var buf [1 << 10]byte // an id is at most 256 bytes, 512 as JSON
	written := false
	for i := range ids {
		b := buf[:0]
		if written {
			b = append(b, ',')
		}
		if b = render(b, i); b != nil {
			written = true
			resp.AppendBody(b)
		}
	}
}

// whyNot names the reason for which an invitation is refused by its two sides.
func whyNot(reason filter.Reason) string {
	switch reason {
	case filter.ReasonRecipientBlockedSender:
		return "invitee_blocked_inviter"
	case filter.ReasonSenderBlockedRecipient:
		return "inviter_blocked_invitee"
	}
	return reason.String() // not_on_allowlist, unknown
}
