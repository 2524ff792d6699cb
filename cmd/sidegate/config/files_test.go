package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secretFile puts text into a file that only we may read and returns its path.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEverySecretFile: whatever secret stands in a file of its own is that of the
// key, its line end apart, and both at once are refused.
func TestEverySecretFile(t *testing.T) {
	cases := slices.Concat(keyCases, tlsCases, dialectCases)
	seen := 0
	for _, k := range Keys() {
		if k.fills == nil {
			continue
		}
		seen++
		row := slices.IndexFunc(cases, func(tc keyCase) bool { return tc.key == k.fills.Path })
		tc := cases[row]
		secret := tc.text
		if secret == "" {
			secret = strings.Trim(tc.yaml, "[]'\"")
		}
		tc.key = k.Path
		t.Run(k.Path, func(t *testing.T) {
			for _, end := range []string{"", "\n", "\r\n"} {
				file := secretFile(t, strings.ReplaceAll(secret, ",", "\n")+end)
				tc.check(t, "a file in the file", Source{Open: true, File: write(t, tc.file(file))})
				if k.Env() != "" {
					tc.check(t, k.Env(), Source{Open: true, File: write(t, tc.file("")), Environ: []string{k.Env() + "=" + file}})
				}
			}
			both := tc.document(secretFile(t, secret))
			both.set(k.fills.Path, tc.yaml)
			if _, err := Load(Source{Open: true, File: write(t, both.String())}); err == nil || !strings.Contains(err.Error(), "stands beside") {
				t.Errorf("both: %v\n%s", err, both)
			}
		})
	}
	if seen < 7 {
		t.Errorf("only %d keys name the file of a secret", seen)
	}
}

// TestSecretFileFaults: what is wrong with the file of a secret is said with the
// place of its key, and without the secret.
func TestSecretFileFaults(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, tc := range []struct{ key, file, fault string }{
		{"postgres: {url_file: %s}", missing, "postgres.url_file at FILE:1: open " + missing + ": no such file"},
		{"postgres: {url_file: %s}", secretFile(t, "\n"), "it is empty"},
		{"postgres: {url_file: %s}", secretFile(t, "mysql://u:S3CRET@h"), "this is not a Postgres URL"},
		{"postgres: {url_file: ''}", "", "postgres.url_file at FILE:1: this is empty"},
		{"api: {jwt: {secret_file: %s}}", secretFile(t, Redacted+"\n"), "placeholder of `config print`"},
		{"apps: {a: {dialects: {sendbird: {api_tokens_file: %s}}}}", secretFile(t, "S3CRET\nS3CRET\n"), "entry 2 stands there twice"},
		{"apps: {a: {dialects: {sendbird: {api_tokens_file: %s}}}}", t.TempDir(), "is a directory"},
		{"api: {jwt: {jwks_file: %s}}", missing, "api.jwt.jwks_file at FILE:1: open " + missing},
		{"api: {tokens: [S3CRET, {file: %s}]}", secretFile(t, "S3CRET\n"), `is the same token as "token-1"`},
	} {
		text := tc.key
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, tc.file)
		}
		file := write(t, text)
		_, err := Load(Source{Open: true, File: file})
		want := strings.ReplaceAll(tc.fault, "FILE", file)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// TestFileOfWeakerLayer: the file of a value that is not in force is not asked for.
func TestFileOfWeakerLayer(t *testing.T) {
	c := load(t, Source{
		Open: true, File: write(t, "postgres: {url_file: /does/not/exist}\ncheck: {tokens: [{file: /does/not/exist}]}"),
		Environ: []string{"SIDEGATE_POSTGRES_URL_FILE=" + secretFile(t, "postgres://h/d\n"), "SIDEGATE_CHECK_TOKENS=t"},
	})
	if c.Postgres.URL != "postgres://h/d" {
		t.Errorf("the URL is %q", c.Postgres.URL)
	}
}

// TestExposedSecrets: a secret that every account of the machine can read is
// warned of, wherever it stands.
func TestExposedSecrets(t *testing.T) {
	for _, tc := range []struct{ config, warning string }{
		{"postgres: {url_file: %s}", "postgres.url_file at "},
		{"check: {tokens: [{file: %s}]}", "check.tokens at "},
		{"apps: {a: {dialects: {sendbird: {api_tokens_file: %s}}}}", "apps.a.dialects.sendbird.api_tokens_file at "},
	} {
		secret := secretFile(t, "host=h")
		if err := os.Chmod(secret, 0o644); err != nil {
			t.Fatal(err)
		}
		src := Source{Open: true, File: write(t, fmt.Sprintf(tc.config, secret))}
		warnings := strings.Join(load(t, src).Warnings, "\n")
		if !strings.Contains(warnings, tc.warning) || !strings.Contains(warnings, secret) {
			t.Errorf("%s: warnings %q", tc.config, warnings)
		}
		if err := os.Chmod(secret, 0o640); err != nil {
			t.Fatal(err)
		}
		if w := load(t, src).Warnings; len(w) != 0 {
			t.Errorf("%s: a file of a group is warned of: %q", tc.config, w)
		}
	}
	for text, warned := range map[string]bool{
		"postgres: {url: 'postgres://u:p@h/d'}":              true,
		"postgres: {url: 'postgres://u@h/d'}":                false,
		"api: {jwt: {secret: s}}":                            true,
		"apps: {a: {dialects: {imkit: {client_keys: [k]}}}}": true,
		"apps: {a: {dialects: {imkit: {client_keys: []}}}}":  false,
		"log: {level: debug}":                                false,
	} {
		file := write(t, text)
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		c, _ := Load(Source{File: file})
		if got := strings.Contains(strings.Join(c.Warnings, "\n"), "may read the file"); got != warned {
			t.Errorf("%s: warned of %v, want %v", text, got, warned)
		}
	}
}

// TestVariablesAreNotExpanded: ${VAR} is refused wherever it stands, with the way
// that works.
func TestVariablesAreNotExpanded(t *testing.T) {
	for text, want := range map[string]string{
		"postgres: {url: '${DATABASE_URL}'}":                                   "set the variable SIDEGATE_POSTGRES_URL, or SIDEGATE_POSTGRES_URL_FILE to a file that holds the value",
		"postgres: {url: 'postgres://u:${PW}@h/d'}":                            "postgres.url at FILE:1: ${…} is not replaced in the file",
		"check: {listen: ['${POD_IP}:7070']}":                                  "set the variable SIDEGATE_CHECK_LISTEN",
		"api: {tokens: [{name: a, token: '${T}'}]}":                            "set the variable SIDEGATE_API_TOKENS",
		"apps: {a: {dialects: {rongcloud: {app_key: k, app_secret: '${S}'}}}}": "name a file that holds the value by app_secret_file",
		"apps: {a: {exempt: ['${BOT}']}}":                                      "write the value itself",
	} {
		file := write(t, text)
		_, err := Load(Source{File: file})
		if err == nil || !strings.Contains(err.Error(), strings.Replace(want, "FILE:", file+":", 1)) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
	for _, text := range []string{"api: {jwt: {secret: 'a$b{c}${}'}}", "api: {jwt: {secret: '$HOME'}}", "api: {jwt: {secret: '${1}'}}"} {
		load(t, Source{File: write(t, text)})
	}
}
