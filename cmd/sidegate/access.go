package main

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/server/jwtauth"
	"github.com/sidegate/sidegate/metrics/border"
)

// access says who may enter which listener; an Authenticator is nil if nobody was
// given a credential for it.
type access struct {
	check, api, ops border.Authenticator
	signed          *jwtauth.Authenticator // nil if no signed token is taken
	// clients verify the tokens of IMKit's clients, by app; those of apps that
	// have no keys for them are not there.
	clients map[string]*jwtauth.Authenticator
}

// newAccess reads every credential of the configuration; it opens files, starts
// nothing and asks no URL. Signed tokens are for users, servers and staff: they
// open the api listener and, with the scope staff, ops. The check listener has
// one client, which needs no identity provider in its path.
func newAccess(cfg *config.Config, v *verifiers) (access, error) {
	a := access{}
	if err := a.addSigned(cfg, v); err != nil {
		return access{}, usageError{err}
	}
	var signed border.Authenticator
	if a.signed != nil {
		signed = a.signed // only here: a nil pointer in the interface would not be nil
	}
	for _, door := range []struct {
		name   border.Door
		tokens []config.Token
		signed border.Authenticator
		auth   *border.Authenticator
	}{
		{border.DoorCheck, cfg.Check.Tokens, nil, &a.check},
		{border.DoorAPI, cfg.API.Tokens, signed, &a.api},
		{border.DoorOps, cfg.Ops.Tokens, signed, &a.ops},
	} {
		tokens, err := hashed(door.tokens)
		if err != nil {
			return access{}, usageError{fmt.Errorf("%s.tokens: %w", door.name, err)}
		}
		// Tokens first: a hash is compared in a moment, a signature is not.
		*door.auth = border.FirstOf(border.NewTokens(tokens), door.signed)
	}
	return a, nil
}

// addSigned reads the keys of signed tokens, of dialects too: whoever validates a
// configuration shall hear of all that would end a start.
func (a *access) addSigned(cfg *config.Config, v *verifiers) (err error) {
	if cfg.API.JWT != nil {
		if a.signed, err = v.add(cfg.API.JWT); err != nil {
			return fmt.Errorf("%s: %w", cfg.Place("api", "jwt"), err)
		}
	}
	a.clients = make(map[string]*jwtauth.Authenticator)
	for _, name := range slices.Sorted(maps.Keys(cfg.Apps)) {
		k := cfg.Apps[name].Dialects.IMKit
		if k == nil || k.JWT == nil {
			continue
		}
		if a.clients[name], err = v.add(k.JWT); err != nil {
			return fmt.Errorf("%s: %w", cfg.Place("apps", name, "dialects", "imkit", "jwt"), err)
		}
	}
	return nil
}

// verifiers makes those who verify signed tokens, of native routes and of dialects.
// All count in one place.
type verifiers struct {
	reg     prometheus.Registerer
	log     *slog.Logger
	names   *border.Names
	metrics *jwtauth.Metrics // nil before the first
	made    []verifier       // since the last turn
	former  []verifier       // by the turn before
}

// verifier is one that was made, and of what.
type verifier struct {
	of   config.JWT
	auth *jwtauth.Authenticator
}

// turn begins a new configuration. What it asks for and the one before had too is
// not made again; keys which were fetched stay in use until others are, and a file of
// keys is read again.
func (v *verifiers) turn(present []verifier) { v.former, v.made = present, nil }

func (v *verifiers) add(c *config.JWT) (*jwtauth.Authenticator, error) {
	var former *jwtauth.Authenticator // not the same, but of the same keys
	for _, f := range v.former {
		if c.JWKSFile == "" && reflect.DeepEqual(f.of, *c) {
			v.made = append(v.made, f)
			return f.auth, nil
		}
		if f.of.JWKSURL == c.JWKSURL {
			former = f.auth
		}
	}
	if v.metrics == nil {
		v.metrics = jwtauth.NewMetrics(v.reg)
	}
	auth, err := jwtauth.New(jwtauth.Options{
		JWKSURL: c.JWKSURL, JWKSFile: c.JWKSFile, PublicKey: c.PublicKey, Secret: c.Secret,
		Algorithms: c.Algorithms, Issuer: c.Issuer, Audience: c.Audience,
		UserClaim: c.UserClaim, AppClaim: c.AppClaim, ScopeClaim: c.ScopeClaim, MaxAge: c.MaxAge, Former: former,
		Names: v.names, Metrics: v.metrics, Logger: v.log,
	})
	if err != nil {
		return nil, err
	}
	v.made = append(v.made, verifier{*c, auth})
	return auth, nil
}

// hashed converts what the configuration says of tokens.
func hashed(tokens []config.Token) ([]border.Token, error) {
	out := make([]border.Token, len(tokens))
	for i, t := range tokens {
		out[i] = border.Token{Name: t.Name, SHA256: t.SHA256, Apps: t.Apps}
		for _, name := range t.Scopes {
			scope, ok := border.ParseScope(string(name))
			if !ok {
				return nil, fmt.Errorf("token %s: %q is no scope", t.Name, name)
			}
			out[i].Scopes |= scope
		}
	}
	return out, nil
}
