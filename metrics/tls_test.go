package metrics

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/metrics/border"
)

// TestOpsOverTLS: TCP speaks TLS, a Unix socket does not, and who speaks plain HTTP
// to it is told so. A handshake that fails is no reason for a warning.
func TestOpsOverTLS(t *testing.T) {
	source := httptest.NewTLSServer(http.NotFoundHandler()) // it has a certificate for 127.0.0.1
	defer source.Close()
	client := source.Client()
	client.Transport.(*http.Transport).DisableKeepAlives = true
	log, socket := new(lockedBuffer), filepath.Join(t.TempDir(), "s.sock")
	o := newTestOps(t, OpsOptions{
		Logger: slog.New(slog.NewTextHandler(log, nil)),
		TLS:    &tls.Config{Certificates: source.TLS.Certificates},
		Listen: []border.Address{{Network: "tcp", Address: "127.0.0.1:0"}, {Network: "unix", Address: socket, Mode: 0o600}},
	})
	addr := strings.TrimPrefix(serveOps(t, o), "http://")
	resp, err := client.Get("https://" + addr + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok\n" || resp.ProtoMajor != 1 {
		t.Errorf("%q, %v by %s", body, err, resp.Proto)
	}
	resp.Body.Close()
	for address, want := range map[string]string{addr: "HTTPS", socket: "\r\nok\n"} {
		network := "tcp"
		if address == socket {
			network = "unix"
		}
		nc, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(nc); err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("%s: %q, %v", network, answer, err)
		}
		nc.Close()
	}
	if log.String() != "" {
		t.Errorf("the log says %s", log)
	}
}

// TestOpsOnWhatOthersHaveBound: it stands in place of the addresses.
func TestOpsOnWhatOthersHaveBound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := newTestOps(t, OpsOptions{Bound: []net.Listener{l}})
	if base := serveOps(t, o); base != "http://"+l.Addr().String() || ask(t, "GET", base+"/livez").status != 200 {
		t.Errorf("it serves at %s", base)
	}
}
