package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// importLines is how many lines TestAcceptImport moves. A million takes minutes:
// go test ./cmd/sidegate -run AcceptImport -importlines 1000000
var importLines = flag.Int("importlines", 20_000, "lines of the acceptance test of import")

// writeLines writes entries of owners with ten each, as an export has them, and
// three lines that cannot be stored: line 5, and the last two.
func writeLines(t *testing.T, file string, n int) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	for i := range n - 3 {
		if i == 4 {
			fmt.Fprintln(out, `{"owner":"self","target":"self"}`)
		}
		fmt.Fprintf(out, `{"owner":"user-%d","target":"t/%d ü","created_at":"2024-01-02T03:04:05.%06dZ","expires_at":null,"note":"n%d"}`+"\n", i/10, i%10, 1+i%999_999, i%3)
	}
	fmt.Fprintln(out, `{"owner":"a","target":"b","expires_at":"2001-01-01T00:00:00Z"}`)
	fmt.Fprintln(out, `nonsense`)
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// residentMB reads the memory of a process.
func residentMB(t *testing.T, p *process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("memory is read from /proc")
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}

// sorted returns the lines of a file in order.
func sorted(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	slices.Sort(lines)
	return lines
}

// TestAcceptImport moves many lines through the built program: each is stored or
// reported by number, memory stays flat, a repeat is harmless, and an export that
// is imported elsewhere gives the same export, byte for byte.
func TestAcceptImport(t *testing.T) {
	t.Parallel()
	n := *importLines
	dsn := database(t)
	s := startSidecar(t, dsn, "apps: {default: {}, copy: {}}").ready()
	dir := t.TempDir()
	file, first, second := filepath.Join(dir, "in"), filepath.Join(dir, "first"), filepath.Join(dir, "second")
	writeLines(t, file, n)
	cli := func(args ...string) outcome {
		t.Helper()
		return runProgram(t, []string{"SIDEGATE_API_URL=" + s.urls["api"], "SIDEGATE_TOKEN=" + apiToken}, args...)
	}
	sum := func(created, updated, unchanged int) string {
		return fmt.Sprintf(": %d created, %d updated, %d unchanged, 3 failed.", created, updated, unchanged)
	}
	before := residentMB(t, s.process)
	dry := cli("import", file, "--dry-run")
	if dry.code != exitUsage || !strings.Contains(dry.stdout, sum(n-3, 0, 0)) || psql(t, dsn, "SELECT count(*) FROM sidegate.block") != "0" {
		t.Errorf("dry: %+v", dry)
	}
	got := cli("import", file)
	for _, want := range []string{"line 5: ", fmt.Sprintf("line %d: ", n-1), fmt.Sprintf("line %d: ", n), "3 lines were not stored"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("nothing is said of %q: %s", want, got.stderr)
		}
	}
	if got.code != exitUsage || !strings.Contains(got.stdout, sum(n-3, 0, 0)) || strings.Contains(got.stderr, "\r") {
		t.Errorf("%+v", got)
	}
	after := residentMB(t, s.process)
	t.Logf("%s  %d MB before, %d MB after", got.stdout, before, after)
	if after > before+100 && !raceEnabled {
		t.Errorf("the process grew from %d to %d MB", before, after)
	}
	if count := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); count != strconv.Itoa(n-3) {
		t.Errorf("%s entries are stored", count)
	}
	if again := cli("import", file); !strings.Contains(again.stdout, sum(0, 0, n-3)) {
		t.Errorf("again: %+v", again)
	}
	s.enforced(question{sender: "t/3 ü", recipient: "user-7"}, dropped)

	// Every kind, and what is not so plain.
	psql(t, dsn, `INSERT INTO sidegate.block (app, kind, owner, target, note, expires_at) VALUES ('default', 'room', 'r', 'x', E'a\r\n"b",\t\\', now() + interval '1 day')`,
		`SELECT sidegate.set_allowlist_mode('default', 'user-1', true)`)
	for _, format := range []string{"ndjson", "csv"} {
		psql(t, dsn, "DELETE FROM sidegate.block WHERE app = 'copy'")
		a := cli("export", "--format", format, "-o", first)
		b := cli("import", first, "--format", format, "--app", "copy")
		c := cli("export", "--format", format, "--app", "copy", "-o", second)
		if a.code+b.code+c.code != 0 {
			t.Fatalf("%s: %+v %+v %+v", format, a, b, c)
		}
		if one, two := sorted(t, first), sorted(t, second); len(one) < n-3 || !slices.Equal(one, two) {
			t.Errorf("%s: an export of %d lines came back as another one of %d", format, len(one), len(two))
		}
	}
}

// TestAcceptImportAtomic: a single wrong line keeps everything out, and without it
// everything is stored.
func TestAcceptImportAtomic(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := startSidecar(t, dsn, "").ready()
	file := filepath.Join(t.TempDir(), "in")
	writeLines(t, file, 5000)
	env := []string{"SIDEGATE_API_URL=" + s.urls["api"], "SIDEGATE_TOKEN=" + apiToken}
	got := runProgram(t, env, "import", file, "--atomic")
	if got.code != exitUsage || !strings.Contains(got.stderr, "import_refused") || !strings.Contains(got.stderr, "line 5: ") {
		t.Errorf("%+v", got)
	}
	if count := psql(t, dsn, "SELECT count(*) FROM sidegate.block"); count != "0" {
		t.Errorf("%s entries of an import that must be whole", count)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool { return !strings.Contains(l, "2024") })
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runProgram(t, env, "import", file, "--atomic"); got.code != exitOK || !strings.Contains(got.stdout, ": 4997 created") {
		t.Errorf("without the wrong lines: %+v", got)
	}
}
