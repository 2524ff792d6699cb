package rongcloud

import (
	"context"
	"slices"
	"strconv"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// edit reads what both writes of a list take and prepares it.
func (r request) edit() (edit filter.Edit, targets []string, err error) {
	owner, err := r.owner()
	if err != nil {
		return edit, nil, err
	}
	if targets, err = r.form.ids(r.call.list.target); err != nil {
		return edit, nil, err
	}
	return filter.Edit{List: r.list(owner), Source: name, Actor: r.app.Key, Once: r.once}, targets, nil
}

// owner returns whose list a request is about.
func (r request) owner() (string, error) {
	if r.call.list.kind == cache.KindAllow && !r.app.Allowlist {
		return "", errNoAllowlist()
	}
	return r.form.user()
}

func (r request) list(owner string) filter.ListID {
	return filter.ListID{App: r.app.Name, Kind: r.call.list.kind, Owner: owner}
}

// add puts users on a list. Those who are there already keep note and expiry.
func (s *Surface) add(ctx context.Context, r request) (any, error) {
	edit, targets, err := r.edit()
	if err != nil {
		return nil, err
	}
	if err := s.known(ctx, r.app, fieldUser, edit.List.Owner); err != nil {
		return nil, err
	}
	if err := s.known(ctx, r.app, r.call.list.target, targets...); err != nil {
		return nil, err
	}
	// The vendor takes oneself and nothing comes of it.
	targets = slices.DeleteFunc(targets, func(id string) bool { return id == edit.List.Owner })
	if len(targets) == 0 {
		return done{codeOK}, s.use(ctx, r)
	}
	for _, id := range targets {
		edit.Add = append(edit.Add, filter.Addition{Target: id, Keep: true})
	}
	_, err = s.lists.Edit(ctx, edit)
	return done{codeOK}, err
}

// remove takes users off a list. That somebody is not on it is no error, and that
// the directory has lost them must not keep them there.
func (s *Surface) remove(ctx context.Context, r request) (any, error) {
	edit, targets, err := r.edit()
	if err != nil {
		return nil, err
	}
	if err := s.known(ctx, r.app, fieldUser, edit.List.Owner); err != nil {
		return nil, err
	}
	edit.Remove = targets
	_, err = s.lists.Edit(ctx, edit)
	return done{codeOK}, err
}

// page is the answer to a query of a list.
type page struct {
	Code  int      `json:"code"`
	Users []string `json:"users"`
	Next  string   `json:"next,omitempty"`
}

// query reads a list, newest first.
func (s *Surface) query(ctx context.Context, r request) (any, error) {
	owner, err := r.owner()
	if err != nil {
		return nil, err
	}
	token, err := r.form.optional(fieldToken)
	if err != nil {
		return nil, err
	}
	size, err := r.form.size()
	if err != nil {
		return nil, err
	}
	if err := s.known(ctx, r.app, fieldUser, owner); err != nil {
		return nil, err
	}
	if err := s.use(ctx, r); err != nil {
		return nil, err
	}
	found, err := s.lists.List(ctx, filter.ListRequest{List: r.list(owner), Limit: size, Cursor: token})
	if err != nil {
		return nil, err
	}
	p := page{Code: codeOK, Users: make([]string, len(found.Blocks)), Next: found.Next}
	for i := range found.Blocks {
		p.Users[i] = found.Blocks[i].Target
	}
	return p, nil
}

// size is the most users of a page, as many as go if nothing is said.
func (f form) size() (int, error) {
	text, err := f.optional(fieldSize)
	if err != nil || text == "" {
		return filter.MaxListLimit, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > filter.MaxListLimit {
		return 0, badf("size must be a number from 1 to %d.", filter.MaxListLimit)
	}
	return n, nil
}

// use takes the nonce of a request that writes nothing it could be stored with.
func (s *Surface) use(ctx context.Context, r request) error {
	if r.once.IsZero() {
		return nil
	}
	return s.lists.UseOnce(ctx, r.app.Name, r.once)
}
