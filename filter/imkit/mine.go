package imkit

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// own returns the list of the user who asks. An API key alone has none.
func (c *caller) own() (filter.ListID, error) {
	if c.user == "" {
		return filter.ListID{}, errForbidden
	}
	return filter.ListID{App: c.app.Name, Kind: cache.KindBlock, Owner: c.user}, nil
}

// mine reads what the calls about one entry of the user's own list have in common.
func (c *caller) mine(ids pathIDs) (list filter.ListID, target string, err error) {
	if list, err = c.own(); err != nil {
		return list, "", err
	}
	target, err = ids.user()
	return list, target, err
}

// blockMine blocks a user. All that can fail is done before the block is written.
func (s *Surface) blockMine(ctx context.Context, who *caller, ids pathIDs) (any, error) {
	list, target, err := who.mine(ids)
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
		return nil, errNoUser
	}
	room, err := s.rooms.Direct(ctx, who.app.Name, filter.Pair{A: who.user, B: target})
	if err != nil {
		return nil, err
	}
	return s.block(ctx, who, list, writtenJSON{Blockee: shown.profile(target), Room: room.ID})
}

// block puts the blockee of an answer on a list and completes the answer.
func (s *Surface) block(ctx context.Context, who *caller, list filter.ListID, answer writtenJSON) (any, error) {
	done, err := s.lists.Block(ctx, filter.BlockRequest{
		List: list, Addition: filter.Addition{Target: answer.Blockee.ID, Keep: true}, Source: source, Actor: who.user,
	})
	switch {
	case err != nil:
		return nil, err
	case done.Created:
		return answer.of(who, done.Block, done.Block.CreatedAt), nil
	case !who.app.Upsert:
		return nil, errAlready
	}
	return answer.of(who, done.Block, s.now()), nil
}

// unblockMine unblocks a user, who may have left the directory meanwhile.
func (s *Surface) unblockMine(ctx context.Context, who *caller, ids pathIDs) (any, error) {
	list, target, err := who.mine(ids)
	if err != nil {
		return nil, err
	}
	shown, err := s.lookup(ctx, who.app, target)
	if err != nil {
		return nil, err
	}
	rooms, err := s.rooms.OfPeers(ctx, who.app.Name, who.user, []string{target})
	if err != nil {
		return nil, err
	}
	return s.unblock(ctx, who, list, writtenJSON{Blockee: shown.profile(target), Room: rooms[target].ID})
}

// unblock takes the blockee of an answer off a list and completes the answer.
func (s *Surface) unblock(ctx context.Context, who *caller, list filter.ListID, answer writtenJSON) (any, error) {
	done, err := s.lists.Unblock(ctx, filter.UnblockRequest{
		List: list, Target: answer.Blockee.ID, Source: source, Actor: who.user,
	})
	if err != nil {
		return nil, err
	}
	return answer.of(who, done.Block, s.now()), nil
}

// of completes an answer. The clock of the database may be ahead of ours: nothing
// was changed before it was made.
func (answer writtenJSON) of(who *caller, b filter.Block, updated time.Time) writtenJSON {
	if updated.Before(b.CreatedAt) {
		updated = b.CreatedAt
	}
	answer.AppID, answer.Blocker = who.app.Name, who.user
	answer.CreatedAt, answer.UpdatedAt = instant(b.CreatedAt), instant(updated)
	return answer
}

// listMine shows whom the user has blocked, and banned from rooms, newest first.
func (s *Surface) listMine(ctx context.Context, who *caller, _ pathIDs) (any, error) {
	list, err := who.own()
	if err != nil {
		return nil, err
	}
	page, err := s.lists.Whole(ctx, list)
	if err != nil {
		return nil, err
	}
	bans, err := s.rooms.Bans(ctx, who.app.Name, who.user, source)
	if err != nil {
		return nil, err
	}
	peers := targets(page.Blocks)
	rooms, err := s.rooms.OfPeers(ctx, who.app.Name, who.user, peers)
	if err != nil {
		return nil, err
	}
	shown, err := s.lookup(ctx, who.app, append(peers, targets(bans)...)...)
	if err != nil {
		return nil, err
	}
	data := make([]entryJSON, 0, len(page.Blocks)+len(bans))
	blocks := page.Blocks
	for len(blocks)+len(bans) > 0 {
		var b filter.Block
		var room roomJSON
		if len(bans) == 0 || len(blocks) > 0 && !blocks[0].CreatedAt.Before(bans[0].CreatedAt) {
			b, blocks = blocks[0], blocks[1:]
			room = directRoom(rooms[b.Target])
		} else {
			b, bans = bans[0], bans[1:]
			room = groupRoom(b.Owner)
		}
		at := instant(b.CreatedAt)
		data = append(data, entryJSON{shown.profile(b.Target), who.user, room, at, at})
	}
	return dataJSON[entryJSON]{data}, nil
}

// targets returns who is on a list.
func targets(blocks []filter.Block) []string {
	ids := make([]string, len(blocks))
	for i := range blocks {
		ids[i] = blocks[i].Target
	}
	return ids
}

// directory is what is shown of users, by id.
type directory map[string]filter.User

// lookup reads users from the directory, however many they are.
func (s *Surface) lookup(ctx context.Context, app *App, ids ...string) (directory, error) {
	shown := make(directory, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), filter.MaxLookup)
		found, err := s.users.Lookup(ctx, app.Name, ids[:n])
		if err != nil {
			return nil, err
		}
		for id, user := range found {
			shown[id] = user
		}
		ids = ids[n:]
	}
	return shown, nil
}

func (d directory) has(id string) bool {
	_, ok := d[id]
	return ok
}

// profile shows a user; one whom the directory lacks has an id and nothing else.
func (d directory) profile(id string) profileJSON {
	user := d[id]
	return profileJSON{id, user.AvatarURL, user.Nickname, id, millis(user.LastLoginAt)}
}
