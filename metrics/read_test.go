package metrics

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/metrics/border"
)

// TestHandleRead: values are JSON, problems are themselves, and of any other
// error the client learns nothing.
func TestHandleRead(t *testing.T) {
	log := new(lockedBuffer)
	o := newTestOps(t, OpsOptions{Logger: slog.New(slog.NewTextHandler(log, nil)), Auth: border.NewTokens([]border.Token{
		{Name: "support", SHA256: sha256.Sum256([]byte("staff")), Scopes: border.ScopeStaff},
	})})
	o.HandleRead("GET /v1/explain", func(r *http.Request) (any, error) {
		switch r.URL.RawQuery {
		case "problem":
			return nil, fmt.Errorf("wrapped: %w", border.Problemf(border.CodeInvalidParameter, "what is that"))
		case "broken":
			return nil, errors.New("FATAL: password")
		case "who":
			return border.FromContext(r.Context()).Name, nil
		}
		return map[string]int{"n": 1}, nil
	})
	base := serveOps(t, o) + "/v1/explain"
	staff := []string{"Authorization", "Bearer staff"}
	for query, want := range map[string]struct {
		status int
		body   string
	}{
		"": {200, `{"n":1}`}, "?who": {200, `"support"`},
		"?problem": {400, "what is that"}, "?broken": {500, "the log of the process names it"},
	} {
		a := ask(t, "GET", base+query, staff...)
		if a.status != want.status || !strings.Contains(a.body, want.body) || strings.Contains(a.body, "password") {
			t.Errorf("%s = %d %s", query, a.status, a.body)
		}
	}
	if !strings.Contains(log.String(), "password") || !strings.Contains(log.String(), "token=support") {
		t.Errorf("the log does not have what it must: %s", log)
	}
	if a := ask(t, "GET", base); a.status != 401 || a.code(t) != "unauthenticated" {
		t.Errorf("without a token: %d", a.status)
	}
}
