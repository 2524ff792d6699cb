package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// probeCases are the rows of the prober's keys.
var probeCases = []keyCase{
	{
		key: "probe.interval", yaml: "1s", want: time.Second,
		get: func(c *Config) any { return c.Probe.Interval },
	},
	{
		key: "probe.app", yaml: "acme", want: "acme",
		get: func(c *Config) any { return c.Probe.App },
	},
	{
		key: "probe.targets", yaml: "['http://a:1', 'dns:b:2']", text: "http://a:1,dns:b:2", want: []string{"http://a:1", "dns:b:2"},
		get: func(c *Config) any { return c.Probe.Targets },
	},
	{
		key: "probe.token", yaml: "s3cret", want: "s3cret",
		get: func(c *Config) any { return c.Probe.Token },
	},
	{
		key: "probe.ca_file", yaml: "/etc/ca.pem", want: "/etc/ca.pem",
		get: func(c *Config) any { return c.Probe.CAFile },
	},
	{
		key: "probe.cert_file", yaml: "/etc/c.pem", want: "/etc/c.pem",
		get: func(c *Config) any { return c.Probe.CertFile },
	},
	{
		key: "probe.key_file", yaml: "/etc/c.key", want: "/etc/c.key",
		get: func(c *Config) any { return c.Probe.KeyFile },
	},
}

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
		"probe: {interval: 1s, targets: ['http://a:1', 'a:1']}":              "entry 2 is no check listener",
		"probe: {interval: 1s, targets: ['dns:pods']}":                       "entry 1 is no check listener",
		"probe: {interval: 1s, targets: ['unix://run/x']}":                   "entry 1 is no check listener",
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
		"probe: {interval: 1s, targets: ['unix:///run/x', 'dns+https:pods:7070', 'https://[::1]:7070']}",
	} {
		if _, err := Load(Source{File: write(t, text)}); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}
