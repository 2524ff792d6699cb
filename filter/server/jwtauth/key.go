package jwtauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// key is one key that tokens may be signed with.
type key struct {
	id  string // kid of the JWK; "" = it has none
	alg string // the one algorithm it is for; "" = every one that fits its type
	use any    // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// family is the type of key that an algorithm needs, and for ES its curve.
type family struct {
	kind string
	bits int // ES: of the curve; HS: the fewest of the secret
}

// families are the algorithms that there can be. Source: RFC 7518 section 3.1,
// RFC 8037 section 3.1.
var families = map[string]family{
	"HS256": {"secret", 256}, "HS384": {"secret", 384}, "HS512": {"secret", 512},
	"RS256": {"rsa", 0}, "RS384": {"rsa", 0}, "RS512": {"rsa", 0},
	"PS256": {"rsa", 0}, "PS384": {"rsa", 0}, "PS512": {"rsa", 0},
	"ES256": {"ec", 256}, "ES384": {"ec", 384}, "ES512": {"ec", 521},
	"EdDSA": {"ed25519", 0},
}

// minRSABits is the least that RFC 7518 section 3.3 allows.
const minRSABits = 2048

// fits reports whether the key verifies tokens of an algorithm. The library asks
// for the right type by itself, but not for the curve.
func (k *key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	f := families[alg]
	switch use := k.use.(type) {
	case []byte:
		return f.kind == "secret"
	case *rsa.PublicKey:
		return f.kind == "rsa"
	case *ecdsa.PublicKey:
		return f.kind == "ec" && use.Curve.Params().BitSize == f.bits
	case ed25519.PublicKey:
		return f.kind == "ed25519"
	}
	return false
}

// check refuses a key that is too weak for what it is used for.
func (k *key) check() error {
	if use, ok := k.use.(*rsa.PublicKey); ok && use.N.BitLen() < minRSABits {
		return fmt.Errorf("the RSA key has %d bits; at least %d are needed", use.N.BitLen(), minRSABits)
	}
	return nil
}

// checkAlgorithms refuses a list that mixes secrets and public keys, or names
// what there is not.
func checkAlgorithms(list []string, secret bool) error {
	for _, alg := range list {
		f, known := families[alg]
		if !known {
			return fmt.Errorf("the algorithm %q is not known", alg)
		}
		if (f.kind == "secret") != secret {
			return fmt.Errorf("the algorithm %s does not go with this kind of key", alg)
		}
	}
	return nil
}

// parseSecret makes the key of a shared secret. A short one could be found by
// trying: whoever holds a token can test guesses at leisure. Source: RFC 7518
// section 3.2.
func parseSecret(secret string, algorithms []string) (key, error) {
	for _, alg := range algorithms {
		if least := families[alg].bits / 8; len(secret) < least {
			return key{}, fmt.Errorf("the secret has %d bytes; %s needs at least %d", len(secret), alg, least)
		}
	}
	return key{use: []byte(secret)}, nil
}

// parsePublicKey reads PEM: a public key (PKIX, or PKCS #1 for RSA), or a
// certificate that holds one, of which nothing but the key counts.
func parsePublicKey(text string, algorithms []string) (key, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return key{}, errors.New("the public key is not in PEM")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return key{}, errors.New("there is more than one key in the PEM; use a JWK set")
	}
	use, err := parseBlock(block)
	if err != nil {
		return key{}, fmt.Errorf("read the public key: %w", err)
	}
	k := key{use: use}
	if err := k.check(); err != nil {
		return key{}, err
	}
	if !slices.ContainsFunc(algorithms, k.fits) {
		return key{}, fmt.Errorf("none of the algorithms %v goes with the public key, which is %s", algorithms, describe(use))
	}
	return k, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	// A private key above all: it has no business here, and must not work.
	return nil, fmt.Errorf("the PEM block is %q, not a public key", block.Type)
}

// describe names the type of a key.
func describe(use any) string {
	switch k := use.(type) {
	case *rsa.PublicKey:
		return "RSA"
	case *ecdsa.PublicKey:
		return "EC on the curve " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("a %T", use)
}
