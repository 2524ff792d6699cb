package server

import (
	"bufio"
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// datedHead is how an answer to a plain request begins during one second. All
// connections read it; whoever finds it too old makes a new one.
type datedHead struct {
	text  []byte
	until time.Duration // since quick.begun
}

// dated returns how an answer begins at this moment.
func (q *quick) dated(now time.Duration) []byte {
	if h := q.head.Load(); h != nil && now < h.until {
		return h.text
	}
	t := time.Now()
	text := fasthttp.AppendHTTPDate([]byte("HTTP/1.1 200 OK\r\nDate: "), t)
	left := time.Second - time.Duration(t.Nanosecond())
	q.head.Store(&datedHead{text: text, until: now + left})
	return text
}

// tails holds, for every decision there can be, what follows the date: the rest of
// the header and the body.
var tails = renderTails()

func renderTails() (all [2][2][actions][filter.Reasons][]byte) {
	for deliver := range all {
		for notify := range all[deliver] {
			for action := range all[deliver][notify] {
				for reason := range all[deliver][notify][action] {
					body := answers[deliver][notify][action][reason]
					tail := append(appendLength(nil, len(body)), "\r\n\r\n"...)
					all[deliver][notify][action][reason] = append(tail, body...)
				}
			}
		}
	}
	return all
}

func tailOf(d *filter.Decision) []byte {
	return tails[index(d.Deliver)][index(d.Notify)][d.Action][d.Reason]
}

// appendLength appends the lines of the header that follow the date.
func appendLength(b []byte, body int) []byte {
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	return strconv.AppendInt(b, int64(body), 10)
}

// appendResponse appends an answer that fasthttp renders.
func appendResponse(b []byte, resp *fasthttp.Response, last bool) []byte {
	if last {
		resp.SetConnectionClose()
	}
	buf := bytes.NewBuffer(b)
	w := bufio.NewWriter(buf)
	// A buffer takes everything.
	_ = resp.Write(w)
	_ = w.Flush()
	return buf.Bytes()
}
