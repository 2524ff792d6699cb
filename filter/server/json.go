package server

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sidegate/sidegate/metrics/border"
)

// object reads one JSON object member by member. encoding/json is too lenient
// for a door that must not let a typo pass: it takes "Sender" for "sender", the
// last of two equal names, and puts U+FFFD, which is another user's id, where
// text cannot be decoded.
//
//	o := object{buf: body}
//	for o.next() {
//		switch string(o.name) {
//		case "sender":
//			sender = o.text()
//		default:
//			o.unknown("sender, recipient")
//		}
//	}
//	return o.err
//
// Strings are decoded in place and point into buf; UTF-8 is left to whoever
// knows what the string is for. After an error every method does nothing.
type object struct {
	buf  []byte
	pos  int
	name []byte // of the member that next found
	err  error

	begun  bool
	first  bool // next has not been asked since the opening brace
	nested bool // it is a value, not the whole body
}

// next goes to the value of the next member; false is the end, or an error.
// Every member it reports has to be read, or declared unknown.
func (o *object) next() bool {
	if o.err != nil {
		return false
	}
	if !o.begun && !o.open() {
		return false
	}
	first := o.first
	o.first = false
	switch c := o.peek(); {
	case c == '}':
		o.pos++
		return o.end()
	case first:
	case c == ',':
		o.pos++
		o.peek()
	default:
		return o.fail("expected a comma or the closing brace")
	}
	if o.peek() != '"' {
		return o.fail("expected the name of a field in quotes")
	}
	var ok bool
	if o.name, ok = o.str(); !ok {
		return false
	}
	if o.peek() != ':' {
		return o.fail("expected a colon")
	}
	o.pos++
	o.peek()
	return true
}

func (o *object) open() bool {
	o.begun = true
	switch c := o.peek(); {
	case c == 0 && o.pos == len(o.buf):
		o.err = border.Problemf(border.CodeInvalidJSON, "the body is empty; expected a JSON object")
		return false
	case c != '{':
		o.err = border.Problemf(border.CodeInvalidJSON, "the body is %s; expected a JSON object", typeAt(c))
		return false
	}
	o.pos++
	o.first = true
	return true
}

// end makes sure that nothing follows: what does was meant for somebody.
func (o *object) end() bool {
	if o.peek(); !o.nested && o.pos < len(o.buf) {
		return o.fail("expected nothing after the object")
	}
	return false
}

// peek skips white space and returns the byte behind it, 0 at the end.
func (o *object) peek() byte {
	for o.pos < len(o.buf) {
		switch c := o.buf[o.pos]; c {
		case ' ', '\t', '\r', '\n':
			o.pos++
		default:
			return c
		}
	}
	return 0
}

// text reads a value that must be a string.
func (o *object) text() string {
	if !o.want('"', "a string") {
		return ""
	}
	b, _ := o.str()
	return borrow(b)
}

// textOrNull reads a string or null; given is false for null, and on an error.
func (o *object) textOrNull() (text string, given bool) {
	if o.err == nil && o.peek() == 'n' {
		o.literal("null")
		return "", false
	}
	if !o.want('"', "a string or null") {
		return "", false
	}
	b, ok := o.str()
	return borrow(b), ok
}

// flag reads a value that must be true or false.
func (o *object) flag() bool {
	if o.err == nil && o.peek() == 't' {
		return o.literal("true")
	}
	if o.want('f', "true or false") {
		o.literal("false")
	}
	return false
}

// unknown refuses the member and names those that are known.
func (o *object) unknown(known string) {
	if o.err == nil {
		o.err = border.Problemf(border.CodeUnknownField, "%s is not a field; known are %s", border.Quote(o.name), known)
	}
}

// twice refuses a member that was there before: which of the two is meant is
// not for us to guess.
func (o *object) twice() {
	if o.err == nil {
		o.err = border.Problemf(border.CodeInvalidJSON, "the field %s is given twice", border.Quote(o.name))
	}
}

func (o *object) want(first byte, expected string) bool {
	if o.err != nil {
		return false
	}
	c := o.peek()
	if c == first {
		return true
	}
	o.err = border.Problemf(border.CodeInvalidJSON, "the field %s is %s; expected %s", border.Quote(o.name), typeAt(c), expected)
	return false
}

func (o *object) literal(word string) bool {
	if !bytes.HasPrefix(o.buf[o.pos:], []byte(word)) {
		return o.fail("expected " + word)
	}
	o.pos += len(word)
	return true
}

func (o *object) fail(expected string) bool {
	if o.err == nil {
		o.err = border.Problemf(border.CodeInvalidJSON, "the body is not valid JSON at byte %d: %s", o.pos, expected)
	}
	return false
}

// str reads a string from its opening quote on.
func (o *object) str() (text []byte, ok bool) {
	start := o.pos + 1
	o.pos = plainUntil(o.buf, start)
	if o.pos == len(o.buf) {
		return nil, o.fail("expected the closing quote of a string")
	}
	switch o.buf[o.pos] {
	case '"':
		text = o.buf[start:o.pos]
		o.pos++
		return text, true
	case '\\':
		return o.strEscaped(start)
	}
	return nil, o.fail("a control character in a string must be escaped")
}

// plainUntil returns the place of the first byte from i on that ends a string or
// cannot stand in one as it is, or the length of buf. It looks at eight bytes at a
// time: an id is read in a few steps.
func plainUntil(buf []byte, i int) int {
	// In each byte of a difference the highest bit says that it went below zero.
	// A borrow may set it above such a byte too, never below: the lowest is right.
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(buf); i += 8 {
		w := binary.LittleEndian.Uint64(buf[i:])
		quote, escape := w^ones*'"', w^ones*'\\'
		if found := ((w-ones*0x20)&^w | (quote-ones)&^quote | (escape-ones)&^escape) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(buf); i++ {
		if c := buf[i]; c == '"' || c == '\\' || c < 0x20 {
			break
		}
	}
	return i
}

// strEscaped goes on at the first escape of a string, writing what it decodes
// over what it has read.
func (o *object) strEscaped(start int) (text []byte, ok bool) {
	w := o.pos
	for o.pos < len(o.buf) {
		c := o.buf[o.pos]
		switch {
		case c == '"':
			o.pos++
			return o.buf[start:w], true
		case c < 0x20:
			return nil, o.fail("a control character in a string must be escaped")
		case c != '\\':
			o.buf[w] = c
			w++
			o.pos++
		default:
			r, ok := o.escape()
			if !ok {
				return nil, false
			}
			// The shortest escape of a rune is never shorter than its UTF-8.
			w += utf8.EncodeRune(o.buf[w:], r)
		}
	}
	return nil, o.fail("expected the closing quote of a string")
}

var simpleEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape reads one escape from its backslash on.
func (o *object) escape() (rune, bool) {
	rest := o.buf[o.pos:]
	if len(rest) < 2 {
		return 0, o.fail("expected an escape")
	}
	if c := simpleEscapes[rest[1]]; c != 0 {
		o.pos += 2
		return rune(c), true
	}
	r, ok := unicodeEscape(rest)
	if !ok {
		return 0, o.fail("there is no such escape")
	}
	if !utf16.IsSurrogate(r) {
		o.pos += 6
		return r, true
	}
	// Half a pair is no character. Replacing it, as others do, would make
	// another id of it.
	low, ok := unicodeEscape(rest[6:])
	if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
		o.pos += 12
		return pair, true
	}
	return 0, o.fail("half of a surrogate pair is no character")
}

// unicodeEscape reads \uXXXX.
func unicodeEscape(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// typeAt names the type of a value by its first byte.
func typeAt(c byte) string {
	switch {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || '0' <= c && c <= '9':
		return "a number"
	}
	return "not valid JSON"
}
