package config

import "time"

// memoryCases are the rows of the keys of memory, and of what is compared with it.
var memoryCases = []keyCase{
	{
		key: "audit.samples", yaml: "0.5", want: 0.5,
		get: func(c *Config) any { return c.Audit.Samples },
	},
	{
		key: "audit.period", yaml: "0s", want: time.Duration(0),
		get: func(c *Config) any { return c.Audit.Period },
	},
	{
		key: "audit.repair", yaml: "false", want: false,
		get: func(c *Config) any { return c.Audit.Repair },
	},
	{
		key: "cache.max_bytes", yaml: "1GiB", want: int64(1 << 30),
		get: func(c *Config) any { return c.Cache.MaxBytes },
	},
	{
		key: "cache.load_rate", yaml: "200", want: 200,
		get: func(c *Config) any { return c.Cache.LoadRate },
	},
	{
		key: "cache.load_burst", yaml: "50", want: 50,
		get: func(c *Config) any { return c.Cache.LoadBurst },
	},
	{
		key: "cache.load_queue", yaml: "16", want: 16,
		get: func(c *Config) any { return c.Cache.LoadQueue },
	},
	{
		key: "cache.warm_file", yaml: "/var/cache/sidegate/warm", want: "/var/cache/sidegate/warm",
		get: func(c *Config) any { return c.Cache.WarmFile },
	},
	{
		key: "cache.warm_interval", yaml: "1m", want: time.Minute,
		get: func(c *Config) any { return c.Cache.WarmInterval },
	},
}
