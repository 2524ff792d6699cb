package localpg

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestTailKeepsTheLastLines(t *testing.T) {
	var all bytes.Buffer
	out := tail{next: &all}
	if out.String() != "" {
		t.Errorf("nothing was written and it has %q", out.String())
	}
	long := strings.Repeat("x", tailSize)
	for _, line := range []string{long, "\none\n", "two\n  three\n", "four", "\nfive\n"} {
		if n, err := out.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	if got, want := out.String(), "two · three · four · five"; got != want {
		t.Errorf("the end is %q, want %q", got, want)
	}
	if want := long + "\none\ntwo\n  three\nfour\nfive\n"; all.String() != want {
		t.Error("what was passed on differs from what was written")
	}
	if len(out.end) > tailSize {
		t.Errorf("%d bytes are kept", len(out.end))
	}
}

type brokenWriter struct{ calls int }

func (w *brokenWriter) Write([]byte) (int, error) {
	w.calls++
	return 0, errors.New("disk full")
}

func TestTailOutlivesItsWriter(t *testing.T) {
	w := &brokenWriter{}
	out := tail{next: w}
	for range 3 {
		if n, err := out.Write([]byte("line\n")); n != 5 || err != nil {
			t.Fatalf("wrote %d, %v; the server would see a broken pipe", n, err)
		}
	}
	if w.calls != 1 {
		t.Errorf("a broken writer was called %d times", w.calls)
	}
}
