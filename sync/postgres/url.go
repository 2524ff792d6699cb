package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connectTimeout bounds one attempt to connect, unless the URL says otherwise.
const connectTimeout = 2 * time.Second

// CheckURL returns nil if a connection string can be used, without connecting.
// Its errors hold no part of the string that may be a password.
func CheckURL(dsn string) error {
	_, err := parseURL(dsn)
	return err
}

// parseURL reads a connection string, URL or key=value. Its errors never hold
// the password, nor any other part of the string that might be one: pgx redacts
// what it recognises, but a string that cannot be parsed cannot be redacted.
func parseURL(dsn string) (*pgxpool.Config, error) {
	if strings.TrimSpace(dsn) == "" {
		return nil, errors.New("postgres.url is empty; it looks like postgres://user:password@host:5432/database")
	}
	// A NUL ends a string in the start-up message: what follows would be read as
	// parameters of its own.
	if strings.ContainsRune(dsn, 0) {
		return nil, errors.New("postgres.url contains a NUL byte")
	}
	if decoded, err := url.PathUnescape(dsn); err == nil && strings.ContainsRune(decoded, 0) {
		return nil, errors.New("postgres.url contains an encoded NUL byte (%00)")
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("postgres.url cannot be used: %s", reason(dsn, err))
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if _, set := config.ConnConfig.RuntimeParams["application_name"]; !set {
		config.ConnConfig.RuntimeParams["application_name"] = "sidegate"
	}
	return config, nil
}

// parsePrefix is how pgx introduces its reason: it quotes the whole string first.
var parsePrefix = regexp.MustCompile("(?s)^cannot parse `.*`: ")

// reason returns why pgx refused the string, if that can be told without quoting
// from it.
func reason(dsn string, err error) string {
	const fallback = "it is neither a URL such as postgres://user:password@host:5432/database nor a list of key=value"
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); !ok {
		return fallback
	}
	text := parsePrefix.ReplaceAllString(err.Error(), "")
	for _, word := range strings.FieldsFunc(dsn, func(r rune) bool { return strings.ContainsRune(`:/@?&= '"`, r) }) {
		if len(word) > 2 && !known[word] && strings.Contains(text, word) {
			return fallback
		}
	}
	return text
}

// known holds words of connection strings that are no secrets.
var known = map[string]bool{
	"postgres": true, "postgresql": true, "sslmode": true, "host": true, "port": true, "user": true,
	"password": true, "dbname": true, "sslrootcert": true, "sslcert": true, "sslkey": true,
	"connect_timeout": true, "target_session_attrs": true, "pool_max_conns": true,
}
