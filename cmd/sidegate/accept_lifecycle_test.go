package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// hold keeps every write of a database waiting until the returned function is
// called.
func hold(t *testing.T, dsn string) (release func()) {
	t.Helper()
	lock := exec.Command("psql", "-X", "-q", dsn, "-c", "BEGIN", "-c", "LOCK TABLE sidegate.block IN EXCLUSIVE MODE", "-c", "SELECT pg_sleep(600)")
	if err := lock.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = lock.Wait() // it is ended by force
	}()
	const holder = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
	waitFor(t, "writes have to wait", func() bool { return psql(t, dsn, "SELECT count(*) "+holder) == "1" })
	release = func() {
		psql(t, dsn, "SELECT pg_terminate_backend(pid) "+holder)
		<-ended
	}
	t.Cleanup(func() {
		_ = lock.Process.Kill() // it may have been released
		<-ended
	})
	return release
}

// waiting waits until the database keeps a write waiting.
func waiting(t *testing.T, dsn string) {
	t.Helper()
	waitFor(t, "a write is under way", func() bool {
		return psql(t, dsn, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sidegate.block'::regclass") != "0"
	})
}

// put blocks in the background.
func (s *sidecar) put(owner, target string) <-chan answer {
	answered := make(chan answer, 1)
	go func() {
		defer close(answered)
		if a, err := s.request(http.MethodPut, "api", blockPath("default", owner, target)); err == nil {
			answered <- a
		}
	}()
	return answered
}

// TestAcceptStopInOrder: from the signal on readiness is off, and whoever watches
// sees that; a write that the database is busy with is answered; a connection that
// is only kept is closed; then the process ends well.
func TestAcceptStopInOrder(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "shutdown_timeout: 5m").ready()
	kept, err := net.Dial("tcp", strings.TrimPrefix(s.urls["check"], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if _, err := fmt.Fprintf(kept, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", question{sender: "a", recipient: "b"}.path()); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(kept)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.Close {
		t.Fatalf("%v, %v", resp, err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	release := hold(t, dsn)
	written := s.put("bob", "alice")
	waiting(t, dsn)

	s.signal(syscall.SIGTERM)
	waitFor(t, "readiness is off", func() bool {
		a := s.get("ops", "/readyz?verbose")
		return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "[-]shutdown failed: the process is being stopped")
	})
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("the connection that was kept ended with %q, %v", rest, err)
	}
	waitFor(t, "nothing new is taken", func() bool {
		nc, err := net.Dial("tcp", strings.TrimPrefix(s.urls["check"], "http://"))
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
	if a := s.get("ops", "/livez"); a.status != http.StatusOK {
		t.Errorf("/livez: %v", a)
	}
	if _, ok := s.samples()["sidegate_cache_preload_ratio"]; !ok {
		t.Error("metrics cannot be scraped while the process ends")
	}
	release()
	if a, ok := <-written; !ok || a.status != http.StatusCreated || a.header.Get("Sidegate-Revision") == "" {
		t.Errorf("the write was answered %v (%t)", a, ok)
	}
	if code := s.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if got := psql(t, dsn, "SELECT owner, target FROM sidegate.block"); got != "bob|alice" {
		t.Errorf("the database holds %q", got)
	}
}

// TestAcceptShutdownDelay: while it lasts everything is answered as before, on old
// connections and on new ones, and only readiness says that the end comes. Who
// cannot wait for it sends the signal again.
func TestAcceptShutdownDelay(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), "shutdown_delay: 10m").ready()
	s.signal(syscall.SIGTERM)
	waitFor(t, "readiness is off", func() bool { return s.get("ops", "/readyz").status == http.StatusServiceUnavailable })
	for _, header := range []string{"Connection: keep-alive", "Connection: close"} {
		a := s.must(http.MethodPut, "api", blockPath("default", "bob", fmt.Sprint("t", len(header))), header)
		if a.status != http.StatusCreated || header != "Connection: close" && a.header.Get("Connection") != "" {
			t.Errorf("a write: %v %v", a, a.header)
		}
		if v := s.decide(question{sender: "a", recipient: "b"}); v != allowed {
			t.Errorf("a check: %+v", v)
		}
	}
	if s.hasEnded() {
		t.Fatal("the process has ended")
	}
	s.signal(syscall.SIGTERM)
	s.wait()
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("after the second signal: %v", s.cmd.ProcessState)
	}
}

// TestAcceptShutdownTimeout: a write that never ends does not keep the process, nor
// make its end a failure.
func TestAcceptShutdownTimeout(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "shutdown_timeout: 500ms").ready()
	hold(t, dsn)
	written := s.put("bob", "alice")
	waiting(t, dsn)
	s.signal(syscall.SIGTERM)
	if a, ok := <-written; ok && a.status != http.StatusServiceUnavailable {
		t.Errorf("the write was answered %v", a)
	}
	if code := s.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestAcceptStopDuringAnImport: it is told how far it came, and that is true.
func TestAcceptStopDuringAnImport(t *testing.T) {
	t.Parallel()
	const lines = 2500 // two batches and a half
	dsn := database(t)
	s := startSidecar(t, dsn, "shutdown_timeout: 4s").ready()
	body, client := io.Pipe()
	defer client.Close()
	req, err := http.NewRequest(http.MethodPost, s.urls["api"]+"/v1/apps/default/import", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	answered := make(chan answer, 1)
	go func() {
		defer close(answered)
		a, err := s.do(req)
		if err != nil {
			t.Errorf("the import was not answered: %v", err)
			return
		}
		answered <- a
	}()
	for i := range lines {
		if _, err := fmt.Fprintf(client, `{"owner":"user-%d","target":"t%d"}`+"\n", i/10, i%10); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "a batch is stored", func() bool { return psql(t, dsn, "SELECT count(*) >= 1000 FROM sidegate.block") == "t" })
	s.signal(syscall.SIGTERM)
	a := <-answered
	var doc struct {
		Code   string
		Report struct {
			Created   int
			StoppedAt int `json:"stopped_at"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != http.StatusServiceUnavailable || doc.Code != "not_ready" {
		t.Errorf("the import was answered %v", a)
	}
	if doc.Report.Created < 1000 || doc.Report.StoppedAt != doc.Report.Created || doc.Report.Created > lines {
		t.Errorf("the report says %+v", doc.Report)
	}
	if code := s.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if got := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); got != fmt.Sprint(doc.Report.Created) {
		t.Errorf("%s are stored, %d were reported", got, doc.Report.Created)
	}
}

// TestAcceptReadyWithinTheBound: without a database at its start the process is
// alive and not started, and starts by itself when there is one. When the database
// goes, readiness stays within the hard bound, and goes with it.
func TestAcceptReadyWithinTheBound(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Server(t, nil)
	dsn := postgres.DSN("postgres")
	migrateUp(t, dsn)
	if err := postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	patient := startSidecar(t, dsn, "")
	strict := startSidecar(t, dsn, "sync: {poll_interval: 50ms, soft_bound: 200ms, hard_bound: 1s}")
	for _, s := range []*sidecar{patient, strict} {
		s.probes(http.StatusServiceUnavailable)
		if a := s.get("ops", "/startupz"); a.status != http.StatusServiceUnavailable {
			t.Errorf("/startupz without a database: %v", a)
		}
	}
	if err := postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*sidecar{patient, strict} {
		s.ready()
		waitFor(t, "it is ready", func() bool { return s.get("ops", "/readyz").status == http.StatusOK })
	}
	if err := postgres.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the strict one is past its bound", func() bool { return strict.get("ops", "/readyz").status == http.StatusServiceUnavailable })
	patient.probes(http.StatusOK)
	strict.probes(http.StatusServiceUnavailable)
	if a := strict.get("ops", "/startupz"); a.status != http.StatusOK {
		t.Errorf("/startupz went back: %v", a)
	}
	if err := postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the strict one is ready again", func() bool { return strict.get("ops", "/readyz").status == http.StatusOK })
}
