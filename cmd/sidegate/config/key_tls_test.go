package config

import (
	"slices"
	"time"
)

// tlsCases are the rows of the keys that begin and end a listener, and those of what
// outlives it and stands in files of its own.
var tlsCases = slices.Concat(probeCases, []keyCase{
	tlsCase("check", "cert_file", "key_file", "/c.pem", func(t *TLS) string { return t.CertFile }),
	tlsCase("check", "key_file", "cert_file", "/k.pem", func(t *TLS) string { return t.KeyFile }),
	tlsCase("check", "client_ca_file", "cert_file key_file", "/ca.pem", func(t *TLS) string { return t.ClientCAFile }),
	tlsCase("check", "min_version", "cert_file key_file", "'1.3'", func(t *TLS) string { return t.MinVersion }),
	tlsCase("api", "cert_file", "key_file", "/c.pem", func(t *TLS) string { return t.CertFile }),
	tlsCase("api", "key_file", "cert_file", "/k.pem", func(t *TLS) string { return t.KeyFile }),
	tlsCase("api", "client_ca_file", "cert_file key_file", "/ca.pem", func(t *TLS) string { return t.ClientCAFile }),
	tlsCase("api", "min_version", "cert_file key_file", "'1.3'", func(t *TLS) string { return t.MinVersion }),
	tlsCase("ops", "cert_file", "key_file", "/c.pem", func(t *TLS) string { return t.CertFile }),
	tlsCase("ops", "key_file", "cert_file", "/k.pem", func(t *TLS) string { return t.KeyFile }),
	tlsCase("ops", "client_ca_file", "cert_file key_file", "/ca.pem", func(t *TLS) string { return t.ClientCAFile }),
	tlsCase("ops", "min_version", "cert_file key_file", "'1.3'", func(t *TLS) string { return t.MinVersion }),
	{
		key: "shutdown_delay", yaml: "7s", want: 7 * time.Second,
		get: func(c *Config) any { return c.Shutdown.Delay },
	},
	{
		key: "shutdown_timeout", yaml: "20s", want: 20 * time.Second,
		get: func(c *Config) any { return c.Shutdown.Timeout },
	},
	{
		key: "cache.warm_file", yaml: "/var/cache/sidegate/warm", want: "/var/cache/sidegate/warm",
		get: func(c *Config) any { return c.Cache.WarmFile },
	},
	{
		key: "cache.warm_interval", yaml: "1m", want: time.Minute,
		get: func(c *Config) any { return c.Cache.WarmInterval },
	},
})

func tlsCase(listener, key, with, yaml string, get func(*TLS) string) keyCase {
	text := yaml
	if yaml == "'1.3'" {
		text = "1.3"
	}
	return keyCase{
		key: listener + ".tls." + key, yaml: yaml, text: text, with: with, want: text,
		get: func(c *Config) any {
			return get(map[string]*TLS{"check": c.Check.TLS, "api": c.API.TLS, "ops": c.Ops.TLS}[listener])
		},
	}
}
