package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckServe(t *testing.T) {
	const db = "postgres: {url: 'postgres://h/d'}\n"
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tc := range []struct{ name, file, fault string }{
		{"defaults with a database", db, ""},
		{"no database", "", "postgres.url is empty"},
		{"nothing to serve", db + "check: {listen: []}\napi: {listen: []}\nops: {listen: []}", "nothing to serve"},
		{"sidecar only", db + "api: {listen: []}\nops: {listen: []}", ""},
		{"exposed check", db + "check: {listen: '0.0.0.0:7070'}", "0.0.0.0:7070 can be reached from other machines and nobody is asked for a credential; set check.tokens or check.tls.client_ca_file,"},
		{"exposed by the second address", db + "check: {listen: ['127.0.0.1:1', ':7070']}", ":7070 can be reached"},
		{"exposed check with a token", db + "check: {listen: '0.0.0.0:7070', tokens: [t]}", ""},
		{"socket", db + "check: {listen: 'unix:///run/s.sock?mode=0666'}", ""},
		{"exposed api", db + "api: {listen: ':7071'}", "set api.tokens, api.jwt or api.tls.client_ca_file,"},
		{"a token of another listener does not help", db + "check: {tokens: [t]}\napi: {listen: ':7071'}", "set api.tokens, api.jwt or api.tls.client_ca_file,"},
		{"exposed api with a token", db + "api: {listen: ':7071', tokens: [t]}", ""},
		{"exposed api with JWT", db + "api: {listen: ':7071', jwt: {secret: s}}", ""},
		{"JWT is not for check", db + "api: {jwt: {secret: s}}\ncheck: {listen: ':7070'}", "set check.tokens or check.tls.client_ca_file,"},
		{"exposed ops", db + "ops: {listen: ':7072'}", ""},
		{"insecure", db + "insecure: true\ncheck: {listen: ':7070'}\napi: {listen: ':7071'}", ""},
		{"a secret that was not read", db + "api: {jwt: {secret_file: " + missing + "}}", "have not been read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := load(t, Source{File: write(t, tc.file)}).CheckServe()
			if tc.fault == "" && err != nil {
				t.Errorf("CheckServe: %v", err)
			}
			if tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) {
				t.Errorf("CheckServe: %v\nwant %s", err, tc.fault)
			}
		})
	}
	if err := load(t, Source{}).CheckListeners(); err != nil {
		t.Errorf("CheckListeners without a database: %v", err)
	}
}

// TestOpsTokenWithoutStaff: it is allowed, opens nothing, and is said.
func TestOpsTokenWithoutStaff(t *testing.T) {
	c := load(t, Source{File: write(t, "ops: {tokens: [bare, {name: s, token: t, scopes: [staff]}]}")})
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], `token "token-1" has no scope staff`) {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

// TestWarnings: what is allowed and probably not meant is said, without secrets.
func TestWarnings(t *testing.T) {
	const public = "api: {jwt: {jwks_url: 'https://e.com/k'"
	for _, tc := range []struct{ file, warning string }{
		{"api: {tokens: [{name: app, token: t, scopes: [user]}]}", `token "app" has the scope user alone and names no user`},
		{"check: {tokens: [{name: app, token: t, scopes: [user]}]}", "opens nothing"},
		{"api: {tokens: [{name: app, token: t, scopes: [user, app]}]}", ""},
		{public + "}}", " has no audience"},
		{public + ", audience: sidegate}}", ""},
		{"api: {jwt: {secret: s3cret}}", ""},
		{"sync: {soft_bound: 20m, hard_bound: 1h}", "sync.retention: 2h is less than 10 times sync.soft_bound (20m)"},
		{"sync: {soft_bound: 20m, hard_bound: 1h, retention: 200m}", ""},
	} {
		got := strings.Join(load(t, Source{File: write(t, tc.file)}).Warnings, "\n")
		if tc.warning == "" && got != "" || !strings.Contains(got, tc.warning) || strings.Contains(got, "s3cret") {
			t.Errorf("%s\ngot  %q\nwant %q", tc.file, got, tc.warning)
		}
	}
}
