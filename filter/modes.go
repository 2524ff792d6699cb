package filter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sidegate/sidegate/cache"
)

// MaxModeOwners is the most users whose mode one request may set or read.
const MaxModeOwners = 1000

// ModeChange asks for users of an app to be in allowlist mode, or not. While a
// user is, their allowlist decides who reaches them in direct rooms, and their
// block list is asleep: it is kept and works again afterwards. It means nothing
// in an app whose policy has no allowlist.
type ModeChange struct {
	App    string
	Owners []string // 1 to MaxModeOwners; twice the same counts once
	On     bool
	Once   Once
}

// SetAllowlistMode switches the mode of all users of a request, or of none. That
// they have it already is no error.
func (b *Blocks) SetAllowlistMode(ctx context.Context, change ModeChange) error {
	change.App, change.Once = strings.Clone(change.App), change.Once.clone()
	owners, err := b.checkOwners(change.App, change.Owners)
	if err != nil {
		return err
	}
	slices.Sort(owners)
	change.Owners = slices.Compact(owners)
	epoch := b.cache.Epoch() // as in Edit
	edits, err := b.store.SetAllowlistMode(ctx, change)
	if err != nil {
		return fmt.Errorf("set allowlist mode: %w", err)
	}
	for i := range edits {
		b.cache.Apply(epoch, edits[i].Identity, edits[i].Changes)
	}
	return nil
}

// AllowlistMode reads from the database which of up to MaxModeOwners users are in
// allowlist mode, in their order.
func (b *Blocks) AllowlistMode(ctx context.Context, app string, owners []string) ([]bool, error) {
	app = strings.Clone(app)
	owners, err := b.checkOwners(app, owners)
	if err != nil {
		return nil, err
	}
	on, err := b.store.AllowlistMode(ctx, app, owners)
	if err != nil {
		return nil, fmt.Errorf("read allowlist mode: %w", err)
	}
	return on, nil
}

// checkOwners looks at the owners of a request and returns copies of their own.
func (b *Blocks) checkOwners(app string, owners []string) ([]string, error) {
	if err := b.checkApp(app); err != nil {
		return nil, err
	}
	if len(owners) < 1 || len(owners) > MaxModeOwners {
		return nil, Errorf(CodeInvalidUserID, "a request names 1 to %d users, not %d", MaxModeOwners, len(owners))
	}
	own := make([]string, len(owners))
	for i, owner := range owners {
		list := ListID{App: app, Kind: cache.KindBlock, Owner: strings.Clone(owner)}
		if err := b.checkList(list); err != nil {
			var refused *Error
			if len(owners) > 1 && errors.As(err, &refused) {
				err = Errorf(refused.Code, "user %d of the request: %s", i+1, refused.Detail)
			}
			return nil, err
		}
		own[i] = list.Owner
	}
	return own, nil
}
