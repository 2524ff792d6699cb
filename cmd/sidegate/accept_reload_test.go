package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// staffToken opens the ops listener in the tests of reloading.
const staffToken = "staff-of-the-acceptance-tests"

// reloadable is a configuration whose policy has one of two forms by turns.
func reloadable(version int64) string {
	return fmt.Sprintf("ops: {tokens: [{name: staff, token: %s, scopes: [staff]}]}\napps: {default: {rooms: {direct: {on_block: %s}}}}\n",
		staffToken, formOf(version))
}

func formOf(version int64) string { return [...]string{"drop", "reject"}[version%2] }

// reload asks for a reload and returns the answer.
func (s *sidecar) reload() answer {
	s.t.Helper()
	return s.must(http.MethodPost, "ops", "/v1/reload", "Authorization: Bearer "+staffToken)
}

// configure replaces the configuration file that the process was started with.
func (s *sidecar) configure(text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.cmd.Dir, "sidegate.yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestAcceptReloadUnderLoad reloads a hundred times while 32 connections ask as
// fast as they can. No request fails; each is answered by a policy that was in
// force while it was under way; the new one holds as soon as the reload is answered.
// Every tenth time the file is wrong first, and changes nothing.
func TestAcceptReloadUnderLoad(t *testing.T) {
	t.Parallel()
	reloads, connections := int64(100), 32
	if testing.Short() {
		reloads = 20
	}
	s := startSidecar(t, database(t), reloadable(0)).ready()
	s.block("default", "bob", "alice")
	load := newReloadLoad(strings.TrimPrefix(s.urls["check"], "http://"))
	s.enforced(question{sender: "alice", recipient: "bob"}, dropped)
	for range connections {
		load.open(t)
	}
	for version := int64(1); version <= reloads; version++ {
		load.pass(t, connections)
		if version%10 == 0 {
			s.configure("log: {lvel: info}\n" + reloadable(version))
			if a := s.reload(); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `unknown key \"log.lvel\" at `) {
				t.Fatalf("a wrong file: %s", a)
			}
			load.pass(t, connections) // by the old one
		}
		load.begun.Store(version)
		s.configure(reloadable(version))
		if version%7 == 0 {
			s.signal(syscall.SIGHUP)
			waitFor(t, "the signal is followed", func() bool { return strings.Contains(load.ask(t), formOf(version)) })
		} else if a := s.reload(); a.status != http.StatusOK || !strings.Contains(a.body, `"apps.default.rooms.direct.on_block"`) {
			t.Fatalf("reload %d: %s", version, a)
		}
		load.done.Store(version)
		if got := load.ask(t); !strings.Contains(got, `"action":"`+formOf(version)+`"`) {
			t.Fatalf("after reload %d: %s", version, got)
		}
	}
	load.pass(t, connections)
	load.close()
	t.Logf("%d requests, %d reloads", load.answered.Load(), reloads)
	if got := s.samples()["sidegate_config_last_reload_successful"]; got != 1 {
		t.Errorf("the last reload is called %v", got)
	}
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// reloadLoad asks one question over many connections.
type reloadLoad struct {
	addr        string
	begun, done atomic.Int64 // versions: being applied, and surely in force
	answered    atomic.Int64
	ended       atomic.Bool
	connections sync.WaitGroup
}

func newReloadLoad(addr string) *reloadLoad { return &reloadLoad{addr: addr} }

var reloadQuestion = []byte("GET /v1/can-deliver?sender=alice&recipient=bob&room_type=direct HTTP/1.1\r\nHost: sidegate\r\n\r\n")

// open begins to ask over one more connection, until close.
func (l *reloadLoad) open(t *testing.T) {
	t.Helper()
	nc, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	l.connections.Go(func() {
		defer nc.Close()
		for !l.ended.Load() && !t.Failed() {
			from := l.done.Load()
			got, err := askOver(nc)
			to := l.begun.Load()
			if err != nil || from == to && !strings.Contains(got, `"action":"`+formOf(to)+`"`) || !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("between versions %d and %d: %q, %v", from, to, got, err)
				return
			}
			l.answered.Add(1)
		}
	})
	t.Cleanup(l.close)
}

func (l *reloadLoad) close() {
	l.ended.Store(true)
	l.connections.Wait()
}

// pass waits until the connections have asked some more.
func (l *reloadLoad) pass(t *testing.T, connections int) {
	t.Helper()
	goal := l.answered.Load() + 4*int64(connections)
	waitFor(t, "the load to go on", func() bool { return l.answered.Load() >= goal || t.Failed() })
}

// ask asks once, over a connection of its own.
func (l *reloadLoad) ask(t *testing.T) string {
	t.Helper()
	nc, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	got, err := askOver(nc)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// askOver sends the question and reads the answer, whose body is one JSON object.
func askOver(nc net.Conn) (string, error) {
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := nc.Write(reloadQuestion); err != nil {
		return "", err
	}
	var got []byte
	buf := make([]byte, 1024)
	for !bytes.HasSuffix(got, []byte("}")) {
		n, err := nc.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil && (err != io.EOF || n == 0) {
			return string(got), err
		}
	}
	return string(got), nil
}
