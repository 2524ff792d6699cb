package decisionlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidegate/sidegate/metrics/border"
)

func TestFileIsAppendedTo(t *testing.T) {
	path := file(t)
	for range 2 { // two lives of a process
		l := start(t, Options{Path: path})
		l.Record(&check, &denied, About{})
		l.stop()
	}
	if got := lines(t, path); len(got) != 2 || got[0]["decision_id"] == got[1]["decision_id"] {
		t.Errorf("%v", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestReopen: after a file was moved away and the log told, it is not written to.
func TestReopen(t *testing.T) {
	path := file(t)
	l := start(t, Options{Path: path})
	l.Record(&check, &denied, About{})
	waitFor(t, "the first line", func() bool { return l.written() == 1 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	waitFor(t, "the new file, without a decision", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	l.Record(&check, &denied, About{})
	l.stop()
	if was, is := lines(t, path+".1"), lines(t, path); len(was) != 1 || len(is) != 1 {
		t.Errorf("%d lines were moved away, %d follow", len(was), len(is))
	}
}

// TestPathThatCannotBeOpenedAgain: records are lost and counted, the log is told
// once, and when there is a way again they are written.
func TestPathThatCannotBeOpenedAgain(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "decisions.ndjson")
	l := start(t, Options{Path: path})
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	for i := range 3 {
		l.Record(&check, &denied, About{})
		waitFor(t, "the loss", func() bool { return l.dropped(dropWrite) == i+1 })
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	l.Record(&check, &denied, About{})
	l.stop()
	if got := lines(t, path); len(got) != 1 || l.written() != 1 {
		t.Errorf("%d lines", len(got))
	}
	if l.said.count("records are lost") != 1 || l.said.count("written again") != 1 {
		t.Error("the log was not told once of each")
	}
}

func TestPathThatCannotBeOpened(t *testing.T) {
	l, err := New(Options{Path: filepath.Join(t.TempDir(), "no", "where"), Names: border.PlainNames()})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Open(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "open the decision log") {
		t.Error(err)
	}
	if err := l.Run(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestFullDisk: every record is counted, nothing waits, the log is told once.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	l := start(t, Options{Path: "/dev/full"})
	for range 100 {
		l.Record(&check, &denied, About{})
	}
	l.stop()
	if l.written() != 0 || l.dropped(dropWrite) != 100 || testutil.ToFloat64(l.metrics.errors) < 1 {
		t.Errorf("%d written, %d dropped", l.written(), l.dropped(dropWrite))
	}
	if n := l.said.count("records are lost"); n != 1 {
		t.Errorf("the log was told %d times", n)
	}
}

// TestPipeThatNobodyReads: decisions go on, records beyond the queue are counted,
// and the end comes although the writer stands in a write.
func TestPipeThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	l := start(t, Options{Output: w})
	n := 0
	waitFor(t, "a full queue", func() bool {
		for range 1000 {
			l.Record(&check, &denied, About{})
			n++
		}
		return l.dropped(dropQueue) > 0
	})
	l.stop()
	if got := l.written() + l.dropped(dropQueue) + l.dropped(dropWrite); got != n {
		t.Errorf("of %d records %d are accounted for", n, got)
	}
}

// TestTornLine: a line that was cut off is ended before the next one, so that one
// line is lost and not two.
func TestTornLine(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	m := NewMetrics(nil)
	s := sink{out: w, metrics: m, log: slog.New(slog.DiscardHandler)}
	line := append(bytes.Repeat([]byte{'x'}, 998), '\n')
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.write(bytes.Repeat(line, 1000), 1000) // a pipe does not hold so much
	}()
	if _, err := r.Read(make([]byte, 1)); err != nil { // then it is full
		t.Fatal(err)
	}
	if err := w.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	<-ended
	whole := int(testutil.ToFloat64(m.written))
	if !s.torn || whole == 0 || whole+int(testutil.ToFloat64(m.dropped[dropWrite])) != 1000 {
		t.Fatalf("torn: %t, %d written", s.torn, whole)
	}
	if _, err := io.ReadFull(r, make([]byte, whole*len(line)-1)); err != nil {
		t.Fatal(err)
	}
	if err := w.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	rest := make(chan []byte)
	go func() {
		text := make([]byte, 4096)
		n := 0
		for !bytes.HasSuffix(text[:n], []byte("next\n")) {
			more, err := r.Read(text[n:])
			if n += more; err != nil {
				break
			}
		}
		rest <- text[:n]
	}()
	s.write([]byte("next\n"), 1)
	if got := <-rest; !bytes.HasSuffix(got, []byte("\nnext\n")) || bytes.Contains(got, []byte("xnext")) {
		t.Errorf("%q", got)
	}
}

// TestFileThatEndsTorn: the line that a process before could not end is ended before
// the next one, also when a SIGHUP was for something else than the file.
func TestFileThatEndsTorn(t *testing.T) {
	path := file(t)
	if err := os.WriteFile(path, []byte(`{"time":"2030-01-`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := start(t, Options{Path: path})
	l.Record(&check, &denied, About{})
	waitFor(t, "the first line", func() bool { return l.written() == 1 })
	again, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.WriteString(`{"time":"2030-02-`); err != nil { // as if the disk had been full
		t.Fatal(err)
	}
	l.Reopen()
	l.Record(&check, &denied, About{})
	l.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for line := range strings.Lines(string(text)) {
		if json.Valid([]byte(line)) {
			whole++
		}
	}
	if whole != 2 || strings.Count(string(text), "\n") != 4 {
		t.Errorf("%d lines are whole: %s", whole, text)
	}
}
