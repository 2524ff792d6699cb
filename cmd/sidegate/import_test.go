package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a file of a text.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const (
	goodReport = `{"lines":2,"created":1,"updated":0,"unchanged":1,"failed":0,"errors":[]}`
	badReport  = `{"lines":2,"created":1,"updated":0,"unchanged":0,"failed":1,"errors":[{"line":2,"code":"self_block","detail":"the\u001b same"}]%s}`
)

func TestImportSendsTheFileAndTellsTheReport(t *testing.T) {
	const text = "{\"owner\":\"a\",\"target\":\"b\"}\nx\n"
	file := write(t, text)
	for _, c := range []struct {
		name      string
		args      []string
		status    int
		body      string
		code      int
		out, fail string
		uri, kind string
	}{
		{"fine", nil, 200, goodReport, 0, "2 lines read in ", "", "/v1/apps/default/import", "application/x-ndjson"},
		{"of another app, dry", []string{"--app=a b", "--dry-run"}, 200, goodReport, 0, "2 lines checked and not stored in ", "",
			"/v1/apps/a%20b/import?dry_run=1", "application/x-ndjson"},
		{"atomic CSV", []string{"--format=csv", "--atomic"}, 200, goodReport, 0, ": 1 created, 0 updated, 1 unchanged, 0 failed.\n", "",
			"/v1/apps/default/import?atomic=1", "text/csv"},
		{"a line that failed", nil, 200, fmt.Sprintf(badReport, ""), exitUsage, "1 failed.",
			"line 2: \"the\\x1b same\" (self_block)\nsidegate: 1 lines were not stored\n", "/v1/apps/default/import", "application/x-ndjson"},
		{"stopped", nil, 200, fmt.Sprintf(badReport, `,"stopped_at":2`), exitUsage, "1 failed.", "what follows line 2 was not looked at", "/v1/apps/default/import", "application/x-ndjson"},
		{"the store failed", nil, 503, `{"title":"T","detail":"D","code":"store_unavailable","report":` + fmt.Sprintf(badReport, `,"stopped_at":2`) + `}`,
			exitStore, "2 lines read", "line 2: ", "/v1/apps/default/import", "application/x-ndjson"},
		{"refused", nil, 401, `{"title":"T","detail":"D","code":"unauthenticated"}`, exitUsage, "", "give a token", "/v1/apps/default/import", "application/x-ndjson"},
		{"not sidegate", nil, 200, `hello`, exitUnreachable, "", "is not sidegate", "/v1/apps/default/import", "application/x-ndjson"},
	} {
		r := &reply{status: c.status, body: c.body}
		got := command(t, nil, append([]string{"import", file, "--api-url", serve(t, r), "--token=t"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.stdout, c.out) || !strings.Contains(got.stderr, c.fail) || c.fail == "" && got.stderr != "" {
			t.Errorf("%s: %+v", c.name, got)
		}
		if r.method != "POST" || r.uri != c.uri || r.kind != c.kind || r.sent != text || r.auth != "Bearer t" {
			t.Errorf("%s: sent %s %s %s %q", c.name, r.method, r.uri, r.kind, r.sent)
		}
	}
}

func TestImportConvertsOnTheWay(t *testing.T) {
	r := &reply{status: 200, body: goodReport}
	url := serve(t, r)
	got := command(t, nil, "import", write(t, "u1\nu2\n"), "--format=mastodon", "--owner=bob", "--api-url", url)
	if got.code != 0 || r.kind != "application/x-ndjson" || strings.Count(r.sent, `{"owner":"bob","target":"u`) != 2 {
		t.Errorf("%+v, sent %q", got, r.sent)
	}
	got = command(t, nil, "import", write(t, `{"code":200,"users":["u1"]}nonsense`), "--format=rongcloud", "--owner=bob", "--api-url", url)
	if got.code != exitUsage || !strings.Contains(got.stderr, "answer 2: ") {
		t.Errorf("a file that is broken behind its first answer: %+v", got)
	}
	for _, args := range [][]string{
		{"--format=mastodon"}, {"--owner=bob"}, {"--format=imkit", "--owner=bob"}, {"--format=x"}, {"--dry-run", "--atomic"},
	} {
		if got := command(t, nil, append([]string{"import", write(t, ""), "--api-url", url}, args...)...); got.code != exitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := command(t, nil, "import", filepath.Join(t.TempDir(), "none"), "--api-url", url); got.code != exitUsage {
		t.Errorf("no file: %+v", got)
	}
	for _, format := range []string{"--format=ndjson", "--format=imkit"} { // sent as it is, and converted
		got := command(t, nil, "import", t.TempDir(), format, "--api-url", url)
		if got.code != exitUsage || !strings.Contains(got.stderr, "is a directory") || strings.Contains(got.stderr, url) {
			t.Errorf("a folder, %s: %+v", format, got)
		}
	}
	if got := command(t, nil, "import", write(t, "x"), "--api-url", "http://127.0.0.1:1"); got.code != exitUnreachable {
		t.Errorf("no server: %+v", got)
	}
}

// TestImportEndsWhenTheServerHasAnsweredEarly: a server that stops reads no more,
// and the converter is not left waiting for it.
func TestImportEndsWhenTheServerHasAnsweredEarly(t *testing.T) {
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(fmt.Sprintf(badReport, `,"stopped_at":2`)))
	}))
	got := command(t, nil, "import", write(t, strings.Repeat("somebody@example.org\n", 1<<20)), "--format=mastodon", "--owner=bob", "--api-url", url)
	if got.code == exitOK || got.code == exitStore {
		t.Errorf("%+v", got)
	}
}

func TestExportWritesAFileWhenItIsComplete(t *testing.T) {
	const text = "{\"owner\":\"a\"}\n"
	var accept string
	status, kind, whole := 200, "application/x-ndjson", true
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accept = r.Header.Get("Accept")
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
		if !whole {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	if got := command(t, nil, "export", "--api-url", url); got != (outcome{0, text, ""}) || accept != kind {
		t.Errorf("%+v, accepts %s", got, accept)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	if got := command(t, nil, "export", "-o", file, "--api-url", url); got != (outcome{}) {
		t.Errorf("%+v", got)
	}
	if written, err := os.ReadFile(file); err != nil || string(written) != text {
		t.Errorf("%q, %v", written, err)
	}
	whole = false
	if got := command(t, nil, "export", "-o", filepath.Join(dir, "broken"), "--api-url", url); got.code != exitUnreachable || !strings.Contains(got.stderr, "broke off") {
		t.Errorf("broken off: %+v", got)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v is left, %v", left, err)
	}
	whole = true
	if got := command(t, nil, "export", "--format=csv", "--api-url", url); got.code != exitUnreachable || accept != "text/csv" {
		t.Errorf("another type: %+v, accepts %s", got, accept)
	}
	if got := command(t, nil, "export", "-o", filepath.Join(dir, "none", "out"), "--api-url", url); got.code != exitUsage {
		t.Errorf("no folder: %+v", got)
	}
}

func TestProgress(t *testing.T) {
	now := convertedAt
	m := &meter{from: strings.NewReader("a\nb\nc\n"), size: 12, begun: now, now: func() time.Time { return now.Add(2 * time.Second) }}
	if _, err := m.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if got, want := m.String(), "[===============               ]  50 % of 0.0 MB, 3 lines, 2 lines/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	m.size = 0
	if got, want := m.String(), "0.0 MB, 3 lines, 2 lines/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var out strings.Builder
	tick, quit, done := make(chan time.Time), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		drawProgress(&out, m, tick, quit)
	}()
	tick <- now
	tick <- now
	close(quit)
	<-done
	if got := out.String(); strings.Count(got, "\r"+m.String()) != 2 || !strings.HasSuffix(got, " \r") {
		t.Errorf("drawn: %q", got)
	}
	// What is no terminal gets nothing.
	out.Reset()
	showProgress(&out, m).stop()
	if out.Len() > 0 {
		t.Errorf("into a log: %q", out.String())
	}
}
