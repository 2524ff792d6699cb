package config

import (
	"crypto/sha256"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1048576": 1 << 20, "10B": 10, "64KiB": 64 << 10, "256MiB": 256 << 20, "3GiB": 3 << 30, "1TiB": 1 << 40,
		"1kB": 1000, "1KB": 1000, "2MB": 2e6, "2GB": 2e9, "1TB": 1e12, " 5 MiB ": 5 << 20,
		"9223372036854775807": math.MaxInt64, "8388607TiB": 8388607 << 40,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "is not a size", "MiB": "is not a size", "-1": "is not a size", "1.5GiB": "is not a size", "1 2": "is not a size",
		"0x10": "is not a size", "1MiBB": "is not a size", "1mib": "is not a size", "+1": "is not a size",
		"9223372036854775808": "more bytes than", "8388608TiB": "more bytes than", "99999999999999999999": "more bytes than",
	} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSize(%q) = %d, %v; want an error with %q", text, got, err, want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 1: "1", 1023: "1023", 1024: "1KiB", 1025: "1025", 256 << 20: "256MiB", 1 << 30: "1GiB", 3 << 40: "3TiB", 1536: "1536",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 100 * time.Millisecond: "100ms", 2 * time.Second: "2s", 5 * time.Minute: "5m", 90 * time.Second: "1m30s",
		time.Hour: "1h", 61 * time.Minute: "1h1m", 10 * time.Hour: "10h",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for _, tc := range []struct {
		text  string
		want  Address
		local bool
	}{
		{"127.0.0.1:7070", Address{"tcp", "127.0.0.1:7070", 0}, true},
		{"127.8.9.1:0", Address{"tcp", "127.8.9.1:0", 0}, true},
		{"[::1]:7070", Address{"tcp", "[::1]:7070", 0}, true},
		{"[::ffff:127.0.0.1]:7070", Address{"tcp", "[::ffff:127.0.0.1]:7070", 0}, true},
		{"localhost:7070", Address{"tcp", "localhost:7070", 0}, true},
		{"LocalHost:7070", Address{"tcp", "LocalHost:7070", 0}, true},
		{":7070", Address{"tcp", ":7070", 0}, false},
		{"0.0.0.0:7070", Address{"tcp", "0.0.0.0:7070", 0}, false},
		{"[::]:7070", Address{"tcp", "[::]:7070", 0}, false},
		{"10.0.0.1:7070", Address{"tcp", "10.0.0.1:7070", 0}, false},
		{"[fe80::1%eth0]:7070", Address{"tcp", "[fe80::1%eth0]:7070", 0}, false},
		{"localhost.example.com:7070", Address{"tcp", "localhost.example.com:7070", 0}, false},
		{"unix:///run/s.sock", Address{"unix", "/run/s.sock", 0o600}, true},
		{"unix:///run/s.sock?mode=0660", Address{"unix", "/run/s.sock", 0o660}, true},
		{"unix:///run/s.sock?mode=777", Address{"unix", "/run/s.sock", 0o777}, true},
		{"unix:///run/a%20b%3Fc.sock", Address{"unix", "/run/a b?c.sock", 0o600}, true},
	} {
		got, err := ParseAddress(tc.text)
		if err != nil || got != tc.want || got.Local() != tc.local {
			t.Errorf("ParseAddress(%q) = %+v (local %v), %v; want %+v (local %v)", tc.text, got, got.Local(), err, tc.want, tc.local)
			continue
		}
		if again, err := ParseAddress(got.String()); err != nil || again != got {
			t.Errorf("%q is printed as %q, which reads as %+v, %v", tc.text, got, again, err)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "an address is empty",
		"7070":                         "write host:port such as",
		"127.0.0.1":                    "write host:port such as",
		"::1:7070":                     "write host:port such as",
		"127.0.0.1:http":               "the port is not a number",
		"127.0.0.1:70000":              "the port is not a number",
		"127.0.0.1:-1":                 "the port is not a number",
		"127.0.0.1:":                   "the port is not a number",
		"http://127.0.0.1:7070":        "is a URL; write host:port",
		"a b:1":                        "a character that no host name has",
		"user@host:1":                  "a character that no host name has",
		"unix:":                        "write three slashes",
		"unix:///":                     "write three slashes",
		"unix://run/s.sock":            "write three slashes",
		"unix:run/s.sock":              "write three slashes",
		"unix:///s#frag":               "write three slashes",
		"unix:///s?mode=0888":          "not an octal number",
		"unix:///s?mode=01777":         "not an octal number",
		"unix:///s?mode=":              "not an octal number",
		"unix:///s?mode=0600&mode=660": "only mode may follow",
		"unix:///s?user=www":           "only mode may follow",
		"unix:///s?mode=%zz":           "not readable",
		"unix:///a%zz":                 "is not a socket address",
		"unix:///" + strings.Repeat("a", maxSocketPath): "at most 103 bytes",
		"unix:///a%00b": "none of them is zero",
	} {
		if got, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseAddress(%q) = %+v, %v; want an error with %q", text, got, err, want)
		}
	}
}

const hashOfT1 = "628b49d96dcde97a430dd4f597705899e09a968f793491e4b704cae33a40dc02" // sha256 of "t1"

func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("  t3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, Source{Open: true, File: write(t, `
apps: {acme: }
api:
  tokens:
    - plain
    - "sha256:`+hashOfT1+`"
    - {name: bare, token: t2}
    - {token: "sha256:`+strings.ToUpper(strings.Repeat("ab", 32))+`", scopes: [user, app]}
    - {name: from file, file: "`+file+`", apps: [acme, default], scopes: [staff]}
`)})
	app, hash := []Scope{ScopeApp}, func(s string) [32]byte { return sha256.Sum256([]byte(s)) }
	var repeated [32]byte
	for i := range repeated {
		repeated[i] = 0xab
	}
	want := []Token{
		{Name: "token-1", SHA256: hash("plain"), Scopes: app},
		{Name: "token-2", SHA256: hash("t1"), Scopes: app},
		{Name: "bare", SHA256: hash("t2"), Scopes: app},
		{Name: "token-4", SHA256: repeated, Scopes: []Scope{ScopeUser, ScopeApp}},
		{Name: "from file", SHA256: hash("t3"), File: file, Apps: []string{"acme", "default"}, Scopes: []Scope{ScopeStaff}},
	}
	if !reflect.DeepEqual(c.API.Tokens, want) {
		t.Errorf("got  %+v\nwant %+v", c.API.Tokens, want)
	}
}

// TestTokenFaults: SECRET stands for the token, and must not be shown.
func TestTokenFaults(t *testing.T) {
	for entry, want := range map[string]string{
		`12345`:                            "entry 1: this is a number; write the token in quotes",
		`""`:                               "entry 1: a token is empty",
		`"***"`:                            "is the placeholder of `config print`",
		`"SECRET with blanks"`:             "holds white space",
		`"SECRÉT"`:                         "a character outside ASCII",
		`"sha256:SECRET"`:                  "a sha256 is not 64 hexadecimal digits",
		`{name: SECRETLESS}`:               "exactly one of token, sha256 and file",
		`{token: SECRET, file: /f}`:        "exactly one of token, sha256 and file",
		`{token: SECRET, scope: [app]}`:    `unknown field "scope"; known are name, token, sha256, file, apps, scopes`,
		`{token: SECRET, scopes: [admin]}`: `"admin" is not a scope; write user, app or staff`,
		`{token: SECRET, scopes: []}`:      "this names no scope",
		`{token: SECRET, apps: []}`:        "leave it out for every app",
		`{token: SECRET, apps: {a: b}}`:    "apps: this is a mapping; write a list",
		`{token: SECRET, name: ""}`:        "name: this is empty",
		`{token: 5}`:                       "token: this is a number; put it in quotes",
		`{sha256: 5}`:                      "a sha256 is not 64",
		`{file: 5}`:                        "file: this is a number",
		`SECRET, SECRET`:                   `entry 2 is the same token as "token-1"`,
		`{name: n, token: SECRET}, {name: n, token: b}`: `entry 2: the name "n" stands there twice`,
	} {
		_, err := Load(Source{File: write(t, "api: {tokens: ["+entry+"]}")})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", entry, err, want)
		} else if strings.Contains(err.Error(), "SECR") {
			t.Errorf("%s: the error shows the token: %v", entry, err)
		}
	}
}

func TestTokenFileFaults(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": " \n", "two": "t1 t2", "placeholder": Redacted} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		entry := "api: {tokens: [{name: t, file: '" + file + "'}]}"
		if _, err := Load(Source{Open: true, File: write(t, entry)}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("a file that holds %q: %v; want an error that names the file", content, err)
		}
		load(t, Source{File: write(t, entry)}) // a client does not look
	}
	entry := "api: {tokens: [{file: '" + filepath.Join(dir, "gone") + "'}]}"
	if _, err := Load(Source{Open: true, File: write(t, entry)}); err == nil || !strings.Contains(err.Error(), "api.tokens at ") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestNearest(t *testing.T) {
	for _, tc := range []struct {
		a, b  string
		edits int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "acb", 1},
		{"listen", "listne", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"url", "ulr", 1},
	} {
		if got := distance(tc.a, tc.b); got != tc.edits {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.edits)
		}
		if got := distance(tc.b, tc.a); got != tc.edits {
			t.Errorf("distance(%q, %q) = %d, want %d: it is symmetric", tc.b, tc.a, got, tc.edits)
		}
	}
	if best, edits := nearest("x", nil); best != "" || edits >= 0 {
		t.Errorf("nearest of nothing = %q, %d", best, edits)
	}
}
