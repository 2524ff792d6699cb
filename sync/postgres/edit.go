package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const editSQL = `select sidegate.edit($1::text, $2::text, $3::text, $4::text[], $5::timestamptz[], $6::text[],
	$7::boolean[], $8::text[], $9::text, $10::text)`

const modeSQL = `select sidegate.set_allowlist_modes($1::text, $2::text[], $3::boolean)`

// editedJSON is what sidegate.edit and sidegate.set_allowlist_mode answer.
type editedJSON struct {
	Identity whoJSON      `json:"identity"`
	Version  int64        `json:"version"`
	Size     int          `json:"size"`
	Changes  []changeJSON `json:"changes"`
	Added    []blockJSON  `json:"added"`
	Created  []bool       `json:"created"`
	Removed  []blockJSON  `json:"removed"`
}

// Edit makes one change to one list, as [filter.BlockStore] asks. Entries of the
// list that have expired are ended first, so adding one of them again makes a
// new entry. Times are kept to the microsecond. A try takes at most two seconds
// to get a connection and two for the statement; an edit that loses a race for
// a lock is tried four times. An edit that adds one entry and does nothing else
// shares a transaction with others like it that come at the same time, and is
// tried so once before it is tried alone; what is
// wrong with one of them is no concern of the others. If ctx ends while such a
// transaction is under way, its end is awaited all the same.
func (s *Store) Edit(ctx context.Context, edit filter.Edit) (filter.Edited, error) {
	n := len(edit.Add)
	targets, notes := make([]string, n), make([]string, n)
	expires, keep := make([]*time.Time, n), make([]bool, n)
	for i, a := range edit.Add {
		targets[i], notes[i], keep[i], expires[i] = a.Target, a.Note, a.Keep, expiry(&a)
	}
	remove := edit.Remove
	if remove == nil {
		remove = []string{} // nil would be NULL
	}
	list := edit.List
	query, params := once(editSQL, list.App, edit.Once, list.App, list.Kind.String(), list.Owner,
		targets, expires, notes, keep, remove, edit.Source, edit.Actor)
	return s.edit(ctx, &edit, query, params)
}

// SetAllowlistMode switches allowlist mode of users, as [filter.BlockStore] asks.
// Errors are those of [Store.Edit].
func (s *Store) SetAllowlistMode(ctx context.Context, change filter.ModeChange) ([]filter.Edited, error) {
	const op = "set allowlist mode"
	var answers []editedJSON
	query, args := once(modeSQL, change.App, change.Once, change.App, change.Owners, change.On)
	if err := s.write(ctx, &answers, query, args...); err != nil {
		return nil, writeError(op, err)
	}
	s.written()
	if len(answers) != len(change.Owners) {
		return nil, writeError(op, &decodeError{fmt.Errorf("%d answers for %d users", len(answers), len(change.Owners))})
	}
	edits := make([]filter.Edited, len(answers))
	for i := range answers {
		var err error
		list := filter.ListID{App: change.App, Kind: cache.KindBlock, Owner: change.Owners[i]}
		if edits[i], err = answers[i].edited(list); err != nil {
			return nil, writeError(op, err)
		}
	}
	return edits, nil
}

func (s *Store) edit(ctx context.Context, edit *filter.Edit, query string, args []any) (filter.Edited, error) {
	const op = "edit a list"
	waiting, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	list := edit.List
	done, err := s.turns.take(waiting, list)
	if err != nil {
		return filter.Edited{}, writeError(op, &unsentError{err})
	}
	defer done()
	if plain(edit) {
		p := &passenger{edit: *edit, called: make(chan bool, 1)}
		switch s.ride(waiting, p); {
		case p.err == nil && !p.alone:
			return p.edited, nil
		case !p.alone:
			return filter.Edited{}, writeError(op, p.err)
		}
	}
	var answer editedJSON
	if err := s.write(ctx, &answer, query, args...); err != nil {
		return filter.Edited{}, writeError(op, err)
	}
	s.written()
	edited, err := answer.edited(list)
	if err != nil {
		return filter.Edited{}, writeError(op, err)
	}
	return edited, nil
}

func (e *editedJSON) edited(list filter.ListID) (filter.Edited, error) {
	id, err := e.Identity.identity()
	if err != nil {
		return filter.Edited{}, err
	}
	out := filter.Edited{
		Identity: id, Version: e.Version, Size: e.Size, Created: e.Created,
		Changes: make([]cache.Change, len(e.Changes)),
		Added:   blocks(list.Owner, e.Added), Removed: blocks(list.Owner, e.Removed),
	}
	for i := range e.Changes {
		out.Changes[i] = e.Changes[i].change(list)
	}
	return out, nil
}
