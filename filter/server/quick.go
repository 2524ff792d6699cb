package server

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/decisionlog"
)

// Nearly all that a check listener hears is one request over and over: a GET of
// one path, with a header that asks for nothing. To read it fasthttp needs more
// time than the decision, for all that a request could be and this one is not:
// quick answers it beneath fasthttp, when the connection is read.
//
// It is safe to have two readers of HTTP because only one of them ever decides
// what a request is. quick takes bytes that can be read in one way only: a whole
// request, spelled as plain says. About everything else, such as a request that
// has not arrived whole, that is wrong in any way or that asks for anything more,
// it has no opinion: those bytes go to fasthttp as they came, and with them
// everything behind them until fasthttp has answered them all. So there is no
// request about whose end two could disagree, and every refusal is made in the one
// place where it was made before. What quick answers is what fasthttp would have
// answered, byte for byte; TestQuickAnswersLikeFasthttp holds it to that.
type quick struct {
	door  *door
	route *route // for the log

	readTimeout, writeTimeout, idleTimeout time.Duration
	// grain is how often deadlines are moved: what they bound may take that much
	// longer, and of a thousand requests one pays for it.
	grain time.Duration

	begun time.Time
	head  atomic.Pointer[datedHead]
}

// maxGrain is how much longer than they say the timeouts of a connection may be.
const maxGrain = time.Second

// keptOut is how much room for answers a connection keeps: enough for forty that
// come together. There may be thousands of connections, and each would keep what
// its longest pipeline took.
const keptOut = 8 << 10

// newQuick returns what answers the plain requests of a listener.
func newQuick(d *door, opts *Options) *quick {
	q := &quick{
		door: d, route: d.rules.Load().match([]byte(plainPath), new(ids)), begun: time.Now(),
		readTimeout: opts.ReadTimeout, writeTimeout: opts.WriteTimeout, idleTimeout: opts.IdleTimeout,
	}
	q.grain = min(maxGrain, q.readTimeout/8, q.writeTimeout/8, q.idleTimeout/8)
	return q
}

// rules returns what the next requests are answered by, nil if none is plain: where
// a credential is asked for, its header is fasthttp's to read.
func (q *quick) rules() *rules {
	if by := q.door.rules.Load(); by.auth == nil {
		return by
	}
	return nil
}

// serve reads a connection between two requests, and answers what is plain. It
// returns when there is something for fasthttp, at the start of p, or an error.
func (q *quick) serve(c *conn, p []byte) (int, error) {
	// fasthttp has just set a deadline for reading, and may have set one for
	// writing: the first answer sets both anew.
	due, moved := true, time.Duration(0)
	for kept := 0; ; {
		n, err := c.Conn.Read(p[kept:])
		if n == 0 {
			return kept, err
		}
		c.busy.Store(true)
		n += kept
		now := time.Since(q.begun)
		taken, last, begun := q.answer(c, p[:n], now)
		if taken == 0 {
			return n, errors.Join(err, q.handOver(c, due))
		}
		if due = due || now-moved >= q.grain; due {
			moved = now
		}
		if err := q.flush(c, due); err != nil {
			return 0, err
		}
		if last {
			return 0, io.EOF
		}
		if err != nil {
			return copy(p, p[taken:n]), err
		}
		kept = copy(p, p[taken:n])
		if kept > 0 && !begun {
			// It may be all there, and its client may wait: nobody else would
			// come to wake us.
			return kept, q.handOver(c, false)
		}
		if err := q.wait(c, kept > 0, due); err != nil {
			return 0, err
		}
		due = kept > 0
	}
}

// handOver readies a connection for fasthttp. If it has not read a request from it
// yet, it set the deadline for that when the connection began, and we have moved
// that since.
func (q *quick) handOver(c *conn, untouched bool) error {
	if untouched {
		return nil
	}
	return c.SetReadDeadline(time.Now().Add(q.readTimeout))
}

// wait sets how long the next request may take to come, or what is missing of it.
func (q *quick) wait(c *conn, begun, due bool) error {
	switch {
	case begun:
		return c.SetReadDeadline(time.Now().Add(q.readTimeout))
	case due:
		if err := c.SetReadDeadline(time.Now().Add(q.idleTimeout + q.grain)); err != nil {
			return err
		}
	}
	c.busy.Store(false)
	return nil
}

// flush writes the answers, those of requests that came together in one write.
func (q *quick) flush(c *conn, due bool) error {
	if due {
		if err := c.SetWriteDeadline(time.Now().Add(q.writeTimeout + q.grain)); err != nil {
			return err
		}
	}
	_, err := c.Conn.Write(c.out)
	c.out, c.answered = c.out[:0], true
	if cap(c.out) > keptOut {
		c.out = nil
	}
	return err
}

// answer answers the plain requests at the start of what has been read. It returns
// how many bytes they have, whether the connection is to end behind them, and whether
// what follows is a plain request of which some is missing.
func (q *quick) answer(c *conn, read []byte, now time.Duration) (taken int, last, begun bool) {
	defer func() {
		if v := recover(); v != nil {
			taken, last = len(read), true
			c.out = q.refuse(c.out, panicError(v), true)
		}
	}()
	// Once for all that came together, and not before it came: a connection may
	// have waited for hours.
	by := q.rules()
	for by != nil && taken < len(read) && !last {
		r := splitPlain(read[taken:])
		if begun = r.begun; r.size == 0 {
			break
		}
		check, ok := q.read(c, by.filter, &r)
		if !ok {
			break
		}
		taken += r.size
		check.Counts = countsOf(c, by.filter)
		d := by.filter.CanDeliver(check)
		if q.door.decisions.Wants(&d) {
			q.door.decisions.Record(&check, &d, decisionlog.About{Trace: traceparent(read[taken-r.size : taken])})
		}
		last = q.door.draining.Load()
		switch {
		case d.Unknown():
			c.out = q.refuse(c.out, undecided(d.Cause), last)
		case last || !isBare(&d):
			c.out = q.rare(c.out, &d, last, now)
		default:
			c.out = append(append(c.out, q.dated(now)...), tailOf(&d)...)
		}
	}
	return taken, last, begun
}

// read makes a check of a plain request; false: there is something wrong with it,
// or something in it that quick does not do, and it has not been touched.
func (q *quick) read(c *conn, f *filter.Filter, r *plain) (check filter.Check, ok bool) {
	var asked question
	if r.escaped {
		// Decoding is done in place, and fasthttp must see what came.
		c.spare = append(c.spare[:0], r.query...)
		if asked.parseQuery(c.spare) != nil {
			return check, false
		}
	} else if !asked.parsePlain(r.query) {
		return check, false
	}
	if asked.given&^quickArguments != 0 {
		return check, false
	}
	check, err := asked.check()
	return check, err == nil && f.HasApp(check.App)
}

// quickArguments leaves out those that change how is answered or who is waited for.
var quickArguments = setOf(argAtLeast, argDecisionID, argStatus)

// refuse answers with a problem, as fasthttp writes it.
func (q *quick) refuse(out []byte, err error, last bool) []byte {
	var resp fasthttp.Response
	q.door.fail(q.door.base, &resp, q.route, err)
	return appendResponse(out, &resp, last)
}

// rare answers with a decision about which there is more to say.
func (q *quick) rare(out []byte, d *filter.Decision, last bool, now time.Duration) []byte {
	var buf [longestDecision]byte
	body := answerOf(d)
	if !isBare(d) {
		body = appendDecision(append(buf[:0], '{'), d)
	}
	out = append(out, q.dated(now)...)
	out = appendLength(out, len(body))
	if last {
		out = append(out, "\r\nConnection: close"...)
	}
	out = append(out, "\r\n\r\n"...)
	return append(out, body...)
}
