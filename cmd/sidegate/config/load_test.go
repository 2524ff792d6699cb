package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// write puts text into a file called sidegate.yaml and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sidegate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, src Source) *Config {
	t.Helper()
	c, err := Load(src)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// TestDefaults holds the defaults to the contract, key by key.
func TestDefaults(t *testing.T) {
	c := load(t, Source{})
	tcp := func(a string) []Address { return []Address{{Network: "tcp", Address: a}} }
	for _, tc := range []struct {
		key       string
		got, want any
	}{
		{"check.listen", c.Check.Listen, tcp("127.0.0.1:7070")},
		{"check.tokens", c.Check.Tokens, []Token{}},
		{"check.at_least_timeout", c.Check.AtLeastTimeout, 250 * time.Millisecond},
		{"api.listen", c.API.Listen, tcp("127.0.0.1:7071")},
		{"api.tokens", c.API.Tokens, []Token{}},
		{"api.jwt", c.API.JWT, (*JWT)(nil)},
		{"api.rate", c.API.Rate, Rate{}},
		{"ops.listen", c.Ops.Listen, tcp("127.0.0.1:7072")},
		{"ops.tokens", c.Ops.Tokens, []Token{}},
		{"insecure", c.Insecure, false},
		{"postgres.url", c.Postgres.URL, ""},
		{"sync", c.Sync, Sync{100 * time.Millisecond, false, 2 * time.Second, 5 * time.Minute, 2 * time.Hour}},
		{"cache.max_bytes", c.Cache.MaxBytes, Auto},
		{"audit", c.Audit, Audit{2, time.Hour, true}},
		{"history_retention", c.HistoryRetention(), map[string]time.Duration{}},
		{"log", c.Log, Log{"info", "auto", "hashed", ""}},
		{"decision_log", c.DecisionLog, DecisionLog{"", 0, 10_000, "hashed"}},
		{"tracing", c.Tracing, Tracing{"", 1, []string{}}},
		{"probe", c.Probe, Probe{App: "default", Targets: []string{}}},
		{"apps", c.Policies(), map[string]filter.Policy{"default": filter.Default()}},
		{"known_users", c.Apps["default"].KnownUsers, false},
		{"invitations", c.Apps["default"].Policy.Invitations, filter.InvitationsInclude},
		{"dialects", c.Apps["default"].Dialects, Dialects{}},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s = %+v, want %+v", tc.key, tc.got, tc.want)
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "sync: {poll_interval: 1ms}\ncheck: {listen: '127.0.0.1:1'}\nlog: {level: warn}\n")
	environ := []string{"SIDEGATE_CHECK_LISTEN=127.0.0.1:2", "SIDEGATE_LOG_LEVEL=error", "HOME=/root"}
	flags := map[string]string{"log.level": "debug"}
	for _, tc := range []struct {
		name          string
		src           Source
		poll          time.Duration
		listen, level string
	}{
		{"default", Source{}, 100 * time.Millisecond, "127.0.0.1:7070", "info"},
		{"file", Source{File: file}, time.Millisecond, "127.0.0.1:1", "warn"},
		{"environment over default", Source{Environ: environ}, 100 * time.Millisecond, "127.0.0.1:2", "error"},
		{"environment over file", Source{File: file, Environ: environ}, time.Millisecond, "127.0.0.1:2", "error"},
		{"flag over all", Source{File: file, Environ: environ, Flags: flags}, time.Millisecond, "127.0.0.1:2", "debug"},
		{"flag over file", Source{File: file, Flags: flags}, time.Millisecond, "127.0.0.1:1", "debug"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := load(t, tc.src)
			if c.Sync.PollInterval != tc.poll || c.Check.Listen[0].String() != tc.listen || c.Log.Level != tc.level {
				t.Errorf("got %v, %v, %v; want %v, %v, %v", c.Sync.PollInterval, c.Check.Listen[0], c.Log.Level,
					tc.poll, tc.listen, tc.level)
			}
		})
	}
}

// TestListReplacesList: a longer list of a weaker layer must not shine through.
func TestListReplacesList(t *testing.T) {
	c := load(t, Source{
		File:    write(t, "check: {listen: ['127.0.0.1:1', '127.0.0.1:2'], tokens: [a, b]}"),
		Environ: []string{"SIDEGATE_CHECK_LISTEN=127.0.0.1:3", "SIDEGATE_CHECK_TOKENS="},
	})
	if len(c.Check.Listen) != 1 || c.Check.Listen[0].Address != "127.0.0.1:3" {
		t.Errorf("listen = %v, want the variable's alone", c.Check.Listen)
	}
	if len(c.Check.Tokens) != 0 {
		t.Errorf("%d tokens, want none: the variable is empty", len(c.Check.Tokens))
	}
}

func TestEnvironmentReadsEveryType(t *testing.T) {
	c := load(t, Source{Environ: []string{
		"SIDEGATE_CHECK_LISTEN=127.0.0.1:1, unix:///run/s.sock?mode=0660",
		"SIDEGATE_API_LISTEN=",
		"SIDEGATE_API_TOKENS=one,two",
		"SIDEGATE_API_RATE_PER_OWNER=7",
		"SIDEGATE_API_JWT_SECRET=s3cret",
		"SIDEGATE_API_JWT_MAX_AGE=1h",
		"SIDEGATE_INSECURE=1",
		"SIDEGATE_POSTGRES_URL=postgres://localhost/db?application_name=a=b",
		"SIDEGATE_CACHE_MAX_BYTES=64KiB",
	}})
	for _, tc := range []struct {
		key       string
		got, want any
	}{
		{"check.listen", len(c.Check.Listen), 2},
		{"socket", c.Check.Listen[1], Address{"unix", "/run/s.sock", 0o660}},
		{"api.listen", len(c.API.Listen), 0},
		{"api.tokens", len(c.API.Tokens), 2},
		{"api.rate.per_owner", c.API.Rate.PerOwner, 7},
		{"api.jwt.max_age", c.API.JWT.MaxAge, time.Hour},
		{"api.jwt.user_claim", c.API.JWT.UserClaim, "sub"}, // the group exists, so its defaults do
		{"insecure", c.Insecure, true},
		{"postgres.url", c.Postgres.URL, "postgres://localhost/db?application_name=a=b"},
		{"cache.max_bytes", c.Cache.MaxBytes, int64(64 << 10)},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s = %v, want %v", tc.key, tc.got, tc.want)
		}
	}
}

// TestServiceLinks: the platform's own variables are nobody's typing error, but
// one that only looks like them is.
func TestServiceLinks(t *testing.T) {
	load(t, Source{Environ: []string{
		"SIDEGATE_SERVICE_HOST=10.0.0.1", "SIDEGATE_SERVICE_PORT=7070", "SIDEGATE_SERVICE_PORT_CHECK=7070",
		"SIDEGATE_PORT=tcp://10.0.0.1:7070", "SIDEGATE_PORT_7070_TCP=tcp://10.0.0.1:7070",
		"SIDEGATE_PORT_7070_TCP_ADDR=10.0.0.1", "SIDEGATE_PORT_7070_TCP_PROTO=tcp", "SIDEGATE_PORT_7070_TCP_PORT=7070",
		"SIDEGATE_API_SERVICE_HOST=10.0.0.2", "SIDEGATE_API_PORT=tcp://10.0.0.2:7071",
	}})
	if _, err := Load(Source{Environ: []string{"SIDEGATE_CHECK_PORT=7070"}}); err == nil {
		t.Error("SIDEGATE_CHECK_PORT=7070 was taken for a service link")
	}
}

func TestProgramVariablesAreLeftAlone(t *testing.T) {
	environ := []string{"SIDEGATE_TOKEN=secret"}
	load(t, Source{Environ: environ, Programs: []string{"SIDEGATE_TOKEN"}})
	_, err := Load(Source{Environ: environ})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("without the list: %v; want an error without the value", err)
	}
}

func TestFileForms(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             "",
		"comment":           "# nothing\n",
		"json":              `{"check": {"listen": ["127.0.0.1:9"]}}`,
		"single address":    "check: {listen: '127.0.0.1:9'}",
		"empty group":       "check:\nsync: {}\n",
		"anchor":            "check: {listen: &a ['127.0.0.1:9']}\nops: {listen: []}\n",
		"alias of a group":  "apps: {one: &p {mode: two_way}, two: *p}",
		"off by text":       "check: {listen: ''}",
		"off by list":       "check: {listen: ['']}",
		"bare zero":         "api: {jwt: {secret: s, max_age: 0}}",
		"plain bytes":       "cache: {max_bytes: 1048576}",
		"app without a key": "apps: {acme: }",
		"app with a dot":    "apps: {com.example.chat: {limit: 5}}",
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, Source{File: write(t, text)})
			if _, ok := c.Apps["default"]; !ok {
				t.Error("the app default is gone")
			}
		})
	}
	c := load(t, Source{File: write(t, "apps: {com.example.chat: {limit: 5}, acme: }")})
	if c.Apps["com.example.chat"].Policy.Limit != 5 || c.Apps["acme"].Policy.Limit != 3000 {
		t.Errorf("limits are %d and %d, want 5 and 3000", c.Apps["com.example.chat"].Policy.Limit, c.Apps["acme"].Policy.Limit)
	}
}
