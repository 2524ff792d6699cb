package metrics

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is the most connections of the ops listener: many times what a
// Prometheus, a kubelet and their like open. It is often bound to an address that
// others reach, and file descriptors are what all listeners share: a crowd here must
// not keep the chat server out of the check listener.
const maxConnections = 512

// connections holds the open connections of a server to a number. It is safe for
// concurrent use.
//
// At the limit the one makes room that has waited longest without a request: whoever
// opens connections and says nothing, or half a request, thereby closes their own,
// and a probe that asks at once is answered. Only if a request is under way on each
// is the new one closed.
type connections struct {
	most int

	mu   sync.Mutex
	open map[net.Conn]waiting
}

// waiting is how long a connection has been without a request.
type waiting struct {
	since time.Time
	busy  bool // a request is being answered
}

func newConnections(most int) *connections {
	return &connections{most: most, open: make(map[net.Conn]waiting)}
}

// track is the ConnState hook of net/http. It calls a connection active when the
// header of a request has been read, so that half a header counts as silence.
func (c *connections) track(nc net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, nc)
		return
	case http.StateNew:
		if len(c.open) >= c.most && !c.makeRoom() {
			hangUp(nc)
			return // it ends in a moment, and is not counted
		}
	}
	if _, known := c.open[nc]; known || state == http.StateNew {
		c.open[nc] = waiting{since: time.Now(), busy: state == http.StateActive}
	}
}

// makeRoom closes the connection that has waited longest.
func (c *connections) makeRoom() bool {
	var oldest net.Conn
	for nc, w := range c.open {
		if !w.busy && (oldest == nil || w.since.Before(c.open[oldest].since)) {
			oldest = nc
		}
	}
	if oldest == nil {
		return false
	}
	delete(c.open, oldest)
	hangUp(oldest)
	return true
}

// hangUp closes a connection without a word: the end of TLS is a message, which a
// client that does not read would make us wait for.
func hangUp(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	_ = nc.Close() // whoever serves it finds it closed
}
