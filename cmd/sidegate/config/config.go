package config

import (
	"time"

	"github.com/sidegate/sidegate/cmd/sidegate/tlsfiles"
	"github.com/sidegate/sidegate/filter"
)

// Config is a whole configuration, valid in itself: every value is in its range
// and none contradicts another. Whether a server can be started with it is for
// [Config.CheckServe] to say, because a client reads the same file.
//
// It is not changed after [Load], so it is safe for concurrent use.
type Config struct {
	Check    Check    `koanf:"check"`
	API      API      `koanf:"api"`
	Ops      Ops      `koanf:"ops"`
	Insecure bool     `koanf:"insecure"`
	Postgres Postgres `koanf:"postgres"`
	Sync     Sync     `koanf:"sync"`
	Cache    Cache    `koanf:"cache"`
	Audit    Audit    `koanf:"audit"`
	Log      Log      `koanf:"log"`
	// DecisionLog and Tracing tell others about the work; both are off unless
	// they are asked for.
	DecisionLog DecisionLog `koanf:"decision_log"`
	Tracing     Tracing     `koanf:"tracing"`
	// Probe is off unless it has an interval.
	Probe Probe `koanf:"probe"`
	// Apps are the tenants by name. The one called "default" is always
	// there: a request that names no app means it.
	Apps     map[string]App `koanf:"apps"`
	Shutdown Shutdown       `koanf:",squash"`

	// Warnings are sentences about settings that are allowed and probably
	// not meant. They hold no secret.
	Warnings []string `koanf:"-"`

	// bound are the listeners whose addresses somebody else has bound.
	bound map[string]bound

	// values holds every key that has a value, by its path, in the type of
	// the table: what is printed is what was understood, not what was written.
	values map[string]any
	// origin tells where a value or a group stands that is not a default, so
	// that a fault which shows only later can still name the place.
	origin map[string]place
	// filled are the secrets that a file of their own holds, by path.
	filled map[string]bool
	// opened tells whether those files have been read.
	opened bool
	// noted are the warnings that do not follow from values alone.
	noted []string
	// blank is the file if it holds no key, "" otherwise.
	blank string
}

// Check is the listener for decisions. No address means that it is off; no token
// means that whoever reaches it may ask.
type Check struct {
	Listen []Address `koanf:"listen"`
	Tokens []Token   `koanf:"tokens"`
	TLS    *TLS      `koanf:"tls"` // nil = its TCP addresses speak plain HTTP
	// AtLeastTimeout bounds how long a check may wait for a write that it
	// must know of. Above zero.
	AtLeastTimeout time.Duration `koanf:"at_least_timeout"`
}

// API is the listener for block lists. No address means that it is off; without
// a token and without JWT nobody may enter, unless the server is told otherwise.
type API struct {
	Listen []Address `koanf:"listen"`
	Tokens []Token   `koanf:"tokens"`
	JWT    *JWT      `koanf:"jwt"` // nil = none is accepted
	TLS    *TLS      `koanf:"tls"` // nil = its TCP addresses speak plain HTTP
	Rate   Rate      `koanf:"rate"`
}

// Ops is the listener for operators. Its tokens open the reads of staff alone;
// metrics and probes ask for none.
type Ops struct {
	Listen []Address `koanf:"listen"`
	Tokens []Token   `koanf:"tokens"`
	TLS    *TLS      `koanf:"tls"` // nil = its TCP addresses speak plain HTTP
}

// TLS names the files of a listener's certificate. A Unix socket never speaks TLS:
// its mode says who may connect, and nothing of it leaves the machine.
type TLS struct {
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// ClientCAFile makes every client show a certificate; "" = none is asked for.
	ClientCAFile string `koanf:"client_ca_file"`
	MinVersion   string `koanf:"min_version"` // 1.2 or 1.3
}

// Files returns the names in the form in which they are read.
func (t *TLS) Files() tlsfiles.Files {
	return tlsfiles.Files{Cert: t.CertFile, Key: t.KeyFile, ClientCA: t.ClientCAFile, MinVersion: t.MinVersion}
}

// Mutual reports whether every client has to show a certificate.
func (t *TLS) Mutual() bool { return t != nil && t.ClientCAFile != "" }

// Shutdown says how the program ends. It is over Delay + Timeout after the signal
// at the latest, and a moment for the ops listener.
type Shutdown struct {
	// Delay is how long requests are taken as before, while readiness is off.
	Delay time.Duration `koanf:"shutdown_delay"`
	// Timeout is how long requests under way may take after that. Above zero.
	Timeout time.Duration `koanf:"shutdown_timeout"`
}

// Rate limits the requests a second on native routes of the api listener; 0 = no
// limit, which is the default: a limit that nobody chose would look like an
// outage.
type Rate struct {
	PerApp   int `koanf:"per_app"`
	PerOwner int `koanf:"per_owner"`
}

// JWT says how a signed token is verified. Exactly one of the first four fields
// is set: a verifier with two keys would have to try both, and the weaker would
// decide.
type JWT struct {
	JWKSURL   string `koanf:"jwks_url"`
	JWKSFile  string `koanf:"jwks_file"`
	PublicKey string `koanf:"public_key"` // PEM
	Secret    string `koanf:"secret"`
	// Algorithms are those that are accepted, all of the family that the key
	// belongs to. Never empty: the token itself must not choose.
	Algorithms []string `koanf:"algorithms"`
	// Issuer and Audience are compared if they are set.
	Issuer   string `koanf:"issuer"`
	Audience string `koanf:"audience"`
	// The claims that name the user, the app and the scopes. A dialect's JWT
	// has a user claim only: there the app is known already.
	UserClaim  string `koanf:"user_claim"`
	AppClaim   string `koanf:"app_claim"`
	ScopeClaim string `koanf:"scope_claim"`
	// MaxAge refuses a token that was issued longer ago; 0 = no bound
	// besides its own expiry, which is always required.
	MaxAge time.Duration `koanf:"max_age"`
}

// Postgres names the database. The text is the driver's to read; it holds a
// password, so it is printed by [Config.YAML] and [Config.JSON] only.
type Postgres struct {
	URL string `koanf:"url"`
}

// Sync is the follower's pace and the bounds on what may be answered from.
// PollInterval ≤ SoftBound ≤ HardBound.
type Sync struct {
	PollInterval time.Duration `koanf:"poll_interval"`
	Hints        bool          `koanf:"hints"`
	SoftBound    time.Duration `koanf:"soft_bound"`
	HardBound    time.Duration `koanf:"hard_bound"`
	// Retention is how long the feed reaches back.
	Retention time.Duration `koanf:"retention"`
}

// Audit says how the database is compared with itself, and memory with it.
type Audit struct {
	// Samples is how many pages of memory are compared a second; 0 = none.
	Samples float64       `koanf:"samples"`
	Period  time.Duration `koanf:"period"` // 0 = never
	Repair  bool          `koanf:"repair"`
}

// Cache is the memory for lists.
type Cache struct {
	// MaxBytes bounds it; [Auto] = what the limit of the process has room for.
	MaxBytes int64 `koanf:"max_bytes"`
	// The next three bound the reads of what is not in it.
	LoadRate  int `koanf:"load_rate"`  // a second
	LoadBurst int `koanf:"load_burst"` // at once
	LoadQueue int `koanf:"load_queue"` // that wait
	// WarmFile keeps it for the next start, "" = none; WarmInterval is how often.
	WarmFile     string        `koanf:"warm_file"`
	WarmInterval time.Duration `koanf:"warm_interval"`
}

// Auto is a size that is found out at the start.
const Auto int64 = 0

// Log says what is logged and how.
type Log struct {
	Level   string `koanf:"level"`    // debug, info, warn or error
	Format  string `koanf:"format"`   // auto, text or json
	UserIDs string `koanf:"user_ids"` // hashed or plain
	IDKey   string `koanf:"id_key"`   // of the hash; "" = each process makes its own
}

// DecisionLog says which decisions are written down, and where.
type DecisionLog struct {
	Path    string  `koanf:"path"`     // "" = nowhere, - = to the standard output
	Sample  float64 `koanf:"sample"`   // of plain deliveries, 0 to 1
	Rate    int     `koanf:"rate"`     // records a second; 0 = no limit
	UserIDs string  `koanf:"user_ids"` // hashed or plain
}

// Tracing says where spans are sent.
type Tracing struct {
	Endpoint string   `koanf:"endpoint"` // "" = the variables of OpenTelemetry decide
	Sample   float64  `koanf:"sample"`   // of traces begun here, 0 to 1
	Headers  []string `koanf:"headers"`  // name=value; secret
}

// App is one tenant. Lists of two apps never meet.
type App struct {
	Preset string `koanf:"preset"`
	// Policy is what results from the preset and the keys that are set.
	Policy filter.Policy `koanf:"-"`
	// KnownUsers lets the dialects refuse ids that the directory lacks.
	KnownUsers bool `koanf:"known_users"`
	// HistoryRetention is how long ended intervals are kept; 0 = for ever.
	HistoryRetention time.Duration `koanf:"history_retention"`
	Dialects         Dialects      `koanf:"dialects"`
}

// Dialects are the vendors' surfaces that an app has; nil = it has it not.
type Dialects struct {
	RongCloud *RongCloud `koanf:"rongcloud"`
	Sendbird  *Sendbird  `koanf:"sendbird"`
	IMKit     *IMKit     `koanf:"imkit"`
}

// RongCloud is the surface of RongCloud's server API.
type RongCloud struct {
	// AppKey names the app in a request, AppSecret signs it.
	AppKey    string `koanf:"app_key"`
	AppSecret string `koanf:"app_secret"`
	Rate      int    `koanf:"rate"` // requests a second; 0 = no limit
	// MaxClockSkew is how far the time of a request may be from ours; 0 = it
	// is not looked at.
	MaxClockSkew time.Duration `koanf:"max_clock_skew"`
	// RefuseReplay needs MaxClockSkew, which bounds how long a nonce is kept.
	RefuseReplay bool `koanf:"refuse_replay"`
}

// Sendbird is the surface of Sendbird's Platform API. A token names the app.
type Sendbird struct {
	APITokens []string `koanf:"api_tokens"`
	Rate      int      `koanf:"rate"` // requests a second; 0 = no limit
}

// IMKit is the surface of IMKit's client API. A key names the app; who the user
// is, a signed token says (JWT) or the app's own server (VerifyURL), never both.
type IMKit struct {
	ClientKeys     []string `koanf:"client_keys"`
	APIKeys        []string `koanf:"api_keys"`
	JWT            *JWT     `koanf:"jwt"`
	VerifyURL      string   `koanf:"verify_url"`
	CORSOrigins    []string `koanf:"cors_origins"`
	AlreadyBlocked string   `koanf:"already_blocked"` // conflict or upsert
}

// HistoryRetention returns how long each app keeps its ended intervals, of those that
// do not keep them for ever.
func (c *Config) HistoryRetention() map[string]time.Duration {
	kept := map[string]time.Duration{}
	for name, app := range c.Apps {
		if app.HistoryRetention > 0 {
			kept[name] = app.HistoryRetention
		}
	}
	return kept
}

// Policies returns the policy of every app by its name.
func (c *Config) Policies() map[string]filter.Policy {
	policies := make(map[string]filter.Policy, len(c.Apps))
	for name, app := range c.Apps {
		policies[name] = app.Policy
	}
	return policies
}
