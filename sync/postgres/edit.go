package postgres

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const editSQL = `select sidegate.edit($1::text, $2::text, $3::text, $4::text[], $5::timestamptz[], $6::text[],
	$7::boolean[], $8::text[], $9::text, $10::text)`

const modeSQL = `select sidegate.set_allowlist_mode($1::text, $2::text, $3::boolean)`

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
// a lock is tried four times.
func (s *Store) Edit(ctx context.Context, edit filter.Edit) (filter.Edited, error) {
	n := len(edit.Add)
	targets, notes := make([]string, n), make([]string, n)
	expires, keep := make([]*time.Time, n), make([]bool, n)
	for i, a := range edit.Add {
		targets[i], notes[i], keep[i] = a.Target, a.Note, a.Keep
		if !a.ExpiresAt.IsZero() {
			at := a.ExpiresAt.Truncate(time.Microsecond)
			expires[i] = &at
		}
	}
	remove := edit.Remove
	if remove == nil {
		remove = []string{} // nil would be NULL
	}
	list := edit.List
	return s.edited(ctx, "edit a list", list, editSQL, list.App, list.Kind.String(), list.Owner,
		targets, expires, notes, keep, remove, edit.Source, edit.Actor)
}

// SetAllowlistMode switches allowlist mode of a user on or off; nothing changes
// if it is so already. Errors are those of [Store.Edit].
func (s *Store) SetAllowlistMode(ctx context.Context, app, owner string, on bool) (filter.Edited, error) {
	list := filter.ListID{App: app, Kind: cache.KindBlock, Owner: owner}
	return s.edited(ctx, "set allowlist mode", list, modeSQL, app, owner, on)
}

func (s *Store) edited(ctx context.Context, op string, list filter.ListID, query string, args ...any) (filter.Edited, error) {
	var answer editedJSON
	waiting, cancel := context.WithTimeout(ctx, acquireTimeout)
	done, err := s.turns.take(waiting, list)
	cancel()
	if err != nil {
		return filter.Edited{}, writeError(op, &unsentError{err})
	}
	defer done()
	if err := s.write(ctx, &answer, query, args...); err != nil {
		return filter.Edited{}, writeError(op, err)
	}
	id, err := answer.Identity.identity()
	if err != nil {
		return filter.Edited{}, writeError(op, err)
	}
	out := filter.Edited{
		Identity: id, Version: answer.Version, Size: answer.Size, Created: answer.Created,
		Changes: make([]cache.Change, len(answer.Changes)),
		Added:   blocks(list.Owner, answer.Added), Removed: blocks(list.Owner, answer.Removed),
	}
	for i := range answer.Changes {
		out.Changes[i] = answer.Changes[i].change(list)
	}
	return out, nil
}
