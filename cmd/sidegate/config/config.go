package config

import (
	"time"

	"github.com/sidegate/sidegate/filter"
)

// Config is a whole configuration. It is not changed after [Load].
type Config struct {
	Check    Check          `koanf:"check"`
	API      API            `koanf:"api"`
	Ops      Ops            `koanf:"ops"`
	Insecure bool           `koanf:"insecure"`
	Postgres Postgres       `koanf:"postgres"`
	Sync     Sync           `koanf:"sync"`
	Cache    Cache          `koanf:"cache"`
	Log      Log            `koanf:"log"`
	Apps     map[string]App `koanf:"apps"` // never without "default"

	// Warnings are sentences about settings that are allowed and probably
	// not meant. They hold no secret.
	Warnings []string `koanf:"-"`

	values map[string]any    // every key that has a value, for printing
	origin map[string]string // where the values that are not defaults stand
}

// Check is the listener for decisions.
type Check struct {
	Listen         []Address     `koanf:"listen"`
	Tokens         []Token       `koanf:"tokens"`
	AtLeastTimeout time.Duration `koanf:"at_least_timeout"`
}

// API is the listener for block lists.
type API struct {
	Listen []Address `koanf:"listen"`
	Tokens []Token   `koanf:"tokens"`
	JWT    *JWT      `koanf:"jwt"` // nil = none is accepted
	Rate   Rate      `koanf:"rate"`
}

// Ops is the listener for operators.
type Ops struct {
	Listen []Address `koanf:"listen"`
	Tokens []Token   `koanf:"tokens"`
}

// Rate limits requests a second; 0 = no limit.
type Rate struct {
	PerApp   int `koanf:"per_app"`
	PerOwner int `koanf:"per_owner"`
}

// JWT says how a signed token is verified. Exactly one of the first four is set.
type JWT struct {
	JWKSURL    string        `koanf:"jwks_url"`
	JWKSFile   string        `koanf:"jwks_file"`
	PublicKey  string        `koanf:"public_key"` // PEM
	Secret     string        `koanf:"secret"`
	Algorithms []string      `koanf:"algorithms"` // never empty after Load
	Issuer     string        `koanf:"issuer"`
	Audience   string        `koanf:"audience"`
	UserClaim  string        `koanf:"user_claim"`
	AppClaim   string        `koanf:"app_claim"`
	ScopeClaim string        `koanf:"scope_claim"`
	MaxAge     time.Duration `koanf:"max_age"` // 0 = no bound
}

// Postgres names the database.
type Postgres struct {
	URL string `koanf:"url"`
}

// Sync is the follower's pace and the bounds on what may be answered from.
// PollInterval ≤ SoftBound ≤ HardBound.
type Sync struct {
	PollInterval time.Duration `koanf:"poll_interval"`
	SoftBound    time.Duration `koanf:"soft_bound"`
	HardBound    time.Duration `koanf:"hard_bound"`
}

// Cache is the memory for lists.
type Cache struct {
	MaxBytes int64 `koanf:"max_bytes"`
}

// Log says what is logged and how.
type Log struct {
	Level   string `koanf:"level"`    // debug, info, warn or error
	Format  string `koanf:"format"`   // text or json
	UserIDs string `koanf:"user_ids"` // hashed or plain
}

// App is one tenant.
type App struct {
	Preset      string        `koanf:"preset"`
	Policy      filter.Policy `koanf:"-"` // the preset, then the keys that are set
	KnownUsers  bool          `koanf:"known_users"`
	Invitations string        `koanf:"invitations"` // include or exclude
	Dialects    Dialects      `koanf:"dialects"`
}

// Dialects are the vendors' surfaces that an app has; nil = it has it not.
type Dialects struct {
	RongCloud *RongCloud `koanf:"rongcloud"`
	Sendbird  *Sendbird  `koanf:"sendbird"`
	IMKit     *IMKit     `koanf:"imkit"`
}

// RongCloud is the surface of RongCloud's server API.
type RongCloud struct {
	AppKey       string        `koanf:"app_key"`
	AppSecret    string        `koanf:"app_secret"`
	Rate         int           `koanf:"rate"`
	MaxClockSkew time.Duration `koanf:"max_clock_skew"` // 0 = not looked at
	RefuseReplay bool          `koanf:"refuse_replay"`
}

// Sendbird is the surface of Sendbird's Platform API.
type Sendbird struct {
	APITokens []string `koanf:"api_tokens"`
	Rate      int      `koanf:"rate"`
}

// IMKit is the surface of IMKit's client API.
type IMKit struct {
	ClientKeys     []string `koanf:"client_keys"`
	APIKeys        []string `koanf:"api_keys"`
	JWT            *JWT     `koanf:"jwt"`
	VerifyURL      string   `koanf:"verify_url"`
	CORSOrigins    []string `koanf:"cors_origins"`
	AlreadyBlocked string   `koanf:"already_blocked"` // conflict or upsert
}

// Policies returns the policy of every app by its name.
func (c *Config) Policies() map[string]filter.Policy {
	policies := make(map[string]filter.Policy, len(c.Apps))
	for name, app := range c.Apps {
		policies[name] = app.Policy
	}
	return policies
}
