package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// convertFunc turns a list as others give it into lines of an import. Its error
// is about the file; lines before the mistake have been written.
type convertFunc func(in *bufio.Reader, out *lineWriter) error

// converters by format. The formats without one are sent as they are.
var converters = map[string]struct {
	convert convertFunc
	owned   bool // the list does not say whose it is
}{
	"mastodon":  {convertMastodon, true},
	"rongcloud": {convertRongCloud, true},
	"sendbird":  {convertSendbird, true},
	"imkit":     {convertIMKit, false},
}

// clockSlack is how far this machine's clock may be ahead of the server's, which
// refuses entries of the future.
const clockSlack = time.Minute

// lineWriter writes lines of an import. Lists come newest first, and stay in that
// order: an entry without a time of its own gets one a microsecond before that of
// the entry above it.
type lineWriter struct {
	out   *bufio.Writer
	owner string
	at    time.Time
}

func newLineWriter(to io.Writer, owner string, now time.Time) *lineWriter {
	return &lineWriter{out: bufio.NewWriterSize(to, 64<<10), owner: owner, at: now.Add(-clockSlack).UTC().Truncate(time.Microsecond)}
}

func (w *lineWriter) flush() error { return w.out.Flush() }

// importLine is one line; expiry and note are left to what is there.
type importLine struct {
	Owner     string    `json:"owner"`
	Target    string    `json:"target"`
	CreatedAt time.Time `json:"created_at"`
	Kind      string    `json:"kind,omitempty"`
}

// target writes an entry of the one list that the file is.
func (w *lineWriter) target(target string) error {
	return w.line(importLine{Owner: w.owner, Target: target})
}

// line writes an entry.
func (w *lineWriter) line(l importLine) error {
	if l.CreatedAt.IsZero() {
		l.CreatedAt, w.at = w.at, w.at.Add(-time.Microsecond)
	}
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode a line: %w", err)
	}
	if _, err := w.out.Write(append(text, '\n')); err != nil {
		return err
	}
	return nil
}

// eachAnswer decodes answers, one behind the other, and calls do for each.
func eachAnswer[T any](in io.Reader, do func(answer *T) error) error {
	decoder := json.NewDecoder(in)
	for n := 1; ; n++ {
		answer := new(T)
		err := decoder.Decode(answer)
		if errors.Is(err, io.EOF) && n > 1 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		if err == nil {
			err = do(answer)
		}
		if err != nil {
			return fmt.Errorf("answer %d: %w", n, err)
		}
	}
}

var errNoList = errors.New("this is no answer with a list")
