package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/metrics/border"
)

// TestLogFormat: JSON where nobody reads along, unless something else is asked for.
func TestLogFormat(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for format, json := range map[string]bool{"auto": true, "json": true, "text": false} {
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		log, _ := newLogger(config.Log{Level: "info", Format: format}, file)
		log.Info("hello")
		text, err := os.ReadFile(file.Name())
		if err != nil || bytes.HasPrefix(text, []byte("{")) != json {
			t.Errorf("%s: %s, %v", format, text, err)
		}
	}
}

// TestLogOnATerminal: a device of characters is taken for one.
func TestLogOnATerminal(t *testing.T) {
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if !isTerminal(device) || isTerminal(new(bytes.Buffer)) {
		t.Error("a device is no terminal, or a buffer is one")
	}
}

// TestLogSaysItsTrace: also after a logger was derived.
func TestLogSaysItsTrace(t *testing.T) {
	var text bytes.Buffer
	log, _ := newLogger(config.Log{Level: "info", Format: "json"}, &text)
	trace := border.ParseTrace([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	ctx := border.WithTrace(t.Context(), trace)
	for _, l := range []*slog.Logger{log, log.With("a", 1), log.WithGroup("g")} {
		text.Reset()
		l.InfoContext(ctx, "hello", "b", 2)
		if got := text.String(); !strings.Contains(got, `"trace_id":"0af7651916cd43dd8448eb211c80319c"`) || !strings.Contains(got, `"span_id":"b7ad6b7169203331"`) {
			t.Error(got)
		}
	}
	text.Reset()
	log.InfoContext(t.Context(), "hello")
	if strings.Contains(text.String(), "trace_id") {
		t.Errorf("%s, and there is no trace", &text)
	}
}
