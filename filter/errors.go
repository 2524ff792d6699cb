package filter

import "fmt"

// Code is the stable name of an error, the same in every door that shows it.
type Code string

// The codes that this package and its stores return.
const (
	CodeInvalidUserID    Code = "invalid_user_id"
	CodeSelfBlock        Code = "self_block"
	CodeInvalidExpiry    Code = "invalid_expiry"
	CodeInvalidNote      Code = "invalid_note"
	CodeInvalidRevision  Code = "invalid_revision"
	CodeInvalidCursor    Code = "invalid_cursor"
	CodeInvalidLimit     Code = "invalid_limit"
	CodeUnknownApp       Code = "unknown_app"
	CodeBlockNotFound    Code = "block_not_found"
	CodeUserNotFound     Code = "user_not_found"
	CodeInvalidUser      Code = "invalid_user"
	CodeLimitExceeded    Code = "limit_exceeded"
	CodeConflictingBatch Code = "conflicting_batch"
	CodeReplayed         Code = "replayed"
	// CodeDirectoryReadOnly: the deployer keeps the users elsewhere.
	CodeDirectoryReadOnly Code = "directory_read_only"
	CodeStoreUnavailable  Code = "store_unavailable"
	CodeOutcomeUnknown    Code = "outcome_unknown"
	CodeTooLarge          Code = "too_large"

	// Only of single lines of an import.
	CodeInvalidLine      Code = "invalid_line"
	CodeInvalidCreatedAt Code = "invalid_created_at"
)

// Error is an error that a client may see. Code and Detail are for the client;
// the wrapped cause, such as the database's own text, is for the log and never
// part of Detail.
type Error struct {
	Code   Code
	Detail string // a plain sentence: what was wrong, where, what would be right
	Limit  int    // with CodeLimitExceeded: the app's limit
	Size   int    // with CodeLimitExceeded: entries in the list now
	Err    error  // cause, may be nil
}

// Errorf returns an *Error without a cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Error returns code, detail and cause: text for a log.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Detail
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
