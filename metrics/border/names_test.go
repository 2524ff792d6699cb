package border

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

func TestNames(t *testing.T) {
	mac := hmac.New(sha256.New, []byte("a key that nobody has"))
	mac.Write([]byte("alice"))
	want := hex.EncodeToString(mac.Sum(nil)[:8])
	names := HashedNames("a key that nobody has")
	if got := names.Of("alice"); got != want || names.Of("alice") != want || names.Of("bob") == want {
		t.Errorf("%s, want %s", got, want)
	}
	// Without the key an id that is guessed cannot be confirmed.
	plain := sha256.Sum256([]byte("alice"))
	if want == hex.EncodeToString(plain[:8]) {
		t.Error("the name is a plain hash")
	}
	if got := PlainNames().Of("alice"); got != "alice" {
		t.Error(got)
	}
	if a, b := HashedNames(""), HashedNames(""); a.Of("x") != b.Of("x") || a.Of("x") == names.Of("x") || a.Of("") != "" {
		t.Error("two logs of one process do not name alike, or nobody has not an empty name")
	}
}
