package sendbird

import (
	"context"
	"fmt"
	"slices"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// page is the answer that names several users.
type page struct {
	Users []user `json:"users"`
	Next  string `json:"next"`
}

// blockList is the list of the user of the path.
func (in request) blockList() filter.ListID {
	return filter.ListID{App: in.app.name, Kind: cache.KindBlock, Owner: in.user}
}

// block answers POST. The directory is read first: a request that it refuses, or
// that fails with it, has stored nothing.
func (s *Surface) block(ctx context.Context, in request) (answer, error) {
	t, err := parseBlock(in.body)
	if err != nil {
		return nil, err
	}
	if slices.Contains(t.ids, in.user) {
		return nil, errSelf
	}
	known, err := s.lookup(ctx, in, t.ids...)
	if err != nil {
		return nil, err
	}
	if in.app.knownUsers && !known.all(t.ids) {
		return nil, errUser
	}
	edit := filter.Edit{List: in.blockList(), Source: Name}
	for _, id := range t.ids {
		edit.Add = append(edit.Add, filter.Addition{Target: id, Keep: true})
	}
	if _, err := s.lists.Edit(ctx, edit); err != nil {
		return nil, fmt.Errorf("block: %w", err)
	}
	if t.list {
		return page{Users: known.show(t.ids)}, nil
	}
	return known.user(t.ids[0]), nil
}

// unblock answers DELETE. Somebody whom the directory does not know any more can be
// unblocked all the same.
func (s *Surface) unblock(ctx context.Context, in request) (answer, error) {
	var known people
	if in.app.knownUsers { // or nobody would look at it
		var err error
		if known, err = s.lookup(ctx, in, in.target); err != nil {
			return nil, err
		}
	}
	done, err := s.lists.Edit(ctx, filter.Edit{List: in.blockList(), Remove: []string{in.target}, Source: Name})
	if err != nil {
		return nil, fmt.Errorf("unblock: %w", err)
	}
	if in.app.knownUsers && len(done.Removed) == 0 && !known.all([]string{in.target}) {
		return nil, errUser
	}
	return struct{}{}, nil
}

// list answers GET. Entries come from the database and profiles after them; who leaves
// the directory in between is shown with empty fields, as everybody is whom it never had.
func (s *Surface) list(ctx context.Context, in request) (answer, error) {
	l, err := parseListing(in.query)
	if err != nil {
		return nil, err
	}
	if in.app.knownUsers {
		if _, err := s.lookup(ctx, in); err != nil {
			return nil, err
		}
	}
	ids, next, err := s.read(ctx, in, l)
	if err == nil && len(ids) == 0 && l.instead != nil {
		l.of = l.instead
		ids, next, err = s.read(ctx, in, l)
	}
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	known, err := s.profiles(ctx, in, ids)
	if err != nil {
		return nil, err
	}
	return page{Users: known.show(ids), Next: next}, nil
}

// read reads a piece of the list of a user, or of the lists that the user is on.
func (s *Surface) read(ctx context.Context, in request, l listing) (ids []string, next string, err error) {
	if l.blocking {
		found, err := s.lists.BlockedBy(ctx, filter.BlockedByRequest{
			App: in.app.name, Kind: cache.KindBlock, Target: in.user, Limit: l.limit, Cursor: l.token, Of: l.of,
		})
		for i := range found.Blocks {
			ids = append(ids, found.Blocks[i].Owner)
		}
		return ids, found.Next, err
	}
	found, err := s.lists.List(ctx, filter.ListRequest{List: in.blockList(), Limit: l.limit, Cursor: l.token, Of: l.of})
	for i := range found.Blocks {
		ids = append(ids, found.Blocks[i].Target)
	}
	return ids, found.Next, err
}

// lookup reads the user of the path and others from the directory. In an app that
// knows its users, the user of the path must be one.
func (s *Surface) lookup(ctx context.Context, in request, others ...string) (people, error) {
	known, err := s.profiles(ctx, in, append(others[:len(others):len(others)], in.user))
	if err != nil {
		return nil, err
	}
	if in.app.knownUsers && !known.all([]string{in.user}) {
		return nil, errUser
	}
	return known, nil
}

// profiles reads users from the directory, in one statement. Nobody is no question.
func (s *Surface) profiles(ctx context.Context, in request, ids []string) (people, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.users.Lookup(ctx, in.app.name, ids)
}
