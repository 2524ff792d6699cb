package postgres_test

import (
	"slices"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres"
)

// TestUnproven: of every way to connect that the driver would try, the weakest
// counts.
func TestUnproven(t *testing.T) {
	t.Setenv("PGSSLMODE", "") // what a string leaves open the environment would say
	for dsn, want := range map[string][]string{
		"postgres://u@db/d":                                         {"db"}, // prefer: whoever says "no TLS here" gets none
		"postgres://u@db/d?sslmode=disable":                         {"db"},
		"postgres://u@db/d?sslmode=allow":                           {"db"},
		"postgres://u@db/d?sslmode=require":                         {"db"},
		"postgres://u@db/d?sslmode=verify-ca":                       {"db"},
		"postgres://u@db/d?sslmode=verify-full":                     nil,
		"postgres://u@10.0.0.7/d?sslmode=verify-full":               nil,
		"host=db user=u dbname=d sslmode=verify-full":               nil,
		"host=db user=u dbname=d":                                   {"db"},
		"postgres://u@db/d?sslmode=require&channel_binding=require": nil,
		"postgres://u@db/d?sslmode=require&channel_binding=prefer":  {"db"},
		"postgres://u@db/d?sslmode=prefer&channel_binding=require":  {"db"}, // refused in the end, by the driver
		"postgres://u@a,b/d?sslmode=require":                        {"a", "b"},
		"postgres://u@a,localhost/d?sslmode=require":                {"a"},
		"postgres://u@localhost/d?sslmode=disable":                  nil,
		"postgres://u@127.0.0.1:5433/d":                             nil,
		"postgres://u@[::1]/d":                                      nil,
		"postgres:///d?host=/run/postgresql":                        nil,
		"postgres://u@localhost.evil/d":                             {"localhost.evil"},
		"postgres://u@127.0.0.1.evil/d":                             {"127.0.0.1.evil"},
		"postgres://u@db:x/d":                                       nil, "": nil,
	} {
		if got := postgres.Unproven(dsn); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", dsn, got, want)
		}
	}
	t.Setenv("PGSSLMODE", "verify-full")
	if got := postgres.Unproven("postgres://u@db/d"); got != nil {
		t.Errorf("the environment asks for a proof, and %q need none", got)
	}
}
