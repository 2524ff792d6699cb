package server

import (
	"bytes"

	"github.com/sidegate/sidegate/metrics/border"
)

// parseQuery reads the query of a decision. It decodes in place: what it leaves
// in the question points into query, whose bytes are not those of the request
// any more. Decoded text is never longer than encoded, so that the request's
// own buffer is all the space it takes.
func (q *question) parseQuery(query []byte) error {
	for len(query) > 0 {
		name, value, rest := cutPair(query)
		query = rest
		if len(name) == 0 && len(value) == 0 {
			continue // "a=b&" and "a=b&&c=d": every form encoder's harmless excess
		}
		name, ok := unescape(name, true)
		if !ok {
			return border.Problemf(border.CodeUnknownParameter, "the name of a parameter has a malformed percent-escape")
		}
		a, ok := argumentOf(name)
		switch {
		case !ok:
			return border.Problemf(border.CodeUnknownParameter,
				"%s is not a parameter; known are %s", border.Quote(name), knownArguments)
		case q.has(a):
			return border.Problemf(border.CodeUnknownParameter, "%s is given twice", argumentNames[a])
		}
		if value, ok = unescape(value, true); !ok {
			return border.Problemf(border.CodeInvalidParameter, "%s has a malformed percent-escape", argumentNames[a])
		}
		q.set(a, borrow(value))
	}
	return nil
}

// cutPair splits the first name=value off a query.
func cutPair(query []byte) (name, value, rest []byte) {
	pair := query
	if i := bytes.IndexByte(query, '&'); i >= 0 {
		pair, rest = query[:i], query[i+1:]
	}
	if i := bytes.IndexByte(pair, '='); i >= 0 {
		return pair[:i], pair[i+1:], rest
	}
	return pair, nil, rest
}

// unescape decodes %XX in place, and + to a space where plus says so: in a query
// it is one, in a path it is itself. ok is false for a percent sign without two
// hexadecimal digits behind it.
func unescape(b []byte, plus bool) (decoded []byte, ok bool) {
	for i, c := range b {
		if c == '%' || c == '+' && plus {
			return unescapeFrom(b, i, plus)
		}
	}
	return b, true
}

func unescapeFrom(b []byte, from int, plus bool) (decoded []byte, ok bool) {
	w := from
	for r := from; r < len(b); r++ {
		c := b[r]
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%':
			if len(b)-r < 3 {
				return nil, false
			}
			hi, lo := unhex(b[r+1]), unhex(b[r+2])
			if hi > 15 || lo > 15 {
				return nil, false
			}
			c = hi<<4 | lo
			r += 2
		}
		b[w] = c
		w++
	}
	return b[:w], true
}

// unhex returns the value of a hexadecimal digit, more than 15 for other bytes.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// parsePlain is parseQuery for a query without anything to decode. False: something
// is wrong with it; what, is for parseQuery to say.
func (q *question) parsePlain(query []byte) bool {
	for len(query) > 0 {
		name, value, rest := cutPair(query)
		query = rest
		if len(name) == 0 && len(value) == 0 {
			continue
		}
		a, ok := argumentOf(name)
		if !ok || q.has(a) {
			return false
		}
		q.set(a, borrow(value))
	}
	return true
}
