package config

import (
	"fmt"
	"slices"
	"strings"
)

// checkDialects sees that each dialect can know its callers and that its
// settings can be kept.
func (c *Config) checkDialects(app string, d Dialects) (faults []error) {
	full := func(path []string) []string { return append([]string{"apps", app, "dialects"}, path...) }
	at := func(path ...string) string { return c.at(full(path)...) }
	missing := func(path ...string) {
		faults = append(faults, fmt.Errorf("%s is missing%s; the dialect has no way to know its callers without it",
			at(path...), c.within(full(path)...)))
	}
	if r := d.RongCloud; r != nil {
		if r.AppKey == "" {
			missing("rongcloud", "app_key")
		}
		if r.AppSecret == "" {
			missing("rongcloud", "app_secret")
		}
		if r.RefuseReplay && r.MaxClockSkew == 0 {
			faults = append(faults, fmt.Errorf("%s needs max_clock_skew, which bounds how long a nonce has to be kept",
				at("rongcloud", "refuse_replay")))
		}
	}
	if s := d.Sendbird; s != nil && len(s.APITokens) == 0 {
		missing("sendbird", "api_tokens")
	}
	if k := d.IMKit; k != nil {
		if len(k.ClientKeys)+len(k.APIKeys) == 0 {
			missing("imkit", "client_keys")
		}
		if k.JWT != nil && k.VerifyURL != "" {
			faults = append(faults, fmt.Errorf("%s stands beside jwt; a client token is verified in one way only", at("imkit", "verify_url")))
		}
		if k.JWT != nil {
			faults = append(faults, k.JWT.check(at("imkit", "jwt"))...)
		}
	}
	return faults
}

// credentials knows which app each credential that names one belongs to.
type credentials struct {
	owners map[string]string
	at     func(path ...string) string // names a key with its place
}

// place names a key of an app's dialect.
func (c *credentials) place(app, dialect, key string) string {
	return c.at("apps", app, "dialects", dialect, key)
}

// add refuses a credential that another app has: the tenant comes from the
// credential, so one that names two would mix their lists.
func (c *credentials) add(app string, d Dialects) (faults []error) {
	claim := func(dialect, key string, values ...string) {
		for _, v := range values {
			id := dialect + sep + key + sep + v
			if other, taken := c.owners[id]; taken && other != app && v != "" {
				faults = append(faults, fmt.Errorf("%s is also that of the app %q; it could not tell them apart",
					c.place(app, dialect, key), other))
			}
			c.owners[id] = app
		}
	}
	if d.RongCloud != nil {
		claim("rongcloud", "app_key", d.RongCloud.AppKey)
	}
	if d.Sendbird != nil {
		claim("sendbird", "api_tokens", d.Sendbird.APITokens...)
	}
	if d.IMKit != nil {
		claim("imkit", "client_keys", d.IMKit.ClientKeys...)
		claim("imkit", "api_keys", d.IMKit.APIKeys...)
		faults = append(faults, c.apart(app, d.IMKit)...)
	}
	return faults
}

// apart refuses an API key that is also a client key, of whichever app: every
// client of an app holds its client key, and an API key may do everything.
func (c *credentials) apart(app string, k *IMKit) (faults []error) {
	for _, kind := range []struct {
		name, other string
		keys        []string
	}{
		{"client_keys", "api_keys", k.ClientKeys}, {"api_keys", "client_keys", k.APIKeys},
	} {
		for _, key := range kind.keys {
			other, taken := c.owners["imkit"+sep+kind.other+sep+key]
			if taken && (other != app || kind.name == "api_keys") { // or it is said twice
				faults = append(faults, fmt.Errorf("%s is also among the %s of the app %q; what every client holds must not open everything",
					c.place(app, "imkit", kind.name), kind.other, other))
			}
		}
	}
	return faults
}

// The families are kept apart by the kind of key. A verifier that lets HS256 be
// checked with a public key takes that key, which everybody has, for a secret.
// Source: RFC 8725 section 2.1, "Weak Signatures and Insufficient Signature Validation".
var (
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
	publicAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

// check completes j with the algorithms that go with its key.
func (j *JWT) check(at string) (faults []error) {
	var keys []string
	for _, k := range []struct{ name, value string }{
		{"jwks_url", j.JWKSURL}, {"jwks_file", j.JWKSFile}, {"public_key", j.PublicKey}, {"secret", j.Secret},
	} {
		if k.value != "" {
			keys = append(keys, k.name)
		}
	}
	switch len(keys) {
	case 0:
		return append(faults, fmt.Errorf("%s has no key; set one of jwks_url, jwks_file, public_key and secret", at))
	case 1:
	default:
		return append(faults, fmt.Errorf("%s has more than one key (%s); set one", at, strings.Join(keys, ", ")))
	}
	allowed, standard := publicAlgorithms, []string{"RS256", "ES256", "EdDSA"}
	if j.Secret != "" {
		allowed, standard = secretAlgorithms, []string{"HS256"}
	}
	if len(j.Algorithms) == 0 {
		j.Algorithms = standard
	}
	for _, name := range j.Algorithms {
		if !slices.Contains(allowed, name) {
			faults = append(faults, fmt.Errorf("%s: the algorithm %q does not go with %s; write %s", at, name, keys[0], oneOf(allowed)))
		}
	}
	if j.UserClaim == "" {
		faults = append(faults, fmt.Errorf("%s: user_claim is empty", at))
	}
	return faults
}
