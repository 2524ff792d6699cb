package config

import (
	"errors"
	"net/url"
	"strings"
)

func redact(v any) any {
	if v == "" {
		return ""
	}
	return Redacted
}

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

func isPostgresURL(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// keywordDSN reports whether s begins like "host=… dbname=…".
func keywordDSN(s string) bool {
	key, _, ok := strings.Cut(strings.TrimSpace(s), "=")
	return ok && !strings.ContainsAny(key, ":/@ ")
}

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
	for name := range query {
		if strings.Contains(strings.ToLower(name), "pass") {
			query.Set(name, Redacted)
		}
	}
	u.RawQuery = query.Encode()
	return strings.ReplaceAll(u.String(), url.QueryEscape(Redacted), Redacted)
}
