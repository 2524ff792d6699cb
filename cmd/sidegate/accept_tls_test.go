package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretly makes the clients of a sidecar speak TLS to every listener.
func (s *sidecar) secretly(config *tls.Config) *sidecar {
	for door, url := range s.urls {
		s.urls[door] = strings.Replace(strings.Replace(url, "http://", "https://", 1), "0.0.0.0", "127.0.0.1", 1)
		s.urls[door] = strings.Replace(s.urls[door], "[::]", "127.0.0.1", 1)
	}
	s.client.Transport.(*http.Transport).TLSClientConfig = config
	return s
}

// TestAcceptTLS: all three listeners over TLS, the check listener on an address
// that others reach, opened by client certificates alone; the program's own commands
// as clients; a certificate that is renewed under way.
func TestAcceptTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.issue("server", 10)
	ca.issue("client", 20)
	s := startSidecar(t, database(t), fmt.Sprintf(`
check: {tls: {cert_file: %[1]s/server.pem, key_file: %[1]s/server.key, client_ca_file: %[1]s/ca.pem}}
api: {tls: {cert_file: %[1]s/server.pem, key_file: %[1]s/server.key, min_version: "1.3"}}
ops: {tls: {cert_file: %[1]s/server.pem, key_file: %[1]s/server.key}}
`, ca.dir), "SIDEGATE_CHECK_LISTEN=0.0.0.0:0").secretly(ca.client("client")).ready()
	s.block("default", "bob", "alice")
	s.enforced(question{sender: "alice", recipient: "bob"}, dropped)

	files := []string{"SIDEGATE_CA_FILE=" + ca.path("ca.pem"), "SIDEGATE_CERT_FILE=" + ca.path("client.pem"), "SIDEGATE_KEY_FILE=" + ca.path("client.key")}
	check := []string{"check", "alice", "bob", "--check-url", s.urls["check"]}
	if got := runProgram(t, files, check...); got.code != exitOK || !strings.Contains(got.stdout, "Withheld") {
		t.Errorf("check: %+v", got)
	}
	if got := runProgram(t, files[:1], check...); got.code != exitUnreachable || !strings.Contains(got.stderr, "certificate") {
		t.Errorf("check without a certificate: %+v", got)
	}
	if got := runProgram(t, nil, "healthcheck", "--ops-url", s.urls["ops"], "--ca-file", ca.path("ca.pem")); got.code != exitOK {
		t.Errorf("healthcheck: %+v", got)
	}
	if got := runProgram(t, nil, "healthcheck", "--ops-url", s.urls["ops"]); got.code != exitUnreachable {
		t.Errorf("healthcheck that believes nobody: %+v", got)
	}
	if got := runProgram(t, nil, "list", "bob", "--api-url", s.urls["api"], "--ca-file", ca.path("ca.pem"), "--token", apiToken); !strings.Contains(got.stdout, "alice") {
		t.Errorf("list: %+v", got)
	}
	if a, err := http.Get(strings.Replace(s.urls["check"], "https", "http", 1) + "/v1/can-deliver"); err != nil || a.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %v, %v", a, err)
	} else {
		a.Body.Close()
	}

	ca.issue("server", 11)
	waitFor(t, "the new certificate is shown", func() bool {
		s.client.CloseIdleConnections()
		resp, err := s.client.Get(s.urls["ops"] + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64() == 11
	})
	for _, door := range []string{"check", "api", "ops"} {
		series := fmt.Sprintf(`{listener="%s"}`, door)
		waitFor(t, door+" counts its new certificate", func() bool { return s.samples()["sidegate_tls_reloads_total"+series] == 1 })
		if got := s.samples(); got["sidegate_tls_certificate_not_after_timestamp_seconds"+series] != 4e9 || got["sidegate_tls_reloads_failed_total"+series] != 0 {
			t.Errorf("%s: %v", door, got)
		}
	}
}

// TestAcceptBadCertificates: what cannot work is refused before anything is bound,
// by its key and place.
func TestAcceptBadCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.issue("server", 10)
	for name, c := range map[string]struct{ yaml, says string }{
		"missing": {"api: {tls: {cert_file: %[1]s/none.pem, key_file: %[1]s/server.key}}", "none.pem"},
		"half":    {"api: {tls: {cert_file: %[1]s/server.pem}}", "api.tls.key_file is missing"},
		"mixed":   {"api: {tls: {cert_file: %[1]s/server.pem, key_file: %[1]s/ca.key}}", "no certificate with its key"},
		"unsaid":  {"check: {listen: '0.0.0.0:0', tls: {cert_file: %[1]s/server.pem, key_file: %[1]s/server.key}}", "check.tls.client_ca_file"},
		"version": {"api: {tls: {min_version: '1.1', cert_file: %[1]s/server.pem, key_file: %[1]s/server.key}}", "min_version"},
	} {
		file := filepath.Join(t.TempDir(), "sidegate.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, c.yaml, ca.dir), 0o600); err != nil {
			t.Fatal(err)
		}
		got := runProgram(t, nil, "config", "validate", "--config", file, "--postgres-url", "postgres://h/d")
		if got.code != exitUsage || !strings.Contains(got.stderr, c.says) || !strings.Contains(got.stderr, "sidegate.yaml:1") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
