package jwtauth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// signers are the algorithms with a key that fits.
func signers() map[string]crypto.Signer {
	k := keys()
	return map[string]crypto.Signer{
		"RS256": k.rsa, "RS384": k.rsa, "RS512": k.rsa, "PS256": k.rsa, "PS384": k.rsa, "PS512": k.rsa,
		"ES256": k.p256, "ES384": k.p384, "ES512": k.p521, "EdDSA": k.ed,
	}
}

// TestEveryAlgorithm: each is taken with the key that fits, from PEM and from a
// set, and with no key of another type or curve.
func TestEveryAlgorithm(t *testing.T) {
	for alg, private := range signers() {
		token := sign(t, alg, private, good())
		takes(t, verifier(t, Options{PublicKey: inPEM(t, private), Algorithms: []string{alg}}), token)
		for other, public := range signers() {
			set := write(t, jwks(jwk(public)))
			_, ok := verifier(t, Options{JWKSFile: set, Algorithms: publicAlgorithms}).ask(token)
			if want := same(private, public); ok != want {
				t.Errorf("a token by %s with the key of %s is taken: %v", alg, other, ok)
			}
		}
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		token := sign(t, alg, []byte(secret), good())
		takes(t, verifier(t, Options{Secret: secret, Algorithms: []string{alg}}), token)
		if _, ok := verifier(t, Options{Secret: secret + "x", Algorithms: []string{alg}}).ask(token); ok {
			t.Errorf("%s with another secret is taken", alg)
		}
	}
}

func same(a, b crypto.Signer) bool {
	return a.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(b.Public())
}

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPEM(t *testing.T) {
	private := keys().rsa
	takes(t, verifier(t, Options{PublicKey: inBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&private.PublicKey))}),
		sign(t, "RS256", private, good()))
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	takes(t, verifier(t, Options{PublicKey: inBlock("CERTIFICATE", der)}), sign(t, "RS256", private, good(), "kid", "whatever"))
}

func inBlock(name string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: name, Bytes: der}))
}

// TestNewRefuses: what cannot work is an error of the start, and one that says
// what would be right.
func TestNewRefuses(t *testing.T) {
	k := keys()
	private, err := x509.MarshalPKCS8PrivateKey(k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	weak := weakRSA()
	rs256, es256, hs256 := []string{"RS256"}, []string{"ES256"}, []string{"HS256"}
	for _, c := range []struct {
		opts Options
		says string
	}{
		{Options{Algorithms: hs256}, "exactly one of"},
		{Options{Secret: secret, JWKSURL: "https://x", Algorithms: hs256}, "exactly one of"},
		{Options{Secret: secret}, "at least one algorithm"},
		{Options{Secret: secret, Algorithms: hs256, MaxAge: -1}, "must not be negative"},
		{Options{Secret: secret, Algorithms: []string{"none"}}, `"none" is not known`},
		{Options{Secret: secret, Algorithms: []string{"HS256", "RS256"}}, "RS256 does not go with this kind of key"},
		{Options{PublicKey: inPEM(t, k.rsa), Algorithms: []string{"RS256", "HS256"}}, "HS256 does not go with this kind of key"},
		{Options{JWKSURL: "https://x", Algorithms: hs256}, "HS256 does not go with this kind of key"},
		{Options{Secret: secret[:31], Algorithms: hs256}, "the secret has 31 bytes; HS256 needs at least 32"},
		{Options{Secret: secret[:63], Algorithms: []string{"HS256", "HS512"}}, "HS512 needs at least 64"},
		{Options{PublicKey: "x", Algorithms: rs256}, "not in PEM"},
		{Options{PublicKey: inPEM(t, k.rsa) + inPEM(t, k.p256), Algorithms: rs256}, "more than one key"},
		{Options{PublicKey: inBlock("PUBLIC KEY", []byte("x")), Algorithms: rs256}, "read the public key"},
		{Options{PublicKey: inBlock("CERTIFICATE", []byte("x")), Algorithms: rs256}, "read the public key"},
		{Options{PublicKey: inBlock("PRIVATE KEY", private), Algorithms: rs256}, "not a public key"},
		{Options{PublicKey: inPEM(t, k.rsa), Algorithms: es256}, "goes with the public key, which is RSA"},
		{Options{PublicKey: inPEM(t, k.p384), Algorithms: es256}, "EC on the curve P-384"},
		{Options{PublicKey: inPEM(t, k.ed), Algorithms: es256}, "Ed25519"},
		{Options{PublicKey: inBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(weak)), Algorithms: rs256}, "has 1024 bits; at least 2048"},
		{Options{JWKSFile: filepath.Join(t.TempDir(), "none"), Algorithms: rs256}, "no such file"},
		{Options{JWKSFile: write(t, jwks()), Algorithms: rs256}, "no key that can be used"},
	} {
		if _, err := New(c.opts); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("New(%+v)\ngot  %v\nwant %s", c.opts, err, c.says)
		} else if strings.Contains(err.Error(), secret[:16]) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

// weakRSA is a modulus as short as no library makes one any more.
func weakRSA() *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), 1023)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

// TestNotATokenOfOurs: whatever else stands in the header is not counted as a
// refused token: it may be a plain one.
func TestNotATokenOfOurs(t *testing.T) {
	a := verifier(t, Options{})
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer plain", "Bearer a.b", "Bearer a.b.c.d", "Basic a.b.c"} {
		if who, ok := a.Authenticate([]byte(header)); ok {
			t.Errorf("%q is taken for %+v", header, who)
		}
	}
	if who, ok := a.Authenticate(nil); ok {
		t.Errorf("nothing is taken for %+v", who)
	}
	if got := refusals(a); len(got) > 0 {
		t.Errorf("counted: %v", got)
	}
}

// TestPrincipalIsACopy: the header lives in a buffer that the next request
// overwrites.
func TestPrincipalIsACopy(t *testing.T) {
	header := []byte("Bearer " + hs256(t, good("app", []string{"acme", "umbra"})))
	who, ok := verifier(t, Options{}).Authenticate(header)
	for i := range header {
		header[i] = 'x'
	}
	if !ok || who.User != "bob" || !slices.Equal(who.Apps, []string{"acme", "umbra"}) {
		t.Errorf("%+v, %v", who, ok)
	}
}
