package jwtauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidegate/sidegate/metrics/border"
)

const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// keyring is one private key of every kind. Making them takes a while.
type keyring struct {
	rsa, rsaOther           *rsa.PrivateKey
	p256, p384, p521, p256b *ecdsa.PrivateKey
	ed                      ed25519.PrivateKey
}

var keys = sync.OnceValue(func() (k keyring) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.rsaOther, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	for curve, to := range map[elliptic.Curve]**ecdsa.PrivateKey{elliptic.P256(): &k.p256, elliptic.P384(): &k.p384, elliptic.P521(): &k.p521} {
		*to, err = ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
	}
	k.p256b, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	return k
})

// inPEM writes the public half of a key.
func inPEM(t testing.TB, private crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk writes the public half of a key as RFC 7518 section 6 has it, by hand: the
// library under test must not be the judge of its own reading.
func jwk(private crypto.Signer, more ...string) string {
	fields := map[string]string{}
	switch public := private.Public().(type) {
	case *rsa.PublicKey:
		fields["kty"], fields["n"] = "RSA", b64(public.N.Bytes())
		fields["e"] = b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		raw, err := public.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		half := (len(raw) - 1) / 2
		fields["kty"], fields["crv"] = "EC", public.Curve.Params().Name
		fields["x"], fields["y"] = b64(raw[1:1+half]), b64(raw[1+half:])
	case ed25519.PublicKey:
		fields["kty"], fields["crv"], fields["x"] = "OKP", "Ed25519", b64(public)
	}
	for i := 0; i < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func jwks(all ...string) string { return `{"keys":[` + strings.Join(all, ",") + `]}` }

// good are the claims of bob's token. Changes with a nil value take one out.
func good(changes ...any) jwt.MapClaims {
	claims := jwt.MapClaims{
		"sub": "bob", "app": "acme", "scope": "user",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == nil {
			delete(claims, changes[i].(string))
			continue
		}
		claims[changes[i].(string)] = changes[i+1]
	}
	return claims
}

// sign signs claims. Header fields are pairs.
func sign(t testing.TB, alg string, private any, claims jwt.Claims, header ...any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), claims)
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i].(string)] = header[i+1]
	}
	text, err := token.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func hs256(t testing.TB, claims jwt.Claims, header ...any) string {
	t.Helper()
	return sign(t, "HS256", []byte(secret), claims, header...)
}

// verifier makes an Authenticator; HS256 with the secret if nothing else is said.
func verifier(t testing.TB, opts Options) *Authenticator {
	t.Helper()
	if opts.JWKSURL+opts.JWKSFile+opts.PublicKey+opts.Secret == "" {
		opts.Secret = secret
	}
	if opts.Algorithms == nil {
		opts.Algorithms = []string{"RS256", "ES256", "EdDSA"}
		if opts.Secret != "" {
			opts.Algorithms = []string{"HS256"}
		}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	a, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *Authenticator) ask(token string) (*border.Principal, bool) {
	return a.Authenticate([]byte("Bearer " + token))
}

// takes complains unless the token is bob's.
func takes(t testing.TB, a *Authenticator, token string) {
	t.Helper()
	if who, ok := a.ask(token); !ok || who.User != "bob" || !who.MayApp("acme") || who.Scopes != border.ScopeUser {
		t.Errorf("bob's token is taken for %+v, %v", who, ok)
	}
}
