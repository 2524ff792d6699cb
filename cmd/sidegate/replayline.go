package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/sidegate/sidegate/filter"
)

// replayLine is one record: a question, what was answered then and what is now.
type replayLine struct {
	number   int
	question filter.Check
	at       time.Time // zero: the record does not say

	App string
	was replayVerdict
	now replayVerdict // what is answered to the question today

	wrong error // why it cannot be asked
}

// compared reports whether the record has something to compare an answer with.
// What was unknown then was no answer of the lists or of the policy.
func (l *replayLine) compared() bool {
	return !l.was.empty() && l.was.Reason != filter.ReasonUnknown.String()
}

// hashedError: the ids of a record are hashes.
var errHashed = errors.New("its ids are hashed; only records with plain ids can be asked again (decision_log.user_ids: plain)")

// replayVerdict is an answer as records, servers and this command write it.
type replayVerdict struct {
	Deliver  *bool  `json:"deliver,omitempty"`
	Notify   *bool  `json:"notify,omitempty"`
	Action   string `json:"action,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Degraded bool   `json:"degraded,omitempty"`
}

func (v *replayVerdict) empty() bool { return *v == replayVerdict{} }

// name is what becomes of the message, as precisely as the verdict says it.
func (v *replayVerdict) name() string {
	switch {
	case v.Deliver == nil && v.Reason == filter.ReasonUnknown.String():
		return "unknown"
	case v.Action == "reject" || v.Action == "drop":
		return v.Action
	case v.Deliver == nil:
		return "reason " + v.Reason
	case !*v.Deliver:
		return "withhold"
	case v.Notify != nil && !*v.Notify:
		return "deliver silently"
	}
	return "deliver"
}

// complete sees that a verdict does not contradict itself, and concludes what is
// plain.
func (v *replayVerdict) complete() error {
	delivers := v.Action == "deliver"
	switch v.Action {
	case "":
		return nil
	case "deliver", "reject", "drop":
	default:
		return fmt.Errorf("its action is %s; it is deliver, reject or drop", printable(v.Action))
	}
	if v.Deliver != nil && *v.Deliver != delivers {
		return fmt.Errorf("it says deliver %t with the action %s", *v.Deliver, v.Action)
	}
	v.Deliver = &delivers
	return nil
}

// same reports whether an answer says nothing else than the record, in what the
// record says.
func (v *replayVerdict) same(now *replayVerdict) bool {
	return v.agrees(now) && (v.Reason == "" || v.Reason == now.Reason)
}

// agrees is same without the reason.
func (v *replayVerdict) agrees(now *replayVerdict) bool {
	if v.Deliver != nil && (now.Deliver == nil || *v.Deliver != *now.Deliver) {
		return false
	}
	if v.Notify != nil && (now.Notify == nil || *v.Notify != *now.Notify) {
		return false
	}
	return v.Action == "" || v.Action == now.Action
}

// replayRecord is a record as it is written. What else a decision log holds is
// passed over.
type replayRecord struct {
	App           string `json:"app"`
	Sender        string `json:"sender"`
	Recipient     string `json:"recipient"`
	RoomType      string `json:"room_type"`
	Room          string `json:"room"`
	Origin        string `json:"origin"`
	Verify        bool   `json:"verify"`
	NotifyBlocked bool   `json:"notify_blocked"`
	At            string `json:"at"`
	Time          string `json:"time"`
	IDs           string `json:"ids"` // hashed: there is nobody of these names
	replayVerdict
	Would *replayVerdict `json:"would"`
}

// parse reads a line into l.
func (l *replayLine) parse(text []byte) error {
	var r replayRecord
	if !utf8.Valid(text) {
		return errors.New("it is not valid UTF-8")
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("it is not a record: %w", err)
	}
	if r.IDs == "hashed" {
		return errHashed
	}
	l.App = r.App
	l.question = filter.Check{
		Sender: r.Sender, Recipient: r.Recipient, Room: r.Room,
		FromServer: r.Origin == "server", Verify: r.Verify, NotifyBlocked: r.NotifyBlocked,
	}
	if err := filter.ValidateUserID(r.Sender); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if err := filter.ValidateUserID(r.Recipient); err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	if r.Room != "" {
		if err := filter.ValidateRoomID(r.Room); err != nil {
			return fmt.Errorf("room: %w", err)
		}
	}
	var ok bool
	if l.question.RoomType, ok = filter.ParseRoomType(r.RoomType); !ok {
		return fmt.Errorf("its room_type is %s; it is direct, group or open", printable(r.RoomType))
	}
	if r.Origin != "" && r.Origin != "server" {
		return fmt.Errorf("its origin is %s; the only origin is server", printable(r.Origin))
	}
	if err := l.parseTime(&r); err != nil {
		return err
	}
	l.was = r.replayVerdict
	if r.Would != nil {
		l.was = *r.Would
	}
	return l.was.complete()
}

func (l *replayLine) parseTime(r *replayRecord) (err error) {
	text := r.At
	if text == "" {
		text = r.Time
	}
	if text == "" {
		return nil
	}
	if l.at, err = time.Parse(time.RFC3339, text); err != nil {
		return fmt.Errorf("its time is %s; it is one like 2030-01-31T12:00:00Z (RFC 3339)", printable(text))
	}
	return nil
}

// replayReader reads records, and tells lines that are none by their number.
type replayReader struct {
	from   *bufio.Reader
	number int
}

// maxRecord is the most bytes a record may have: with every id at its longest and
// escaped it has about 5,000.
const maxRecord = 64 << 10

func newReplayReader(from io.Reader) *replayReader {
	return &replayReader{from: bufio.NewReaderSize(from, maxRecord)}
}

// next returns the next line that is not empty, nil at the end. The error is io.EOF,
// which may come with the last line, or that of reading.
func (r *replayReader) next() (*replayLine, error) {
	for {
		text, err := r.from.ReadSlice('\n')
		r.number++
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.from.ReadSlice('\n')
		}
		line := &replayLine{number: r.number}
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case long:
			line.wrong = fmt.Errorf("it is longer than %d bytes", maxRecord)
			return line, err
		case len(bytes.TrimSpace(text)) > 0:
			line.wrong = line.parse(text)
			return line, err
		case err != nil:
			return nil, err
		}
	}
}
