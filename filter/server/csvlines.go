package server

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// csvColumns are the columns of an export, in this order. An import may have any
// of them in any order, as its first line says.
var csvColumns = []string{"owner", "target", "created_at", "expires_at", "note", "kind", "allowlist_mode"}

// csvReader reads lines of comma-separated values (RFC 4180) under a header.
// encoding/csv has no bound for a quoted field, which one quote in the wrong
// place would make as long as the rest of the body.
type csvReader struct {
	lines  *lineSplitter
	header []string
	row    []byte
	cells  []string
}

// Next implements [filter.LineReader]. A row that spans several lines is known by
// the first of them.
func (r *csvReader) Next() (filter.Record, int, error) {
	if r.header == nil {
		if err := r.readHeader(); err != nil {
			return filter.Record{}, 1, err
		}
	}
	for {
		number, err := r.readRow()
		if err != nil {
			return filter.Record{}, number, err
		}
		if len(r.cells) == 1 && r.cells[0] == "" {
			continue
		}
		if len(r.cells) != len(r.header) {
			return filter.Record{}, number, filter.Errorf(filter.CodeInvalidLine,
				"the line has %d columns, the header has %d", len(r.cells), len(r.header))
		}
		record, err := r.record()
		return record, number, err
	}
}

// readHeader reads the first line. What is wrong with it is wrong with all lines:
// the error ends the import.
func (r *csvReader) readHeader() error {
	_, err := r.readRow()
	var wrong *filter.Error
	if errors.As(err, &wrong) {
		return border.Problemf(border.CodeInvalidParameter, "the header of the CSV: %s", wrong.Detail)
	}
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range r.cells {
		if seen[name] {
			return border.Problemf(border.CodeUnknownField, "the column %s is in the header twice", border.Quote(name))
		}
		seen[name] = true
		if !known(name) {
			return border.Problemf(border.CodeUnknownField, "%s is not a column; known are %s", border.Quote(name), knownFields)
		}
	}
	r.header = append([]string{}, r.cells...)
	if !seen["owner"] {
		return border.Problemf(border.CodeUnknownField, "the first line names the columns, of which owner must be one")
	}
	return nil
}

func known(column string) bool {
	for _, c := range csvColumns {
		if c == column {
			return true
		}
	}
	return false
}

// readRow reads the lines of one row into cells.
func (r *csvReader) readRow() (number int, err error) {
	line, err := r.lines.next()
	number = r.lines.number
	if err != nil {
		return number, err
	}
	r.row = append(r.row[:0], line...)
	for quoted := endsQuoted(line, false); quoted; quoted = endsQuoted(line, true) {
		line, err = r.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return number, filter.Errorf(filter.CodeInvalidLine,
				"a quoted field has no end; lines %d to %d are left out", number, r.lines.number)
		case errors.Is(err, errLongLine) || err == nil && len(r.row)+len(line) >= maxLine:
			return number, filter.Errorf(filter.CodeInvalidLine,
				"a quoted field has no end within %d bytes; lines %d to %d are left out", maxLine, number, r.lines.number)
		case err != nil:
			return number, err
		}
		r.row = append(append(r.row, '\n'), line...)
	}
	// Within quotes a carriage return is part of the text, at the end of a row not.
	r.row = bytes.TrimSuffix(r.row, []byte("\r"))
	return number, r.split()
}

// endsQuoted reports whether a line ends within a quoted field, so that its row
// goes on in the next one; quoted says that it begins within one. Only a quote at
// the beginning of a field opens it: a stray quote makes its own line wrong and
// takes no other with it.
func endsQuoted(line []byte, quoted bool) bool {
	for {
		if !quoted && bytes.HasPrefix(line, []byte(`"`)) {
			quoted, line = true, line[1:]
		}
		if quoted {
			end := closingQuote(line)
			if end < 0 {
				return true
			}
			quoted, line = false, line[end+1:]
			if len(line) > 0 && line[0] != ',' {
				return false // wrong, as split will find
			}
		}
		i := bytes.IndexByte(line, ',')
		if i < 0 || bytes.IndexByte(line[:i], '"') >= 0 {
			return false
		}
		line = line[i+1:]
	}
}

// closingQuote finds the first quote that is not doubled, or returns -1.
func closingQuote(text []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '"')
		if i < 0 {
			return -1
		}
		if at += i; !bytes.HasPrefix(text[at+1:], []byte(`"`)) {
			return at
		}
		at += 2
	}
}

// split cuts a row into cells. Cells are strings of their own.
func (r *csvReader) split() error {
	r.cells = r.cells[:0]
	row := string(r.row)
	for {
		var cell string
		if strings.HasPrefix(row, `"`) {
			var b strings.Builder
			for row = row[1:]; ; {
				part, rest, ok := strings.Cut(row, `"`)
				b.WriteString(part)
				if row = rest; !ok || !strings.HasPrefix(row, `"`) {
					break
				}
				b.WriteByte('"')
				row = row[1:]
			}
			if cell = b.String(); row != "" && row[0] != ',' {
				return filter.Errorf(filter.CodeInvalidLine, "something follows the closing quote of column %d", len(r.cells)+1)
			}
		} else {
			i := strings.IndexByte(row, ',')
			if i < 0 {
				i = len(row)
			}
			if cell, row = row[:i], row[i:]; strings.IndexByte(cell, '"') >= 0 {
				return filter.Errorf(filter.CodeInvalidLine, "column %d has a quote and is not quoted", len(r.cells)+1)
			}
		}
		r.cells = append(r.cells, cell)
		if row == "" {
			return nil
		}
		row = row[1:]
	}
}

// record reads the cells. An empty cell says "none", a column that is not there
// says nothing.
func (r *csvReader) record() (filter.Record, error) {
	var f fields
	for i, name := range r.header {
		cell := r.cells[i]
		switch name {
		case "owner":
			f.owner = cell
		case "target":
			f.target, f.hasTarget = cell, cell != ""
		case "created_at":
			f.created = cell
		case "expires_at":
			f.expires, f.hasExpires = cell, true
		case "note":
			f.note, f.hasNote = cell, true
		case "kind":
			f.kind = cell
		case "allowlist_mode":
			f.mode, f.hasMode = cell, cell != ""
		}
	}
	return f.record()
}

// appendCSV renders a record as a row.
func appendCSV(b []byte, r *filter.Record) []byte {
	b = appendCell(b, r.Owner)
	b = append(b, ',')
	if r.Target == "" {
		b = append(b, ",,,,,"...)
		return append(appendBool(b, r.Allowlist), '\n')
	}
	b = append(appendCell(b, r.Target), ',')
	b = append(b, instant(r.CreatedAt)...)
	b = append(b, ',')
	if !r.ExpiresAt.IsZero() {
		b = append(b, instant(r.ExpiresAt)...)
	}
	b = append(appendCell(append(b, ','), r.Note), ',')
	if r.Kind != cache.KindBlock {
		b = append(b, r.Kind.String()...)
	}
	return append(b, ",\n"...)
}

// appendCell quotes what a reader would take for something else: separators, and
// space at the ends, which some trim.
func appendCell(b []byte, text string) []byte {
	if !strings.ContainsAny(text, ",\"\r\n") && strings.TrimSpace(text) == text {
		return append(b, text...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(text, `"`, `""`)...)
	return append(b, '"')
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}
