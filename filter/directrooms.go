package filter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Room is the direct room of two users.
type Room struct {
	ID        string
	CreatedAt time.Time
}

// Pair is two different users, in either order.
type Pair struct{ A, B string }

// RoomStore keeps the direct rooms of pairs. Implementations are safe for
// concurrent use; their errors are those of [BlockStore].
type RoomStore interface {
	// DirectRoom returns the room of a pair and makes it if there is none.
	DirectRoom(ctx context.Context, app string, pair Pair) (Room, error)
	// DirectRooms returns the rooms that a user has with peers, by peer. A peer
	// without one is left out.
	DirectRooms(ctx context.Context, app, user string, peers []string) (map[string]Room, error)
	// SetDirectRoom gives the room of a pair another id.
	SetDirectRoom(ctx context.Context, app string, pair Pair, id string) (Room, error)
	// Bans returns who was put on the lists of rooms by an actor, newest first.
	Bans(ctx context.Context, query BansQuery) ([]Block, error)
}

// BansQuery asks who was put on the lists of rooms by an actor, through one door.
type BansQuery struct {
	App, Actor, Source string
	Limit              int
}

// MaxBans is the most bans that [DirectRooms.Bans] returns.
const MaxBans = MaxEntries

// DirectRoomsOptions configure [DirectRooms].
type DirectRoomsOptions struct {
	Store RoomStore         // required
	Apps  map[string]Policy // the tenants; only their names count here
}

// DirectRooms knows the direct room of two users, which vendors show beside a block.
// The room of a pair is made with the first block between them, or when somebody
// asks for it, and stays; its id is a hash of app and pair unless the deployer
// has set another. It is safe for concurrent use. Request strings may be borrowed
// from a buffer that is reused once the call has returned.
//
// Errors that a client may see are of type *[Error].
type DirectRooms struct {
	store RoomStore
	apps  map[string]Policy
}

// NewDirectRooms makes the service.
func NewDirectRooms(opts DirectRoomsOptions) (*DirectRooms, error) {
	if opts.Store == nil || len(opts.Apps) == 0 {
		return nil, errors.New("filter: direct rooms: a store and at least one app are required")
	}
	return &DirectRooms{store: opts.Store, apps: opts.Apps}, nil
}

// Direct returns the room of a pair and makes it if there is none.
func (r *DirectRooms) Direct(ctx context.Context, app string, pair Pair) (Room, error) {
	pair, err := r.check(app, pair)
	if err != nil {
		return Room{}, err
	}
	room, err := r.store.DirectRoom(ctx, strings.Clone(app), pair)
	if err != nil {
		return Room{}, fmt.Errorf("find a direct room: %w", err)
	}
	return room, nil
}

// OfPeers returns the rooms that a user has with up to MaxEntries peers, by peer.
// A peer without one is left out.
func (r *DirectRooms) OfPeers(ctx context.Context, app, user string, peers []string) (map[string]Room, error) {
	if len(peers) == 0 {
		return map[string]Room{}, nil
	}
	rooms, err := r.store.DirectRooms(ctx, strings.Clone(app), strings.Clone(user), peers)
	if err != nil {
		return nil, fmt.Errorf("find direct rooms: %w", err)
	}
	return rooms, nil
}

// SetDirect gives the room of a pair the id that it has in the chat server.
func (r *DirectRooms) SetDirect(ctx context.Context, app string, pair Pair, id string) (Room, error) {
	pair, err := r.check(app, pair)
	if err != nil {
		return Room{}, err
	}
	if err := ValidateRoomID(id); err != nil {
		return Room{}, err
	}
	room, err := r.store.SetDirectRoom(ctx, strings.Clone(app), pair, strings.Clone(id))
	if err != nil {
		return Room{}, fmt.Errorf("set a direct room: %w", err)
	}
	return room, nil
}

// Bans reads whom an actor has put on the lists of rooms through a door, newest
// first, at most MaxBans of them. Owner is the room.
func (r *DirectRooms) Bans(ctx context.Context, app, actor, source string) ([]Block, error) {
	bans, err := r.store.Bans(ctx, BansQuery{
		App: strings.Clone(app), Actor: strings.Clone(actor), Source: source, Limit: MaxBans,
	})
	if err != nil {
		return nil, fmt.Errorf("read the bans of an actor: %w", err)
	}
	return bans, nil
}

// check looks at a pair and returns a copy in the order of the bytes.
func (r *DirectRooms) check(app string, pair Pair) (Pair, error) {
	if _, ok := r.apps[app]; !ok {
		return Pair{}, Errorf(CodeUnknownApp, "the app is not configured")
	}
	for _, id := range []string{pair.A, pair.B} {
		if err := ValidateUserID(id); err != nil {
			return Pair{}, err
		}
	}
	if pair.A == pair.B {
		return Pair{}, Errorf(CodeInvalidUserID, "a direct room has two different users")
	}
	pair = Pair{strings.Clone(pair.A), strings.Clone(pair.B)}
	if pair.A > pair.B {
		pair.A, pair.B = pair.B, pair.A
	}
	return pair, nil
}
