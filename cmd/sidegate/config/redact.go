package config

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// redact hides a secret, but not that there is none.
func redact(v any) any {
	if v == "" {
		return ""
	}
	return Redacted
}

// redactAll hides secrets, but not how many there are: that is what one looks for
// while one is rotated.
func redactAll(v any) any {
	out := []any{}
	for range v.([]string) {
		out = append(out, Redacted)
	}
	return out
}

// showTokens prints who holds a token and what it opens. A hash is hidden as
// well: of a short token it can be turned back.
func showTokens(v any) any {
	out := []any{}
	for _, t := range v.([]Token) {
		entry := map[string]any{"name": t.Name, "scopes": t.Scopes}
		if t.File != "" {
			entry["file"] = t.File
		} else {
			entry["token"] = Redacted
		}
		if t.Apps != nil {
			entry["apps"] = t.Apps
		}
		out = append(out, entry)
	}
	return out
}

// parseDSN looks at no more than it takes to refuse what is certainly wrong:
// the grammar is the driver's, which reads the text when it connects.
func parseDSN(raw any) (any, error) {
	s, err := text(raw)
	switch {
	case err != nil:
		return nil, err
	case strings.ContainsRune(s, 0):
		return nil, errors.New("this holds a zero byte")
	case s == "" || isPostgresURL(s) || keywordDSN(s):
		return s, nil
	}
	return nil, errors.New("this is not a Postgres URL; write postgres://user:password@host:5432/database, or host=… dbname=…")
}

// isPostgresURL reports whether s has one of the two schemes of libpq.
// Source: PostgreSQL documentation, "34.1.1.2. Connection URIs".
func isPostgresURL(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// keywordDSN reports whether s begins like "host=… dbname=…".
func keywordDSN(s string) bool {
	key, _, ok := strings.Cut(s, "=")
	return ok && !strings.ContainsAny(strings.TrimSpace(key), ":/@ ")
}

// openParameters are shown with their value, if that is plain. All others are
// hidden: a new one may hold a secret, and an = or ? in the wrong place puts a
// password where none belongs.
var openParameters = map[string]bool{
	"application_name": true, "connect_timeout": true, "dbname": true, "host": true, "port": true,
	"search_path": true, "sslmode": true, "target_session_attrs": true, "timezone": true, "user": true,
}

var plainValue = regexp.MustCompile(`^[A-Za-z0-9_.,/-]*$`)

// redactDSN hides every value that may be a secret. A text of which it is not
// certain where its password ends is hidden whole: the keyword form, and a URL
// with an @, # or ? that someone forgot to encode.
func redactDSN(dsn string) string {
	if dsn == "" {
		return ""
	}
	u, err := url.Parse(dsn)
	if !isPostgresURL(dsn) || err != nil || u.Fragment != "" || strings.Count(dsn, "@") > 1 ||
		strings.Contains(dsn, "@") && u.User == nil {
		return Redacted
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), Redacted)
	}
	query := u.Query()
	for name, values := range query {
		if len(values) != 1 || !openParameters[name] || !plainValue.MatchString(values[0]) {
			query[name] = []string{Redacted}
		}
	}
	if _, odd := query[""]; odd {
		return Redacted
	}
	u.RawQuery = query.Encode()
	return strings.ReplaceAll(u.String(), url.QueryEscape(Redacted), Redacted)
}
