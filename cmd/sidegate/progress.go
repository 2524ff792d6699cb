package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// meter counts what is read of a file. It is read by one goroutine and looked at
// by another.
type meter struct {
	from  io.Reader
	size  int64 // 0 = not known
	begun time.Time
	now   func() time.Time

	bytes, lines atomic.Int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.bytes.Add(int64(n))
	m.lines.Add(int64(bytes.Count(p[:n], []byte("\n"))))
	if err != nil && err != io.EOF {
		err = unreadError{err}
	}
	return n, err
}

// unreadError is a failure to read the file, whoever was handed it.
type unreadError struct{ error }

func (e unreadError) Unwrap() error { return e.error }

const barWidth = 30

// String is one line: a bar if the size is known, lines and rate.
func (m *meter) String() string {
	read, lines := m.bytes.Load(), m.lines.Load()
	rate := float64(lines) / max(m.now().Sub(m.begun).Seconds(), 0.001)
	text := fmt.Sprintf("%.1f MB", float64(read)/1e6)
	if m.size > 0 {
		full := int(min(read, m.size) * barWidth / m.size)
		text = fmt.Sprintf("[%s%s] %3d %% of %.1f MB", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
			min(read, m.size)*100/m.size, float64(m.size)/1e6)
	}
	return fmt.Sprintf("%s, %d lines, %.0f lines/s", text, lines, rate)
}

// progress shows a meter until it is stopped.
type progress struct {
	quit chan struct{}
	wg   sync.WaitGroup
}

const progressEvery = 200 * time.Millisecond

// showProgress shows a meter on a terminal. Nothing else gets it: a log would be
// full of bars.
func showProgress(to io.Writer, m *meter) *progress {
	p := &progress{quit: make(chan struct{})}
	if !isTerminal(to) {
		return p
	}
	p.wg.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		drawProgress(to, m, tick.C, p.quit)
	})
	return p
}

// drawProgress draws at every tick, over what it drew before, and takes the line
// away at the end.
func drawProgress(to io.Writer, m *meter, tick <-chan time.Time, quit <-chan struct{}) {
	width := 0
	for {
		select {
		case <-quit:
			_, _ = fmt.Fprintf(to, "\r%s\r", strings.Repeat(" ", width))
			return
		case <-tick:
			text := m.String()
			_, _ = fmt.Fprintf(to, "\r%-*s", width, text)
			width = max(width, len(text))
		}
	}
}

func (p *progress) stop() {
	close(p.quit)
	p.wg.Wait()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
