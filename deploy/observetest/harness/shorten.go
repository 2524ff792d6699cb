package harness

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Shorter divides the durations of the rules, so that a minute is a second.
const Shorter = 60

// ShortenRules returns a file of rules for a test that cannot wait: the intervals
// of its groups, what stands in "for" and "keep_firing_for", the windows in
// brackets and the offsets of the expressions are divided by [Shorter].
//
// Nothing else is touched. Thresholds stay what they are: thirty seconds of age
// take thirty seconds. So do names and labels: a rule called …rate5m looks at five
// seconds in such a test.
func ShortenRules(text []byte) ([]byte, error) {
	var file struct {
		Groups []map[string]any `yaml:"groups"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	for _, group := range file.Groups {
		if err := shortenFields(group, "interval"); err != nil {
			return nil, err
		}
		rules, _ := group["rules"].([]any)
		for _, r := range rules {
			rule, ok := r.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("not a rule: %v", r)
			}
			if err := shortenFields(rule, "for", "keep_firing_for"); err != nil {
				return nil, err
			}
			expr, _ := rule["expr"].(string)
			rule["expr"] = ShortenExpr(expr)
		}
	}
	return yaml.Marshal(file)
}

func shortenFields(of map[string]any, names ...string) error {
	for _, name := range names {
		text, ok := of[name].(string)
		if !ok {
			continue
		}
		short := shortenDuration(text)
		if short == text {
			return fmt.Errorf("%s: %q is not a duration", name, text)
		}
		of[name] = short
	}
	return nil
}

var (
	windows  = regexp.MustCompile(`\[[0-9smhdw:]+\]|\boffset\s+-?[0-9smhdw]+`)
	duration = regexp.MustCompile(`[0-9]+[smhdw]`)
	units    = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
)

// ShortenExpr divides the windows and offsets of an expression by [Shorter].
func ShortenExpr(expr string) string { return windows.ReplaceAllStringFunc(expr, shortenDuration) }

// shortenDuration divides every duration of a text.
func shortenDuration(text string) string {
	return duration.ReplaceAllStringFunc(text, func(d string) string {
		n, err := strconv.Atoi(d[:len(d)-1])
		if err != nil {
			return d // more digits than any duration has: Prometheus will say so
		}
		return strconv.FormatInt((time.Duration(n)*units[d[len(d)-1]]/Shorter).Milliseconds(), 10) + "ms"
	})
}

func shortenFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	short, err := ShortenRules(text)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return os.WriteFile(to, bytes.TrimSpace(short), 0o600)
}
