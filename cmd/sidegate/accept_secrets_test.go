package main

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestAcceptLogTellsNoSecret: whatever is asked, rightly, wrongly or in no HTTP at
// all, and whatever fails, the log at its most talkative holds no credential, no text
// of a request, no password of the database and no user.
func TestAcceptLogTellsNoSecret(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	const config = `
log: {level: debug}
check: {tokens: [SECRET-check]}
api:
  tokens: [SECRET-api]
  jwt: {secret: SECRET-that-signs-tokens-of-users, audience: sidegate}
ops: {tokens: [{name: support, token: SECRET-ops, scopes: [staff]}]}
apps:
  default:
    dialects:
      rongcloud: {app_key: rk, app_secret: SECRET-rong}
      sendbird: {api_tokens: [SECRET-bird]}
      imkit: {client_keys: [SECRET-ck], api_keys: [SECRET-ak], jwt: {secret: SECRET-that-signs-tokens-of-clients}}
`
	with, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	with.User = url.UserPassword(with.User.Username(), "SECRET-postgres") // the server asks for none
	s := startSidecar(t, with.String(), config, "SIDEGATE_API_TOKENS=").ready()
	const (
		check = "/v1/can-deliver?sender=ID-alice&recipient=ID-bob&room_type=direct"
		list  = "/v1/apps/default/users/ID-bob/blocks"
	)
	user := strings.TrimPrefix(signed("SECRET-that-signs-tokens-of-users", hs256Header, claims("ID-bob", "default", "user")), "Bearer ")
	staff := strings.TrimPrefix(signed("SECRET-that-signs-tokens-of-users", hs256Header, claims("ID-eve", "default", "staff")), "Bearer ")
	raws := map[string][]string{"check": nil, "api": nil, "ops": nil}
	for door, targets := range map[string][]string{
		"check": {check, "/v1/can-deliver?sender=ID-alice&token=SECRET-query", "/ID-path"},
		"api": {list, list + "/ID-alice", list + "?cursor=SECRET-cursor", "/v1/apps/default/users/ID-bob/history", "/v3/users/ID-bob/block",
			"/user/blacklist/query.json?userId=ID-bob", "/blockStatus/my/ID-alice", "/v1/apps/default/export"},
		"ops": {"/v1/explain?sender=ID-alice&recipient=ID-bob&room_type=direct", "/v1/status", "/ID-path?SECRET-query", "/debug/pprof/heap?debug=SECRET-query"},
	} {
		for _, target := range targets {
			for _, header := range []string{
				"Authorization: Bearer SECRET-" + door + "\r\n", "Authorization: Bearer SECRET-wrong\r\n", "Authorization: Bearer " + user + "\r\n",
				"Authorization: Bearer " + staff + "\r\n",
				"Authorization : Bearer SECRET-spaced\r\n", "Authorization: Bearer\r\n SECRET-folded\r\n", "Authorization: Bearer SECRET-\x00\r\n",
				"Authorization: Bearer " + user + "x\r\n", "Api-Token: SECRET-bird\r\n", "Cookie: SECRET-" + strings.Repeat("c", 9<<10) + "\r\n",
				"IM-API-KEY: SECRET-ak\r\n", "App-Key: rk\r\nNonce: 1\r\nTimestamp: 1\r\nSignature: SECRET-signature\r\n",
			} {
				raws[door] = append(raws[door], "GET "+target+" HTTP/1.1\r\nHost: h\r\n"+header+"Connection: close\r\n\r\n",
					"POST "+target+" HTTP/1.1\r\nHost: h\r\n"+header+"Connection: close\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{\"sender\":\"ID-alice\",\"ID-x",
					"POST "+target+" HTTP/1.1\r\nHost: h\r\n"+header+"Transfer-Encoding: chunked\r\n\r\nID-chunk\r\n")
			}
		}
		raws[door] = append(raws[door], "SECRET-noise\r\n\r\n", "GET /ID-half")
	}
	send := func() {
		for door, list := range raws {
			for _, raw := range list {
				s.hearsOut(door, raw)
			}
		}
	}
	send()
	// The connections to the database are cut: what the driver says of that is in
	// the log as well.
	psql(t, dsn, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sidegate' and datname = current_database()")
	send()
	s.interrupt()
	log := s.stderr.String()
	secrets := []string{"SECRET", "ID-", strings.Split(user, ".")[2], strings.Split(staff, ".")[2]}
	for line := range strings.Lines(log) {
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("the log tells %q: %s", secret, line)
			}
		}
	}
	for _, said := range []string{"staff read", `"token":"jwt:`} {
		if !strings.Contains(log, said) {
			t.Errorf("the log does not say %q: this test has not heard what it was to hear", said)
		}
	}
}

// hearsOut sends bytes to a listener and reads until it closes the connection, or is
// waited for in vain.
func (s *sidecar) hearsOut(door, raw string) {
	s.t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.urls[door], "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	// It may have refused, and hung up, before all is sent.
	_, _ = fmt.Fprint(nc, raw)
	_ = nc.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, nc)
}
