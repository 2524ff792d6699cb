package server

import (
	"bytes"
	"encoding/binary"
	"math"
)

// plain is a request that can be read in one way only, see splitPlain.
type plain struct {
	query   []byte
	size    int  // of the whole request; 0: it is not plain
	escaped bool // the query has something to decode
	begun   bool // all there is of it is plain, and some is missing
}

const plainPath = "/v1/can-deliver"

var (
	plainStart = []byte("GET " + plainPath + "?")
	plainEnd   = []byte(" HTTP/1.1\r\n")
)

// splitPlain cuts a plain request off what has been read. It is one
//
//   - that has arrived whole, with its header: it has no body;
//   - that is a GET, in capitals, of the very path, as HTTP/1.1, single spaces
//     between the three;
//   - whose target has visible ASCII in it and no fragment;
//   - each of whose lines ends in CR LF, and holds a name, a colon and visible
//     ASCII or spaces;
//   - that names its host once, as letters, digits, dots and hyphens with a port or
//     without, and beside it has no header that harmless does not know.
func splitPlain(read []byte) (r plain) {
	if !bytes.HasPrefix(read, plainStart) {
		return plain{begun: bytes.HasPrefix(plainStart, read)}
	}
	line := bytes.IndexByte(read, '\n') + 1
	if line == 0 {
		return plain{begun: true}
	}
	if line < len(plainStart)+len(plainEnd) || !bytes.HasSuffix(read[:line], plainEnd) {
		return plain{}
	}
	r.query = read[len(plainStart) : line-len(plainEnd)]
	strange, escaped := look(r.query)
	if strange {
		return plain{}
	}
	r.escaped = escaped
	head, begun := plainHead(read[line:])
	if head == 0 {
		return plain{begun: begun}
	}
	r.size = line + head
	return r
}

// plainHead returns how many bytes the header lines have, with the empty one; 0:
// they are not plain, or, if begun, not all there.
func plainHead(lines []byte) (size int, begun bool) {
	hosts := 0
	for {
		end := bytes.IndexByte(lines[size:], '\n')
		if end < 0 {
			return 0, true
		}
		if end == 0 || lines[size+end-1] != '\r' {
			return 0, false
		}
		line := lines[size : size+end-1]
		size += end + 1
		if len(line) == 0 {
			if hosts != 1 {
				return 0, false
			}
			return size, false
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			return 0, false
		}
		name, value := line[:colon], line[colon+1:]
		switch {
		case isHost(name):
			hosts++
			if !plainHost(value) {
				return 0, false
			}
		case !harmless(name, value) || !printable(value):
			return 0, false
		}
	}
}

func isHost(name []byte) bool {
	return len(name) == 4 && name[0]|0x20 == 'h' && name[1]|0x20 == 'o' && name[2]|0x20 == 's' && name[3]|0x20 == 't'
}

// plainHost reports whether a Host is a name or an IPv4 address, with a port or
// without.
func plainHost(value []byte) bool {
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	name, port, found := bytes.Cut(value, []byte(":"))
	if len(name) == 0 || found && len(port) == 0 || len(port) > len("65535") {
		return false
	}
	for _, c := range name {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-') {
			return false
		}
	}
	number := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		number = number*10 + int(c-'0')
	}
	return number <= math.MaxUint16
}

// longestHarmless is the length of the longest name that harmless knows.
const longestHarmless = len("x-forwarded-proto")

// harmless reports whether a header neither changes where the request ends nor
// what becomes of it. What is not named here may do either.
func harmless(name, value []byte) bool {
	if len(name) > longestHarmless {
		return false
	}
	var small [longestHarmless]byte
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		small[i] = c
	}
	switch string(small[:len(name)]) {
	case "connection":
		return bytes.EqualFold(bytes.TrimSpace(value), []byte("keep-alive"))
	case "accept", "accept-encoding", "accept-language", "cache-control", "pragma", "priority", "referer",
		"traceparent", "tracestate", "user-agent",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "x-request-id":
		return true
	}
	return false
}

// Eight bytes are looked at together: in a word, ones is 1 in each of them.
const (
	word  = 8
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// below has a bit set if a byte of x is less than n, at most 0x80. Bytes of 0x80
// and more may be taken for one.
func below(x, n uint64) uint64 { return (x - n*ones) &^ x & highs }

// holds has a bit set if a byte of x is c.
func holds(x uint64, c byte) uint64 { return below(x^uint64(c)*ones, 1) }

// look reports whether a query has anything but visible ASCII or the mark of a
// fragment, and whether it has something to decode.
func look(query []byte) (strange, escaped bool) {
	var bad, escapes uint64
	for ; len(query) >= word; query = query[word:] {
		x := binary.LittleEndian.Uint64(query)
		bad |= x&highs | below(x, 0x21) | holds(x, 0x7f) | holds(x, '#')
		escapes |= holds(x, '%') | holds(x, '+')
	}
	for _, c := range query {
		if c < 0x21 || c > 0x7e || c == '#' {
			bad = 1
		}
		if c == '%' || c == '+' {
			escapes = 1
		}
	}
	return bad != 0, escapes != 0
}

// printable reports whether a value has nothing but visible ASCII and spaces.
func printable(value []byte) bool {
	var bad uint64
	for ; len(value) >= word; value = value[word:] {
		x := binary.LittleEndian.Uint64(value)
		bad |= x&highs | below(x, 0x20) | holds(x, 0x7f)
	}
	for _, c := range value {
		if c < 0x20 || c > 0x7e {
			bad = 1
		}
	}
	return bad == 0
}
