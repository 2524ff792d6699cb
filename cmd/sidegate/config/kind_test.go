package config

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// samples is one value of each type that YAML knows.
var samples = []struct{ name, yaml string }{
	{"text", "word"},
	{"number", "7"},
	{"fraction", "1.5"},
	{"huge number", "18446744073709551615"},
	{"truth value", "true"},
	{"nothing", ""},
	{"null", "null"},
	{"date", "2030-01-31"},
	{"list", "[word]"},
	{"empty list", "[]"},
	{"list of numbers", "[7]"},
	{"list of lists", "[[word]]"},
	{"mapping", "{a: b}"},
	{"mapping with numbers for keys", "{1: b}"},
}

// TestKindsByType shows each kind a value of each type. What is not named is
// refused.
func TestKindsByType(t *testing.T) {
	for _, tc := range []struct {
		name  string
		kind  kind
		takes string
	}{
		{"text", textKind, "text"},
		{"truth value", boolKind, "truth value"},
		{"whole number", countKind, "number"},
		{"range", intKind(7, 7), "number"},
		{"range beside it", intKind(8, 9), ""},
		{"duration", durationKind(0, time.Hour), ""},
		{"size", sizeKind(1), "number"},
		{"choice", enumKind("word", "other"), "text"},
		{"choice without it", enumKind("other"), ""},
		{"list of text", textsKind, "text, list, empty list"},
		{"secret", secretKind, "text"},
		{"list of secrets", secretsKind, "text, list, empty list"},
		{"addresses", listenKind, "empty list"},
		{"tokens", tokensKind, "text, list, empty list"},
		{"Postgres URL", dsnKind, ""},
		{"URL", webKind, ""},
		{"origins", originsKind, "empty list"},
		{"user ids", userIDsKind, "text, list, empty list"},
	} {
		takes := strings.Split(tc.takes, ", ")
		for _, sample := range samples {
			var raw any
			if err := yaml.Unmarshal([]byte(sample.yaml), &raw); err != nil {
				t.Fatal(err)
			}
			wanted := false
			for _, name := range takes {
				wanted = wanted || name == sample.name
			}
			value, err := tc.kind.parse(raw)
			if (err == nil) != wanted {
				t.Errorf("%s is shown a %s (%s): %v, %v; accepted should be %v", tc.name, sample.name, sample.yaml, value, err, wanted)
			}
			if err != nil && strings.Contains(err.Error(), "%!") {
				t.Errorf("%s is shown a %s: broken message %q", tc.name, sample.name, err)
			}
		}
	}
}

// TestSecretsStayOutOfErrors: whatever is wrong with a secret, the message does
// not repeat it.
func TestSecretsStayOutOfErrors(t *testing.T) {
	for name, k := range map[string]kind{
		"secret": secretKind, "secrets": secretsKind, "tokens": tokensKind, "Postgres URL": dsnKind,
		"URL": webKind, "user ids": userIDsKind,
	} {
		for _, raw := range []any{
			"S3CRET word", "S3CRET\x00", "sha256:S3CRET", "http://user:S3CRET@example.com/", "mysql://u:S3CRET@h/d",
			[]any{"S3CRET", "S3CRET"}, []any{"S3CRET\n"}, []any{map[string]any{"token": "S3CRET x"}},
			[]any{map[string]any{"token": "S3CRET", "sha256": "S3CRET"}}, map[string]any{"token": "S3CRET"},
		} {
			if _, err := k.parse(raw); err != nil && strings.Contains(err.Error(), "S3CRET") {
				t.Errorf("%s: the message shows it: %v", name, err)
			}
		}
	}
}

func TestRanges(t *testing.T) {
	duration := durationKind(time.Second, time.Minute)
	for text, fault := range map[string]string{
		"1s": "", "60s": "", "1m": "", "999ms": "write 1s to 1m", "61s": "write 1s to 1m", "0": "0 is out of range",
		"-1s": "-1s is out of range", "9999999h": "is not a duration", "1d": `"1d" is not a duration`, "": `"" is not a duration`,
	} {
		checkFault(t, "duration "+text, duration, text, fault)
	}
	number := intKind(1, 3)
	for n, fault := range map[int]string{1: "", 3: "", 0: "0 is out of range; write 1 to 3", 4: "4 is out of range", -1: "-1 is out of range"} {
		checkFault(t, "number", number, n, fault)
	}
	size := sizeKind(1024)
	for text, fault := range map[string]string{"1KiB": "", "1024": "", "1023": "1023 is too small; write at least 1KiB", "1kB": "1kB is too small"} {
		checkFault(t, "size "+text, size, text, fault)
	}
	checkFault(t, "size as a number", size, 1023, "1023 is too small")
	checkFault(t, "size as a number", size, 4096, "")
	checkFault(t, "negative size as a number", size, -4096, `"-4096" is not a size`)
}

func checkFault(t *testing.T, what string, k kind, raw any, fault string) {
	t.Helper()
	_, err := k.parse(raw)
	switch {
	case fault == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case fault != "" && (err == nil || !strings.Contains(err.Error(), fault)):
		t.Errorf("%s: %v, want %q", what, err, fault)
	}
}

func TestChoices(t *testing.T) {
	k := enumKind("direct", "group", "open")
	for text, fault := range map[string]string{
		"direct": "",
		"Direct": `"Direct" is not known: did you mean "direct"?`,
		"drect":  `did you mean "direct"?`,
		"opne":   `did you mean "open"?`,
		"public": `"public" is not known; write direct, group or open`,
		"":       `"" is not known; write direct, group or open`,
	} {
		checkFault(t, text, k, text, fault)
	}
	if k.name != "direct, group or open" {
		t.Errorf("the kind is called %q", k.name)
	}
	for want, values := range map[string][]string{`""`: {""}, "a": {"a"}, "a or b": {"a", "b"}, `"", a or b`: {"", "a", "b"}} {
		if got := oneOf(values); got != want {
			t.Errorf("oneOf(%q) = %q, want %q", values, got, want)
		}
	}
}

func TestListText(t *testing.T) {
	for text, want := range map[string][]string{
		"":          {},
		" ":         {},
		"a":         {"a"},
		"a,b":       {"a", "b"},
		" a , b c ": {"a", "b c"},
		"a,":        {"a", ""},
		",":         {"", ""},
	} {
		got, err := listText(text)
		if err != nil {
			t.Fatal(err)
		}
		list := got.([]any)
		if len(list) != len(want) {
			t.Errorf("listText(%q) = %q, want %q", text, list, want)
			continue
		}
		for i := range want {
			if list[i] != want[i] {
				t.Errorf("listText(%q) = %q, want %q", text, list, want)
			}
		}
	}
}

func TestWebAddresses(t *testing.T) {
	for text, fault := range map[string]string{
		"":                              "",
		"https://example.com":           "",
		"https://example.com:8443/a?b":  "",
		"http://localhost/keys":         "",
		"http://127.0.0.1:9/keys":       "",
		"http://[::1]:9/keys":           "",
		"http://example.com/":           "neither https nor a loopback",
		"http://localhost.example.com/": "neither https nor a loopback",
		"ftp://127.0.0.1/":              "neither https nor a loopback",
		"example.com/keys":              "not a URL",
		"https:///keys":                 "not a URL",
		"https://u:p@example.com/":      "not a URL",
		"https://%zz/":                  "not a URL",
	} {
		checkFault(t, text, webKind, text, fault)
	}
	for text, fault := range map[string]string{
		"https://example.com":      "",
		"http://localhost:3000":    "",
		"https://example.com/":     "is not an origin",
		"https://example.com?a":    "is not an origin",
		"https://u@example.com":    "is not an origin",
		"example.com":              "is not an origin",
		"null":                     "is not an origin",
		"*":                        "is not an origin",
		"chrome-extension://abcde": "is not an origin",
	} {
		checkFault(t, text, originsKind, text, fault)
	}
}

func TestPostgresURLs(t *testing.T) {
	for text, fault := range map[string]string{
		"":                            "",
		"postgres://h/d":              "",
		"postgresql://h/d":            "",
		"postgres://h1:1,h2:2/d":      "",
		"host=h":                      "",
		" host = h dbname=d":          "",
		"password='a b' host=h":       "",
		"mysql://h/d":                 "not a Postgres URL",
		"h:5432/d":                    "not a Postgres URL",
		"jdbc:postgresql://h/d?a=b":   "not a Postgres URL",
		"some words and an = in them": "not a Postgres URL",
		"postgres://h/d\x00":          "a zero byte",
	} {
		checkFault(t, text, dsnKind, text, fault)
	}
}
