//go:build unix

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pipe makes a named pipe.
func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPipesAreNotWaitedFor: wherever a file is named, a pipe that nobody writes to
// is a fault and not the end of all reloads. Without the guard each of these opens
// would wait for ever.
func TestPipesAreNotWaitedFor(t *testing.T) {
	path := pipe(t)
	for _, text := range []string{
		"postgres: {url_file: %s}", "api: {tokens: [{file: %s}]}", "api: {jwt: {jwks_file: %s}}", "api: {jwt: {secret_file: %s}}",
		"check: {tls: {cert_file: %s, key_file: %s}}", "apps: {a: {dialects: {sendbird: {api_tokens_file: %s}}}}",
	} {
		_, err := Load(Source{Open: true, File: write(t, strings.ReplaceAll(text, "%s", path))})
		if err == nil || !strings.Contains(err.Error(), path+" is no file but a pipe, and nobody writes to it") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Load(Source{File: path}); err == nil || !strings.Contains(err.Error(), "nobody writes to it") {
		t.Errorf("the configuration itself: %v", err)
	}
}

// TestPipesOfPrograms: what a program hands over by a pipe, as --config <(…) does,
// is read; one that does not come to an end is not waited for.
func TestPipesOfPrograms(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("api: {tokens: [S3CRET]}\n"); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/dev/fd/%d", r.Fd())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if c := load(t, Source{File: path}); len(c.API.Tokens) != 1 {
		t.Errorf("of a pipe that was written to, %v was read", c.API.Tokens)
	}
	path = pipe(t)
	w, err = os.OpenFile(path, os.O_RDWR, 0) // both ends: this does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString("S3CRET"); err != nil {
		t.Fatal(err)
	}
	want := path + " is no file but a pipe, of which the end did not come within 1ms"
	if _, err := readWithin(path, time.Millisecond); err == nil || err.Error() != want {
		t.Errorf("a pipe without end: %v", err)
	}
}
