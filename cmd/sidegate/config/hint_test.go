package config

import (
	"strings"
	"testing"
)

// TestHint: what a typing error is answered with.
func TestHint(t *testing.T) {
	for _, tc := range []struct{ key, want string }{
		// One edit, of every sort, at every level.
		{"chek", `did you mean "check"?`},
		{"chceck", `did you mean "check"?`},
		{"hceck", `did you mean "check"?`},
		{"checks", `did you mean "check"?`},
		{"app", `did you mean "api"?`}, // as near as apps, and before it
		{"check.listn", `did you mean "check.listen"?`},
		{"check.atleast_timeout", `did you mean "check.at_least_timeout"?`},
		{"api.jwt.isuer", `did you mean "api.jwt.issuer"?`},
		{"api.rate.per_ovner", `did you mean "api.rate.per_owner"?`},
		{"postgres.ulr", `did you mean "postgres.url"?`},
		{"postgres.uri", `did you mean "postgres.url"?`},
		{"apps.acme.moed", `did you mean "apps.acme.mode"?`},
		{"apps.acme.rooms.direct.onblock", `did you mean "apps.acme.rooms.direct.on_block"?`},
		{"apps.acme.dialects.imkit.jwt.secrte", `did you mean "apps.acme.dialects.imkit.jwt.secret"?`},
		// The right name in the wrong place.
		{"poll_interval", `did you mean "sync.poll_interval"?`},
		{"check.url", `did you mean "postgres.url"?`},
		{"apps.acme.on_block", `did you mean "apps.acme.rooms.direct.on_block"?`},
		{"apps.acme.app_secret", `did you mean "apps.acme.dialects.rongcloud.app_secret"?`},
		{"max_bytes", `did you mean "cache.max_bytes"?`},
		// Nothing that could be meant.
		{"database", "known here: a, b"},
		{"apps.acme.nothing_like_it", "known here: a, b"},
	} {
		if got := hint(tc.key, known(strings.Split(tc.key, ".")), []string{"a", "b"}); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.key, got, tc.want)
		}
	}
	if got := hint("zzzzzzzz", nil, nil); got != "no key may stand here" {
		t.Errorf("without any key: %s", got)
	}
}

// TestKnown: every group and key once, with the app that is asked about.
func TestKnown(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range known([]string{"apps", "acme", "mod"}) {
		if seen[path] {
			t.Errorf("%s stands there twice", path)
		}
		seen[path] = true
		if strings.Contains(path, "*") {
			t.Errorf("%s has a star", path)
		}
	}
	for _, want := range []string{
		"check", "check.listen", "api.jwt", "api.jwt.secret", "apps", "apps.acme", "apps.acme.rooms",
		"apps.acme.rooms.direct", "apps.acme.rooms.direct.mode", "apps.acme.dialects.imkit.jwt.secret", "insecure",
	} {
		if !seen[want] {
			t.Errorf("%s is missing", want)
		}
	}
	if other := known([]string{"apps"}); len(other) != len(seen) {
		t.Errorf("without an app there are %d paths, with one %d", len(other), len(seen))
	}
}

// TestUnknownVariable: the nearest variable, programs' own included.
func TestUnknownVariable(t *testing.T) {
	for name, want := range map[string]string{
		"SIDEGATE_POSTGRES_URI":    "SIDEGATE_POSTGRES_URL",
		"SIDEGATE_CHECKLISTEN":     "SIDEGATE_CHECK_LISTEN",
		"SIDEGATE_API_TOKEN":       "SIDEGATE_API_TOKENS",
		"SIDEGATE_TOKENS":          "SIDEGATE_TOKEN",
		"SIDEGATE_POLL_INTERVAL":   "SIDEGATE_SYNC_POLL_INTERVAL",
		"SIDEGATE_sync_soft_bound": "", // names are of capitals; which one is near is open
	} {
		_, err := Load(Source{Environ: []string{name + "=x"}, Programs: []string{"SIDEGATE_TOKEN"}})
		if err == nil || !strings.HasPrefix(err.Error(), "unknown variable "+name+": the nearest known one is "+want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	// A prefix that only begins like ours is somebody else's.
	load(t, Source{Environ: []string{"SIDEGATES=1", "SIDEGATE=1", "XSIDEGATE_A=1", "not a variable"}})
}

// TestFaultsNameTheWinner: two values that contradict each other are shown where
// the ones in force stand, not where they were overridden.
func TestFaultsNameTheWinner(t *testing.T) {
	file := write(t, "sync: {soft_bound: 3s, hard_bound: 4s}\ncheck: {listen: '127.0.0.1:7071'}\n")
	for _, tc := range []struct {
		name string
		src  Source
		want string
	}{
		{"file", Source{File: file, Environ: []string{"SIDEGATE_SYNC_POLL_INTERVAL=1m"}}, "sync.soft_bound at " + file + ":1: 3s is below"},
		{"variable over file", Source{File: file, Environ: []string{"SIDEGATE_SYNC_SOFT_BOUND=1ms"}}, "SIDEGATE_SYNC_SOFT_BOUND: 1ms is below"},
		{"default", Source{Environ: []string{"SIDEGATE_SYNC_POLL_INTERVAL=3s"}}, "sync.soft_bound: 2s is below"},
		{"flag", Source{File: file, Flags: map[string]string{"ops.listen": "127.0.0.1:7071"}}, "--ops-listen: api listens on 127.0.0.1:7071 already"},
		{"default of the later one", Source{File: file}, "api.listen: check listens on 127.0.0.1:7071 already"},
	} {
		if _, err := Load(tc.src); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v\nwant %s", tc.name, err, tc.want)
		}
	}
}
