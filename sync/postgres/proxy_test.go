package postgres_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// What the proxy does with bytes from the server.
const (
	pass    = iota // hands them on
	cut            // ends the connection instead, as if the network had failed
	swallow        // keeps them and the connection, as a black hole does
)

// proxy stands between a store and the server and breaks single messages of real
// connections.
type proxy struct {
	listener net.Listener
	socket   string
	dsn      string
	mode     atomic.Int32

	mu    sync.Mutex
	conns []net.Conn
	dead  *atomic.Bool // of the connections that there are
	wg    sync.WaitGroup
}

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		listener: listener,
		socket:   filepath.Join(config.Host, ".s.PGSQL."+strconv.Itoa(int(config.Port))),
		dead:     new(atomic.Bool),
		dsn:      fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", config.User, listener.Addr(), config.Database),
	}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// close refuses further connections and ends those there are.
func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		socket := p.socket
		p.mu.Unlock()
		server, err := net.Dial("unix", socket)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		dead := p.dead
		p.mu.Unlock()
		unless := func(mode func() int32) func() int32 {
			return func() int32 {
				if dead.Load() {
					return swallow
				}
				return mode()
			}
		}
		p.wg.Go(func() { p.copy(server, client, unless(func() int32 { return pass })) })
		p.wg.Go(func() { p.copy(client, server, unless(p.mode.Load)) })
	}
}

// forget makes every connection there is half-open: both sides keep it, nothing
// arrives any more. New ones work.
func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead.Store(true)
	p.dead = new(atomic.Bool)
}

func (p *proxy) copy(to, from net.Conn, mode func() int32) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		switch mode() {
		case cut:
			return
		case swallow:
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
