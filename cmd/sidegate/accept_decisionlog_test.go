package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const acceptTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// decisionLines reads a decision log.
func decisionLines(t *testing.T, path string) (list []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil // it has not been made yet
	}
	for line := range strings.Lines(string(text)) {
		var entry map[string]any
		if strings.HasSuffix(line, "\n") { // the last one may be on its way
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			list = append(list, entry)
		}
	}
	return list
}

// TestAcceptDecisionLog: a denial is found by the id that its answer had, in the file
// and, after a rotation, in the next file. Nobody is named.
func TestAcceptDecisionLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.ndjson")
	s := startSidecar(t, database(t), "log: {id_key: a-key-of-this-test}\ndecision_log: {path: '"+path+"'}").ready()
	if a, err := s.request("PUT", "api", "/v1/apps/default/users/bob/blocks/alice"); err != nil || a.status != 201 {
		t.Fatal(a, err)
	}
	const denied, free = "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct", "/v1/can-deliver?sender=bob&recipient=alice&room_type=direct"
	ask := func(path string) (id string) {
		t.Helper()
		a, err := s.request("GET", "check", path, "traceparent: "+acceptTrace)
		if err != nil || a.status != 200 {
			t.Fatal(a, err)
		}
		return a.header.Get("Sidegate-Decision-Id")
	}
	ask(free)
	ask(denied)
	id := ask(denied + "&decision_id=1")
	waitFor(t, "two lines", func() bool { return len(decisionLines(t, path)) == 2 })
	last := decisionLines(t, path)[1]
	if last["decision_id"] != id || last["reason"] != "recipient_blocked_sender" || last["trace_id"] != acceptTrace[3:35] {
		t.Errorf("%v is not the answer %s", last, id)
	}
	if name, _ := last["sender"].(string); len(name) != 16 || last["recipient"] == "bob" {
		t.Errorf("%v names people", last)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
	waitFor(t, "the next file", func() bool { _, err := os.Stat(path); return err == nil })
	ask(denied)
	waitFor(t, "a line in it", func() bool { return len(decisionLines(t, path)) == 1 })
	if n := len(decisionLines(t, path+".1")); n != 2 {
		t.Errorf("the file that was moved away has %d lines", n)
	}
	s.interrupt()
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestAcceptDecisionLogIsReplayed: what a server wrote is asked again, of itself,
// which writes on, and of the policies of a file. Ids may look like anything.
func TestAcceptDecisionLogIsReplayed(t *testing.T) {
	t.Parallel()
	dsn, path := database(t), filepath.Join(t.TempDir(), "decisions.ndjson")
	s := startSidecar(t, dsn, "decision_log: {path: '"+path+"', sample: 1, user_ids: plain}").ready()
	const alice, bob = "0123456789abcdef", "fedcba98%22%5c%3c%E2%80%A8é"
	if a, err := s.request("PUT", "api", "/v1/apps/default/users/"+bob+"/blocks/"+alice); err != nil || a.status != 201 {
		t.Fatal(a, err)
	}
	const denied = "/v1/can-deliver?room_type=direct&sender=" + alice + "&recipient=" + bob
	asked := 0
	waitFor(t, "a denial", func() bool {
		asked++
		return strings.Contains(s.get("check", denied).body, "recipient_blocked_sender")
	})
	// What was answered before the block was known is another question.
	waitFor(t, "all lines", func() bool { return len(decisionLines(t, path)) == asked })
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	s.get("check", denied)
	s.get("check", "/v1/can-deliver?room_type=group&sender=00000000deadbeef&recipient="+alice+"&room=r1&origin=server&notify_blocked=1")
	waitFor(t, "two lines", func() bool { return len(decisionLines(t, path)) == 2 })
	candidate := write(t, "apps: {default: {}}\n")
	for _, of := range [][]string{
		{"--check-url", s.urls["check"]},
		{"--config", candidate, "--postgres-url", dsn},
		{"--config", candidate, "--postgres-url", dsn, "--then"},
	} {
		n := len(decisionLines(t, path))
		got := runProgram(t, nil, append([]string{"replay", path, "--exit-code"}, of...)...)
		if want := fmt.Sprintf("%d lines: %d compared, %d the same, 0 different.\n", n, n, n); got.code != exitOK || got.stdout != want {
			t.Errorf("%v: %+v, want %s", of, got, want)
		}
		if of[0] == "--check-url" { // its answers are on their way into the file
			waitFor(t, "twice the lines", func() bool { return len(decisionLines(t, path)) == 2*n })
		}
	}
}

// TestAcceptTraces: a request to the api listener is a span in its caller's trace,
// with the time that the database took, and reaches a receiver that the environment
// names.
func TestAcceptTraces(t *testing.T) {
	var mu sync.Mutex
	spans := map[string]map[string]float64{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var got collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(text, &got) != nil {
			t.Errorf("%d bytes are no spans, %v", len(text), err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, of := range got.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					numbers := map[string]float64{}
					for _, a := range span.GetAttributes() {
						numbers[a.GetKey()] = float64(a.GetValue().GetIntValue()) + a.GetValue().GetDoubleValue()
					}
					spans[span.GetName()] = numbers
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer receiver.Close()
	s := startSidecar(t, database(t), "", "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL).ready()
	if a, err := s.request("PUT", "api", "/v1/apps/default/users/bob/blocks/alice", "traceparent: "+acceptTrace); err != nil || a.status != 201 {
		t.Fatal(a, err)
	}
	s.interrupt() // sends what is left
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	mu.Lock()
	defer mu.Unlock()
	got := spans["PUT /v1/apps/{app}/users/{owner}/blocks/{target}"]
	if got["http.response.status_code"] != 201 || got["sidegate.database.seconds"] <= 0 {
		t.Errorf("%v", spans)
	}
}
