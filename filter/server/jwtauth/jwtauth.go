package jwtauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidegate/sidegate/metrics/border"
)

// Authenticator verifies signed tokens. It implements border.Authenticator.
type Authenticator struct {
	opts   Options
	parser *jwt.Parser
	single *keySet // the key of the configuration; nil if keys are fetched
	source *source // nil if they are not
}

// New makes an Authenticator. Keys of the configuration are read here, a file
// once to see that it can be; a URL is not asked before [Authenticator.Run].
func New(opts Options) (*Authenticator, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, fmt.Errorf("signed tokens: %w", err)
	}
	a := &Authenticator{opts: opts, parser: jwt.NewParser(opts.rules()...)}
	if err := a.openKeys(); err != nil {
		return nil, fmt.Errorf("signed tokens: %w", err)
	}
	return a, nil
}

// rules are what the library checks, the list of algorithms first: before a key
// is looked for.
func (o *Options) rules() []jwt.ParserOption {
	rules := []jwt.ParserOption{
		jwt.WithValidMethods(o.Algorithms), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithLeeway(Skew),
	}
	if o.Issuer != "" {
		rules = append(rules, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		rules = append(rules, jwt.WithAudience(o.Audience))
	}
	return rules
}

func (a *Authenticator) openKeys() error {
	o := &a.opts
	former := o.Former
	o.Former = nil // or each would keep all before it
	if err := checkAlgorithms(o.Algorithms, o.Secret != ""); err != nil {
		return err
	}
	var one key
	var err error
	switch {
	case o.JWKSURL != "":
		a.source = newSource(fromURL(o.JWKSURL, o.Transport), o.Logger, o.Metrics)
		if former != nil && former.opts.JWKSURL == o.JWKSURL {
			a.source.set.Store(former.source.set.Load())
		}
		return nil
	case o.JWKSFile != "":
		a.source = newSource(fromFile(o.JWKSFile), o.Logger, o.Metrics)
		set, err := a.source.load(context.Background()) // a file has no use for one
		a.source.set.Store(set)
		return err
	case o.Secret != "":
		one, err = parseSecret(o.Secret, o.Algorithms)
	default:
		one, err = parsePublicKey(o.PublicKey, o.Algorithms)
	}
	a.single = &keySet{keys: []key{one}, single: true}
	return err
}

// Run keeps fetched keys up to date until ctx ends, and returns nil. Call it
// once; without it no key is ever fetched.
func (a *Authenticator) Run(ctx context.Context) error {
	if a.source != nil {
		a.source.run(ctx)
	} else {
		<-ctx.Done()
	}
	return nil
}

// Authenticate implements border.Authenticator for "Bearer TOKEN". What does not
// look like a signed token is nobody's mistake and not counted: it may be a token
// of another kind.
func (a *Authenticator) Authenticate(authorization []byte) (*border.Principal, bool) {
	secret, ok := border.Bearer(authorization)
	if !ok || bytes.Count(secret, []byte(".")) != 2 {
		return nil, false
	}
	// A copy, because the header lives in a buffer that is reused.
	who, err := a.verify(string(secret))
	if err != nil {
		a.opts.Metrics.refuse(err)
		return nil, false
	}
	return who, true
}

// What the library has no error for.
var (
	errNoKey     = errors.New("no key is known for the token")
	errAlgorithm = errors.New("the algorithm is not accepted")
	errCritical  = errors.New("the token has a critical header that is not understood")
	errText      = fmt.Errorf("%w: the claims are not in Unicode", jwt.ErrTokenMalformed)
	errTooOld    = errors.New("the token was issued too long ago")
)

func (a *Authenticator) verify(token string) (*border.Principal, error) {
	claims, err := a.claims(token)
	if err != nil {
		return nil, err
	}
	return a.principal(claims)
}

// claims returns what a token says, once it is certain who says it and that it
// still holds.
func (a *Authenticator) claims(token string) (jwt.MapClaims, error) {
	// Package base64 skips line ends, strict or not: one token would have many
	// spellings.
	if strings.ContainsAny(token, "\r\n") {
		return nil, jwt.ErrTokenMalformed
	}
	claims := jwt.MapClaims{}
	parsed, err := a.parser.ParseWithClaims(token, claims, a.keysOf)
	if err != nil {
		// The library calls this a bad signature, which an operator would
		// look for in the keys.
		if parsed != nil && (parsed.Method == nil || !slices.Contains(a.opts.Algorithms, parsed.Method.Alg())) {
			err = fmt.Errorf("%w: %w", errAlgorithm, err)
		}
		return nil, err
	}
	if _, payload, _ := strings.Cut(parsed.Raw, "."); !isText(a.parser, payload[:strings.IndexByte(payload, '.')]) {
		return nil, errText
	}
	if err := a.checkAge(claims); err != nil {
		return nil, err
	}
	return claims, nil
}

// keysOf returns the keys that may have signed a token. Its claims have been
// decoded by now and not been believed.
func (a *Authenticator) keysOf(token *jwt.Token) (any, error) {
	// RFC 7515 section 4.1.11: what a token calls critical must be understood
	// by us, or the token be refused. The library does not look.
	if _, critical := token.Header["crit"]; critical {
		return nil, errCritical
	}
	kid := ""
	if value, has := token.Header["kid"]; has {
		if kid, has = value.(string); !has {
			return nil, errNoKey
		}
	}
	var set jwt.VerificationKeySet
	for _, k := range a.find(kid, token.Method.Alg()) {
		set.Keys = append(set.Keys, k.use)
	}
	if len(set.Keys) == 0 {
		return nil, errNoKey
	}
	return set, nil
}

func (a *Authenticator) find(kid, alg string) []*key {
	if a.single != nil {
		fitting, _ := a.single.find(kid, alg)
		return fitting
	}
	return a.source.find(kid, alg)
}

// checkAge holds a token to the greatest age. One that claims to be issued in the
// future would never grow old.
func (a *Authenticator) checkAge(claims jwt.MapClaims) error {
	if a.opts.MaxAge == 0 {
		return nil
	}
	issued, err := claims.GetIssuedAt()
	if err != nil {
		return err
	}
	if issued == nil {
		return fmt.Errorf("%w: it has no iat", errTooOld)
	}
	switch age := time.Since(issued.Time); {
	case age > a.opts.MaxAge+Skew:
		return errTooOld
	case age < -Skew:
		return jwt.ErrTokenNotValidYet
	}
	return nil
}
