package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/metrics/border"
)

// served is the whole program inside the test, where a process of its own would
// tell nothing more.
type served struct {
	*sidegate
	t       testing.TB
	file    string // its configuration
	client  *http.Client
	urls    map[border.Door]string
	printed output // the log
}

// serveHere runs the program on a database until the test ends. The configuration is
// YAML, without listeners.
func serveHere(t testing.TB, database, configuration string) *served {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sidegate.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func() (*config.Config, error) {
		return config.Load(config.Source{Open: true, File: file, Flags: map[string]string{
			"postgres.url": database, "check.listen": "127.0.0.1:0", "api.listen": "127.0.0.1:0", "ops.listen": "127.0.0.1:0",
		}})
	}
	cfg, err := read()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, file: file, client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	ctx, cancel := context.WithCancel(context.Background())
	if s.sidegate, err = buildSidegate(ctx, cfg, slog.New(slog.NewTextHandler(&s.printed, nil)), open{}); err != nil {
		cancel()
		t.Fatal(err)
	}
	s.reloads.read = read
	if err := s.begin(ctx); err != nil {
		cancel()
		s.store.Close()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	url := func(addrs []net.Addr) string { return "http://" + addrs[0].String() }
	s.urls = map[border.Door]string{
		border.DoorCheck: url(s.check.Addrs()), border.DoorAPI: url(s.api.Addrs()), border.DoorOps: url(s.ops.Addrs()),
	}
	return s
}

// configure replaces the configuration file; a reload reads it.
func (s *served) configure(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// started waits until everything that the start-up probe asks about is there.
func (s *served) started(t *testing.T) *served {
	t.Helper()
	waitFor(t, "the program is started", func() bool { return s.synced() == nil && s.limited() == nil })
	return s
}

// ask sends one request. A body is JSON; headers are pairs.
func (s *served) ask(method string, door border.Door, target, body string, header ...string) answer {
	s.t.Helper()
	return ask(s.t, s.client, method, s.urls[door]+target, body, header...)
}

func ask(t testing.TB, client *http.Client, method, url, body string, header ...string) answer {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var read bytes.Buffer
	if _, err := read.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, read.String()}
}
