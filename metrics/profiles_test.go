package metrics

import (
	"crypto/sha256"
	"net/http"
	"testing"

	"github.com/sidegate/sidegate/metrics/border"
)

// profiler serves profiles to whoever has the token.
func profiler(t *testing.T) string {
	t.Helper()
	o := newTestOps(t, OpsOptions{Auth: border.NewTokens([]border.Token{
		{Name: "staff", SHA256: sha256.Sum256([]byte("staff")), Scopes: border.ScopeStaff},
	})})
	o.HandleProfiles()
	return serveOps(t, o)
}

// TestProfiles: what go tool pprof asks for is there, and whatever is wrong with a
// query is said in a problem document, never in plain text.
func TestProfiles(t *testing.T) {
	base := profiler(t)
	for target, want := range map[string]struct {
		status int
		code   string
	}{
		"heap": {200, ""}, "heap?debug=1": {200, ""}, "heap?gc=1": {200, ""}, "goroutine": {200, ""}, "goroutine?debug=2": {200, ""},
		"profile?seconds=1": {200, ""}, "heap?seconds=1": {200, ""},
		"profile?seconds=x":         {400, "invalid_parameter"},
		"profile?seconds=0":         {400, "invalid_parameter"},
		"profile?seconds=-1":        {400, "invalid_parameter"},
		"profile?seconds=301":       {400, "invalid_parameter"},
		"profile?seconds=1e9":       {400, "invalid_parameter"},
		"profile?seconds=+1":        {400, "invalid_parameter"},
		"profile?seconds=":          {400, "invalid_parameter"},
		"profile?seconds=1;debug=1": {400, "invalid_parameter"},
		"profile?debug=1":           {400, "unknown_parameter"},
		"profile?second=1":          {400, "unknown_parameter"},
		"heap?seconds=1&debug=1":    {400, "invalid_parameter"},
		"heap?seconds=1&seconds=2":  {400, "unknown_parameter"},
		"heap?debug=3":              {400, "invalid_parameter"},
		"goroutine?debug=%zz":       {400, "invalid_parameter"},
		"cmdline":                   {404, "not_found"},
		"":                          {404, "not_found"},
	} {
		t.Run(target, func(t *testing.T) {
			a := ask(t, "GET", base+"/debug/pprof/"+target, "Authorization", "Bearer staff")
			if a.status != want.status || want.code != "" && a.code(t) != want.code {
				t.Errorf("%d %.200s, want %d %s", a.status, a.body, want.status, want.code)
			}
		})
	}
	if a := ask(t, "GET", base+"/debug/pprof/heap?debug=9"); a.status != 401 {
		t.Errorf("who is not staff learns what is wrong: %d %s", a.status, a.body)
	}
}

// TestOneProfileAtATime: the second is told so, and the next is taken again.
func TestOneProfileAtATime(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	o := newTestOps(t, OpsOptions{})
	o.Handle("GET /profile", oneAtATime(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-leave
		writeText(w, http.StatusOK, "taken")
	}))
	base := serveOps(t, o)
	first := make(chan answer, 1)
	for range 2 {
		go func() { first <- ask(t, "GET", base+"/profile") }()
		<-entered
		if a := ask(t, "GET", base+"/profile"); a.status != 503 || a.code(t) != "not_ready" || a.header.Get("Retry-After") != "1" {
			t.Errorf("a second profile: %d %s", a.status, a.body)
		}
		leave <- struct{}{}
		if a := <-first; a.status != 200 {
			t.Errorf("the first: %d %s", a.status, a.body)
		}
	}
}
