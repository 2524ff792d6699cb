package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// directoryHere runs the program and returns it with the environment of a client.
func directoryHere(t *testing.T) (*served, []string) {
	t.Helper()
	s := serveHere(t, pgtest.Database(t), "api: {tokens: [root]}\napps: {default: {}, a b: {}}\n").started(t)
	return s, []string{"SIDEGATE_API_URL=" + s.urls[border.DoorAPI], "SIDEGATE_TOKEN=root"}
}

// importing runs an import of a text.
func importing(environ []string, text string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	clock := at
	p := &program{stdin: strings.NewReader(text), stdout: &stdout, stderr: &stderr, environ: environ, now: func() time.Time {
		clock = clock.Add(2 * time.Second)
		return clock
	}}
	code := run(context.Background(), append([]string{"users", "import", "-"}, args...), p)
	return outcome{code, stdout.String(), stderr.String()}
}

// updated is the only line of a user that differs from run to run.
var updated = regexp.MustCompile(`(?m)^(updated +).*$`)

func TestUsersCommands(t *testing.T) {
	s, environ := directoryHere(t)
	for _, c := range []struct {
		args []string
		code int
		want string // of stdout, or in stderr if the command fails
	}{
		{[]string{"get", "b/o b"}, exitUsage, "(user_not_found, HTTP 404)"},
		{[]string{"delete", "b/o b"}, exitUsage, "(user_not_found, HTTP 404)"},
		{[]string{"put", "b/o b"}, 0, "b/o b is new in the directory.\n"},
		{[]string{"get", "b/o b"}, 0, "user     b/o b\nupdated  TIME\n"},
		{[]string{
			"put", "b/o b", "--nickname=Bob\u202e", "--avatar-url=https://a", "--profile-url=https://p", "--online",
			"--last-login-at=2030-01-31T13:00:00+01:00", "--last-seen-at=2030-01-31T12:00:01Z", "--meta=plan=gold;x=y", "--meta=a=b=c,d",
		}, 0, "b/o b is replaced in the directory.\n"},
		{[]string{"get", "b/o b"}, 0, `user           b/o b
nickname       "Bob\u202e"
avatar         https://a
profile        https://p
online         yes
last login     2030-01-31 12:00:00 UTC
last seen      2030-01-31 12:00:01 UTC
metadata a     b=c,d
metadata plan  gold;x=y
updated        TIME
`},
		{[]string{"get", "b/o b", "--app=a b"}, exitUsage, "user_not_found"},
		{[]string{"put", "b/o b", "--app=a b", "--nickname=other"}, 0, "b/o b is new in the directory.\n"},
		{[]string{"put", "b/o b", "--nickname=" + strings.Repeat("x", 1025)}, exitUsage, "(invalid_user, HTTP 400)"},
		{[]string{"put", "b/o b", "--last-seen-at=today"}, exitUsage, "--last-seen-at"},
		{[]string{"get", "b/o b", "--app=ghost"}, exitUsage, "unknown_app"},
		{[]string{"delete", "b/o b"}, 0, "b/o b is no longer in the directory.\n"},
		{[]string{"get", "b/o b"}, exitUsage, "user_not_found"},
	} {
		got := command(t, environ, append([]string{"users"}, c.args...)...)
		got.stdout = updated.ReplaceAllString(got.stdout, "${1}TIME")
		if got.code != c.code || c.code == 0 && got.stdout != c.want || c.code != 0 && !strings.Contains(got.stderr, c.want) {
			t.Errorf("users %.60v: %+v\nwant %d %q", c.args, got, c.code, c.want)
		}
	}
	a := s.ask("GET", border.DoorAPI, "/v1/apps/a%20b/users/b%2Fo%20b", "", "Authorization", "Bearer root")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"nickname":"other"`) {
		t.Errorf("the user of another app: %v", a)
	}
	if got := command(t, environ, "users", "get", "b/o b", "--app=a b", "--json"); got.stdout != a.body+"\n" {
		t.Errorf("--json: %+v, want %s", got, a.body)
	}
}

func TestUsersImport(t *testing.T) {
	s, environ := directoryHere(t)
	var text strings.Builder
	for n := range 2500 {
		fmt.Fprintf(&text, `{"user":"u%d","nickname":"n","metadata":{"plan":"gold"}}`+"\n", n)
	}
	got := importing(environ, text.String())
	if got != (outcome{0, "2500 users stored: 2500 new, 0 replaced; 0 lines refused. 2s, 1250 a second.\n", ""}) {
		t.Errorf("%+v", got)
	}
	if got = importing(environ, text.String()); got.stdout != "2500 users stored: 0 new, 2500 replaced; 0 lines refused. 2s, 1250 a second.\n" {
		t.Errorf("again: %+v", got)
	}
	if n := psql(t, s.cfg.Postgres.URL, `select count(*) from sidegate.directory where app = 'default' and nickname = 'n' and metadata = '{"plan": "gold"}'`); n != "2500" {
		t.Errorf("%s users are there", n)
	}
	file := filepath.Join(t.TempDir(), "users.ndjson")
	// A byte order mark at the beginning, no line feed at the end.
	if err := os.WriteFile(file, []byte("\ufeff"+`{"user":"last"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := command(t, environ, "users", "import", file, "--app=a b"); got != (outcome{0, "1 users stored: 1 new, 0 replaced; 0 lines refused. 0s.\n", ""}) {
		t.Errorf("a file: %+v", got)
	}
	if got := command(t, environ, "users", "import", file+"x"); got.code != exitUsage || !strings.Contains(got.stderr, "no such file") {
		t.Errorf("a file that is not there: %+v", got)
	}
}

// TestUsersImportReportsBadLines: each line is stored or reported by its number,
// whatever stands beside it, and the last line about a user counts.
func TestUsersImportReportsBadLines(t *testing.T) {
	s, environ := directoryHere(t)
	var text strings.Builder
	bad := map[int]string{
		3: `{"user":"x"`, 4: `[]`, 5: `{"user":1}`, 700: `{"nickname":"nobody"}`, 701: `{"user":"x","nick":"y"}`,
		1400: `{"user":"x\n"}`, 1401: `{"user":"x","metadata":{"k":1}}`, 1402: `{"user":"x","user":"y"}`,
		1999: `{"user":"x","nickname":"` + strings.Repeat("<", 1025) + `"}`,
	}
	var want []int
	good := 0
	for n := 1; n <= 2000; n++ {
		switch line, isBad := bad[n]; {
		case isBad:
			want = append(want, n)
			text.WriteString(line + "\r\n")
		case n%100 == 0:
			text.WriteString("  \n") // an empty line is no line
		default:
			good++
			fmt.Fprintf(&text, `{"user":"u%d","nickname":"%d"}`+"\n", n%50, n)
		}
	}
	got := importing(environ, text.String())
	var reported []int
	for line := range strings.Lines(got.stderr) {
		var n int
		if _, err := fmt.Sscanf(line, "line %d: ", &n); err == nil {
			reported = append(reported, n)
		}
	}
	slices.Sort(reported)
	total := fmt.Sprintf("%d users stored: 50 new, %d replaced; %d lines refused. 2s", good, good-50, len(want))
	if !slices.Equal(reported, want) || got.code != exitUsage || !strings.HasPrefix(got.stdout, total) {
		t.Errorf("reported %v, want %v\n%s, want %s\n%s", reported, want, got.stdout, total, got.stderr)
	}
	if !strings.HasSuffix(got.stderr, fmt.Sprintf("sidegate: %d of %d lines were not stored\n", len(want), good+len(want))) ||
		!strings.Contains(got.stderr, "line 701: ") || !strings.Contains(got.stderr, "(unknown_field, HTTP 400)") {
		t.Errorf("%s", got.stderr)
	}
	if last := psql(t, s.cfg.Postgres.URL, `select string_agg(nickname, ' ' order by id) from sidegate.directory where id in ('u1', 'u49')`); last != "1951 1949" {
		t.Errorf("the last lines are not those that count: %s", last)
	}
}

// TestUsersImportStops where going on would help nobody, and says how far it came.
func TestUsersImportStops(t *testing.T) {
	s, environ := directoryHere(t)
	var text strings.Builder
	for n := range 1500 {
		fmt.Fprintf(&text, `{"user":"u%d"}`+"\n", n)
	}
	for _, c := range []struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		{[]string{environ[0]}, nil, exitUsage, "lines from 1 on may not be stored; repeating the import is safe: A valid credential is required"},
		{environ, []string{"--app=ghost"}, exitUsage, "(unknown_app, HTTP 404)"},
		{environ, []string{"--api-url=http://127.0.0.1:1"}, exitUnreachable, "no sidegate answers at"},
	} {
		got := importing(c.environ, text.String(), c.args...)
		if got.code != c.code || !strings.Contains(got.stderr, c.want) || !strings.HasPrefix(got.stdout, "0 users stored") || strings.Contains(got.stderr, "u1") {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	long := text.String() + `{"user":"` + strings.Repeat("x", longestLine) + `"}` + "\n"
	if got := importing(environ, long); got.code != exitUsage || !strings.Contains(got.stderr, "line 1501 has more than") || !strings.HasPrefix(got.stdout, "1500 users stored") {
		t.Errorf("a line without an end: %+v", got)
	}
	psql(t, s.cfg.Postgres.URL, `drop view sidegate.profile`)
	if got := importing(environ, text.String()); got.code != exitStore || !strings.Contains(got.stderr, "(directory_read_only, HTTP 409)") {
		t.Errorf("a directory that is read only: %+v", got)
	}
}

// TestUsersImportKeepsBatchesSmall: however large users are, and however much
// longer JSON makes them, a batch is one that the server takes.
func TestUsersImportKeepsBatchesSmall(t *testing.T) {
	var sizes, counts []int
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		var batch struct{ Put []json.RawMessage }
		if err := json.Unmarshal(body.Bytes(), &batch); err != nil {
			t.Error(err)
		}
		sizes, counts = append(sizes, body.Len()), append(counts, len(batch.Put))
		_, _ = fmt.Fprintf(w, `{"created":%d,"updated":0,"deleted":0}`, len(batch.Put))
	}))
	var text strings.Builder
	for n := range 3000 {
		nickname := ""
		if n < 1000 {
			nickname = strings.Repeat("<", 10_000)
		}
		fmt.Fprintf(&text, `{"user":"u%d","nickname":"%s"}`+"\n", n, nickname)
	}
	got := importing([]string{"SIDEGATE_API_URL=" + url}, text.String())
	if got.code != 0 || !strings.HasPrefix(got.stdout, "3000 users stored: 3000 new") {
		t.Errorf("%+v", got)
	}
	if slices.Max(sizes) > 4<<20 || slices.Max(counts) != batchLines || len(sizes) < 10 {
		t.Errorf("batches of %v users and %v bytes", counts, sizes)
	}
	if got := importing([]string{"SIDEGATE_API_URL=" + serve(t, &reply{status: 200, body: "<html>"})}, `{"user":"a"}`); got.code != exitUnreachable {
		t.Errorf("something else answers: %+v", got)
	}
}

var fenced = regexp.MustCompile("(?s)```(sql|json)[^\n]*\n(.*?)```")

// TestDocumentedUsers: what the page on users shows can be pasted. A deployer's
// table is put in the place of ours and taken away again, under a program that has
// the roles it needs and no more.
func TestDocumentedUsers(t *testing.T) {
	page := documents(t)[filepath.Join("docs", "how-to", "users.md")]
	shown := map[string][]string{}
	for _, match := range fenced.FindAllStringSubmatch(page, -1) {
		shown[match[1]] = append(shown[match[1]], match[2])
	}
	if len(shown["sql"]) != 2 || len(shown["json"]) != 1 {
		t.Fatalf("%d blocks of SQL and %d of JSON were found", len(shown["sql"]), len(shown["json"]))
	}
	dsn := pgtest.Database(t)
	psql(t, dsn, `create role pgtest_users in role sidegate_read, sidegate_write`)
	t.Cleanup(func() { psql(t, dsn, `drop role pgtest_users`) })
	s := serveHere(t, dsn+"&options=-crole%3Dpgtest_users", "api: {tokens: [root]}\n").started(t)
	environ := []string{"SIDEGATE_API_URL=" + s.urls[border.DoorAPI], "SIDEGATE_TOKEN=root"}

	if got := importing(environ, shown["json"][0]); got.code != 0 || !strings.HasPrefix(got.stdout, "2 users stored: 2 new") {
		t.Errorf("the lines of the import: %+v", got)
	}
	get := func(user string) answer {
		return s.ask("GET", border.DoorAPI, listOf("default", user), "", "Authorization", "Bearer root")
	}
	put := func() answer {
		return s.ask("PUT", border.DoorAPI, listOf("default", "bob"), "{}", "Authorization", "Bearer root")
	}
	psql(t, dsn, `create table public.users (id bigint primary key, display_name varchar(80), picture text, online boolean, last_login timestamp, plan text, changed timestamptz)`,
		`insert into public.users values (7, 'Seven', null, true, '2030-01-31 12:00', 'gold', null)`)
	psql(t, dsn, strings.SplitAfter(strings.TrimSpace(shown["sql"][0]), ";\n")...)
	if a := get("7"); a.status != http.StatusOK || !strings.Contains(a.body, `"nickname":"Seven","avatar_url":"","profile_url":"","is_online":true,`) ||
		!strings.Contains(a.body, `"metadata":{"plan":"gold"},"updated_at":null`) {
		t.Errorf("a user of theirs: %v", a)
	}
	if a := get("bob"); a.status != http.StatusNotFound {
		t.Errorf("a user of ours: %v", a)
	}
	if a := put(); a.status != http.StatusConflict || a.problem(t) != "directory_read_only" {
		t.Errorf("a write: %v", a)
	}
	for _, other := range []string{`select 1 as app`, `select app, id from sidegate.directory`} {
		if _, refusal := tryPsql(t, dsn, `create or replace view sidegate.profile as `+other); refusal == "" {
			t.Errorf("the database takes another shape: %s", other)
		}
	}
	psql(t, dsn, shown["sql"][1])
	if a := get("bob"); a.status != http.StatusOK {
		t.Errorf("a user of ours, again: %v", a)
	}
	if a := put(); a.status != http.StatusOK {
		t.Errorf("a write, again: %v", a)
	}
}
