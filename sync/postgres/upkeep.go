package postgres

import (
	"context"
	"time"

	"github.com/sidegate/sidegate/filter"
)

const (
	expireSQL = `select to_json(sidegate.expire($1::int))`
	trimSQL   = `select to_json(sidegate.trim($1::bigint * interval '1 microsecond', $2::int) + sidegate.trim_foreign($2::int))`
	repairSQL = `select to_json(sidegate.repair($1::text, $2::text, $3::text))`
	bumpSQL   = `select to_json(sidegate.bump_incarnation())`

	trimForeignSQL = `select to_json(sidegate.trim_foreign($1::int))`
)

// trimBatch is about how many changes one transaction removes: far fewer than fit
// into [writeTimeout].
const trimBatch = 20_000

// Expire ends up to batch entries that have expired, as history and feed show,
// and returns how many. It waits for nobody: a list that is being written is
// left to its writer. A result below batch means that nothing else is due.
// Errors are those of [Store.Edit].
func (s *Store) Expire(ctx context.Context, batch int) (ended int, err error) {
	if err := s.write(ctx, &ended, expireSQL, batch); err != nil {
		return 0, writeError("end expired entries", err)
	}
	return ended, nil
}

// Trim removes changes older than keep from the feed and returns how many. Who
// has not read them by then starts over, so keep is how long a sidecar may
// sleep. So are changes that came with a dump of another cluster, whatever their
// age, since every poll would read them again. It works in short transactions; of several processes that trim at once,
// one works. Errors are those of [Store.Edit]; what was removed before stays so.
func (s *Store) Trim(ctx context.Context, keep time.Duration) (removed int64, err error) {
	return s.trim(ctx, trimSQL, keep.Microseconds(), trimBatch)
}

// trim repeats a statement that removes about [trimBatch] changes until it finds
// fewer.
func (s *Store) trim(ctx context.Context, query string, args ...any) (removed int64, err error) {
	for {
		var n int64
		if err := s.write(ctx, &n, query, args...); err != nil {
			return removed, writeError("trim the feed", err)
		}
		if removed += n; n < trimBatch {
			return removed, nil
		}
	}
}

// Repair counts a list again and reports whether its header was wrong. It can be
// only if the triggers were bypassed, by session_replication_role or a restore
// without them. Errors are those of [Store.Edit].
func (s *Store) Repair(ctx context.Context, list filter.ListID) (wrong bool, err error) {
	if err := s.write(ctx, &wrong, repairSQL, list.App, list.Kind.String(), list.Owner); err != nil {
		return false, writeError("repair a list", err)
	}
	return wrong, nil
}

// BumpIncarnation gives the database a new identity: whoever follows it starts over
// and reads every list again. It is for a database of which nobody can tell what was
// set back. Errors are those of [Store.Edit]; repeating it is safe, and costs as
// much again.
func (s *Store) BumpIncarnation(ctx context.Context) error {
	// What came with a dump of another cluster would make them start over again.
	if _, err := s.trim(ctx, trimForeignSQL, trimBatch); err != nil {
		return err
	}
	var incarnation string
	if err := s.write(ctx, &incarnation, bumpSQL); err != nil {
		return writeError("bump the incarnation", err)
	}
	s.written()
	return nil
}
