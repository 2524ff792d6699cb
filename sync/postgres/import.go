package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

const importSQL = `select sidegate.import_lines($1::text, $2::text[], $3::text[], $4::text[], $5::timestamptz[],
	$6::timestamptz[], $7::text[], $8::boolean[], $9::text, $10::text)`

// A transaction has an id of its own as soon as it asks for one.
const markSQL = `select json_build_object('identity', sidegate.identity(), 'mark', pg_current_xact_id()::text)`

// Mark makes a transaction that changes nothing, as [filter.TransferStore] asks.
// Errors are those of [Store.Edit].
func (s *Store) Mark(ctx context.Context) (server cache.Identity, transaction uint64, err error) {
	const op = "mark the end of an import"
	var answer struct {
		Identity whoJSON `json:"identity"`
		Mark     uint64  `json:"mark,string"`
	}
	if err := s.write(ctx, &answer, markSQL); err != nil {
		return cache.Identity{}, 0, writeError(op, err)
	}
	if server, err = answer.Identity.identity(); err != nil {
		return cache.Identity{}, 0, writeError(op, err)
	}
	return server, answer.Mark, nil
}

// importTimeout bounds one statement of an import, which may carry a hundred
// thousand records. Waiting for a lock ends sooner, as for every write.
const importTimeout = time.Minute

// importModes are the names that sidegate.import_lines gives to the modes.
var importModes = [...]string{
	filter.ImportLists: "lists", filter.ImportWhole: "whole", filter.ImportCheck: "check",
}

// importedJSON is what sidegate.import_lines answers: one letter a record.
type importedJSON struct {
	Outcomes string `json:"outcomes"`
	Limit    int    `json:"limit"`
}

// importColumns are records as the arrays of the statement. nil is NULL.
type importColumns struct {
	kinds, owners []string
	targets       []*string
	created       []*time.Time
	expires       []pgtype.Timestamptz
	notes         []*string
	modes         []*bool
}

func columnsOf(records []filter.Record) *importColumns {
	n := len(records)
	c := &importColumns{
		kinds: make([]string, n), owners: make([]string, n), targets: make([]*string, n), created: make([]*time.Time, n),
		expires: make([]pgtype.Timestamptz, n), notes: make([]*string, n), modes: make([]*bool, n),
	}
	for i := range records {
		r := &records[i]
		c.kinds[i], c.owners[i] = r.Kind.String(), r.Owner
		if r.Target == "" {
			c.modes[i] = &r.Allowlist
			continue
		}
		c.targets[i] = &r.Target
		if !r.CreatedAt.IsZero() {
			c.created[i] = &r.CreatedAt
		}
		// An entry that keeps its expiry has none yet if it is new.
		switch {
		case !r.ExpiresAt.IsZero():
			c.expires[i] = pgtype.Timestamptz{Time: r.ExpiresAt, Valid: true}
		case !r.KeepExpiry:
			c.expires[i] = pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
		}
		if !r.KeepNote {
			c.notes[i] = &r.Note
		}
	}
	return c
}

// Import stores records of an app in one transaction, as [filter.TransferStore]
// asks. Lists are locked in their order, so that imports and edits wait for each
// other and never in a circle; a call that loses a race for a lock is tried four
// times. Times are kept to the microsecond.
func (s *Store) Import(ctx context.Context, lines filter.Import) (filter.Imported, error) {
	const op = "import lines"
	c := columnsOf(lines.Records)
	var answer importedJSON
	var err error
	for range 1 + writeRetries {
		err = s.writeWithin(ctx, importTimeout, &answer, importSQL, lines.App, c.kinds, c.owners, c.targets, c.created,
			c.expires, c.notes, c.modes, lines.Actor, importModes[lines.Mode])
		// The limit was lowered between the look and the write: look again.
		if state(err) != stateLimit {
			break
		}
	}
	if err != nil {
		return filter.Imported{}, writeError(op, err)
	}
	s.written()
	if len(answer.Outcomes) != len(lines.Records) {
		err := fmt.Errorf("%d outcomes of %d records", len(answer.Outcomes), len(lines.Records))
		return filter.Imported{}, writeError(op, &decodeError{err})
	}
	done := filter.Imported{Outcomes: make([]filter.ImportOutcome, len(lines.Records)), Limit: answer.Limit}
	for i := range done.Outcomes {
		switch answer.Outcomes[i] {
		case 'c':
			done.Outcomes[i] = filter.ImportCreated
		case 'u':
			done.Outcomes[i] = filter.ImportUpdated
		case 'l':
			done.Outcomes[i] = filter.ImportOverLimit
		}
	}
	return done, nil
}
