package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/metrics/border"
)

// TLS lies beneath everything else: what reads requests, quick first, reads the
// connection that the handshake has made, and knows nothing of it. fasthttp is not
// told either, because it would shake hands by itself, without the bound below.

// shakeHands makes a connection ready for requests; false means that there is
// nothing more to do with it. It has as long as a request may take to arrive: a
// client that is slower holds a place among the connections and nothing else.
func (l *Listener) shakeHands(c *conn) bool {
	secret := c.Conn.(*tls.Conn)
	err := c.wire.SetDeadline(time.Now().Add(l.opts.ReadTimeout))
	if err == nil {
		err = secret.Handshake()
	}
	if err == nil {
		err = c.wire.SetDeadline(time.Time{})
	}
	if err == nil {
		return true
	}
	l.opts.Logger.Debug("a handshake failed", "listener", string(l.door.name), "error", err)
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil && speaksHTTP(plain.RecordHeader) {
		c.answerInPlain()
		return false
	}
	_ = c.wire.Close()
	return false
}

// speaksHTTP reports whether what came in place of a handshake begins like one of
// the methods of HTTP. The same bytes could begin nothing that TLS has.
func speaksHTTP(begin [5]byte) bool {
	switch string(begin[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
		return true
	}
	return false
}

// answerInPlain tells a client who has left out the s of https. The rest of what it
// sends is heard out, so that the answer reaches it.
func (c *conn) answerInPlain() {
	p := border.Problemf(border.CodeBadRequest, "this address speaks TLS; ask it with https")
	doc := p.JSON()
	c.Conn, c.linger = c.wire, true
	if c.SetWriteDeadline(time.Now().Add(refuseTime)) == nil {
		_, _ = fmt.Fprintf(c.wire, "HTTP/1.1 400 Bad Request\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			border.ContentType, len(doc), doc)
	}
	_ = c.Close()
}
