package server

import (
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// maxPairs is the most checks of one batch.
const maxPairs = 1000

const checksField = "checks"

var (
	pairArguments = setOf(argStatus, argDecisionID)
	pairFields    = pairArguments.names()
	// App and at_least may also stand beside the checks, for all that have
	// none of their own.
	commonArguments = argumentSet(1<<argApp | 1<<argAtLeast)
	batchArguments  = commonArguments | 1<<argDecisionID
	batchFields     = batchArguments.names(checksField)
)

// batch answers many checks that have nothing to do with each other.
func (c *checks) batch(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return argumentsInBody()
	}
	s := c.space()
	defer c.release(s)
	var common question
	if err := s.parseChecks(&common, ctx.Request.Body()); err != nil {
		return err
	}
	if err := common.readHeader(&ctx.Request.Header); err != nil {
		return err
	}
	if err := s.makeChecks(&common); err != nil {
		return err
	}
	for i := range s.checks {
		if app := s.checks[i].App; i == 0 || app != s.checks[i-1].App {
			if err := c.mayAsk(in.who, app); err != nil {
				return err
			}
		}
	}
	decisions := s.answers(len(s.checks))
	c.filter.Batch(s.checks, decisions)
	id := common.answerID(&ctx.Response)
	c.recordBatch(ctx, s, id)
	if why, all := allUnknown(decisions); all {
		return undecided(why)
	}
	writeBatchOfChecks(&ctx.Response, decisions)
	nameAnswer(&ctx.Response, id)
	return nil
}

// parseChecks reads the checks into the space, and what they have in common.
func (s *space) parseChecks(common *question, body []byte) error {
	given := false
	o := object{buf: body}
	for o.next() {
		switch {
		case string(o.name) == checksField:
			if given {
				o.twice()
			}
			given = true
			s.readChecks(&o)
		case !common.member(&o, batchArguments):
			o.unknown(batchFields)
		}
	}
	if o.err == nil && !given {
		return border.Problemf(border.CodeInvalidJSON, "the field %q is missing; expected an array of checks", checksField)
	}
	return o.err
}

func (s *space) readChecks(o *object) {
	for some := o.array(); some; some = o.more() {
		s.questions = append(s.questions, question{})
		q := &s.questions[len(s.questions)-1]
		in := o.within()
		for in.next() {
			if !q.member(&in, pairArguments) {
				in.unknown(pairFields)
			}
		}
		o.resume(in)
		if o.err != nil {
			o.err = located(checksField, len(s.questions)-1, o.err)
			return
		}
		o.atMost(maxPairs, len(s.questions))
	}
}

// makeChecks turns the questions into checks.
func (s *space) makeChecks(common *question) error {
	var revision filter.Revision
	if common.has(argAtLeast) {
		var err error
		if revision, err = filter.ParseRevision(common.values[argAtLeast]); err != nil {
			return err
		}
	}
	for i := range s.questions {
		q := &s.questions[i]
		if common.has(argApp) && !q.has(argApp) {
			q.set(argApp, common.values[argApp])
		}
		check, err := q.check()
		if err == nil && common.has(argAtLeast) && !q.has(argAtLeast) {
			err = askFor(&check, revision)
		}
		if err != nil {
			return located(checksField, i, err)
		}
		check.API = filter.APIBatch
		s.checks = append(s.checks, check)
	}
	return nil
}

func writeBatchOfChecks(resp *fasthttp.Response, decisions []filter.Decision) {
	resp.Header.SetContentTypeBytes(jsonType)
	resp.AppendBodyString(`{"decisions":[`)
	var buf [longestDecision]byte
	for i := range decisions {
		b := buf[:0]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		resp.AppendBody(appendOneOf(b, &decisions[i]))
	}
	resp.AppendBodyString("]}")
}
