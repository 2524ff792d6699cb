package localpg

import (
	"io"
	"strings"
	"sync"
)

// tailSize is enough for the few lines that a server which cannot start prints.
const tailSize = 4096

// tail passes output on and remembers its end, for the error of a server that
// did not start. It is safe for concurrent use; its writer need not be.
type tail struct {
	mu   sync.Mutex
	next io.Writer // may be nil
	end  []byte
}

// Write never fails: a full disk under the log must not stop the server by a
// blocked pipe.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		if _, err := t.next.Write(p); err != nil {
			t.next = nil
		}
	}
	t.end = append(t.end, p...)
	if over := len(t.end) - tailSize; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
	}
	return len(p), nil
}

// String returns the last lines on one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.end)), "\n")
	lines = lines[max(0, len(lines)-4):]
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, " · ")
}
