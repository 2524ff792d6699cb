package jwtauth

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/sidegate/sidegate/metrics/border"
)

// Skew is how far the clock of the issuer may be from ours.
const Skew = time.Minute

// Options configure an [Authenticator].
type Options struct {
	// Exactly one of these says where the keys come from: a URL (https, or
	// http on loopback) or a file with a JWK set, one public key in PEM, or a
	// shared secret, which has at least the bytes of the algorithm's hash.
	JWKSURL, JWKSFile, PublicKey, Secret string

	// Algorithms are those that are accepted. All are of the kind that the
	// key is of: HS256, HS384 and HS512 with a secret, otherwise RS, PS and
	// ES with 256, 384 or 512, and EdDSA. Required.
	Algorithms []string

	// Issuer and Audience are compared with iss and aud; empty = they are not
	// looked at.
	Issuer, Audience string

	// The names of the claims. User holds a text; App a text, or a list of
	// several apps; Scope a text with scopes between spaces, as in OAuth, or
	// a list. Scopes that are not ours are ignored. Default sub, app, scope.
	UserClaim, AppClaim, ScopeClaim string

	// MaxAge is how long ago a token may have been issued; 0 = any that has
	// not expired.
	MaxAge time.Duration

	// Former is one whose place the new one takes, nil if there is none. Its keys
	// count until the first fetch, if they were fetched from the same URL.
	Former *Authenticator

	// Names names users in logs. Default by a hash under a key of its own.
	Names *border.Names

	// Metrics counts refusals and fetches; nil counts where nobody looks.
	Metrics *Metrics
	// Logger receives failed fetches. Default slog.Default().
	Logger *slog.Logger
	// Transport carries the fetches. Default one of our own, which uses the
	// proxy of the environment.
	Transport http.RoundTripper
}

func (o *Options) setDefaults() error {
	given := 0
	for _, source := range []string{o.JWKSURL, o.JWKSFile, o.PublicKey, o.Secret} {
		if source != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("exactly one of a JWKS URL, a JWKS file, a public key and a secret is required")
	case len(o.Algorithms) == 0:
		return errors.New("at least one algorithm is required")
	case o.MaxAge < 0:
		return errors.New("the greatest age must not be negative")
	}
	for _, name := range []struct {
		claim     *string
		otherwise string
	}{{&o.UserClaim, "sub"}, {&o.AppClaim, "app"}, {&o.ScopeClaim, "scope"}} {
		if *name.claim == "" {
			*name.claim = name.otherwise
		}
	}
	if o.Names == nil {
		o.Names = border.HashedNames("")
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}
