package imkit

import (
	"context"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// banList returns the list of a room that the caller may touch. The id is looked
// at first: an id that no room can have tells nothing about a room.
func (c *caller) banList(ids pathIDs) (filter.ListID, error) {
	room, err := ids.roomID()
	if err != nil {
		return filter.ListID{}, err
	}
	if !c.may(room) {
		return filter.ListID{}, errForbidden
	}
	return filter.ListID{App: c.app.Name, Kind: cache.KindRoom, Owner: room}, nil
}

// blockRoom bans a user from a room. Its author is the user who asks, and "" for
// an API key: a user must never see the bans of the platform as their own.
func (s *Surface) blockRoom(ctx context.Context, who *caller, ids pathIDs) (any, error) {
	list, err := who.banList(ids)
	if err != nil {
		return nil, err
	}
	target, err := ids.user()
	if err != nil {
		return nil, err
	}
	if target == who.user {
		return nil, errSelf
	}
	shown, err := s.lookup(ctx, who.app, target)
	if err != nil {
		return nil, err
	}
	if who.app.KnownUsers && !shown.has(target) {
		return nil, errNoRoomOrUser
	}
	return s.block(ctx, who, list, writtenJSON{Blockee: shown.profile(target), Room: list.Owner})
}

// unblockRoom lets a user into a room again.
func (s *Surface) unblockRoom(ctx context.Context, who *caller, ids pathIDs) (any, error) {
	list, err := who.banList(ids)
	if err != nil {
		return nil, err
	}
	target, err := ids.user()
	if err != nil {
		return nil, err
	}
	shown, err := s.lookup(ctx, who.app, target)
	if err != nil {
		return nil, err
	}
	return s.unblock(ctx, who, list, writtenJSON{Blockee: shown.profile(target), Room: list.Owner})
}

// listRoom shows who is banned from a room, newest first, and by whom.
func (s *Surface) listRoom(ctx context.Context, who *caller, ids pathIDs) (any, error) {
	list, err := who.banList(ids)
	if err != nil {
		return nil, err
	}
	page, err := s.lists.Whole(ctx, list)
	if err != nil {
		return nil, err
	}
	people := targets(page.Blocks)
	for i := range page.Blocks {
		people = append(people, authorOf(&page.Blocks[i]))
	}
	shown, err := s.lookup(ctx, who.app, people...)
	if err != nil {
		return nil, err
	}
	data := make([]banJSON, len(page.Blocks))
	for i := range page.Blocks {
		b := &page.Blocks[i]
		at := instant(b.CreatedAt)
		data[i] = banJSON{shown.profile(b.Target), shown.profile(authorOf(b)), groupRoom(list.Owner), at, at}
	}
	return dataJSON[banJSON]{data}, nil
}

// authorOf returns the user who made a ban, "" if none did: only what came in here
// has a user for its author.
func authorOf(b *filter.Block) string {
	if b.Source != source {
		return ""
	}
	return b.Actor
}
