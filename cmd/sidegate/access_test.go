package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

// identityProvider publishes a key and signs with it.
type identityProvider struct {
	*httptest.Server
	key     *rsa.PrivateKey
	fetches atomic.Int32
}

func startIdentityProvider(t *testing.T) *identityProvider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	idp := &identityProvider{key: key}
	idp.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		idp.fetches.Add(1)
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"RSA","kid":"k1","use":"sig","alg":"RS256","n":%q,"e":%q}]}`,
			base64.RawURLEncoding.EncodeToString(key.N.Bytes()), base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()))
	}))
	t.Cleanup(idp.Close)
	return idp
}

// sign returns the value of a header.
func (idp *identityProvider) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","kid":"k1","typ":"JWT"}`)) + "." + encode(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, idp.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + text + "." + encode(signature)
}

// TestSignedTokens is the way of a user's phone: an identity provider signs, the
// program fetches its keys by itself, and the user edits their own list and
// nobody else's. Support looks at it with a signed token too, and leaves a line
// that names nobody.
func TestSignedTokens(t *testing.T) {
	idp := startIdentityProvider(t)
	s := serveHere(t, pgtest.Database(t), `
api: {tokens: [root], jwt: {jwks_url: "`+idp.URL+`/keys", issuer: test, audience: sidegate}}
ops: {tokens: [{name: support, token: plain, scopes: [staff]}]}
apps: {acme: {}}
`).started(t)
	bob := []string{"Authorization", idp.sign(t, claims("bob", "acme", "user"))}
	eve := []string{"Authorization", idp.sign(t, claims("eve", "acme", "staff"))}

	if a := s.ask("PUT", border.DoorAPI, listOf("acme", "bob")+"/blocks/alice", "", bob...); a.status != 201 {
		t.Errorf("bob blocks alice: %v", a)
	}
	if a := s.ask("PUT", border.DoorAPI, listOf("acme", "alice")+"/blocks/bob", "", bob...); a.status != 403 {
		t.Errorf("bob writes on alice's list: %v", a)
	}
	if a := s.ask("GET", border.DoorAPI, listOf("acme", "alice")+"/blocked-by", "", bob...); a.status != 403 {
		t.Errorf("bob asks who blocks alice: %v", a)
	}
	if a := s.ask("GET", border.DoorAPI, listOf("acme", "bob")+"/blocked-by", "", bob...); a.status != 403 {
		t.Errorf("bob asks who blocks him: %v", a)
	}
	if a := s.ask("GET", border.DoorAPI, listOf("acme", "bob")+"/history", "", bob...); a.status != 200 || !strings.Contains(a.body, "alice") {
		t.Errorf("bob's own history: %v", a)
	}
	if a := s.ask("GET", border.DoorAPI, listOf("acme", "bob")+"/blocks", "", "Authorization", "Bearer root"); a.status != 200 {
		t.Errorf("a token beside: %v", a)
	}
	if log := s.printed.String(); strings.Contains(log, "staff read") {
		t.Errorf("nobody of staff has read: %s", log)
	}
	if a := s.ask("GET", border.DoorAPI, listOf("acme", "bob")+"/history", "", eve...); a.status != 200 {
		t.Errorf("support reads bob's history: %v", a)
	}
	for _, header := range []string{eve[1], "Bearer plain"} {
		if a := s.ask("GET", border.DoorOps, "/v1/status", "", "Authorization", header); a.status != 200 {
			t.Errorf("support reads the status: %v", a)
		}
	}
	if a := s.ask("GET", border.DoorOps, "/v1/status", "", bob...); a.status != 403 {
		t.Errorf("bob reads the status: %v", a)
	}
	log := s.printed.String()
	evesName := regexp.MustCompile(`token=jwt:[0-9a-f]{16}\b`).FindString(log) // under a key of the process
	if strings.Count(log, `msg="staff read"`) != 3 || evesName == "" || strings.Count(log, evesName) != 2 || !strings.Contains(log, "token=support") ||
		strings.Contains(log, "eve ") || strings.Contains(log, "bob") {
		t.Errorf("the log is %s", log)
	}
	if got := idp.fetches.Load(); got != 1 {
		t.Errorf("the keys were fetched %d times", got)
	}
}

// TestBadCredentials: a credential that cannot work ends the start, in a sentence
// that shows no secret, and config validate says the same.
func TestBadCredentials(t *testing.T) {
	dir := t.TempDir()
	missing, path := filepath.Join(dir, "missing"), filepath.Join(dir, "sidegate.yaml")
	for _, tc := range []struct{ file, says string }{
		{"api: {jwt: {secret: short-s3cret}}", "api.jwt at " + path + ":1: signed tokens: the secret has 12 bytes; HS256 needs at least 32"},
		{
			"apps: {a: {dialects: {imkit: {client_keys: [k], jwt: {secret: short-s3cret}}}}}",
			"apps.a.dialects.imkit.jwt at " + path + ":1: signed tokens: the secret has 12 bytes; HS256 needs at least 32",
		},
		{"api: {jwt: {public_key: PEM}}", "the public key is not in PEM"},
		{"api: {jwt: {jwks_file: " + missing + "}}", "no such file"},
		{"api: {tokens: [{file: " + missing + "}]}", "no such file"},
		{"ops: {tokens: [{file: " + missing + "}]}", "no such file"},
	} {
		if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, verb := range [][]string{{"config", "validate"}, {"serve"}} {
			got := command(t, nil, append(verb, "--config", path, "--postgres-url", "postgres://127.0.0.1:1/none")...)
			if got.code != exitUsage || !strings.Contains(got.stderr, tc.says) || strings.Contains(got.stderr, "s3cret") {
				t.Errorf("%v with %s: %+v\nwant %s", verb, tc.file, got, tc.says)
			}
		}
	}
}

// TestNobodyIsNobody: a listener asks for nil to see that nobody was given a
// credential; a pointer that is nil inside an interface would let it ask.
func TestNobodyIsNobody(t *testing.T) {
	cfg, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAccess(cfg, &verifiers{log: slog.New(slog.DiscardHandler)})
	if err != nil || a.check != nil || a.api != nil || a.ops != nil || a.signed != nil {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestRateOfAnApp: api.rate holds for every route of the app's lists, whoever of
// the app asks, and for no other app.
func TestRateOfAnApp(t *testing.T) {
	s := serveHere(t, pgtest.Database(t), `
api: {tokens: [root], rate: {per_app: 5}}
apps: {acme: {}, umbra: {}}
`).started(t)
	ask := func(app, user string) int {
		return s.ask("GET", border.DoorAPI, listOf(app, user)+"/blocks/x", "", "Authorization", "Bearer root").status
	}
	limited := 0
	for i := range 200 {
		switch got := ask("acme", fmt.Sprint("user-", i)); got {
		case http.StatusTooManyRequests:
			limited++
		case http.StatusNotFound:
		default:
			t.Fatalf("request %d = %d", i, got)
		}
	}
	if limited == 0 {
		t.Error("200 requests have passed a limit of 5 a second")
	}
	if got := ask("umbra", "bob"); got != http.StatusNotFound {
		t.Errorf("the other app = %d", got)
	}
	if a := s.ask("GET", border.DoorOps, "/metrics", ""); !strings.Contains(a.body, fmt.Sprintf("sidegate_rate_limited_total{api=\"native\"} %d\n", limited)) {
		t.Errorf("%d are not counted", limited)
	}
}
