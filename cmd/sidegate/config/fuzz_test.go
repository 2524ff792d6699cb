package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"0", "64KiB", "256MiB", "1TB", "9223372036854775807", "8388608TiB", "-1", "", "MiB", "1e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseSize(text)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("ParseSize(%q) = %d", text, n)
		}
		if again, err := ParseSize(FormatSize(n)); err != nil || again != n {
			t.Fatalf("ParseSize(%q) = %d, printed as %q, read as %d, %v", text, n, FormatSize(n), again, err)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"127.0.0.1:7070", ":0", "[::1]:1", "unix:///a?mode=0660", "unix:///%2e%2e", "unix://", "a:b:c", "localhost:99999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddress(text)
		if err != nil {
			return
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Fatalf("ParseAddress(%q) = %+v, printed as %q, read as %+v, %v", text, a, a, again, err)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	for _, s := range []string{"t", "sha256:" + hashOfT1, "sha256:", "***", "", "a b", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parseToken(text, 0)
		if err == nil && token.SHA256 == [32]byte{} && text != "sha256:"+zeroHash {
			t.Fatalf("parseToken(%q) took a token without a hash", text)
		}
		if err == nil && (text == "" || text == Redacted) {
			t.Fatalf("parseToken(%q) took what is no token", text)
		}
	})
}

const zeroHash = "0000000000000000000000000000000000000000000000000000000000000000"

// FuzzFile: whatever the file holds, loading ends with a configuration or with
// an error, and a configuration can be printed.
func FuzzFile(f *testing.F) {
	f.Add(everySecret)
	f.Add("apps: {a: &a {rooms: *a}}")
	f.Add("apps: {\"a\\u001fb\": {mode: two_way}}")
	f.Add("? {a: b}\n: c\n")
	f.Add("check: &c\n  <<: *c\n")
	f.Add("\xff\xfe")
	path := filepath.Join(f.TempDir(), "sidegate.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Source{File: path})
		if err != nil {
			return
		}
		if _, err := c.YAML(); err != nil {
			t.Fatalf("%q loads and cannot be printed: %v", text, err)
		}
		if _, ok := c.Apps["default"]; !ok {
			t.Fatalf("%q: the app default is gone", text)
		}
	})
}

// FuzzRedactDSN: however a DSN is broken, no part of its password is printed.
func FuzzRedactDSN(f *testing.F) {
	for _, s := range []string{"pw", "p@w", "p/w", "p?w", "p#w", "12?x", "%zz", "p w", "p:w", "p&password=x", "[::1]"} {
		f.Add(s, "db")
	}
	f.Add("0", "?=")
	f.Add("&sslmode=", "?sslmode=x?")
	f.Fuzz(func(t *testing.T, around, database string) {
		const secret = "Zq7S3cretZq7"
		if strings.Contains(database, "Zq7") || strings.Contains(around, "Zq7") {
			return
		}
		for _, dsn := range []string{
			"postgres://user:" + around + secret + "@host/" + database,
			"postgres://user:" + secret + around + "@host/" + database,
			"postgres://host/" + database + "?password=" + secret + around,
			"host=h dbname=" + database + " password=" + around + secret,
			"host=h password='" + secret + around + "'",
		} {
			if got := redactDSN(dsn); strings.Contains(got, "Zq7") {
				t.Fatalf("redactDSN(%q) = %q", dsn, got)
			}
		}
	})
}
