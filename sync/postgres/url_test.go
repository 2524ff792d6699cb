package postgres_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres"
)

func TestBadURLs(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"":                                       "is empty",
		"  ":                                     "is empty",
		"postgres://u:hunter2@h/d\x00":           "NUL byte",
		"postgres://u:hunter2@h/d%00user=x":      "NUL byte",
		"postgres://u:hunter2@h:port/d":          "cannot be used",
		"postgres://u:hun ter2@h/d":              "cannot be used",
		"postgres://u:hunter2@h:99999/d":         "invalid port",
		"host=h password=hunter2 port=x":         "invalid port",
		"hunter2":                                "cannot be used",
		"mysql://u:hunter2@h/d":                  "cannot be used",
		"host=h password='hunter2":               "cannot be used",
		"postgres://u:hunter2@h/d?sslmode=maybe": "sslmode",
		"postgres://u:hunter2@h/d?pool_max_conns=hunter2":      "cannot be used",
		"postgres://u:hunter2@h/d?sslrootcert=/nowhere/at/all": "cannot be used",
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: dsn})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", dsn, err, want)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%q: the password is in %q", dsn, err)
		}
		if upErr := postgres.Up(t.Context(), dsn); upErr == nil || upErr.Error() != err.Error() {
			t.Errorf("%q: Up says %v, Open says %v", dsn, upErr, err)
		}
	}
}

func TestGoodURLs(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:p%20w@h:5432/d?sslmode=disable", "postgresql:///d?host=/run/postgresql", "host=h user=u dbname=d sslmode=disable",
		"postgres://a,b/d?target_session_attrs=read-write&sslmode=disable", "postgres://h/d?default_query_exec_mode=exec&sslmode=disable&pool_max_conns=50",
	} {
		if err := postgres.ParseURL(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// No error about a connection string holds the password, however broken it is.
func FuzzURL(f *testing.F) {
	for _, dsn := range []string{"postgres://u:SECRET@h/d", "host=h password=SECRET", "postgres://u:SECRET@h:x/d", "SECRET", "://SECRET@", "postgres://u:a%zzSECRET@h"} {
		f.Add(dsn)
	}
	const secret = "Xq7Zv9Kp"
	f.Fuzz(func(t *testing.T, dsn string) {
		dsn = strings.ReplaceAll(dsn, "SECRET", secret)
		err := postgres.ParseURL(dsn)
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", dsn, err)
		}
		if decoded, bad := url.QueryUnescape(dsn); bad == nil && strings.ContainsRune(decoded, 0) && err == nil {
			t.Errorf("%q: a NUL byte was taken", dsn)
		}
	})
}
