package filter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Once makes a write happen at most once: it is stored together with the write,
// in one transaction, and a second write of the app with the same key is refused
// with [CodeReplayed], in whichever process it arrives. A write that was refused
// or undone leaves no trace, so that it may be repeated. The zero Once asks
// nothing.
type Once struct {
	Key  string        // any bytes; only a hash of them is kept
	Keep time.Duration // how long the key is remembered; more than 0
}

// IsZero reports whether o asks nothing.
func (o Once) IsZero() bool { return o == Once{} }

func (o Once) clone() Once { return Once{Key: strings.Clone(o.Key), Keep: o.Keep} }

// UseOnce takes a key without a write, for a request that only reads. The error
// has [CodeReplayed] if it has been taken before.
func (b *Blocks) UseOnce(ctx context.Context, app string, once Once) error {
	if once.IsZero() {
		return errors.New("filter: once: a key is required")
	}
	if err := b.checkApp(app); err != nil {
		return err
	}
	if err := b.store.UseOnce(ctx, strings.Clone(app), once.clone()); err != nil {
		return fmt.Errorf("take a key: %w", err)
	}
	return nil
}
