package jwtauth

import "testing"

// BenchmarkAuthenticate is what a signed token costs a request: the signature and
// little else, which is why nothing is remembered of tokens that were verified.
func BenchmarkAuthenticate(b *testing.B) {
	k := keys()
	for _, c := range []struct {
		name  string
		a     *Authenticator
		token string
	}{
		{"HS256", verifier(b, Options{}), hs256(b, good())},
		{"RS256", verifier(b, Options{PublicKey: inPEM(b, k.rsa)}), sign(b, "RS256", k.rsa, good())},
		{"ES256", verifier(b, Options{PublicKey: inPEM(b, k.p256)}), sign(b, "ES256", k.p256, good())},
		{"EdDSA", verifier(b, Options{PublicKey: inPEM(b, k.ed)}), sign(b, "EdDSA", k.ed, good())},
		{"forged", verifier(b, Options{PublicKey: inPEM(b, k.p256)}), sign(b, "ES256", k.p256b, good())},
	} {
		header := []byte("Bearer " + c.token)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := c.a.Authenticate(header); ok == (c.name == "forged") {
					b.Fatal("the wrong answer")
				}
			}
		})
	}
}
