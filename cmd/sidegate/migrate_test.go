package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/sync/postgres"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

func TestMigrate(t *testing.T) {
	environ := []string{"SIDEGATE_POSTGRES_URL=" + pgtest.Empty(t)}
	status := func(applied int) {
		t.Helper()
		got := command(t, environ, "migrate", "status")
		if got.code != exitOK || strings.Count(got.stdout, "applied 20") != applied ||
			strings.Count(got.stdout, "\n") != postgres.SchemaVersion {
			t.Fatalf("status: %+v; want %d steps, %d of them applied", got, postgres.SchemaVersion, applied)
		}
	}
	status(0)
	if got := command(t, environ, "migrate", "down"); got.code != exitStore || !strings.Contains(got.stderr, "nothing to take back") {
		t.Errorf("down of nothing: %+v", got)
	}
	for range 2 { // the second time there is nothing to do
		got := command(t, environ, "migrate", "up")
		if want := fmt.Sprintf("The schema is at version %d, ", postgres.SchemaVersion); got.code != exitOK || !strings.HasPrefix(got.stdout, want) {
			t.Fatalf("up: %+v", got)
		}
		status(postgres.SchemaVersion)
	}
	for left := postgres.SchemaVersion - 1; left >= 0; left-- {
		got := command(t, environ, "migrate", "down")
		if want := fmt.Sprintf("The schema is at version %d of %d.\n", left, postgres.SchemaVersion); got.code != exitOK || got.stdout != want {
			t.Fatalf("down: %+v, want %q", got, want)
		}
		status(left)
	}
	if got := command(t, environ, "migrate", "up"); got.code != exitOK {
		t.Fatalf("up after down: %+v", got)
	}
}

// TestMigrateUnreachable: the message says what failed, and not the password.
func TestMigrateUnreachable(t *testing.T) {
	for _, verb := range []string{"up", "down", "status"} {
		got := command(t, nil, "migrate", verb, "--postgres-url=postgres://u:s3cret@127.0.0.1:1/db")
		if got.code != exitStore || !strings.Contains(got.stderr, "migrate "+verb) || strings.Contains(got.stderr, "s3cret") {
			t.Errorf("%s: %+v", verb, got)
		}
	}
}
