package main

import (
	"io"
	"net"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// network is a way to the database that can swallow what is sent: connections
// stay, new ones are taken, and nothing arrives, as behind a cable that was
// pulled or a firewall that drops. What was swallowed arrives when the network
// is back, as TCP sees to it, even if its sender has given up meanwhile.
type network struct {
	listener net.Listener
	running  sync.WaitGroup
	lag      atomic.Int64 // nanoseconds that each packet comes later
	cuts     atomic.Pointer[regexp.Regexp]

	mu     sync.Mutex
	target string
	open   chan struct{} // closed while packets pass
	links  map[*connection]struct{}
	ended  bool
}

// connection is one connection through the network.
type connection struct {
	client, server *net.TCPConn
	severed        atomic.Bool
	once           sync.Once
	gone           chan struct{} // closed when both sides are
}

// startNetwork puts a network in front of a database and returns its address on
// the other side. It is gone when the test ends.
func startNetwork(t *testing.T, dsn string) (*network, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{target: u.Host, open: make(chan struct{}), links: map[*connection]struct{}{}}
	close(n.open)
	if n.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	n.running.Go(n.accept)
	t.Cleanup(n.close)
	u.Host = n.listener.Addr().String()
	return n, u.String()
}

// swallow stops everything on its way, restore lets it arrive.
func (n *network) swallow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = make(chan struct{})
}

func (n *network) restore() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.open:
	default:
		close(n.open)
	}
}

// slow makes every packet come later by that much, one after the other; 0 = as
// before.
func (n *network) slow(by time.Duration) { n.lag.Store(int64(by)) }

// cut ends each connection on which the server sends this, before it arrives; nil =
// nothing more is cut.
func (n *network) cut(what *regexp.Regexp) { n.cuts.Store(what) }

// answersToWrites is what the server sends once it has committed a write of the
// sidecar's: its answer is short, so that it is sent with the end of the
// transaction.
var answersToWrites = regexp.MustCompile(`"(changes|edits)" :`)

// sever makes every connection there is half-open, for ever: both sides keep it,
// nothing arrives. New ones work. What was severed before is closed now, as by a
// keepalive that has failed.
func (n *network) sever() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.links {
		if l.severed.Swap(true) {
			l.close()
		}
	}
}

// carries tells whether one of the connections has this port on the server's side.
func (n *network) carries(port string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.links {
		if _, own, err := net.SplitHostPort(l.server.LocalAddr().String()); err == nil && own == port {
			return true
		}
	}
	return false
}

// lead lets new connections go to another database. Those there are stay where they
// are, as with a name that means another machine from now on.
func (n *network) lead(t *testing.T, dsn string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.target = u.Host
}

func (n *network) leads() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.target
}

// hangUp ends the connections that are chosen by their port on the server's side;
// all of them, if nobody chooses.
func (n *network) hangUp(chosen func(port string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.links {
		if _, port, err := net.SplitHostPort(l.server.LocalAddr().String()); chosen == nil || err == nil && chosen(port) {
			l.close()
		}
	}
}

// pass waits until packets pass.
func (n *network) pass() {
	n.mu.Lock()
	open := n.open
	n.mu.Unlock()
	<-open
}

func (n *network) accept() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return // closed
		}
		n.running.Go(func() { n.connect(client.(*net.TCPConn)) })
	}
}

// connect carries bytes both ways until both sides have ended. The kernel has
// taken the connection whatever we do: its client sees nothing of the delay.
func (n *network) connect(client *net.TCPConn) {
	n.pass()
	server, err := net.Dial("tcp", n.leads())
	if err != nil {
		_ = client.Close()
		return
	}
	l := &connection{client: client, server: server.(*net.TCPConn), gone: make(chan struct{})}
	defer l.close()
	if !n.keep(l) {
		return
	}
	defer n.drop(l)
	var ways sync.WaitGroup
	ways.Go(func() { n.carry(l, l.server, l.client) })
	ways.Go(func() { n.carry(l, l.client, l.server) })
	ways.Wait()
}

// carry copies one way; the end of a stream travels like its bytes.
func (n *network) carry(l *connection, to, from *net.TCPConn) {
	packet := make([]byte, 32<<10)
	for {
		size, err := from.Read(packet)
		if lag := n.lag.Load(); lag > 0 {
			select {
			case <-time.After(time.Duration(lag)):
			case <-l.gone:
			}
		}
		n.pass()
		if cuts := n.cuts.Load(); cuts != nil && from == l.server && cuts.Match(packet[:size]) {
			l.close()
			return
		}
		if l.severed.Load() {
			<-l.gone
			return
		}
		if _, failed := to.Write(packet[:size]); failed != nil {
			err = failed
		}
		switch {
		case err == io.EOF:
			_ = to.CloseWrite() // it may be gone
			return
		case err != nil:
			l.close() // broken: for both
			return
		}
	}
}

func (n *network) keep(l *connection) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ended {
		n.links[l] = struct{}{}
	}
	return !n.ended
}

func (n *network) drop(l *connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, l)
}

// close may be called by both ways at once, and again.
func (l *connection) close() {
	l.once.Do(func() {
		close(l.gone)
		_, _ = l.client.Close(), l.server.Close()
	})
}

func (n *network) close() {
	_ = n.listener.Close()
	n.mu.Lock()
	n.ended = true
	for l := range n.links {
		l.close()
	}
	n.mu.Unlock()
	n.restore()
	n.running.Wait()
}

// TestFaultNetwork: the network that the tests pull is one.
func TestFaultNetwork(t *testing.T) {
	t.Parallel()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() { _ = echo.Close(); served.Wait() })
	n, dsn := startNetwork(t, "postgres://"+echo.Addr().String())
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}

	dial := func() net.Conn {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	say := func(c net.Conn, text string) {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(c net.Conn, want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("heard %q, %v; want %q", got, err, want)
		}
	}

	old := dial()
	say(old, "one")
	hear(old, "one")
	n.swallow()
	young, gone := dial(), dial()
	say(old, "two")
	say(young, "three")
	say(gone, "four")
	_ = gone.Close()
	heard := make(chan error, 2)
	for _, c := range []net.Conn{old, young} {
		served.Go(func() {
			_, err := c.Read(make([]byte, 1))
			heard <- err
		})
	}
	// Nothing can be heard: who is heard now has been let through.
	select {
	case err := <-heard:
		t.Fatalf("a byte or an error came through: %v", err)
	default:
	}
	n.restore()
	for range 2 {
		if err := <-heard; err != nil {
			t.Fatal(err)
		}
	}
	hear(old, "wo")
	hear(young, "hree")

	n.sever()
	say(old, "five")
	fresh := dial()
	say(fresh, "six")
	hear(fresh, "six")
	served.Go(func() {
		_, err := old.Read(make([]byte, 1))
		heard <- err
	})
	select {
	case err := <-heard:
		t.Fatalf("a severed connection was heard: %v", err)
	default:
	}
	n.sever()
	if err := <-heard; err == nil {
		t.Error("a severed connection carried a byte")
	}
}
