package decisionlog

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

var (
	denied  = filter.Decision{Action: filter.ActionDrop, Reason: filter.ReasonRecipientBlockedSender}
	allowed = filter.Decision{Deliver: true, Notify: true, Reason: filter.ReasonAllowed}
	check   = filter.Check{App: "default", Sender: "alice", Recipient: "bob", RoomType: filter.Direct}
)

// buffer is the program's log, which the writer and the test use.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

// running is a log that is written.
type running struct {
	*Log
	t    testing.TB
	said *buffer // the program's log
	stop func()  // writes what is left; may be called twice
}

func start(t testing.TB, opts Options) *running {
	t.Helper()
	said := new(buffer)
	opts.Logger = slog.New(slog.NewTextHandler(said, nil))
	opts.Metrics = NewMetrics(prometheus.NewRegistry())
	if opts.Names == nil {
		opts.Names = border.PlainNames()
	}
	l, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(stop)
	return &running{Log: l, t: t, said: said, stop: stop}
}

func (r *running) dropped(cause drop) int { return int(testutil.ToFloat64(r.metrics.dropped[cause])) }
func (r *running) written() int           { return int(testutil.ToFloat64(r.metrics.written)) }

// file is a path for a log.
func file(t testing.TB) string { return filepath.Join(t.TempDir(), "decisions.ndjson") }

// lines reads a log; every line of it must be an object.
func lines(t testing.TB, path string) (list []map[string]any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	decoder := json.NewDecoder(f)
	for {
		var line map[string]any
		switch err := decoder.Decode(&line); err {
		case nil:
			list = append(list, line)
		case io.EOF:
			return list
		default:
			t.Fatalf("line %d: %v", len(list)+1, err)
		}
	}
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
