package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// fileFaults are bad inputs with what is said of them. FILE stands for the path.
var fileFaults = []struct{ name, file, want string }{
	// Keys.
	{"typing error", "a: 1\npostgres:\n  ulr: x\n", `unknown key "postgres.ulr" at FILE:3: did you mean "postgres.url"?`},
	{"typing error in a group", "postgre: {url: x}", `unknown key "postgre" at FILE:1: did you mean "postgres"?`},
	{"swapped letters", "sync: {pool_interval: 1s}", `did you mean "sync.poll_interval"?`},
	{"right name, wrong place", "poll_interval: 1s", `unknown key "poll_interval" at FILE:1: did you mean "sync.poll_interval"?`},
	{"nothing near", "sync: {zzzzzzzz: 1}", "known here: poll_interval, hints, soft_bound, hard_bound"},
	{"inside an app", "apps: {acme: {limt: 3}}", `unknown key "apps.acme.limt" at FILE:1: did you mean "apps.acme.limit"?`},
	{"unknown room type", "apps: {acme: {rooms: {dm: {on_block: drop}}}}", "known here: direct, group, open"},
	{"unknown dialect", "apps: {acme: {dialects: {rongclod: {}}}}", `did you mean "apps.acme.dialects.rongcloud"?`},
	{"twice", "sync: {poll_interval: 1s}\nsync: {soft_bound: 3s}\n", "sync at FILE:2 stands there already, in line 1"},
	{"twice in a token", "api: {tokens: [{token: a, token: b}]}", "api.tokens at FILE:1: this is not readable"},
	{"merge", "sync: &s {poll_interval: 1s}\ncheck: {<<: *s}", "FILE:2: only plain keys are read"},
	{"structure as a key", "? [a]\n: 1\n", "FILE:1: only plain keys are read"},
	// Shapes.
	{"not YAML", "check: [", "FILE: yaml:"},
	{"text with a star", "log: {level: info}\napi: {tokens: [*KEY-7]}", "FILE:2: a text that begins with * is taken for a reference"},
	{"list at the top", "[a]", "FILE:1: the file does not hold a mapping"},
	{"two documents", "sync: {}\n---\nsync: {}\n", "holds more than one document"},
	{"value for a group", "sync: 5", "sync at FILE:1 is not a group"},
	{"group for a value", "postgres: {url: {host: a}}", "postgres.url at FILE:1: this is a mapping; write text"},
	// Types.
	{"number for a duration", "sync: {poll_interval: 100}", "sync.poll_interval at FILE:1: 100 has no unit; write 100ms, 100s or 100m"},
	{"fraction for a duration", "sync: {poll_interval: 1.5}", "this is a number; write a duration such as 100ms"},
	{"word for a duration", "sync: {poll_interval: fast}", `"fast" is not a duration`},
	{"list for a duration", "sync: {poll_interval: [1s]}", "this is a list; write a duration"},
	{"empty duration", "sync: {poll_interval: }", "this is empty; write a duration"},
	{"negative duration", "sync: {poll_interval: -1s}", "-1s is out of range; write 1ms to 1m"},
	{"zero poll", "sync: {poll_interval: 0}", "0 is out of range"},
	{"word for a size", "cache: {max_bytes: lots}", `"lots" is not a size`},
	{"list for a size", "cache: {max_bytes: [1]}", "this is a list; write a size such as 256MiB"},
	{"no memory", "cache: {max_bytes: 0}", "0 is too small; write at least 1, or auto"},
	{"negative size", "cache: {max_bytes: -5}", `"-5" is not a size`},
	{"word for a truth value", "insecure: 'yes'", "insecure at FILE:1: this is text; write true or false without quotes"},
	{"text for a number", "apps: {acme: {limit: '5'}}", "this is text; write a whole number"},
	{"limit of 0", "apps: {acme: {limit: 0}}", "0 is out of range; write 1 to 3000"},
	{"limit above the most", "apps: {acme: {limit: 3001}}", "3001 is out of range; write 1 to 3000"},
	{"number for text", "apps: {a: {dialects: {rongcloud: {app_key: 7}}}}", "this is a number; write text, in quotes"},
	{"date for text", "apps: {a: {dialects: {rongcloud: {app_key: 2020-01-01}}}}", "this is a date; write text"},
	{"number for a list", "check: {listen: 7070}", "this is a number; write a list in brackets"},
	{"number in a list", "check: {listen: [7070]}", "entry 1: this is a number; write text"},
	{"unknown preset", "apps: {a: {preset: rongclout}}", `"rongclout" is not known: did you mean "rongcloud"?`},
	{"unknown mode", "apps: {a: {mode: both}}", `"both" is not known; write one_way or two_way`},
	{"unknown on_block", "apps: {a: {rooms: {open: {on_block: hide}}}}", `write reject, drop, deliver_silently or deliver`},
	{"unknown on_unknown", "apps: {a: {on_unknown: allow}}", `write error, deliver or withhold`},
	{"bad exempt id", `apps: {a: {exempt: ["ok", "a\x01b"]}}`, "entry 2 is not a user id:"},
	{"empty exempt id", `apps: {a: {exempt: [""]}}`, "entry 1: this is empty"},
	{"repeated exempt id", `apps: {a: {exempt: [x, x]}}`, "entry 2 stands there twice"},
	{"unknown scheme", "postgres: {url: 'mysql://h/db'}", "postgres.url at FILE:1: this is not a Postgres URL"},
	{"zero byte", `postgres: {url: "postgres://h/d\0b"}`, "this holds a zero byte"},
	{"app's name", `apps: {"": {}}`, "FILE:1: an app's name has 1 to 256 bytes"},
	{"app's name with a control character", `apps: {"a\x1fb": {}}`, "FILE:1: an app's name has 1 to 256 bytes"},
	// Values against each other.
	{"soft below poll", "sync: {poll_interval: 3s}", "sync.soft_bound: 2s is below sync.poll_interval (3s)"},
	{"an audit without a pause", "audit: {period: 1ms}", "audit.period at FILE:1: 1ms is below 100ms; write 0s for no audit"},
	{"hard below soft", "sync: {hard_bound: 1s}", "sync.hard_bound at FILE:1: 1s is below sync.soft_bound (2s)"},
	{"one address twice", "api: {listen: '127.0.0.1:7070'}", "api.listen at FILE:1: check listens on 127.0.0.1:7070 already"},
	{"one socket twice", "check: {listen: ['unix:///a?mode=0600', 'unix:///a?mode=0660']}", "check listens on unix:///a?mode=0660 already"},
	{"token of no app", "apps: {acme: }\napi: {tokens: [{token: t, apps: [amce]}]}", `is for the app "amce", which is not configured: did you mean "acme"?`},
}

// TestFileFaults: every bad input has an error that says where it stands and
// what would be right.
func TestFileFaults(t *testing.T) {
	for _, tc := range fileFaults {
		t.Run(tc.name, func(t *testing.T) {
			path := write(t, tc.file)
			_, err := Load(Source{File: path})
			want := strings.ReplaceAll(tc.want, "FILE", path)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "KEY-7") {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestDialectFaults(t *testing.T) {
	for _, tc := range []struct{ name, dialects, want string }{
		{"replay without skew", "rongcloud: {app_key: k, app_secret: s, refuse_replay: true}", "refuse_replay at FILE:2 needs max_clock_skew"},
		{"no app key", "rongcloud: {app_secret: s}", "apps.a.dialects.rongcloud.app_key is missing at FILE:2; the dialect"},
		{"no app secret", "rongcloud: {app_key: k}", "apps.a.dialects.rongcloud.app_secret is missing"},
		{"nothing at all", "rongcloud: {}", "app_key is missing"},
		{"no tokens", "sendbird: {rate: 5}", "apps.a.dialects.sendbird.api_tokens is missing"},
		{"negative rate", "sendbird: {api_tokens: [t], rate: -1}", "-1 is out of range"},
		{"no keys", "imkit: {}", "apps.a.dialects.imkit.client_keys is missing"},
		{"plain verify_url", "imkit: {api_keys: [k], verify_url: 'http://example.com/v'}", "this is neither https nor a loopback address"},
		{"verify_url without a scheme", "imkit: {api_keys: [k], verify_url: 'example.com'}", "this is not a URL"},
		{"two ways to verify", "imkit: {api_keys: [k], verify_url: 'https://e.com', jwt: {secret: s}}", "verify_url at FILE:2 stands beside jwt"},
		{"jwt without a key", "imkit: {api_keys: [k], jwt: {issuer: i}}", "apps.a.dialects.imkit.jwt at FILE:2 has no key"},
		{"origin with a path", "imkit: {api_keys: [k], cors_origins: ['https://e.com/x']}", "is not an origin"},
		{"origin of all", "imkit: {api_keys: [k], cors_origins: ['*']}", "is not an origin"},
		{"already_blocked", "imkit: {api_keys: [k], already_blocked: ignore}", "write conflict or upsert"},
		{"app_claim is not of this dialect", "imkit: {api_keys: [k], jwt: {secret: s, app_claim: x}}", `unknown key "apps.a.dialects.imkit.jwt.app_claim"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := write(t, "apps: {a: {dialects:\n {"+tc.dialects+"}}}")
			_, err := Load(Source{File: path})
			want := strings.ReplaceAll(tc.want, "FILE", path)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// TestSharedCredentials: a credential names the app, so it may not name two.
func TestSharedCredentials(t *testing.T) {
	for _, dialect := range []string{
		"rongcloud: {app_key: KEY-7, app_secret: s}", "sendbird: {api_tokens: [KEY-7]}",
		"imkit: {client_keys: [KEY-7]}", "imkit: {api_keys: [KEY-7]}",
	} {
		file := write(t, "apps:\n a: {dialects: {"+dialect+"}}\n b: {dialects: {"+dialect+"}}\n")
		_, err := Load(Source{File: file})
		if err == nil || !strings.Contains(err.Error(), " at "+file+`:3 is also that of the app "a"`) || strings.Contains(err.Error(), "KEY-7") {
			t.Errorf("%s in two apps: %v", dialect, err)
		}
	}
}

// TestClientKeyAsAPIKey: what every client holds must not open everything, in its
// own app or another.
func TestClientKeyAsAPIKey(t *testing.T) {
	for _, tc := range []struct{ apps, fault string }{
		{"a: {dialects: {imkit: {client_keys: [KEY-7], api_keys: [KEY-7]}}}", "apps.a.dialects.imkit.api_keys at FILE:1 is also among the client_keys"},
		{"a: {dialects: {imkit: {client_keys: [KEY-7]}}}, b: {dialects: {imkit: {api_keys: [KEY-7]}}}", "apps.b.dialects.imkit.api_keys at FILE:1 is also among the client_keys"},
		{"a: {dialects: {imkit: {api_keys: [KEY-7]}}}, b: {dialects: {imkit: {client_keys: [KEY-7]}}}", "apps.b.dialects.imkit.client_keys at FILE:1 is also among the api_keys"},
		{"a: {dialects: {imkit: {client_keys: [KEY-7], api_keys: [KEY-8]}}}, b: {dialects: {imkit: {client_keys: [KEY-9]}}}", ""},
	} {
		file := write(t, "apps: {"+tc.apps+"}")
		_, err := Load(Source{File: file})
		switch fault := strings.ReplaceAll(tc.fault, "FILE", file); {
		case tc.fault == "":
			if err != nil {
				t.Errorf("%s: %v", tc.apps, err)
			}
		case err == nil || strings.Count(err.Error(), fault) != 1 || strings.Contains(err.Error(), "KEY-7"):
			t.Errorf("%s: %v, want %s", tc.apps, err, tc.fault)
		}
	}
}

func TestVariableAndFlagFaults(t *testing.T) {
	for _, tc := range []struct {
		name string
		src  Source
		want string
	}{
		{"unknown variable", Source{Environ: []string{"SIDEGATE_POSTGRES_ULR=x"}}, "unknown variable SIDEGATE_POSTGRES_ULR: the nearest known one is SIDEGATE_POSTGRES_URL"},
		{"apps by variable", Source{Environ: []string{"SIDEGATE_APPS_DEFAULT_MODE=x"}}, "apps are set in the file only"},
		{"duration", Source{Environ: []string{"SIDEGATE_SYNC_POLL_INTERVAL=100"}}, "SIDEGATE_SYNC_POLL_INTERVAL: 100 has no unit"},
		{"number", Source{Environ: []string{"SIDEGATE_API_RATE_PER_APP=many"}}, `SIDEGATE_API_RATE_PER_APP: "many" is not a whole number`},
		{"truth value", Source{Environ: []string{"SIDEGATE_INSECURE=maybe"}}, `"maybe" is neither true nor false`},
		{"empty address", Source{Environ: []string{"SIDEGATE_CHECK_LISTEN=127.0.0.1:1,"}}, "an address is empty"},
		{"flag", Source{Flags: map[string]string{"check.listen": "7070"}}, `--check-listen: "7070" is not an address`},
		{"flag level", Source{Flags: map[string]string{"log.level": "warning"}}, `--log-level: "warning" is not known`},
		{"no such file", Source{File: filepath.Join(t.TempDir(), "none.yaml")}, "no such file"},
		{"directory", Source{File: t.TempDir()}, "is a directory"},
		{"endless file", Source{File: "/dev/zero"}, "is larger than 4MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(tc.src)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// TestAllFaultsAtOnce: one start shows everything that has to be repaired.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := Load(Source{
		File:    write(t, "syncc: {}\ncache: {max_bytes: x}\n"),
		Environ: []string{"SIDEGATE_NOPE=1"},
		Flags:   map[string]string{"ops.listen": "x"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 4 {
		t.Errorf("%d lines, want one for each of 4 faults:\n%v", len(lines), err)
	}
}
