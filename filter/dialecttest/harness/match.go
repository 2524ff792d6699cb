package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// wildcards are the texts of a pattern that stand for a kind of value. A text is
// never a number: types are a part of every contract.
var wildcards = map[string]func(any) bool{
	"<text>":   func(v any) bool { s, ok := v.(string); return ok && s != "" },
	"<string>": func(v any) bool { _, ok := v.(string); return ok },
	"<time>":   func(v any) bool { s, ok := v.(string); return ok && milliseconds.MatchString(s) },
	"<number>": func(v any) bool { n, ok := v.(json.Number); return ok && whole.MatchString(n.String()) },
	"<ms>": func(v any) bool {
		n, ok := v.(json.Number)
		return ok && whole.MatchString(n.String()) && len(n) == len("1600006869368")
	},
}

var (
	// milliseconds: RFC 3339 with three digits behind the second, in UTC.
	milliseconds = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	whole        = regexp.MustCompile(`^(0|[1-9]\d*)$`)
)

// Match compares JSON with a pattern: the same types, the same members and no
// others. In a pattern a member whose name begins with "?" may be missing, and
// "<text>", "<string>", "<time>", "<number>" and "<ms>" stand for values.
func Match(pattern, body string) error {
	want, err := decode(pattern)
	if err != nil {
		return fmt.Errorf("the pattern: %w", err)
	}
	got, err := decode(body)
	if err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	return compare("the answer", want, got)
}

// decode reads one JSON value and nothing after it, numbers as they are written.
func decode(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return v, nil
}

func compare(at string, want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", at)
		}
		return compareObjects(at, want, got)
	case []any:
		got, ok := got.([]any)
		if !ok {
			return fmt.Errorf("%s is no array", at)
		}
		if len(got) != len(want) {
			return fmt.Errorf("%s has %d elements, want %d", at, len(got), len(want))
		}
		for i := range want {
			if err := compare(fmt.Sprintf("%s[%d]", at, i), want[i], got[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		if kind, ok := wildcards[want]; ok {
			if !kind(got) {
				return fmt.Errorf("%s is %#v, want a %s", at, got, want)
			}
			return nil
		}
	}
	if want != got { // both are comparable: null, a boolean, a number or a text
		return fmt.Errorf("%s is %#v, want %#v", at, got, want)
	}
	return nil
}

func compareObjects(at string, want, got map[string]any) error {
	known := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		plain, optional := strings.CutPrefix(name, "?")
		known[plain] = true
		value, there := got[plain]
		if !there && optional {
			continue
		}
		if !there {
			return fmt.Errorf("%s has no %q", at, plain)
		}
		if err := compare(at+"."+plain, want[name], value); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !known[name] {
			return fmt.Errorf("%s has %q, which is not documented", at, name)
		}
	}
	return nil
}

// indent writes JSON as it stands in a file of exchanges, without escaping what
// needs none.
func indent(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // it came from JSON
	return strings.TrimSuffix(b.String(), "\n")
}
