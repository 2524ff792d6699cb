package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/metrics/border"
	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

const staffOfReload = "ops: {tokens: [{name: staff, token: staff, scopes: [staff]}, {name: some, token: some, scopes: [staff], apps: [default]}]}\n"

// reload asks for a reload, which must succeed.
func (s *served) reload(t *testing.T, text string) (done reloaded) {
	t.Helper()
	s.configure(staffOfReload + text)
	a := s.ask("POST", border.DoorOps, "/v1/reload", "", "Authorization", "Bearer staff")
	if err := json.Unmarshal([]byte(a.body), &done); err != nil || a.status != http.StatusOK {
		t.Fatalf("reload: %s, %v", a, err)
	}
	return done
}

// TestReloadTokens: tokens are exchanged on every listener, those in files too.
func TestReloadTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("t1")
	tokens := fmt.Sprintf("check: {tokens: [{file: %s}]}\napi: {tokens: [{file: %s}]}\n", file, file)
	s := serveHere(t, pgtest.Database(t), staffOfReload+tokens).started(t)
	knows := func(token string) (doors string) {
		for _, d := range []struct {
			door border.Door
			path string
		}{
			{border.DoorCheck, "/v1/can-deliver?sender=a&recipient=b&room_type=direct"}, {border.DoorAPI, listOf("default", "bob") + "/blocks"},
			{border.DoorOps, "/v1/status"},
		} {
			// Whoever is let in may still hear 503: a busy machine reads lists late.
			a := s.ask("GET", d.door, d.path, "", "Authorization", "Bearer "+token)
			if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
				doors += string(d.door) + " "
			}
		}
		return doors
	}
	if got := knows("t1"); got != "check api " {
		t.Fatalf("t1 opens %q", got)
	}
	write("t2")
	if done := s.reload(t, tokens); !reflect.DeepEqual(done.Changed, []string{"api.tokens", "check.tokens"}) || len(done.NeedsRestart) != 0 {
		t.Errorf("%+v", done)
	}
	if knows("t1") != "" || knows("t2") != "check api " {
		t.Errorf("t1 opens %q, t2 %q", knows("t1"), knows("t2"))
	}
	s.configure(strings.ReplaceAll(staffOfReload, "token: staff", "token: boss") + tokens)
	if a := s.ask("POST", border.DoorOps, "/v1/reload", "", "Authorization", "Bearer staff"); a.status != http.StatusOK {
		t.Errorf("%s", a)
	}
	if knows("staff") != "" || knows("boss") != "ops " {
		t.Errorf("the old token of staff opens %q, the new %q", knows("staff"), knows("boss"))
	}
	if done := s.ask("POST", border.DoorOps, "/v1/reload", "", "Authorization", "Bearer some"); done.status != http.StatusForbidden {
		t.Errorf("staff of one app: %s", done)
	}
}

// TestReloadApps: apps come, change and go; limits reach the database.
func TestReloadApps(t *testing.T) {
	s := serveHere(t, pgtest.Database(t), staffOfReload+"api: {tokens: [root]}\n").started(t)
	blocks := func(app string) int {
		return s.ask("PUT", border.DoorAPI, listOf(app, "bob")+"/blocks/alice", "", "Authorization", "Bearer root").status
	}
	decision := func(app string) answer {
		return s.ask("GET", border.DoorCheck, "/v1/can-deliver?sender=alice&recipient=bob&room_type=direct&app="+app, "")
	}
	if blocks("acme") != http.StatusNotFound || decision("acme").status != http.StatusNotFound {
		t.Error("the app is there before it came")
	}
	if done := s.reload(t, "api: {tokens: [root]}\napps: {acme: {preset: rongcloud, limit: 7}}"); !reflect.DeepEqual(done.Changed, []string{"apps.acme"}) {
		t.Errorf("%+v", done)
	}
	if got := blocks("acme"); got != http.StatusCreated {
		t.Errorf("a block in the new app: %d", got)
	}
	waitFor(t, "the block is enforced", func() bool { return strings.Contains(decision("acme").body, `"reason":"recipient_blocked_sender"`) })
	limit := func(want string) {
		t.Helper()
		waitFor(t, "the limit "+want+" stands", func() bool {
			return psql(t, s.cfg.Postgres.URL, "SELECT max_entries FROM sidegate.app WHERE app = 'acme'") == want
		})
	}
	limit("7")
	done := s.reload(t, "api: {tokens: [root]}\napps: {acme: {preset: rongcloud, limit: 8, exempt: [alice]}}")
	if !reflect.DeepEqual(done.Changed, []string{"apps.acme.exempt", "apps.acme.limit"}) {
		t.Errorf("%+v", done)
	}
	limit("8")
	waitFor(t, "the sender is exempt", func() bool { return strings.Contains(decision("acme").body, `"deliver":true`) })
	if a := s.ask("GET", border.DoorOps, "/v1/explain?sender=alice&recipient=bob&room_type=direct&app=acme", "", "Authorization", "Bearer staff"); !strings.Contains(a.body, `"rule":"exempt","answer":"match"`) {
		t.Errorf("an explanation by the old policy: %s", a)
	}
	if done := s.reload(t, "api: {tokens: [root]}"); !reflect.DeepEqual(done.Changed, []string{"apps.acme"}) {
		t.Errorf("%+v", done)
	}
	if blocks("acme") != http.StatusNotFound || decision("acme").status != http.StatusNotFound {
		t.Error("the app is there after it went")
	}
}

// TestReloadRefused: whatever is wrong, nothing changes, the answer names it, and
// the gauge tells of it until a reload succeeds.
func TestReloadRefused(t *testing.T) {
	const good = "apps: {acme: {limit: 5}}\nlog: {level: warn}\n"
	s := serveHere(t, pgtest.Database(t), staffOfReload+good).started(t)
	successful := func() bool {
		return strings.Contains(s.ask("GET", border.DoorOps, "/metrics", "").body, "\nsidegate_config_last_reload_successful 1\n")
	}
	if !successful() {
		t.Error("the start does not count")
	}
	before := s.current.Load()
	for text, want := range map[string]string{
		"apps: {acme: {limt: 5}}":                              "unknown key \"apps.acme.limt\" at " + s.file + ":2",
		"sync: {poll_interval: 100}":                           "sync.poll_interval at " + s.file + ":2: 100 has no unit",
		"apps: [":                                              "yaml",
		"check: {tokens: [{file: /does/not/exist}]}":           "check.tokens at " + s.file + ":2: open /does/not/exist",
		"api: {jwt: {public_key: nonsense}}":                   "api.jwt at " + s.file + ":2",
		"apps: {a: {dialects: {rongcloud: {app_key: k}}}}":     "app_secret is missing at " + s.file + ":2",
		"sync: {soft_bound: 1m, hard_bound: 30s}":              "sync.hard_bound at " + s.file + ":2",
		"insecure: maybe\napi: {jwt: {secret: s, max_age: 1}}": "api.jwt.max_age at " + s.file + ":3",
	} {
		s.configure(staffOfReload + text)
		a := s.ask("POST", border.DoorOps, "/v1/reload", "", "Authorization", "Bearer staff")
		var doc struct{ Code, Detail string }
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != http.StatusUnprocessableEntity ||
			doc.Code != "invalid_configuration" || !strings.Contains(doc.Detail, want) {
			t.Errorf("%s\n%s\nwant %s", text, a, want)
		}
		if s.current.Load() != before || successful() {
			t.Errorf("%s: something has changed, or the gauge does not tell", text)
		}
	}
	if log := s.printed.String(); !strings.Contains(log, "was not reloaded") || !strings.Contains(log, "apps.acme.limt") {
		t.Errorf("the log says\n%s", log)
	}
	if done := s.reload(t, good); len(done.Changed)+len(done.NeedsRestart) != 0 || !successful() {
		t.Errorf("%+v, successful: %v", done, successful())
	}
}

// TestReloadNamesWhatWaits: a key that is not hot keeps its value, and is named
// until the process is started again or the file says the old value.
func TestReloadNamesWhatWaits(t *testing.T) {
	s := serveHere(t, pgtest.Database(t), staffOfReload).started(t)
	for range 2 {
		done := s.reload(t, "cache: {max_bytes: 64MiB}\nlog: {format: json, level: debug}\nsync: {hard_bound: 10m}")
		if !reflect.DeepEqual(done.NeedsRestart, []string{"cache.max_bytes", "log.format"}) {
			t.Errorf("%+v", done)
		}
	}
	cfg := s.current.Load().cfg
	if cfg.Cache.MaxBytes == 64<<20 || cfg.Log.Format != "auto" || cfg.Log.Level != "debug" || cfg.Sync.HardBound.Minutes() != 10 {
		t.Errorf("in force: %+v %+v %+v", cfg.Cache, cfg.Log, cfg.Sync)
	}
	if done := s.reload(t, ""); len(done.NeedsRestart) != 0 || !reflect.DeepEqual(done.Changed, []string{"log.level", "sync.hard_bound"}) {
		t.Errorf("%+v", done)
	}
}

// TestReloadHandsOn: what comes out the same is not made again: keys are not
// fetched again, surfaces and services stay.
func TestReloadHandsOn(t *testing.T) {
	var fetches atomic.Int64
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = w.Write([]byte(`{"keys":[]}`))
	}))
	defer keys.Close()
	text := "api: {jwt: {jwks_url: '" + keys.URL + "', audience: a%d}}\n" +
		"apps: {default: {exempt: [u%d], dialects: {rongcloud: {app_key: k, app_secret: s%d}, sendbird: {api_tokens: [t]}}}}\n"
	s := serveHere(t, pgtest.Database(t), staffOfReload+fmt.Sprintf(text, 1, 1, 1)).started(t)
	waitFor(t, "the keys are fetched", func() bool { return fetches.Load() == 1 })
	first := s.current.Load()
	s.reload(t, fmt.Sprintf(text, 1, 2, 1))
	second := s.current.Load()
	if second == first || second.filter == first.filter || second.core != first.core || second.access.signed != first.access.signed ||
		second.vendors["rongcloud"] != first.vendors["rongcloud"] {
		t.Error("another policy has not changed the filter, or more than that")
	}
	s.reload(t, fmt.Sprintf(text, 1, 2, 2))
	third := s.current.Load()
	if third.vendors["rongcloud"] == second.vendors["rongcloud"] || third.vendors["sendbird"] != second.vendors["sendbird"] {
		t.Error("another secret has not changed its dialect, or another one")
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	s.reload(t, fmt.Sprintf(text, 2, 2, 2))
	if s.current.Load().access.signed == first.access.signed {
		t.Error("another audience has changed nothing")
	}
	waitFor(t, "the keys are fetched for the new audience", func() bool { return fetches.Load() == 2 })
}

// TestReloadKeepsPassedSockets: what a service manager has bound takes the place of
// addresses after a reload too.
func TestReloadKeepsPassedSockets(t *testing.T) {
	s := serveHere(t, pgtest.Database(t), staffOfReload+"api: {tokens: [root]}\n").started(t)
	read := s.reloads.read
	s.reloads.read = func() (*config.Config, error) {
		cfg, err := read()
		if err == nil {
			cfg.API.Listen = nil // no file says it
		}
		return cfg, err
	}
	s.reloads.complete = func(cfg *config.Config) error {
		return cfg.TakeOver("api", []config.Address{addressOf(s.api.Addrs()[0])}, "the socket api")
	}
	s.reload(t, "api: {tokens: [other]}\n")
	if a := s.ask("GET", border.DoorAPI, listOf("default", "bob")+"/blocks", "", "Authorization", "Bearer other"); a.status != http.StatusOK {
		t.Errorf("%s", a)
	}
}
