package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// keyCase sets one key to a value that is not its default.
type keyCase struct {
	key  string
	yaml string // in the file
	text string // as a variable and as a flag; "" = as in the file
	want any
	get  func(*Config) any
	// with is what else has to be set for the key to be allowed.
	with string
}

// acmeJWT reads from the JWT of a dialect.
var acmeJWT = func(get func(*JWT) any) func(*Config) any {
	return func(c *Config) any { return get(c.Apps["acme"].Dialects.IMKit.JWT) }
}

// keyCases has a row for every key of the table: a wrong name in a struct tag,
// a value that ends in its neighbour or a variable that is not read shows here.
var keyCases = []keyCase{
	{
		key: "check.listen", yaml: "['127.0.0.1:1', 'unix:///s']", text: "127.0.0.1:1,unix:///s",
		want: []Address{{"tcp", "127.0.0.1:1", 0}, {"unix", "/s", 0o600}},
		get:  func(c *Config) any { return c.Check.Listen },
	},
	{
		key: "check.tokens", yaml: "[t1]", text: "t1", want: 1,
		get: func(c *Config) any { return len(c.Check.Tokens) },
	},
	{
		key: "check.at_least_timeout", yaml: "1s", want: time.Second,
		get: func(c *Config) any { return c.Check.AtLeastTimeout },
	},
	{
		key: "api.listen", yaml: "['127.0.0.1:2']", text: "127.0.0.1:2",
		want: []Address{{"tcp", "127.0.0.1:2", 0}},
		get:  func(c *Config) any { return c.API.Listen },
	},
	{
		key: "api.tokens", yaml: "[t1, t2]", text: "t1,t2", want: 2,
		get: func(c *Config) any { return len(c.API.Tokens) },
	},
	{
		key: "api.jwt.jwks_url", yaml: "https://a.example/keys", want: "https://a.example/keys",
		get: func(c *Config) any { return c.API.JWT.JWKSURL },
	},
	{
		key: "api.jwt.jwks_file", yaml: "/run/keys.json", want: "/run/keys.json",
		get: func(c *Config) any { return c.API.JWT.JWKSFile },
	},
	{
		key: "api.jwt.public_key", yaml: "'-----BEGIN PUBLIC KEY-----'", text: "-----BEGIN PUBLIC KEY-----",
		want: "-----BEGIN PUBLIC KEY-----",
		get:  func(c *Config) any { return c.API.JWT.PublicKey },
	},
	{
		key: "api.jwt.secret", yaml: "s3cret", want: "s3cret",
		get: func(c *Config) any { return c.API.JWT.Secret },
	},
	{
		key: "api.jwt.algorithms", yaml: "[HS384, HS512]", text: "HS384, HS512", with: "secret",
		want: []string{"HS384", "HS512"},
		get:  func(c *Config) any { return c.API.JWT.Algorithms },
	},
	{
		key: "api.jwt.issuer", yaml: "me", want: "me", with: "secret",
		get: func(c *Config) any { return c.API.JWT.Issuer },
	},
	{
		key: "api.jwt.audience", yaml: "you", want: "you", with: "secret",
		get: func(c *Config) any { return c.API.JWT.Audience },
	},
	{
		key: "api.jwt.user_claim", yaml: "uid", want: "uid", with: "secret",
		get: func(c *Config) any { return c.API.JWT.UserClaim },
	},
	{
		key: "api.jwt.app_claim", yaml: "tenant", want: "tenant", with: "secret",
		get: func(c *Config) any { return c.API.JWT.AppClaim },
	},
	{
		key: "api.jwt.scope_claim", yaml: "roles", want: "roles", with: "secret",
		get: func(c *Config) any { return c.API.JWT.ScopeClaim },
	},
	{
		key: "api.jwt.max_age", yaml: "24h", want: 24 * time.Hour, with: "secret",
		get: func(c *Config) any { return c.API.JWT.MaxAge },
	},
	{
		key: "api.rate.per_app", yaml: "50", want: 50,
		get: func(c *Config) any { return c.API.Rate.PerApp },
	},
	{
		key: "api.rate.per_owner", yaml: "5", want: 5,
		get: func(c *Config) any { return c.API.Rate.PerOwner },
	},
	{
		key: "ops.listen", yaml: "[]", text: " ", want: []Address{},
		get: func(c *Config) any { return c.Ops.Listen },
	},
	{
		key: "ops.tokens", yaml: "[t1, t2, t3]", text: "t1,t2,t3", want: 3,
		get: func(c *Config) any { return len(c.Ops.Tokens) },
	},
	{
		key: "insecure", yaml: "true", want: true,
		get: func(c *Config) any { return c.Insecure },
	},
	{
		key: "postgres.url", yaml: "host=h dbname=d", want: "host=h dbname=d",
		get: func(c *Config) any { return c.Postgres.URL },
	},
	{
		key: "sync.poll_interval", yaml: "20ms", want: 20 * time.Millisecond,
		get: func(c *Config) any { return c.Sync.PollInterval },
	},
	{
		key: "sync.hints", yaml: "true", want: true,
		get: func(c *Config) any { return c.Sync.Hints },
	},
	{
		key: "sync.soft_bound", yaml: "3s", want: 3 * time.Second,
		get: func(c *Config) any { return c.Sync.SoftBound },
	},
	{
		key: "sync.hard_bound", yaml: "1h", want: time.Hour,
		get: func(c *Config) any { return c.Sync.HardBound },
	},
	{
		key: "sync.retention", yaml: "24h", want: 24 * time.Hour,
		get: func(c *Config) any { return c.Sync.Retention },
	},
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
	{
		key: "log.level", yaml: "debug", want: "debug",
		get: func(c *Config) any { return c.Log.Level },
	},
	{
		key: "log.format", yaml: "json", want: "json",
		get: func(c *Config) any { return c.Log.Format },
	},
	{
		key: "log.user_ids", yaml: "plain", want: "plain",
		get: func(c *Config) any { return c.Log.UserIDs },
	},
	{
		key: "log.id_key", yaml: "a key that nobody has", want: "a key that nobody has",
		get: func(c *Config) any { return c.Log.IDKey },
	},
	{
		key: "decision_log.path", yaml: "/var/log/d", want: "/var/log/d",
		get: func(c *Config) any { return c.DecisionLog.Path },
	},
	{
		key: "decision_log.sample", yaml: "0.25", want: 0.25,
		get: func(c *Config) any { return c.DecisionLog.Sample },
	},
	{
		key: "decision_log.rate", yaml: "7", want: 7,
		get: func(c *Config) any { return c.DecisionLog.Rate },
	},
	{
		key: "decision_log.user_ids", yaml: "plain", want: "plain",
		get: func(c *Config) any { return c.DecisionLog.UserIDs },
	},
	{
		key: "tracing.endpoint", yaml: "http://collector:4318", want: "http://collector:4318",
		get: func(c *Config) any { return c.Tracing.Endpoint },
	},
	{
		key: "tracing.sample", yaml: "0.5", want: 0.5,
		get: func(c *Config) any { return c.Tracing.Sample },
	},
	{
		key: "tracing.headers", yaml: "['a=b', 'c=d']", text: "a=b,c=d", want: []string{"a=b", "c=d"},
		get: func(c *Config) any { return c.Tracing.Headers },
	},
	{
		key: "apps.*.preset", yaml: "imkit", want: "imkit",
		get: func(c *Config) any { return c.Apps["acme"].Preset },
	},
	{
		key: "apps.*.mode", yaml: "two_way", want: filter.ModeTwoWay,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Mode },
	},
	{
		key: "apps.*.limit", yaml: "1", want: 1,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Limit },
	},
	{
		key: "apps.*.on_unknown", yaml: "withhold", want: filter.OnUnknownWithhold,
		get: func(c *Config) any { return c.Apps["acme"].Policy.OnUnknown },
	},
	{
		key: "apps.*.allowlist", yaml: "true", want: true,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Allowlist },
	},
	{
		key: "apps.*.exempt", yaml: "[bot, 'mod 1']", want: []string{"bot", "mod 1"},
		get: func(c *Config) any { return c.Apps["acme"].Policy.Exempt },
	},
	{
		key: "apps.*.rooms.direct.on_block", yaml: "reject", want: filter.OnBlockReject,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Rooms[filter.Direct].OnBlock },
	},
	{
		key: "apps.*.rooms.direct.mode", yaml: "two_way", want: filter.ModeTwoWay,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Rooms[filter.Direct].Mode },
	},
	{
		key: "apps.*.rooms.group.on_block", yaml: "deliver", want: filter.OnBlockDeliver,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Rooms[filter.Group].OnBlock },
	},
	{
		key: "apps.*.rooms.group.mode", yaml: "two_way", want: filter.ModeTwoWay,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Rooms[filter.Group].Mode },
	},
	{
		key: "apps.*.rooms.open.on_block", yaml: "deliver_silently", want: filter.OnBlockDeliverSilently,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Rooms[filter.Open].OnBlock },
	},
	{
		key: "apps.*.rooms.open.mode", yaml: "two_way", want: filter.ModeTwoWay,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Rooms[filter.Open].Mode },
	},
	{
		key: "apps.*.known_users", yaml: "true", want: true,
		get: func(c *Config) any { return c.Apps["acme"].KnownUsers },
	},
	{
		key: "apps.*.history_retention", yaml: "720h", want: 720 * time.Hour,
		get: func(c *Config) any { return c.Apps["acme"].HistoryRetention },
	},
	{
		key: "apps.*.invitations", yaml: "exclude", want: filter.InvitationsExclude,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Invitations },
	},
	{
		key: "apps.*.enforce", yaml: "false", want: true,
		get: func(c *Config) any { return c.Apps["acme"].Policy.Shadow },
	},
}

// dialectCases are the rows of the dialects' keys.
var dialectCases = []keyCase{
	{
		key: "apps.*.dialects.rongcloud.app_key", yaml: "k", want: "k", with: "app_secret",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.RongCloud.AppKey },
	},
	{
		key: "apps.*.dialects.rongcloud.app_secret", yaml: "s", want: "s", with: "app_key",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.RongCloud.AppSecret },
	},
	{
		key: "apps.*.dialects.rongcloud.rate", yaml: "7", want: 7, with: "app_key app_secret",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.RongCloud.Rate },
	},
	{
		key: "apps.*.dialects.rongcloud.max_clock_skew", yaml: "5m", want: 5 * time.Minute, with: "app_key app_secret",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.RongCloud.MaxClockSkew },
	},
	{
		key: "apps.*.dialects.rongcloud.refuse_replay", yaml: "true", want: true, with: "app_key app_secret max_clock_skew",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.RongCloud.RefuseReplay },
	},
	{
		key: "apps.*.dialects.sendbird.api_tokens", yaml: "[a, b]", want: []string{"a", "b"},
		get: func(c *Config) any { return c.Apps["acme"].Dialects.Sendbird.APITokens },
	},
	{
		key: "apps.*.dialects.sendbird.rate", yaml: "8", want: 8, with: "api_tokens",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.Sendbird.Rate },
	},
	{
		key: "apps.*.dialects.imkit.client_keys", yaml: "[a]", want: []string{"a"},
		get: func(c *Config) any { return c.Apps["acme"].Dialects.IMKit.ClientKeys },
	},
	{
		key: "apps.*.dialects.imkit.api_keys", yaml: "[b]", want: []string{"b"},
		get: func(c *Config) any { return c.Apps["acme"].Dialects.IMKit.APIKeys },
	},
	{
		key: "apps.*.dialects.imkit.jwt.jwks_url", yaml: "https://a.example/k", want: "https://a.example/k", with: "../api_keys",
		get: acmeJWT(func(j *JWT) any { return j.JWKSURL }),
	},
	{
		key: "apps.*.dialects.imkit.jwt.jwks_file", yaml: "/k", want: "/k", with: "../api_keys",
		get: acmeJWT(func(j *JWT) any { return j.JWKSFile }),
	},
	{
		key: "apps.*.dialects.imkit.jwt.public_key", yaml: "PEM", want: "PEM", with: "../api_keys",
		get: acmeJWT(func(j *JWT) any { return j.PublicKey }),
	},
	{
		key: "apps.*.dialects.imkit.jwt.secret", yaml: "s", want: "s", with: "../api_keys",
		get: acmeJWT(func(j *JWT) any { return j.Secret }),
	},
	{
		key: "apps.*.dialects.imkit.jwt.algorithms", yaml: "[HS512]", want: []string{"HS512"}, with: "../api_keys secret",
		get: acmeJWT(func(j *JWT) any { return j.Algorithms }),
	},
	{
		key: "apps.*.dialects.imkit.jwt.issuer", yaml: "i", want: "i", with: "../api_keys secret",
		get: acmeJWT(func(j *JWT) any { return j.Issuer }),
	},
	{
		key: "apps.*.dialects.imkit.jwt.audience", yaml: "a", want: "a", with: "../api_keys secret",
		get: acmeJWT(func(j *JWT) any { return j.Audience }),
	},
	{
		key: "apps.*.dialects.imkit.jwt.user_claim", yaml: "u", want: "u", with: "../api_keys secret",
		get: acmeJWT(func(j *JWT) any { return j.UserClaim }),
	},
	{
		key: "apps.*.dialects.imkit.verify_url", yaml: "https://a.example/v", want: "https://a.example/v", with: "api_keys",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.IMKit.VerifyURL },
	},
	{
		key: "apps.*.dialects.imkit.cors_origins", yaml: "['https://a.example']", want: []string{"https://a.example"}, with: "api_keys",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.IMKit.CORSOrigins },
	},
	{
		key: "apps.*.dialects.imkit.already_blocked", yaml: "upsert", want: "upsert", with: "api_keys",
		get: func(c *Config) any { return c.Apps["acme"].Dialects.IMKit.AlreadyBlocked },
	},
}

// beside are values for the keys that another key needs, by their last part.
var beside = map[string]string{
	"secret": "other", "app_key": "other", "app_secret": "other", "max_clock_skew": "1h",
	"api_tokens": "[other]", "api_keys": "[other]",
	"cert_file": "/other/cert", "key_file": "/other/key",
}

// document is a YAML document: groups are documents, values are text.
type document map[string]any

// set puts a value at a path; maps are made on the way.
func (d document) set(path, value string) {
	parts := strings.Split(strings.Replace(path, "*", "acme", 1), ".")
	for _, part := range parts[:len(parts)-1] {
		next, ok := d[part].(document)
		if !ok {
			next = document{}
			d[part] = next
		}
		d = next
	}
	d[parts[len(parts)-1]] = value
}

func (d document) write(b *strings.Builder, indent string) {
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if below, ok := d[name].(document); ok {
			b.WriteString(indent + name + ":\n")
			below.write(b, indent+"  ")
			continue
		}
		b.WriteString(indent + name + ": " + d[name].(string) + "\n")
	}
}

// file is the document that sets the key of a row, and what it needs.
func (tc *keyCase) file(value string) string { return tc.document(value).String() }

func (tc *keyCase) document(value string) document {
	group := tc.key[:strings.LastIndexByte(tc.key, '.')+1]
	d := document{}
	for _, name := range strings.Fields(tc.with) {
		place := group + name
		if up, ok := strings.CutPrefix(name, "../"); ok {
			place = group[:strings.LastIndexByte(strings.TrimSuffix(group, "."), '.')+1] + up
			name = up
		}
		d.set(place, beside[name])
	}
	if value != "" {
		d.set(tc.key, value)
	}
	return d
}

func (d document) String() string {
	var b strings.Builder
	d.write(&b, "")
	return b.String()
}

// TestEveryKey sets each key in the file, by its variable and by its flag.
func TestEveryKey(t *testing.T) {
	cases := slices.Concat(keyCases, tlsCases, dialectCases)
	for _, k := range Keys() {
		if k.fills != nil {
			continue // see TestEverySecretFile
		}
		row := slices.IndexFunc(cases, func(tc keyCase) bool { return tc.key == k.Path })
		if row < 0 {
			t.Errorf("%s has no row in this test", k.Path)
			continue
		}
		tc := cases[row]
		t.Run(k.Path, func(t *testing.T) {
			tc.check(t, "the file", Source{File: write(t, tc.file(tc.yaml))})
			text := tc.text
			if text == "" {
				text = tc.yaml
			}
			others := write(t, tc.file(""))
			if k.Env() != "" {
				tc.check(t, k.Env(), Source{File: others, Environ: []string{k.Env() + "=" + text}})
			}
			if k.Flag != "" {
				tc.check(t, "--"+k.Flag, Source{File: others, Flags: map[string]string{k.Path: text}})
			}
		})
	}
}

func (tc *keyCase) check(t *testing.T, by string, src Source) {
	t.Helper()
	if got := tc.get(load(t, src)); !reflect.DeepEqual(got, tc.want) {
		t.Errorf("by %s: %v, want %v", by, got, tc.want)
	}
}

// TestEveryKeyIsPrinted: what is set shows, in its place.
func TestEveryKeyIsPrinted(t *testing.T) {
	for _, tc := range slices.Concat(keyCases, tlsCases, dialectCases) {
		c := load(t, Source{File: write(t, tc.file(tc.yaml))})
		path := strings.Replace(tc.key, "*", "acme", 1)
		found := false
		for _, e := range c.effective() {
			found = found || dotted(e.path) == path
		}
		if !found {
			t.Errorf("%s is set and not printed", path)
		}
	}
}
