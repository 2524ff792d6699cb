package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// ErrStandby is returned, wrapped, where the database answers as a standby. Its
// snapshots do not list running transactions, so following it would silently
// miss changes.
var ErrStandby = errors.New("the database is a standby (hot or promoting); postgres.url must lead to the primary")

// ErrHash is returned by [Store.Check] if the server's hashtextextended differs
// from ours, as on a big-endian machine. No page could be found by its hash.
var ErrHash = errors.New("the database hashes text differently from this program, so its lists cannot be read; " +
	"a little-endian PostgreSQL server is needed")

// ErrEncoding is returned, wrapped, if the database is not encoded in UTF8.
var ErrEncoding = errors.New("the database must have the encoding UTF8; create it with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0")

// ErrOldServer is returned, wrapped, if the server is older than PostgreSQL 14.
var ErrOldServer = errors.New("PostgreSQL 14 or newer is needed")

// SchemaError tells that the schema of the database is not the one this program
// was written for.
type SchemaError struct {
	Have int // 0 = none
	Want int // [SchemaVersion]
}

// Error says which command helps.
func (e *SchemaError) Error() string {
	switch {
	case e.Have == 0:
		return "the database has no sidegate schema yet; run: sidegate migrate up"
	case e.Have < e.Want:
		return fmt.Sprintf("the database has schema version %d and this program needs %d; run: sidegate migrate up", e.Have, e.Want)
	default:
		return fmt.Sprintf("the database has schema version %d and this program knows only %d; use a newer sidegate", e.Have, e.Want)
	}
}

// SQLSTATEs that are told apart. SG001 to SG003 are ours:
// hold_limit, once and edit_users raise them.
const (
	stateLimit             = "SG001"
	stateReplayed          = "SG002"
	stateDirectory         = "SG003"
	stateCheckViolation    = "23514"
	stateReadOnly          = "25006"
	stateSerialization     = "40001"
	stateDeadlock          = "40P01"
	stateLockTimeout       = "55P03"
	stateUndefinedFunction = "42883"
	stateUndefinedTable    = "42P01"
	stateNoSchema          = "3F000"
	stateNotPermitted      = "42501"
	stateUniqueViolation   = "23505"
	stateDuplicateSchema   = "42P06"
)

// state returns the SQLSTATE of err, "" if the server did not report it.
func state(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// retryable reports whether the statement lost a race and may simply be tried
// again: the server has undone it.
func retryable(err error) bool {
	switch state(err) {
	case stateSerialization, stateDeadlock, stateLockTimeout:
		return true
	}
	return false
}

// outage reports whether err is about the state of the server or of the way to
// it rather than about the statement.
func outage(err error) bool {
	code := state(err)
	if code == "" {
		_, unreadable := errors.AsType[*decodeError](err)
		return !unreadable
	}
	switch code {
	case stateReadOnly, stateUndefinedTable, stateUndefinedFunction, stateNoSchema, stateNotPermitted:
		// A standby, a schema that was taken away, a role without its rights.
		return true
	}
	// Lost races, connection, resources, intervention by an operator, I/O.
	return retryable(err) || strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") ||
		strings.HasPrefix(code, "57") || strings.HasPrefix(code, "58")
}

// decodeError says that the server answered, but not in the way we understand.
type decodeError struct{ err error }

func (e *decodeError) Error() string { return "unreadable answer: " + e.err.Error() }
func (e *decodeError) Unwrap() error { return e.err }

// Is reports that the database has answered, see [cache.ErrUnreadable].
func (e *decodeError) Is(target error) bool { return target == cache.ErrUnreadable }

// readError turns the failure of a read into what a client may see.
func readError(op string, err error) error {
	err = fmt.Errorf("postgres: %s: %w", op, err)
	if outage(err) || errors.Is(err, ErrStandby) {
		return &filter.Error{
			Code: filter.CodeStoreUnavailable, Err: err,
			Detail: "the database cannot be read at the moment; try again",
		}
	}
	return err
}

// writeError turns the failure of a write into what a client may see. It must
// not claim that nothing was stored unless that is certain: an ERROR of the
// server undoes the statement, but a FATAL one may come after the commit, and a
// lost connection says nothing.
func writeError(op string, err error) error {
	err = fmt.Errorf("postgres: %s: %w", op, err)
	pg, reported := errors.AsType[*pgconn.PgError](err)
	_, unsent := errors.AsType[*unsentError](err)
	switch {
	case reported && pg.Code == stateLimit:
		return limitError(pg, err)
	case reported && pg.Code == stateReplayed:
		return &filter.Error{Code: filter.CodeReplayed, Err: err, Detail: "this very request has been made before; nothing was done"}
	case reported && pg.Code == stateDirectory:
		return &filter.Error{
			Code: filter.CodeDirectoryReadOnly, Err: err,
			Detail: "the users of this installation are kept in another table, which sidegate only reads; " +
				"nothing was stored, write them where they are kept",
		}
	case reported && pg.Code == stateCheckViolation:
		return checkError(pg, err)
	case reported && pg.Code == stateNotPermitted:
		return &filter.Error{
			Code: filter.CodeStoreUnavailable, Err: err,
			Detail: "the role that sidegate has in the database has no right to do this; nothing was stored",
		}
	case unsent || pgconn.SafeToRetry(err) || (reported && pg.SeverityUnlocalized == "ERROR" && outage(err)):
		return &filter.Error{
			Code: filter.CodeStoreUnavailable, Err: err,
			Detail: "the database cannot take the change at the moment; nothing was stored, try again",
		}
	case reported && pg.SeverityUnlocalized == "ERROR":
		return err
	}
	return &filter.Error{
		Code: filter.CodeOutcomeUnknown, Err: err,
		Detail: "the database did not confirm the change; it may have been stored, repeating it is safe",
	}
}

// limitError reads the detail that hold_limit wrote.
func limitError(pg *pgconn.PgError, cause error) error {
	var limit, size int
	if _, err := fmt.Sscanf(pg.Detail, "limit=%d size=%d", &limit, &size); err != nil {
		return cause
	}
	return &filter.Error{
		Code: filter.CodeLimitExceeded, Limit: limit, Size: size, Err: cause,
		Detail: fmt.Sprintf("the list holds %d entries and may hold %d; nothing was stored", size, limit),
	}
}

// checkError names the rule that a constraint of a table found broken.
// Callers have checked before; this is the last line.
func checkError(pg *pgconn.PgError, cause error) error {
	e := &filter.Error{Err: cause}
	switch pg.ConstraintName {
	case "block_owner_is_not_target":
		e.Code, e.Detail = filter.CodeSelfBlock, "a user cannot be on their own list"
	case "block_owner_is_an_id", "block_target_is_an_id", "directory_id_check":
		e.Code, e.Detail = filter.CodeInvalidUserID, "an id has 1 to 256 bytes and no control characters"
	case "block_expires_at_is_finite":
		e.Code, e.Detail = filter.CodeInvalidExpiry, "the expiry must be a finite time after 1970"
	case "block_note_is_short":
		e.Code, e.Detail = filter.CodeInvalidNote, "a note has at most 1024 bytes"
	default:
		return cause
	}
	return e
}
