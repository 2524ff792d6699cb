package jwtauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

// keySet are the keys of one moment. It is never changed.
type keySet struct {
	keys []key
	// single: it is the one key of the configuration, which verifies every
	// token whatever its kid.
	single bool
}

// find returns the keys that may have signed a token of that algorithm and kid,
// of which a token without one has "". known tells that a kid was met although
// no key fits, so that a fetch would bring nothing new.
func (s *keySet) find(kid, alg string) (fitting []*key, known bool) {
	for i := range s.keys {
		k := &s.keys[i]
		if !s.single && kid != "" && k.id != kid {
			continue
		}
		known = true
		if k.fits(alg) {
			fitting = append(fitting, k)
		}
	}
	return fitting, known
}

// maxKeys is the most keys of a set. A token without kid is tried with each that
// fits, so that their number is work that anybody can ask for.
const maxKeys = 32

// parseJWKS reads a JWK set. A key that cannot be used here, because its type is
// not known to us, it is not for signing or is badly made, is left out as RFC
// 7517 section 5 wants it: the others still count. A set without any key that can
// be used is an error.
func parseJWKS(document []byte) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, fmt.Errorf("read a JWK set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the JWK set has %d keys; at most %d are read", len(set.Keys), maxKeys)
	}
	var keys []key
	var unusable []error
	for i, raw := range set.Keys {
		k, err := parseJWK(raw)
		if err != nil {
			unusable = append(unusable, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.Join(append([]error{errors.New("the JWK set has no key that can be used")}, unusable...)...)
	}
	return &keySet{keys: keys}, nil
}

func parseJWK(raw json.RawMessage) (key, error) {
	// Private material is not read. That refuses symmetric keys too: a set of
	// public keys is public, so what it calls a secret is none.
	jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, err
	}
	meta := jwk.Marshal()
	if meta.USE != "" && meta.USE != jwkset.UseSig {
		return key{}, fmt.Errorf("it is for %q, not for signatures", meta.USE)
	}
	if len(meta.KEYOPS) > 0 && !slices.Contains(meta.KEYOPS, jwkset.KeyOpsVerify) {
		return key{}, errors.New("its operations do not include verify")
	}
	k := key{id: meta.KID, alg: meta.ALG.String(), use: jwk.Key()}
	fits := func(alg string) bool { return k.fits(alg) }
	if !slices.ContainsFunc(publicAlgorithms, fits) {
		return key{}, errors.New("it goes with no algorithm that is known here")
	}
	return k, k.check()
}

// publicAlgorithms are those of public keys.
var publicAlgorithms = func() (list []string) {
	for alg, f := range families {
		if f.kind != "secret" {
			list = append(list, alg)
		}
	}
	return list
}()
