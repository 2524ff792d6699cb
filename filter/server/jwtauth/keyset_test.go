package jwtauth

import (
	"fmt"
	"strings"
	"testing"
)

func kids(set *keySet) (list []string) {
	for _, k := range set.keys {
		list = append(list, k.id)
	}
	return list
}

// TestJWKS: keys that cannot be used are left out, the others count.
func TestJWKS(t *testing.T) {
	k := keys()
	rsaKey := func(more ...string) string { return jwk(k.rsa, more...) }
	for _, c := range []struct{ name, set, want string }{
		{"one", jwks(rsaKey("kid", "a")), "[a]"},
		{"all kinds", jwks(rsaKey("kid", "a"), jwk(k.p256, "kid", "b"), jwk(k.p384, "kid", "c"), jwk(k.p521, "kid", "d"), jwk(k.ed, "kid", "e")), "[a b c d e]"},
		{"for signatures", jwks(rsaKey("kid", "a", "use", "sig", "alg", "RS512")), "[a]"},
		{"unknown members", `{"keys":[` + rsaKey("kid", "a", "not", "ours") + `],"more":1}`, "[a]"},
		{"for encryption", jwks(rsaKey("kid", "a", "use", "enc"), rsaKey("kid", "b")), "[b]"},
		{"another use", jwks(rsaKey("kid", "a", "use", "other"), rsaKey("kid", "b")), "[b]"},
		{"operations without verify", jwks(strings.Replace(rsaKey("kid", "a"), "{", `{"key_ops":["encrypt"],`, 1), strings.Replace(rsaKey("kid", "b"), "{", `{"key_ops":["verify"],`, 1)), "[b]"},
		{"a secret", jwks(`{"kty":"oct","k":"c2VjcmV0","kid":"a"}`, rsaKey("kid", "b")), "[b]"},
		{"for agreement", jwks(`{"kty":"OKP","crv":"X25519","x":"`+b64(make([]byte, 31))+`CQ","kid":"a"}`, rsaKey("kid", "b")), "[b]"},
		{"a type of the future", jwks(`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","kid":"a"}`, rsaKey("kid", "b")), "[b]"},
		{"a curve of others", jwks(`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"a"}`, rsaKey("kid", "b")), "[b]"},
		{"a point off the curve", jwks(jwk(k.p256, "kid", "a", "x", b64(make([]byte, 32))), rsaKey("kid", "b")), "[b]"},
		{"an algorithm that does not fit", jwks(rsaKey("kid", "a", "alg", "ES256"), rsaKey("kid", "b")), "[b]"},
		{"an algorithm of secrets", jwks(rsaKey("kid", "a", "alg", "HS256"), rsaKey("kid", "b")), "[b]"},
		{"a modulus that is too short", jwks(rsaKey("kid", "a", "n", b64(weakRSA().N.Bytes())), rsaKey("kid", "b")), "[b]"},
		{"an exponent without end", jwks(rsaKey("kid", "a", "e", b64(make([]byte, 1))), rsaKey("kid", "b")), "[b]"},
		{"no modulus", jwks(`{"kty":"RSA","e":"AQAB","kid":"a"}`, rsaKey("kid", "b")), "[b]"},
		{"a kid that is a number", jwks(`{"kty":"RSA","kid":7}`, rsaKey("kid", "b")), "[b]"},
		{"something else", jwks(`7`, `null`, `"x"`, rsaKey("kid", "b")), "[b]"},
		{"a certificate that is none", jwks(strings.Replace(rsaKey("kid", "a"), "{", `{"x5c":["AA=="],`, 1), rsaKey("kid", "b")), "[b]"},
	} {
		set, err := parseJWKS([]byte(c.set))
		if err != nil || fmt.Sprint(kids(set)) != c.want {
			t.Errorf("%s: %+v, %v; want %s", c.name, set, err, c.want)
		}
	}
	many := make([]string, maxKeys+1)
	for i := range many {
		many[i] = rsaKey("kid", fmt.Sprint(i))
	}
	if set, err := parseJWKS([]byte(jwks(many[1:]...))); err != nil || len(set.keys) != maxKeys {
		t.Errorf("as many as there may be: %v", err)
	}
	for name, set := range map[string]string{
		"nothing": "", "no JSON": "<html>", "a list": "[]", "null": "null", "no keys": "{}", "keys that are no list": `{"keys":{}}`,
		"none": jwks(), "none of use": jwks(`{"kty":"oct","k":"c2VjcmV0"}`), "too many": jwks(many...), "a key, not a set": rsaKey(),
	} {
		if set, err := parseJWKS([]byte(set)); err == nil {
			t.Errorf("%s: %+v", name, set)
		}
	}
}

// TestPrivateKeysArePublished: an issuer that publishes the private half by
// mistake is not imitated; the public half verifies.
func TestPrivateKeysArePublished(t *testing.T) {
	k := keys()
	private, err := k.p256.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	set, err := parseJWKS([]byte(jwks(jwk(k.p256, "kid", "a", "d", b64(private)))))
	if err != nil {
		t.Fatal(err)
	}
	if !k.p256.PublicKey.Equal(set.keys[0].use) {
		t.Errorf("the key is a %T", set.keys[0].use)
	}
}

// TestKid: a token's kid selects; without one every key that fits is tried, with
// one that is not there none is.
func TestKid(t *testing.T) {
	k := keys()
	a := verifier(t, Options{JWKSFile: write(t, jwks(
		jwk(k.rsa, "kid", "a"), jwk(k.rsaOther, "kid", "b"), jwk(k.p256, "kid", "b"),
		jwk(k.ed, "kid", "c", "alg", "EdDSA"), jwk(k.p256b),
	))})
	for _, c := range []struct {
		name, token, cause string
	}{
		{"by kid", sign(t, "RS256", k.rsa, good(), "kid", "a"), ""},
		{"one of two of that kid", sign(t, "RS256", k.rsaOther, good(), "kid", "b"), ""},
		{"the other of that kid", sign(t, "ES256", k.p256, good(), "kid", "b"), ""},
		{"by kid and algorithm", sign(t, "EdDSA", k.ed, good(), "kid", "c"), ""},
		{"without kid, the second that fits", sign(t, "RS256", k.rsaOther, good()), ""},
		{"without kid, a key without one", sign(t, "ES256", k.p256b, good()), ""},
		{"an empty kid is none", sign(t, "ES256", k.p256b, good(), "kid", ""), ""},
		{"the kid of another key", sign(t, "RS256", k.rsaOther, good(), "kid", "a"), "signature"},
		{"a kid whose key is of another type", sign(t, "ES256", k.p256, good(), "kid", "a"), "unknown_key"},
		{"a kid for a key without one", sign(t, "ES256", k.p256b, good(), "kid", "d"), "unknown_key"},
		{"a kid like a path", sign(t, "RS256", k.rsa, good(), "kid", "../../a"), "unknown_key"},
		{"no key of the algorithm", sign(t, "ES256", k.p256b, good(), "kid", "c"), "unknown_key"},
	} {
		if c.cause == "" {
			takes(t, a, c.token)
			continue
		}
		// Nothing runs that could fetch, so that nothing may be waited for.
		a.source.began = now()
		refuses(t, a, c.name, c.token, c.cause)
	}
}

// FuzzJWKS feeds what an issuer might publish: there may be no panic, and every
// key that is kept is one that can be used.
func FuzzJWKS(f *testing.F) {
	k := keys()
	f.Add([]byte(jwks(jwk(k.rsa, "kid", "a", "use", "sig"), jwk(k.p384), jwk(k.ed))))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQABAQABAQABAQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":"AA","x5u":"http://127.0.0.1:1"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := parseJWKS(document)
		if err != nil {
			return
		}
		for i := range set.keys {
			k := &set.keys[i]
			fits := 0
			for _, alg := range publicAlgorithms {
				if k.fits(alg) {
					fits++
				}
			}
			if _, isSecret := k.use.([]byte); isSecret || fits == 0 || k.check() != nil || k.fits("HS256") {
				t.Fatalf("%s keeps %+v", document, k)
			}
		}
	})
}
