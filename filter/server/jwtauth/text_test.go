package jwtauth

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestClaimsAreText: users whom their issuer tells apart are not one user here.
func TestClaimsAreText(t *testing.T) {
	for name, c := range map[string]struct{ sub, user string }{
		"no UTF-8":                      {"b\xff", ""},
		"other bytes that are none":     {"b\xfe", ""},
		"the first half of a pair":      {`b\ud83d`, ""},
		"the first half before text":    {`b\ud83dx`, ""},
		"the first half before another": {`b\ud83d\ud83d\ude00`, ""},
		"the second half":               {`b\ude00`, ""},
		"a pair turned round":           {`\ude00\ud83d`, ""},
		"half a pair before an escape":  {`b\uD83D\n`, ""},
		"a pair":                        {`b\ud83d\ude00`, "b😀"},
		"a pair in other letters":       {`b\uD83D\uDE00`, "b😀"},
		"two pairs":                     {`\ud83d\ude00\ud83d\ude00`, "😀😀"},
		"what only looks like a half":   {`b\\ud83d`, `b\ud83d`},
		"what stands for no character":  {"b\ufffd\\ufffd", "b\ufffd\ufffd"},
	} {
		claims := fmt.Sprintf(`{"sub":"%s","app":"acme","scope":"user","exp":%d}`, c.sub, time.Now().Add(time.Hour).Unix())
		a := verifier(t, Options{})
		who, ok := a.Client(byHand(`{"alg":"HS256"}`, claims, secret))
		if ok != (c.user != "") || who.User != c.user {
			t.Errorf("%s: taken for %+v, %v; want %q", name, who, ok, c.user)
		}
		if c.user == "" {
			refuses(t, a, name, byHand(`{"alg":"HS256"}`, claims, secret), "malformed")
		}
	}
}

// FuzzIsText: package json keeps whatever is text; it replaces what is not.
func FuzzIsText(f *testing.F) {
	for _, seed := range []string{`"a"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\\ud83d"`, "\"\xff\"", `{"\ud83d":["\ude00"]}`} {
		f.Add(seed)
	}
	parser := jwt.NewParser()
	f.Fuzz(func(t *testing.T, claims string) {
		var value any
		if json.Unmarshal([]byte(claims), &value) != nil {
			return
		}
		text := isText(parser, b64([]byte(claims)))
		written, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		// Without what stands for no character, there is none unless json put it.
		plain := !strings.ContainsRune(claims, 0xfffd) && !strings.Contains(strings.ToLower(claims), `\ufffd`)
		// Of two members of one name json drops one, with what it held.
		_, single := value.(string)
		if replaced := strings.Contains(string(written), "\ufffd"); plain && text == replaced && (text || single) {
			t.Errorf("%q is text: %v, and json makes %s of it", claims, text, written)
		}
	})
}
