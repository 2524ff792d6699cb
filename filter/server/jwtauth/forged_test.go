package jwtauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// byHand puts a token together from its texts, signed with HMAC-SHA-256.
func byHand(header, claims, key string) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

func inJSON(claims any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// refusals returns what an Authenticator has counted, by cause.
func refusals(a *Authenticator) map[string]int {
	counts := map[string]int{}
	for _, cause := range append([]string{otherCause}, names()...) {
		if n := int(testutil.ToFloat64(a.opts.Metrics.refused.WithLabelValues(cause))); n > 0 {
			counts[cause] = n
		}
	}
	return counts
}

func names() (list []string) {
	for _, c := range causes {
		list = append(list, c.name)
	}
	return list
}

// refuses complains unless the token is refused, and for this cause.
func refuses(t *testing.T, a *Authenticator, name, token, cause string) {
	t.Helper()
	before := refusals(a)
	if who, ok := a.ask(token); ok {
		t.Errorf("%s: taken for %+v", name, who)
		return
	}
	after := refusals(a)
	before[cause]++
	if !maps.Equal(before, after) {
		t.Errorf("%s: counted %v, want one more of %s", name, after, cause)
	}
}

// TestForged sends what RFC 8725 and its readers have found verifiers to fall for.
func TestForged(t *testing.T) {
	k := keys()
	public := inPEM(t, k.rsa)
	a := verifier(t, Options{PublicKey: public, Algorithms: []string{"RS256"}})
	valid := sign(t, "RS256", k.rsa, good())
	takes(t, a, valid)
	head, claims, signature := cut(valid)
	other := sign(t, "RS256", k.rsa, good("sub", "eve"))
	_, othersClaims, othersSignature := cut(other)
	header := func(alg string) string { return fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, alg) }
	unsigned := func(alg string) string { return b64([]byte(header(alg))) + "." + claims + "." }
	for name, c := range map[string]struct{ token, cause string }{
		"no algorithm, no signature":     {unsigned("none"), "algorithm"},
		"none, spelled otherwise":        {unsigned("nOnE"), "algorithm"},
		"none, with a signature":         {unsigned("none") + signature, "algorithm"},
		"an algorithm that there is not": {unsigned("XS256") + signature, "algorithm"},
		"an empty algorithm":             {unsigned("") + signature, "algorithm"},
		"an algorithm that is no text":   {b64([]byte(`{"alg":256}`)) + "." + claims + "." + signature, "algorithm"},
		"no header at all":               {"." + claims + "." + signature, "malformed"},
		"a header that is null":          {b64([]byte(`null`)) + "." + claims + "." + signature, "algorithm"},
		// The confusion of algorithms: what everybody has, taken for a secret.
		"the public key as a secret":             {byHand(header("HS256"), inJSON(good()), public), "algorithm"},
		"the public key as a secret, trimmed":    {byHand(header("HS256"), inJSON(good()), strings.TrimSpace(public)), "algorithm"},
		"the public key as a secret, called RSA": {byHand(header("RS256"), inJSON(good()), public), "signature"},
		"an accepted key, an unlisted algorithm": {sign(t, "PS256", k.rsa, good()), "algorithm"},
		"another key":                            {sign(t, "RS256", k.rsaOther, good()), "signature"},
		"no signature":                           {head + "." + claims + ".", "signature"},
		"the signature of another token":         {head + "." + claims + "." + othersSignature, "signature"},
		"the claims of another token":            {head + "." + othersClaims + "." + signature, "signature"},
		"a signature that is cut":                {valid[:len(valid)-6], "signature"},
		"a signature over two lines":             {valid[:len(valid)-6] + "\n" + valid[len(valid)-6:], "malformed"},
		"a signature with padding":               {valid + "==", "malformed"},
		"claims that are no base64":              {head + ".!." + signature, "malformed"},
		"claims that are no JSON":                {head + "." + b64([]byte("x")) + "." + signature, "malformed"},
		"claims that are a list":                 {head + "." + b64([]byte("[]")) + "." + signature, "malformed"},
		"only dots":                              {"..", "malformed"},
		// Keys that come with the token, or from where it says.
		"a key in the header":      {sign(t, "RS256", k.rsaOther, good(), "jwk", json.RawMessage(jwk(k.rsaOther))), "signature"},
		"a URL of keys":            {sign(t, "RS256", k.rsaOther, good(), "jku", "http://127.0.0.1:1/jwks"), "signature"},
		"a URL of a certificate":   {sign(t, "RS256", k.rsaOther, good(), "x5u", "http://127.0.0.1:1/cert"), "signature"},
		"a critical header":        {sign(t, "RS256", k.rsa, good(), "crit", []string{"b64"}, "b64", true), "claims"},
		"an empty critical header": {sign(t, "RS256", k.rsa, good(), "crit", nil), "claims"},
		"a kid that is not a text": {sign(t, "RS256", k.rsa, good(), "kid", 7), "unknown_key"},
	} {
		refuses(t, a, name, c.token, c.cause)
	}
	takes(t, a, valid) // nothing of that has harmed it
}

func cut(token string) (header, claims, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

// TestGuards shows what the library would take if it were not told, so that each
// guard is known to be needed.
func TestGuards(t *testing.T) {
	k := keys()
	loose := func(key any) jwt.Keyfunc { return func(*jwt.Token) (any, error) { return key, nil } }
	public := inPEM(t, k.rsa)
	for name, c := range map[string]struct {
		token string
		key   any
	}{
		"without a list of algorithms a public key is a secret": {byHand(`{"alg":"HS256"}`, inJSON(good()), public), []byte(public)},
		"critical headers are not looked at":                    {sign(t, "RS256", k.rsa, good(), "crit", []string{"x"}), &k.rsa.PublicKey},
		"a token need not expire":                               {sign(t, "RS256", k.rsa, good("exp", nil)), &k.rsa.PublicKey},
		"any issuer will do":                                    {sign(t, "RS256", k.rsa, good("iss", "evil")), &k.rsa.PublicKey},
		"the last bits of base64 are anybody's":                 {flipLastBit(hs256(t, good())), []byte(secret)},
	} {
		if _, err := jwt.Parse(c.token, loose(c.key)); err != nil {
			t.Errorf("%s: %v; if the library refuses it now, the guard can go", name, err)
		}
	}
	refuses(t, verifier(t, Options{}), "the last bits of base64", flipLastBit(hs256(t, good())), "malformed")
	// ES256 with a key of another curve: the library compares lengths alone.
	if (&key{use: &k.p384.PublicKey}).fits("ES256") || !(&key{use: &k.p384.PublicKey}).fits("ES384") {
		t.Error("a key fits an algorithm of another curve")
	}
}

// flipLastBit changes a bit of the last letter that stands for none of the bytes:
// 32 bytes are 43 letters, of which the last has two bits to spare.
func flipLastBit(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[i^1])
}

// TestTimes: sixty seconds either way, and no token for ever.
func TestTimes(t *testing.T) {
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	plain, aged := verifier(t, Options{}), verifier(t, Options{MaxAge: 10 * time.Minute})
	for _, c := range []struct {
		name    string
		a       *Authenticator
		changes []any
		cause   string // "" = it is taken
	}{
		{"expires soon", plain, []any{"exp", at(time.Second)}, ""},
		{"expired within the skew", plain, []any{"exp", at(-55 * time.Second)}, ""},
		{"expired", plain, []any{"exp", at(-61 * time.Second)}, "expired"},
		{"expired long ago", plain, []any{"exp", 1}, "expired"},
		{"expires never", plain, []any{"exp", nil}, "claims"},
		{"expires at zero", plain, []any{"exp", 0}, "claims"},
		{"expires at a text", plain, []any{"exp", "2100-01-01"}, "claims"},
		{"expires at a fraction", plain, []any{"exp", float64(at(time.Hour)) + 0.5}, ""},
		{"not before, within the skew", plain, []any{"nbf", at(55 * time.Second)}, ""},
		{"not before", plain, []any{"nbf", at(65 * time.Second)}, "not_yet_valid"},
		{"not before a text", plain, []any{"nbf", "x"}, "claims"},
		{"issued long ago, without a bound", plain, []any{"iat", 1}, ""},
		{"issued nowhen, without a bound", plain, []any{"iat", nil}, ""},
		{"issued now", aged, nil, ""},
		{"issued within bound and skew", aged, []any{"iat", at(-650 * time.Second)}, ""},
		{"issued too long ago", aged, []any{"iat", at(-665 * time.Second)}, "too_old"},
		{"issued nowhen", aged, []any{"iat", nil}, "too_old"},
		{"issued at a text", aged, []any{"iat", "x"}, "claims"},
		{"issued in the future, within the skew", aged, []any{"iat", at(55 * time.Second)}, ""},
		{"issued in the future", aged, []any{"iat", at(65 * time.Second)}, "not_yet_valid"},
	} {
		token := hs256(t, good(c.changes...))
		if c.cause == "" {
			if _, ok := c.a.ask(token); !ok {
				t.Errorf("%s: refused, %v", c.name, refusals(c.a))
			}
			continue
		}
		refuses(t, c.a, c.name, token, c.cause)
	}
}

func TestIssuerAndAudience(t *testing.T) {
	a := verifier(t, Options{Issuer: "https://id.example", Audience: "sidegate"})
	token := func(iss, aud any) string { return hs256(t, good("iss", iss, "aud", aud)) }
	for _, aud := range []any{"sidegate", []string{"other", "sidegate"}} {
		takes(t, a, token("https://id.example", aud))
	}
	for _, c := range []struct {
		name     string
		iss, aud any
		cause    string
	}{
		{"no issuer", nil, "sidegate", "claims"},
		{"another issuer", "https://evil.example", "sidegate", "issuer"},
		{"an issuer that begins alike", "https://id.example/", "sidegate", "issuer"},
		{"an issuer that is a list", []string{"https://id.example"}, "sidegate", "claims"},
		{"no audience", "https://id.example", nil, "claims"},
		{"another audience", "https://id.example", "other", "audience"},
		{"other audiences", "https://id.example", []string{"a", "b"}, "audience"},
		{"an audience that is a number", "https://id.example", 7, "claims"},
		{"audiences of which one is a number", "https://id.example", []any{"sidegate", 7}, "claims"},
	} {
		refuses(t, a, c.name, token(c.iss, c.aud), c.cause)
	}
	takes(t, verifier(t, Options{}), token("anybody", "anything"))
}

// TestCausesAreAClosedSet: whatever is sent, there are no series but those of the
// start.
func TestCausesAreAClosedSet(t *testing.T) {
	reg := prometheus.NewRegistry()
	a := verifier(t, Options{Metrics: NewMetrics(reg)})
	before := testutil.CollectAndCount(a.opts.Metrics.refused)
	for i := range 200 {
		a.ask(fmt.Sprintf("%d.%d.%d", i, i, i))
		a.ask(hs256(t, good("scope", i)))
	}
	if after := testutil.CollectAndCount(a.opts.Metrics.refused); after != before || before != len(causes)+1 {
		t.Errorf("%d series have become %d", before, after)
	}
	if !slices.Contains(names(), "expired") {
		t.Error("the names of causes are wrong")
	}
}

// FuzzTamper changes bytes of a valid token: no other text than the token itself
// is ever taken.
func FuzzTamper(f *testing.F) {
	claims := good("exp", time.Now().Add(100*24*time.Hour).Unix())
	public := verifier(f, Options{PublicKey: inPEM(f, keys().p256)})
	shared := verifier(f, Options{})
	tokens := []string{sign(f, "ES256", keys().p256, claims), hs256(f, claims)}
	f.Add(0, 5, []byte("x"))
	f.Add(1, 40, []byte("."))
	f.Add(1, 200, []byte{})
	f.Add(0, 224, []byte("\n"))
	f.Fuzz(func(t *testing.T, which, at int, insert []byte) {
		valid := tokens[uint(which)%2]
		i := int(uint(at) % uint(len(valid)+1))
		end := min(len(valid), i+max(1, len(insert)))
		tampered := valid[:i] + string(insert) + valid[end:]
		for _, a := range []*Authenticator{public, shared} {
			who, ok := a.ask(tampered)
			if ok && strings.TrimLeft(tampered, " ") != valid {
				t.Fatalf("%q is taken for %+v", tampered, who)
			}
		}
	})
}
