package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestProbeFaults: what cannot be probed, or would never be answered, is said at the
// start.
func TestProbeFaults(t *testing.T) {
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprint("'http://h:", i+1, "'"))
	}
	for text, want := range map[string]string{
		"probe: {interval: 1ms}":                                             "1ms is below 10ms",
		"probe: {interval: 1s}\napi: {listen: []}":                           "run `sidegate probe` instead",
		"probe: {interval: 1s, app: acmee}\napps: {acme: {}}":                `did you mean "acme"`,
		"probe: {interval: 1s}\ncheck: {listen: []}":                         "there is nothing to probe",
		"probe: {interval: 1s}\ncheck: {tokens: [abcdefghijklmnop]}":         "set probe.token",
		"probe: {interval: 1s, cert_file: /c.pem}":                           "belong together",
		"probe: {interval: 1s, targets: [" + strings.Join(many, ", ") + "]}": "65 targets; at most 64",
	} {
		if _, err := Load(Source{File: write(t, text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v", text, err)
		}
	}
	for _, text := range []string{
		"probe: {app: nobody}", // off
		"probe: {interval: 1s}",
		"probe: {interval: 1s, token: abcdefghijklmnop}\ncheck: {tokens: [abcdefghijklmnop]}",
		"probe: {interval: 1s, targets: ['dns:pods:7070']}\ncheck: {listen: []}",
	} {
		if _, err := Load(Source{File: write(t, text)}); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}
