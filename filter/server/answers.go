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

// writeDecision answers with a decision. It allocates nothing: the body is one
// of answers, or, when there is more to say, is put together in the response's
// own buffer.
func writeDecision(resp *fasthttp.Response, d *filter.Decision) {
	resp.Header.SetContentTypeBytes(jsonType)
	body := answers[index(d.Deliver)][index(d.Notify)][d.Action][d.Reason]
	if d.Stale == 0 && !d.Degraded {
		resp.SetBodyRaw(body)
		return
	}
	var buf [192]byte
	b := append(buf[:0], body[:len(body)-1]...)
	if d.Stale > 0 {
		b = append(b, `,"stale_ms":`...)
		b = strconv.AppendInt(b, max(d.Stale.Milliseconds(), 1), 10)
	}
	if d.Degraded {
		b = append(b, `,"degraded":true`...)
	}
	resp.AppendBody(append(b, '}'))
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
