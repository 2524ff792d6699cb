package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everySecret has one in each place that can hold one; all begin with SECRET.
const everySecret = `
postgres: {url: "postgres://user:SECRET1@h:5432/db?sslpassword=SECRET2&sslmode=disable"}
check: {tokens: [SECRET3]}
api:
  tokens: [{name: t, token: SECRET4, apps: [acme]}]
  jwt: {secret: SECRET5}
ops: {tokens: [{name: s, token: SECRET6, scopes: [staff]}, {name: f, file: /run/token, scopes: [staff]}]}
apps:
  acme:
    preset: rongcloud
    dialects:
      rongcloud: {app_key: k, app_secret: SECRET7}
      sendbird: {api_tokens: [SECRET8, SECRET9]}
      imkit: {client_keys: [SECRET10], api_keys: [SECRET11], jwt: {secret: SECRET12}}
`

func TestPrintHidesSecrets(t *testing.T) {
	c := load(t, Source{File: write(t, everySecret)})
	asYAML, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for form, text := range map[string]string{"YAML": string(asYAML), "JSON": string(asJSON)} {
		if strings.Contains(text, "SECRET") {
			t.Errorf("%s shows a secret:\n%s", form, text)
		}
		if n := strings.Count(text, Redacted); n != 12 {
			t.Errorf("%s hides %d secrets, want 12:\n%s", form, n, text)
		}
		for _, hash := range []string{"sha256", "SHA256"} {
			if strings.Contains(text, hash) {
				t.Errorf("%s shows a hash", form)
			}
		}
	}
	var y map[string]any
	var j struct {
		Values  map[string]any    `json:"values"`
		Sources map[string]string `json:"sources"`
	}
	if err := yaml.Unmarshal(asYAML, &y); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(asJSON, &j); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(y)
	if err != nil {
		t.Fatal(err)
	}
	var fromYAML map[string]any
	if err := json.Unmarshal(again, &fromYAML); err != nil || !reflect.DeepEqual(fromYAML, j.Values) {
		t.Errorf("YAML and JSON say different things (%v):\n%s\n%s", err, asYAML, asJSON)
	}
}

// TestPrintedIsRefused: a printed configuration that is fed back must not open
// a listener with the placeholder for a key.
func TestPrintedIsRefused(t *testing.T) {
	printed, err := load(t, Source{File: write(t, everySecret)}).YAML()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(Source{File: write(t, string(printed))})
	if err == nil || strings.Count(err.Error(), "placeholder of `config print`") != 8 {
		t.Errorf("want a fault for each of the 8 keys that hold secrets, DSN apart: %v", err)
	}
}

// TestPrintedReadsBack: without secrets, what is printed means the same.
func TestPrintedReadsBack(t *testing.T) {
	c := load(t, Source{File: write(t, `
check: {listen: ["unix:///run/s.sock?mode=0660", "127.0.0.1:1"]}
cache: {max_bytes: 3000}
sync: {hard_bound: 90s}
insecure: true
apps:
  default: {preset: sendbird}
  com.example: {preset: imkit, limit: 9, exempt: ["007", "a: b"], rooms: {open: {mode: one_way, on_block: drop}}}
  "true": {}
`)})
	printed, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again := load(t, Source{File: write(t, string(printed))})
	again.origin, c.origin, again.Warnings, c.Warnings = nil, nil, nil, nil // they name the file
	if !reflect.DeepEqual(again, c) {
		t.Errorf("printed:\n%s\nreads as %+v\nwant     %+v", printed, again, c)
	}
}

// TestAutoIsPrinted: the word, not the zero that stands for it, which is refused.
func TestAutoIsPrinted(t *testing.T) {
	for _, written := range []string{"", "cache: {max_bytes: auto}"} {
		printed, err := load(t, Source{File: write(t, written)}).YAML()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(printed), "  max_bytes: auto ") {
			t.Errorf("%q is printed as\n%s", written, printed)
		}
	}
}

func TestRedactDSN(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                                  "",
		"postgres://h/db":                   "postgres://h/db",
		"postgres://u@h/db":                 "postgres://u@h/db",
		"postgres://u:s3cret@h:1/db":        "postgres://u:***@h:1/db",
		"postgresql://u:s3%40cret@h/db":     "postgresql://u:***@h/db",
		"postgres:///db?password=s3cret":    "postgres:///db?password=***",
		"postgres:///db?PASSFILE=/s3cret":   "postgres:///db?PASSFILE=***",
		"postgres://h/db?unheard=s3cret":    "postgres://h/db?unheard=***",
		"postgres://h/db?sslmode=a?p=s3":    "postgres://h/db?sslmode=***",
		"postgres://h/db?user=a&user=s3":    "postgres://h/db?user=***",
		"postgres://h/db?=?password=s3":     Redacted,
		"postgres:///db?host=/run/pg":       "postgres:///db?host=%2Frun%2Fpg",
		"host=h password=s3cret":            Redacted,
		"host=h password='s3 cret' user=u":  Redacted,
		"postgres://u:s3@cret@h/db":         Redacted,
		"postgres://u:s3/cret@h/db":         Redacted,
		"postgres://u:12?s3cret@h/db":       Redacted,
		"postgres://u:12#s3cret@h/db":       Redacted,
		"postgres://u:%zzs3cret@h/db":       Redacted,
		"postgres://u:s3cret@h/db?a=b&c=%7": "postgres://u:***@h/db?a=***",
	} {
		got := redactDSN(dsn)
		if got != want {
			t.Errorf("redactDSN(%q) = %q, want %q", dsn, got, want)
		}
		if strings.Contains(got, "s3") || strings.Contains(got, "cret") {
			t.Errorf("redactDSN(%q) = %q shows a part of the password", dsn, got)
		}
	}
}

// TestKeys holds the table to what the rest of the package relies on.
func TestKeys(t *testing.T) {
	envs, flags := map[string]string{}, map[string]string{}
	for _, k := range Keys() {
		if k.kind.parse == nil || k.kind.schema == nil || k.Type() == "" || k.Doc == "" {
			t.Errorf("%s has no type, no schema or no text", k.Path)
		}
		if strings.ContainsAny(k.Doc, "|\n") {
			t.Errorf("%s: its text would break the table of the reference", k.Path)
		}
		if k.Default != nil {
			if _, err := k.kind.parse(k.Default); err != nil {
				t.Errorf("%s: its default is refused: %v", k.Path, err)
			}
		}
		for name, taken := range map[string]map[string]string{k.Env(): envs, k.Flag: flags} {
			if other, twice := taken[name]; twice && name != "" {
				t.Errorf("%s and %s share the name %s", k.Path, other, name)
			}
			taken[name] = k.Path
		}
		if k.Env() == "" != strings.HasPrefix(k.Path, "apps.") {
			t.Errorf("%s: its variable is %q; keys of apps have none, all others have one", k.Path, k.Env())
		}
	}
}
