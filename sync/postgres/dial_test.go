package postgres

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestLateConnectionGetsNoMoreTime: after the first timeout, whatever deadline is
// set, a connection has closing left. Before it, deadlines are as they are set.
func TestLateConnectionGetsNoMoreTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _, _ = near.Close(), far.Close() }()
		c := &impatientConn{Conn: near}
		waits := func(deadline time.Time) time.Duration {
			began := time.Now()
			if err := c.SetDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		if took := waits(time.Now().Add(time.Minute)); took != time.Minute {
			t.Errorf("the first read waited %v, want a minute", took)
		}
		for name, deadline := range map[string]time.Time{"none": {}, "later": time.Now().Add(15 * time.Second)} {
			if took := waits(deadline); took != closing {
				t.Errorf("deadline %s: a late connection waited %v, want %v", name, took, closing)
			}
		}
		if took := waits(time.Now().Add(closing / 2)); took != closing/2 {
			t.Errorf("a sooner deadline became %v, want %v", took, closing/2)
		}
	})
}
