package postgres

// SetMaxChanges lowers the bound of a poll, so that a test can reach it.
func SetMaxChanges(s *Store, n int) { s.maxChanges = n }

// The statements whose plans are tested.
const (
	PollSQL   = pollSQL
	LoadSQL   = loadSQL
	RecallSQL = recallSQL
	UsersSQL  = usersSQL
)

// BlockedBySQL is the statement that reads on whose lists a target is.
var BlockedBySQL = blockedBySQL

// HistorySQL is the statement that reads the intervals of a list, or of a pair.
func HistorySQL(pair bool) string { return historyStatement(pair) }

// ParseURL reports what [Open] says about a connection string.
func ParseURL(dsn string) error {
	_, err := parseURL(dsn)
	return err
}

// CheckServer judges a server that the tests do not have.
var CheckServer = checkServer

// Code returns the SQLSTATE of an error, "" if the server did not report it.
var Code = state
