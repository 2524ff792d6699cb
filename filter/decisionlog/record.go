package decisionlog

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// record is a decision on its way to the file. It is used again and again, with the
// text that it has grown to.
type record struct {
	at       time.Time
	about    About
	decision filter.Decision

	// The check. What points into the request it came in is copied to text: app,
	// sender, recipient and room, one behind the other.
	api                               filter.API
	roomType                          filter.RoomType
	fromServer, verify, notifyBlocked bool
	text                              []byte
	ends                              [4]int
}

func (r *record) fill(check *filter.Check, d *filter.Decision, about About) {
	r.about, r.decision = about, *d
	r.api, r.roomType = check.API, check.RoomType
	r.fromServer, r.verify, r.notifyBlocked = check.FromServer, check.Verify, check.NotifyBlocked
	r.text = r.text[:0]
	for i, s := range [...]string{check.App, check.Sender, check.Recipient, check.Room} {
		r.text = append(r.text, s...)
		r.ends[i] = len(r.text)
	}
}

// part returns the app, sender, recipient or room.
func (r *record) part(i int) []byte {
	begin := 0
	if i > 0 {
		begin = r.ends[i-1]
	}
	return r.text[begin:r.ends[i]]
}

// timeLayout is RFC 3339 in UTC with all six digits, so that lines sort as text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// append appends the record as a line of JSON. The members of a check have the names
// that the native API gives them, so that a line can be asked again.
func (r *record) append(b []byte, names *border.Names) []byte {
	b = append(b, `{"time":"`...)
	b = r.at.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","decision_id":"`...)
	b = append(r.about.ID.Append(b), '"')
	if r.about.Many {
		b = append(b, `,"index":`...)
		b = strconv.AppendInt(b, int64(r.about.Index), 10)
	}
	b = append(append(b, `,"api":"`...), r.api.String()...)
	b = appendText(append(b, `","app":`...), r.part(0))
	b = appendIf(b, names.Hashed(), `,"ids":"hashed"`) // a hash looks like an id
	b = appendName(append(b, `,"sender":`...), r.part(1), names)
	b = appendName(append(b, `,"recipient":`...), r.part(2), names)
	b = append(append(append(b, `,"room_type":"`...), r.roomType.String()...), '"')
	if room := r.part(3); len(room) > 0 {
		b = appendName(append(b, `,"room":`...), room, names)
	}
	if r.fromServer {
		b = append(b, `,"origin":"server"`...)
	}
	b = appendIf(b, r.verify, `,"verify":true`)
	b = appendIf(b, r.notifyBlocked, `,"notify_blocked":true`)
	b = r.appendDecision(b)
	if t := &r.about.Trace; !t.IsZero() {
		b = hex.AppendEncode(append(b, `,"trace_id":"`...), t.ID[:])
		b = hex.AppendEncode(append(b, `","span_id":"`...), t.Span[:])
		b = append(b, '"')
	}
	return append(b, '}', '\n')
}

// appendDecision appends what was answered. An unknown decision has neither deliver
// nor action: none was made.
func (r *record) appendDecision(b []byte) []byte {
	d := &r.decision
	b = appendVerdict(append(b, ','), d)
	if w, differs := d.Would(); differs {
		b = appendVerdict(append(b, `,"would":{`...), &w)
		b = appendIf(b, w.Degraded, `,"degraded":true`)
		b = append(b, '}')
	}
	if d.Cause != filter.CauseNone {
		b = append(append(append(b, `,"cause":"`...), d.Cause.String()...), '"')
	}
	b = appendIf(b, d.Degraded, `,"degraded":true`)
	if d.Stale > 0 {
		b = append(b, `,"stale_ms":`...)
		// Rounded up, as in the answer: the figure is a bound.
		b = strconv.AppendInt(b, (d.Stale + time.Millisecond - 1).Milliseconds(), 10)
	}
	return b
}

// appendVerdict appends what was decided, and by which rule.
func appendVerdict(b []byte, d *filter.Decision) []byte {
	if !d.Unknown() {
		b = strconv.AppendBool(append(b, `"deliver":`...), d.Deliver)
		b = strconv.AppendBool(append(b, `,"notify":`...), d.Notify)
		b = append(append(append(b, `,"action":"`...), d.Action.String()...), `",`...)
	}
	return append(append(append(b, `"reason":"`...), d.Reason.String()...), '"')
}

func appendIf(b []byte, yes bool, text string) []byte {
	if yes {
		return append(b, text...)
	}
	return b
}

// appendName appends who an id belongs to, as the log names them.
func appendName(b, id []byte, names *border.Names) []byte {
	var buf [2 * maxID]byte
	return appendText(b, names.Append(buf[:0], id))
}

// maxID is the most bytes an id has.
const maxID = 256

// appendText appends an id as a JSON string. It is valid UTF-8 without control
// characters, or it would not have been decided about.
func appendText(b, text []byte) []byte {
	b = append(b, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
