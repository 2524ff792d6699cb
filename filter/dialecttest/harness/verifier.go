package harness

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Verifier is the app's own service that IMKit asks whether a client token is
// good. Tokens are "good-for-USER"; all others are refused.
type Verifier struct {
	server *httptest.Server

	mu    sync.Mutex
	asked map[string]int
}

func startVerifier() *Verifier {
	v := &Verifier{asked: map[string]int{}}
	v.server = httptest.NewServer(http.HandlerFunc(v.serve))
	return v
}

// URL is where it is asked.
func (v *Verifier) URL() string { return v.server.URL + "/verify" }

// Asked says how often a token was asked about.
func (v *Verifier) Asked(token string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked[token]
}

func (v *Verifier) serve(w http.ResponseWriter, r *http.Request) {
	var body struct{ Token string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost || r.URL.Path != "/verify" {
		http.Error(w, "not a question", http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	v.asked[body.Token]++
	v.mu.Unlock()
	user, good := strings.CutPrefix(body.Token, "good-for-")
	if !good {
		http.Error(w, "who is that", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// The client is gone if this fails.
	_ = json.NewEncoder(w).Encode(map[string]string{"id": user, "nickname": "", "avatarUrl": ""})
}
