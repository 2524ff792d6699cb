package decisionlog

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// fileMode lets the group read: a shipper of logs need not be the server's user.
const fileMode = 0o640

// sink is the file, or what stands for it.
type sink struct {
	path    string // "": the file was handed in, and stays open
	metrics *Metrics
	log     *slog.Logger

	mu  sync.Mutex // over out: breakOff comes from elsewhere
	out io.Writer  // nil: it is not open

	failing bool // the log has been told
	torn    bool // the last line was cut off in its midst
}

func (s *sink) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openLocked()
}

func (s *sink) openLocked() error {
	if s.out != nil {
		return nil
	}
	// Without waiting: a named pipe would hold up the start until it is read, and
	// a write to it could not be broken off.
	file, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|nonBlocking, fileMode)
	if err != nil {
		return fmt.Errorf("open the decision log: %w", err)
	}
	s.out = file
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		s.torn = endsTorn(s.path, info.Size())
	}
	return nil
}

// endsTorn reports whether a file ends in the midst of a line: whoever wrote it, this
// process or one before, was cut off by a full disk or by its end.
func endsTorn(path string, size int64) bool {
	if size == 0 {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false // it may be written to, and not read
	}
	defer file.Close()
	var last [1]byte
	_, err = file.ReadAt(last[:], size-1)
	return err == nil && last[0] != '\n'
}

func (s *sink) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, ours := s.out.(*os.File)
	if s.path == "" || !ours {
		return nil
	}
	s.out = nil
	return file.Close()
}

// renew leaves a file that may have been moved away. If its path cannot be opened
// the next write tries again: a line is rather lost and counted than written where
// it is not looked for.
func (s *sink) renew() {
	if s.path == "" {
		return
	}
	if err := s.close(); err != nil {
		s.failed(err)
	}
	if err := s.open(); err != nil {
		s.failed(err)
	}
}

// write writes whole lines. Those that do not reach the file are counted.
func (s *sink) write(text []byte, lines int) {
	written, err := s.writeOnce(text)
	if err == nil {
		s.metrics.written.Add(float64(lines))
		if s.failing {
			s.failing = false
			s.log.Info("the decision log is written again")
		}
		return
	}
	// What is cut off is no line; it is ended before the next one.
	whole := bytes.Count(text[:written], []byte{'\n'})
	s.torn = s.torn || written > 0 && text[written-1] != '\n'
	s.metrics.written.Add(float64(whole))
	s.metrics.dropped[dropWrite].Add(float64(lines - whole))
	s.failed(err)
}

func (s *sink) writeOnce(text []byte) (written int, err error) {
	if err := s.open(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	out := s.out
	s.mu.Unlock()
	if s.torn {
		if _, err := out.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		s.torn = false
	}
	return out.Write(text)
}

// failed counts a failure, and logs the first of a series.
func (s *sink) failed(err error) {
	s.metrics.errors.Inc()
	if !s.failing {
		s.failing = true
		s.log.Warn("the decision log cannot be written; records are lost", "error", err)
	}
}

// breakOff ends a write that does not return; false: the system cannot.
func (s *sink) breakOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	bounded, ok := s.out.(interface{ SetWriteDeadline(time.Time) error })
	return ok && bounded.SetWriteDeadline(time.Unix(1, 0)) == nil
}
