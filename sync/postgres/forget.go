package postgres

import (
	"context"
	"time"
)

const (
	forgetSQL      = `select sidegate.forget($1::text, $2::text, $3::int)`
	mentionsSQL    = `select sidegate.mentions($1::text, $2::text)`
	trimHistorySQL = `select to_json(sidegate.trim_history($1::text, $2::bigint * interval '1 microsecond', $3::int))`
)

// forgetBatch is about how many rows of a kind one transaction removes. Each entry on
// somebody's list is a change of that list, under its lock.
const forgetBatch = 200

// Mentions is how often a user is named, or how much of that was removed.
type Mentions struct {
	Own     int64 `json:"own"`     // entries of their lists
	Named   int64 `json:"named"`   // entries about them on the lists of others and of rooms
	Headers int64 `json:"headers"` // lists of theirs, empty ones included
	History int64 `json:"history"` // ended intervals, theirs and about them
	Rooms   int64 `json:"rooms"`   // direct rooms with them
	Users   int64 `json:"users"`   // records of the directory
	Actors  int64 `json:"actors"`  // bans of rooms that they made, and ended ones: these stay, without a name
}

// Total is the sum.
func (m Mentions) Total() int64 {
	return m.Own + m.Named + m.Headers + m.History + m.Rooms + m.Users + m.Actors
}

func (m *Mentions) add(n Mentions) {
	m.Own, m.Named, m.Headers = m.Own+n.Own, m.Named+n.Named, m.Headers+n.Headers
	m.History, m.Rooms, m.Users, m.Actors = m.History+n.History, m.Rooms+n.Rooms, m.Users+n.Users, m.Actors+n.Actors
}

// Mentions counts what [Store.Forget] would remove. Errors are those of [Store.List].
func (s *Store) Mentions(ctx context.Context, app, user string) (m Mentions, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := readJSON(ctx, s.loads, &m, mentionsSQL, app, user); err != nil {
		return Mentions{}, readError("count where a user is named", err)
	}
	return m, nil
}

// Forget removes a user of an app from everything that is kept, in both directions:
// who they blocked, who blocked them, what became history of it. It works in short
// transactions and tells did, unless it is nil, what has gone so far. Followers learn
// of every removal. No version that a list of theirs ever had is given out again.
//
// It returns nil if there was a moment at which nothing was left. It is safe to
// repeat, and goes on where it ended. The feed names them until it is trimmed, and
// nonces name nobody. Errors are those of [Store.Edit].
func (s *Store) Forget(ctx context.Context, app, user string, did func(Mentions)) error {
	var all Mentions
	for {
		var some Mentions
		if err := s.write(ctx, &some, forgetSQL, app, user, forgetBatch); err != nil {
			return writeError("forget a user", err)
		}
		if some.Total() == 0 {
			return nil
		}
		s.written()
		all.add(some)
		if did != nil {
			did(all)
		}
	}
}

// TrimHistory removes up to batch intervals of an app that ended longer ago than keep,
// and returns how many; below batch, nothing else is due. Errors are those of
// [Store.Edit].
func (s *Store) TrimHistory(ctx context.Context, app string, keep time.Duration, batch int) (removed int, err error) {
	if err := s.write(ctx, &removed, trimHistorySQL, app, keep.Microseconds(), batch); err != nil {
		return 0, writeError("trim history", err)
	}
	return removed, nil
}
