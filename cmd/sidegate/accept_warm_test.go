package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// warmLists is how many lists the tests of the warm file fill, and warmEntries how
// many entries each has.
const (
	warmLists   = 3000
	warmEntries = 3
)

// fillLists makes lists: owner o1 has blocked o1-1, o1-2, and so on.
func fillLists(t *testing.T, dsn string) {
	t.Helper()
	psql(t, dsn, fmt.Sprintf(`insert into sidegate.block (app, owner, target)
		select 'default', 'o' || i, 'o' || i || '-' || j from generate_series(1, %d) i, generate_series(1, %d) j`, warmLists, warmEntries))
}

// rowsRead is how many rows of lists the database has handed out so far. Scans
// that are under way are counted when their sessions have reported them, so it is for
// when no process that reads is left.
func rowsRead(t *testing.T, dsn string) int {
	t.Helper()
	waitFor(t, "all sessions of the program to end", func() bool {
		return psql(t, dsn, `select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`) == "0"
	})
	var n int
	out := psql(t, dsn, `select coalesce(sum(coalesce(idx_tup_fetch, 0) + seq_tup_read + coalesce((select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0)), 0)
		from pg_stat_user_tables t where schemaname = 'sidegate' and relname in ('owner', 'block')`)
	if _, err := fmt.Sscan(out, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// warmed is a sidecar with a warm file that has everything in memory.
func warmed(t *testing.T, dsn, file string, more ...string) *sidecar {
	t.Helper()
	// The audits read as well, and what they read is not counted here.
	s := startSidecar(t, dsn, strings.Join(append([]string{"cache: {warm_file: " + file + "}", "audit: {period: 0s, samples: 0}"}, more...), "\n")).ready()
	waitFor(t, "all lists to be in memory", func() bool { return strings.Contains(s.stderr.String(), "all lists are in memory") })
	return s
}

// stop ends a sidecar as its manager would.
func (s *sidecar) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != exitOK {
		s.t.Fatalf("it ended with code %d", code)
	}
}

var (
	startedWarm = regexp.MustCompile(`"msg":"started warm`)
	startedCold = regexp.MustCompile(`"msg":"the warm file is not used; starting cold".*"cause":"([a-z]+)"`)
)

// decides holds decisions against what the lists say.
func (s *sidecar) decides(t *testing.T, blocked, free []question) {
	t.Helper()
	for _, q := range blocked {
		if got := s.decide(q); got != dropped {
			t.Errorf("%+v: %+v", q, got)
		}
	}
	for _, q := range free {
		if got := s.decide(q); got != allowed {
			t.Errorf("%+v: %+v", q, got)
		}
	}
}

// A process that starts with the memory of the one before it answers rightly about
// whatever changed while there was none, and reads next to nothing.
func TestAcceptWarmStart(t *testing.T) {
	dsn := database(t)
	fillLists(t, dsn)
	file := filepath.Join(t.TempDir(), "warm")
	cold := warmed(t, dsn, file)
	before := rowsBefore(t, dsn, cold)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the warm file: %v, %v", info, err)
	}
	psql(t, dsn,
		"insert into sidegate.block (app, owner, target) values ('default', 'o1', 'late'), ('default', 'new', 'o1')",
		"delete from sidegate.block where owner = 'o2' and target = 'o2-1'",
		"delete from sidegate.block where owner = 'o3'")
	changed := rowsRead(t, dsn)
	s := warmed(t, dsn, file)
	s.printed(&s.stderr, startedWarm)
	s.decides(t,
		[]question{{sender: "late", recipient: "o1"}, {sender: "o1", recipient: "new"}, {sender: "o2-2", recipient: "o2"}, {sender: "o9-3", recipient: "o9"}},
		[]question{{sender: "o2-1", recipient: "o2"}, {sender: "o3-1", recipient: "o3"}, {sender: "o9", recipient: "o8"}})
	if n := s.samples()["sidegate_cache_warm_pages_total"]; n < warmLists/128 {
		t.Errorf("%v pages were taken over", n)
	}
	s.stop()
	coldRows, warmRows := before, rowsRead(t, dsn)-changed
	if coldRows < warmLists*warmEntries || warmRows*20 > coldRows {
		t.Errorf("a cold start read %d rows, a warm one %d", coldRows, warmRows)
	}
}

// rowsBefore ends a sidecar and returns the rows that it has read.
func rowsBefore(t *testing.T, dsn string, s *sidecar) int {
	t.Helper()
	s.stop()
	return rowsRead(t, dsn)
}

// A file that is not of this database as it is now, or not as it was written, is
// refused by name, and the process is as right as one that never had any.
func TestAcceptWarmFileRefused(t *testing.T) {
	dsn, other := database(t), database(t)
	block := "insert into sidegate.block (app, owner, target) values ('default', 'bob', 'alice')"
	psql(t, dsn, block)
	dir := t.TempDir()
	left := func(name, dsn string) string {
		file := filepath.Join(dir, name)
		warmed(t, dsn, file).stop()
		return file
	}
	own, strange := left("own", dsn), left("strange", other)
	content, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(at int) func(string) error {
		return func(file string) error {
			spoilt := slices.Clone(content)
			spoilt[at] ^= 1
			return os.WriteFile(file, spoilt, 0o600)
		}
	}
	refused := func(cause string, want verdict, lay func(file string) error) {
		t.Helper()
		file := filepath.Join(dir, "laid")
		if err := errors.Join(os.RemoveAll(file), lay(file)); err != nil {
			t.Fatal(err)
		}
		s := warmed(t, dsn, file)
		if got := s.printed(&s.stderr, startedCold)[1]; got != cause {
			t.Errorf("refused as %s, want %s", got, cause)
		}
		if got := s.decide(question{sender: "alice", recipient: "bob"}); got != want {
			t.Errorf("%s: %+v", cause, got)
		}
		if n := s.samples()[`sidegate_cache_warm_refused_total{cause="`+cause+`"}`]; n != 1 {
			t.Errorf("%s is counted %v times", cause, n)
		}
		s.stop()
	}
	refused("damaged", dropped, spoil(len(content)-20))
	refused("format", dropped, spoil(16))
	refused("unreadable", dropped, func(file string) error { return os.Mkdir(file, 0o700) })
	refused("identity", dropped, func(file string) error { return os.Rename(strange, file) })
	// The same cluster and the same table, and yet another past.
	psql(t, dsn, "truncate sidegate.block")
	refused("identity", allowed, func(file string) error { return os.Rename(own, file) })
}

// A process that is killed while it writes leaves the file before, or none.
func TestAcceptWarmFileOfAKilledProcess(t *testing.T) {
	dsn := database(t)
	fillLists(t, dsn)
	file := filepath.Join(t.TempDir(), "warm")
	fast := []string{"SIDEGATE_CACHE_WARM_FILE=" + file, "SIDEGATE_CACHE_WARM_INTERVAL=1s"}
	for range 3 {
		s := startSidecar(t, dsn, "", fast...).ready()
		waitFor(t, "the file to be begun", func() bool {
			_, err := os.Stat(file + ".new")
			return err == nil || s.samples()["sidegate_cache_warm_saved_timestamp_seconds"] > 0
		})
		s.signal(syscall.SIGKILL)
		s.wait()
		if refused := startedCold.FindString(s.stderr.String()); refused != "" {
			t.Fatal(refused)
		}
	}
	s := startSidecar(t, dsn, "", fast...).ready()
	if got := s.decide(question{sender: "o7-1", recipient: "o7"}); got != dropped {
		t.Errorf("%+v", got)
	}
	if refused := startedCold.FindString(s.stderr.String()); refused != "" {
		t.Error(refused)
	}
}
