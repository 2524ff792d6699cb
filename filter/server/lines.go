package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// maxLine is the most bytes a line of an import may have. Two ids and a note of
// the longest, in nothing but escapes, fit.
const maxLine = 16 << 10

// lineSplitter cuts a body into lines, each of which is valid until the next.
type lineSplitter struct {
	in     *bufio.Reader
	number int // of the last line
	long   []byte
}

func newLineSplitter(body io.Reader) *lineSplitter {
	return &lineSplitter{in: bufio.NewReaderSize(body, paceBytes)}
}

var errLongLine = filter.Errorf(filter.CodeInvalidLine, "the line has more than %d bytes", maxLine)

// next returns the next line without its line feed. A line that is too long is skipped
// and is an error of its own. A last line without an end counts only if the body
// has ended where it should: what a lost connection leaves of a line can be
// another line that is valid.
func (s *lineSplitter) next() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	s.long = s.long[:0]
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		// The buffer is longer than a line may be.
		tooLong = true
		line, err = s.in.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	s.number++
	if s.number == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff")) // spreadsheets write it
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	if tooLong || len(line) > maxLine {
		return nil, errLongLine
	}
	return line, nil
}

// ndjsonReader reads lines of JSON objects.
type ndjsonReader struct{ lines *lineSplitter }

// Next implements [filter.LineReader].
func (r *ndjsonReader) Next() (filter.Record, int, error) {
	for {
		line, err := r.lines.next()
		if err != nil {
			return filter.Record{}, r.lines.number, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		record, err := parseRecord(line)
		return record, r.lines.number, err
	}
}

// fields are the parts of a line, in whatever format it came.
type fields struct {
	kind, owner, target, created, expires, note, mode string

	hasTarget, hasExpires, hasNote, hasMode bool
}

const knownFields = "owner, target, created_at, expires_at, note, kind, allowlist_mode"

// parseRecord reads a line of JSON; it decodes in place.
func parseRecord(line []byte) (filter.Record, error) {
	var f fields
	seen := map[string]bool{}
	o := object{buf: line}
	for o.next() {
		name := string(o.name)
		if seen[name] {
			o.twice()
		}
		seen[name] = true
		switch name {
		case "owner":
			f.owner = o.text()
		case "target":
			f.target, f.hasTarget = o.text(), true
		case "created_at":
			f.created, _ = o.textOrNull()
		case "expires_at":
			f.expires, _ = o.textOrNull()
			f.hasExpires = true
		case "note":
			f.note, _ = o.textOrNull()
			f.hasNote = true
		case "kind":
			f.kind = o.text()
		case "allowlist_mode":
			f.mode, f.hasMode = "false", true
			if o.flag() {
				f.mode = "true"
			}
		default:
			o.unknown(knownFields)
		}
	}
	if o.err != nil {
		return filter.Record{}, ofLine(o.err)
	}
	return f.record()
}

// ofLine turns the mistake of a body into that of a line.
func ofLine(err error) error {
	p, cause := problemOf(err)
	if cause != nil {
		return err
	}
	return &filter.Error{Code: filter.Code(p.Code), Detail: strings.Replace(p.Detail, "the body", "the line", 1)}
}

// record copies what it keeps: the line lies in a buffer (Invariant 10).
func (f *fields) record() (r filter.Record, err error) {
	if f.kind != "" {
		var ok bool
		if r.Kind, ok = cache.ParseKind(f.kind); !ok {
			return r, filter.Errorf(filter.CodeInvalidLine, "kind is %s; it is block, allow or room", border.Quote(f.kind))
		}
	}
	r.Owner = strings.Clone(f.owner)
	if f.hasMode {
		if f.hasTarget || f.expires != "" || f.note != "" || f.created != "" || r.Kind != cache.KindBlock {
			return r, filter.Errorf(filter.CodeInvalidLine, "a line with allowlist_mode has an owner and nothing else")
		}
		switch f.mode {
		case "true":
			r.Allowlist = true
		case "false":
		default:
			return r, filter.Errorf(filter.CodeInvalidLine, "allowlist_mode is %s; it is true or false", border.Quote(f.mode))
		}
		return r, nil
	}
	if f.target == "" { // which would be a mode
		return r, filter.Errorf(filter.CodeInvalidUserID, "the target is missing or empty; it must have 1 to %d bytes", filter.MaxIDBytes)
	}
	r.Target, r.Note = strings.Clone(f.target), strings.Clone(f.note)
	r.KeepExpiry, r.KeepNote = !f.hasExpires, !f.hasNote
	if f.created != "" {
		if r.CreatedAt, err = time.Parse(time.RFC3339, f.created); err != nil || !keepable(r.CreatedAt) {
			return r, filter.Errorf(filter.CodeInvalidCreatedAt,
				"created_at is %s; it is a time like 2031-01-31T12:00:00Z (RFC 3339)", border.Quote(f.created))
		}
	}
	if f.expires != "" {
		if r.ExpiresAt, err = parseExpiry(f.expires); err != nil {
			return r, ofLine(err)
		}
	}
	return r, nil
}

// keepable reports whether a time can be written again as it was read: the zero
// time would be none, and RFC 3339 has no year before 0 in any zone.
func keepable(t time.Time) bool { return t.UTC().Year() >= 1 && !t.IsZero() }
