package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/server"
)

func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"chekc"}, `unexpected argument chekc, did you mean "check"?`},
		{[]string{"serve", "--chek-listen=x"}, `unknown flag --chek-listen, did you mean "--check-listen"?`},
		{[]string{"check", "alice"}, `expected "<recipient>"`},
		{[]string{"check", "alice", "bob", "--room=dm"}, `--room must be one of "direct","group","open" but got "dm"`},
		{[]string{"block", "a", "b", "--for=2h", "--expires-at=2030-01-01T00:00:00Z"}, "--expires-at and --for can't be used together"},
		{[]string{"block", "a", "b", "--expires-at=tomorrow"}, "--expires-at"},
		{[]string{"block", "a", "b", "--for=-1h"}, "a block lasts for a time above zero"},
		{[]string{"list", "a", "--limit=-1"}, "--limit: -1 is below zero"},
		{[]string{"config", "print", "--format=toml"}, `--format must be one of "yaml","json","env" but got "toml"`},
		{[]string{"healthcheck", "--probe=healthz"}, "--probe must be one of"},
		{[]string{"config", "validate", "--check-listen=7070"}, `--check-listen: "7070" is not an address`},
		{[]string{"config", "validate", "--config=/does/not/exist.yaml"}, "no such file"},
		{[]string{"migrate", "up"}, "postgres.url is empty: give --postgres-url"},
		{[]string{"migrate", "status", "--postgres-url=mysql://h"}, "this is not a Postgres URL"},
		{[]string{"check", "a", "b", "--check-url=localhost:7070"}, "is no address of a listener"},
		{[]string{"check", "a", "b", "--check-url=http://%zz"}, "is not a URL"},
		{[]string{"check", "a", "b", "--check-url=unix://host/path"}, "is no address of a listener"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			got := command(t, nil, tc.args...)
			if got.code != exitUsage || !strings.Contains(got.stderr, tc.want) || got.stdout != "" {
				t.Errorf("exit %d, want %d\nstdout %q\nstderr %q\nwant   %q", got.code, exitUsage, got.stdout, got.stderr, tc.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"-h"}} {
		got := command(t, nil, args...)
		if got.code != exitOK || !strings.Contains(got.stdout, "Exit codes: 0 done") || got.stderr != "" {
			t.Errorf("%v: exit %d, stderr %q, stdout %q", args, got.code, got.stderr, got.stdout)
		}
	}
	// Help of a command is printed although its arguments are missing.
	if got := command(t, nil, "check", "--help"); got.code != exitOK || !strings.Contains(got.stdout, "--room=TYPE") || got.stderr != "" {
		t.Errorf("check --help: %+v", got)
	}
}

func TestVersion(t *testing.T) {
	text, flag := command(t, nil, "version"), command(t, nil, "--version")
	if text.code != exitOK || !strings.HasPrefix(text.stdout, "sidegate ") {
		t.Errorf("version: %+v", text)
	}
	if flag.code != exitOK || !strings.Contains(text.stdout, strings.TrimSpace(flag.stdout)) {
		t.Errorf("--version: %+v", flag)
	}
	if got := command(t, nil, "version", "--json"); got.code != exitOK || !strings.Contains(got.stdout, `"go_version":"go1`) {
		t.Errorf("version --json: %+v", got)
	}
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errWithheld, 1},
		{usageError{errors.New("x")}, 2},
		{unreachableError{errors.New("x")}, 3},
		{storeError{errors.New("x")}, 4},
		{errors.New("x"), 4},
		{&problem{Status: 400}, 2}, {&problem{Status: 401}, 2}, {&problem{Status: 404}, 2},
		{&problem{Status: 409}, 4}, {&problem{Status: 429}, 4}, {&problem{Status: 500}, 4}, {&problem{Status: 503}, 4},
		{unreachableError{&problem{Status: 503}}, 3},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("exitCode(%T %v) = %d, want %d", tc.err, tc.err, got, tc.want)
		}
	}
}

// TestFlagsAreTheTables: every key of the table that has a flag has it in the
// grammar of serve and dev, and the other way round.
func TestFlagsAreTheTables(t *testing.T) {
	x, yes := "x", true
	f := configFlags{
		databaseFlags: databaseFlags{PostgresURL: &x},
		CheckListen:   &x, APIListen: &x, OpsListen: &x, LogLevel: &x, LogFormat: &x, Insecure: &yes,
	}
	for i := range reflect.TypeOf(f).NumField() {
		if v := reflect.ValueOf(f).Field(i); v.Kind() == reflect.Pointer && v.IsNil() {
			t.Errorf("this test does not know the flag %s", reflect.TypeOf(f).Field(i).Name)
		}
	}
	values := f.values()
	parser, err := newParser(&program{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, command := range parser.Model.Children {
		if command.Name == "serve" {
			for _, flag := range command.Flags {
				names = append(names, flag.Name)
			}
		}
	}
	for _, k := range config.Keys() {
		if _, given := values[k.Path]; given != (k.Flag != "") {
			t.Errorf("%s has the flag %q; is it read from the command line? %v", k.Path, k.Flag, given)
		}
		if k.Flag != "" && !slices.Contains(names, k.Flag) {
			t.Errorf("serve has no flag --%s", k.Flag)
		}
	}
}

func TestConfigPrint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("api: {tokens: [s3cret]}\nlog: {level: warn}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"SIDEGATE_CONFIG=" + file, "SIDEGATE_POSTGRES_URL=postgres://u:s3cret@h/d", "SIDEGATE_TOKEN=s3cret"}
	for _, tc := range []struct {
		args []string
		want []string
	}{
		{nil, []string{
			"  level: warn # " + file + ":2\n", "  url: postgres://u:***@h/d # SIDEGATE_POSTGRES_URL\n", "token: '***'",
			"  # " + file + ":1\n  tokens:\n", "  format: auto # default\n", "limit: 3000 # default\n",
		}},
		{[]string{"--format=json"}, []string{`"level": "warn"`, `"url": "postgres://u:***@h/d"`, `"log.level": "` + file + `:2"`}},
		{[]string{"--format=env"}, []string{"# " + file + ":2\nSIDEGATE_LOG_LEVEL=warn\n", "# SIDEGATE_POSTGRES_URL=postgres://u:***@h/d\n"}},
		{[]string{"--log-level=error", "--check-listen="}, []string{"  level: error # --log-level\n", "check:\n  listen: [] # --check-listen\n"}},
		{[]string{"--insecure"}, []string{"insecure: true # --insecure\n"}},
		{[]string{"--no-such-file-matters", "--config=" + file}, nil},
	} {
		got := command(t, environ, append([]string{"config", "print"}, tc.args...)...)
		if tc.want == nil {
			if got.code != exitUsage {
				t.Errorf("%v: exit %d, want %d", tc.args, got.code, exitUsage)
			}
			continue
		}
		if got.code != exitOK || strings.Contains(got.stdout+got.stderr, "s3cret") {
			t.Errorf("%v: %+v", tc.args, got)
		}
		for _, want := range tc.want {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%v: %q is not in\n%s", tc.args, want, got.stdout)
			}
		}
	}
}

func TestConfigValidate(t *testing.T) {
	const db = "SIDEGATE_POSTGRES_URL=postgres://h/d"
	for _, tc := range []struct {
		name    string
		environ []string
		args    []string
		want    outcome
	}{
		{"valid", []string{db}, nil, outcome{exitOK, "The configuration is valid.\n", ""}},
		{"exposed", []string{db}, []string{"--check-listen=:7070"}, outcome{exitUsage, "", "--insecure"}},
		{"exposed on purpose", []string{db}, []string{"--check-listen=:7070", "--insecure"}, outcome{exitOK, "The configuration is valid.\n", ""}},
		{"no database", nil, nil, outcome{exitUsage, "", "postgres.url is empty"}},
		{"warning", []string{db, "SIDEGATE_OPS_TOKENS=t"}, nil, outcome{exitOK, "has no scope staff", ""}},
		{"strict", []string{db, "SIDEGATE_OPS_TOKENS=t"}, []string{"--strict"}, outcome{exitUsage, "has no scope staff", "--strict was given"}},
		{"strict and the superuser", []string{"SIDEGATE_POSTGRES_URL=postgres://postgres@h/d"}, []string{"--strict"}, outcome{exitUsage, "the role postgres is the superuser", "--strict was given"}},
		{"strict and insecure", []string{db}, []string{"--strict", "--insecure"}, outcome{exitUsage, "--insecure: listeners are open", "--strict was given"}},
		{"an unproven database", []string{db}, nil, outcome{exitOK, "warning: SIDEGATE_POSTGRES_URL: reached over a network, h need not prove to be the database", ""}},
		{"strict and an unproven database", []string{db}, []string{"--strict"}, outcome{exitUsage, "add sslmode=verify-full", "--strict was given"}},
		{"strict and good", []string{db + "?sslmode=verify-full"}, []string{"--strict"}, outcome{exitOK, "The configuration is valid.\n", ""}},
		{"no such secret", []string{"SIDEGATE_POSTGRES_URL_FILE=/does/not/exist"}, nil, outcome{exitUsage, "", "SIDEGATE_POSTGRES_URL_FILE: open /does/not/exist: no such file"}},
		{"two mistakes, two lines", []string{"SIDEGATE_A=1", "SIDEGATE_B=1"}, nil, outcome{exitUsage, "", "\nsidegate: unknown variable SIDEGATE_B"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := command(t, tc.environ, append([]string{"config", "validate"}, tc.args...)...)
			if got.code != tc.want.code || !strings.Contains(got.stdout, tc.want.stdout) || !strings.Contains(got.stderr, tc.want.stderr) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

// TestConfigNames: the pages that need no configuration, whatever is around.
func TestConfigNames(t *testing.T) {
	broken := []string{"SIDEGATE_NO_SUCH_KEY=1"}
	for name, wants := range map[string][]string{
		"docs":   {config.Reference()},
		"schema": {string(config.Schema())},
		"env": {
			"VARIABLE ", "SIDEGATE_CHECK_LISTEN ", "check.listen ", "--check-listen ", "SIDEGATE_POSTGRES_URL_FILE ",
			"apps.*.limit ", "SIDEGATE_TOKEN ", " restart\n", " hot\n",
		},
	} {
		got := command(t, broken, "config", name)
		for _, want := range wants {
			if got.code != exitOK || !strings.Contains(got.stdout, want) {
				t.Errorf("config %s: exit %d, %q is not in\n%s", name, got.code, want, got.stdout)
			}
		}
	}
	for _, name := range programVariables {
		if programVariable[name] == "" {
			t.Errorf("%s is not described", name)
		}
	}
}

// TestReference: the pages in the repository are those that the code makes.
func TestReference(t *testing.T) {
	pages, err := referencePages()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		path := filepath.Join("..", "..", "docs", "reference", name)
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is not what the code makes; run \"make docs\"", path)
		}
	}
	source, err := os.ReadFile(filepath.Join("..", "..", "filter", "server", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if served, err := openAPIJSON(source); err != nil || string(served) != string(server.OpenAPI()) {
		t.Errorf("openapi.json is not what openapi.yaml says (%v); run \"make docs\"", err)
	}
	dir := t.TempDir()
	if got := command(t, nil, "docs", "--dir", dir); got.code != exitOK {
		t.Fatalf("docs: %+v", got)
	}
	written, err := os.ReadDir(dir)
	if err != nil || len(written) != len(pages) {
		t.Errorf("docs wrote %d files (%v), want %d", len(written), err, len(pages))
	}
}

// TestProcess runs the program as a process: the exit code and the streams are
// what a shell sees.
func TestProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "check", "alice", "bob", "--check-url=http://127.0.0.1:1")
	cmd.Env = append(os.Environ(), asSidegate+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitUnreachable {
		t.Errorf("ended with %v, want exit code %d", err, exitUnreachable)
	}
	if !strings.Contains(stderr.String(), "no sidegate answers at http://127.0.0.1:1") {
		t.Errorf("stderr: %q", stderr.String())
	}
}
