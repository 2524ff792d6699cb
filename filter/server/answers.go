package server

import (
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// actions is the number of actions a decision may have.
const actions = int(filter.ActionDrop) + 1

// answers holds the body of every decision there can be, so that an answer from
// memory is a pointer, not an encoding. 120 of them, some of which no policy
// ever reaches.
var answers = renderAnswers()

func renderAnswers() (all [2][2][actions][filter.Reasons][]byte) {
	for deliver := range all {
		for notify := range all[deliver] {
			for action := range all[deliver][notify] {
				for reason := range all[deliver][notify][action] {
					all[deliver][notify][action][reason] = fmt.Appendf(nil,
						`{"deliver":%t,"notify":%t,"action":%q,"reason":%q}`,
						deliver == 1, notify == 1, filter.Action(action).String(), filter.Reason(reason).String())
				}
			}
		}
	}
	return all
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// longestDecision is room for all that a decision can say: 300 bytes are enough.
const longestDecision = 320

// writeDecision answers with a decision. It allocates nothing: the body is one
// of answers, or, when there is more to say, is put together in the response's
// own buffer.
func writeDecision(resp *fasthttp.Response, d *filter.Decision) {
	resp.Header.SetContentTypeBytes(jsonType)
	if isBare(d) {
		resp.SetBodyRaw(answerOf(d))
		return
	}
	var buf [longestDecision]byte
	resp.AppendBody(appendDecision(append(buf[:0], '{'), d))
}

// isBare reports whether there is nothing to say of a decision beside itself.
func isBare(d *filter.Decision) bool {
	if _, differs := d.Would(); differs {
		return false
	}
	return d.Stale == 0 && !d.Degraded
}

func answerOf(d *filter.Decision) []byte {
	return answers[index(d.Deliver)][index(d.Notify)][d.Action][d.Reason]
}

// appendOneOf appends a decision that has others beside it. One that is unknown
// says no more than that: there is nothing to act on.
func appendOneOf(b []byte, d *filter.Decision) []byte {
	if d.Unknown() {
		return append(b, `"reason":"unknown"}`...)
	}
	return appendDecision(b, d)
}

// appendDecision appends the members of a decision and the closing brace.
func appendDecision(b []byte, d *filter.Decision) []byte {
	body := answerOf(d)
	b = append(b, body[1:len(body)-1]...)
	b = appendAge(b, d.Stale)
	if d.Degraded {
		b = append(b, `,"degraded":true`...)
	}
	if would, differs := d.Would(); differs {
		would.Stale = 0 // the age of both, and said
		b = appendOneOf(append(b, `,"would":{`...), &would)
	}
	return append(b, '}')
}

// appendAge appends the age of an answer if it is worth a word.
func appendAge(b []byte, stale time.Duration) []byte {
	if stale == 0 {
		return b
	}
	b = append(b, `,"stale_ms":`...)
	ms := stale.Milliseconds()
	if stale%time.Millisecond > 0 {
		ms++ // the figure is a bound
	}
	return strconv.AppendInt(b, ms, 10)
}

// appendString appends a valid id as a JSON string: it has no control characters,
// so that only two bytes need an escape.
func appendString(b []byte, id string) []byte {
	b = append(b, '"')
	for i := range len(id) {
		if c := id[i]; c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, id[i])
	}
	return append(b, '"')
}

// writeVerdict answers ?status=1, which proxies ask with: they look at the
// status alone.
func writeVerdict(resp *fasthttp.Response, d *filter.Decision) {
	status := fasthttp.StatusNoContent
	if !d.Deliver {
		status = fasthttp.StatusForbidden
	}
	resp.SetStatusCode(status)
}

// instant is how the native API writes a time: RFC 3339 in UTC, to the
// microsecond that the database keeps.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

// instantOrNull is instant, and null for none.
func instantOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := instant(t)
	return &text
}
