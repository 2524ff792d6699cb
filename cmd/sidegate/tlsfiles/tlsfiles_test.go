package tlsfiles

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.pem, _, a.cert, a.key = a.make(1, true)
	return a
}

// issue returns a certificate for localhost, with its key, both in PEM.
func (a *authority) issue(serial int64) (cert, key string) {
	a.t.Helper()
	cert, key, _, _ = a.make(serial, false)
	return cert, key
}

func (a *authority) make(serial int64, root bool) (certPEM, keyPEM string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "sidegate test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Unix(4_000_000_000+serial, 0),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if root {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), cert, key
}

// folder is where the files of a test lie.
type folder struct {
	t   *testing.T
	dir string
}

func (f folder) put(name, text string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// rig is a Keeper with its files.
type rig struct {
	folder
	*Keeper
	ca      *authority
	metrics *Metrics
	log     *bytes.Buffer
}

func newRig(t *testing.T, mutual bool) *rig {
	t.Helper()
	r := &rig{folder: folder{t, t.TempDir()}, ca: newAuthority(t), log: new(bytes.Buffer), metrics: NewMetrics(prometheus.NewRegistry())}
	cert, key := r.ca.issue(10)
	files := Files{Cert: r.put("cert", cert), Key: r.put("key", key)}
	if mutual {
		files.ClientCA = r.put("ca", r.ca.pem)
	}
	var err error
	r.Keeper, err = New(Options{Files: files, Listener: "check", Metrics: r.metrics, Logger: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serial makes a connection and returns which certificate was shown, 0 if there
// was none. The error is the client's, or what the server refused it with.
func (r *rig) serial(client *tls.Config) (int64, error) {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		s := tls.Server(nc, r.Config())
		defer s.Close()
		if err = s.Handshake(); err == nil {
			_, err = s.Write([]byte("!"))
		}
		served <- err
	}()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	c := tls.Client(here, client)
	if err = c.Handshake(); err == nil {
		// A refusal of 1.3 comes behind the handshake.
		if n, e := c.Read(make([]byte, 1)); n == 0 {
			err = e
		}
	}
	var serial int64
	if shown := c.ConnectionState().PeerCertificates; len(shown) > 0 {
		serial = shown[0].SerialNumber.Int64()
	}
	_ = here.Close()
	if e := <-served; err == nil {
		err = e
	}
	return serial, err
}

func (r *rig) client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(r.ca.cert)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// shows checks which certificate is in force, by a connection and by the metrics.
func (r *rig) shows(serial int64) {
	r.t.Helper()
	if got, err := r.serial(r.client()); got != serial || err != nil {
		r.t.Errorf("certificate %d is shown, %v; want %d", got, err, serial)
	}
	if got := testutil.ToFloat64(r.metrics.notAfter); got != float64(4_000_000_000+serial) {
		r.t.Errorf("it expires at %v", got)
	}
}

func (r *rig) counted(reloads, failed float64) {
	r.t.Helper()
	if a, b := testutil.ToFloat64(r.metrics.reloads), testutil.ToFloat64(r.metrics.failed); a != reloads || b != failed {
		r.t.Errorf("%v changes, %v failed; want %v and %v", a, b, reloads, failed)
	}
	if n := strings.Count(r.log.String(), "cannot be used"); float64(n) != failed {
		r.t.Errorf("%d complaints: %s", n, r.log)
	}
}

// TestANewPairIsTaken: at the next look, for the next connection.
func TestANewPairIsTaken(t *testing.T) {
	r := newRig(t, false)
	r.shows(10)
	r.look()
	r.counted(0, 0)
	cert, key := r.ca.issue(11)
	r.put("cert", cert)
	r.put("key", key)
	r.shows(10)
	r.look()
	r.shows(11)
	r.counted(1, 0)
	if begun, ok := testutil.ToFloat64(r.metrics.begun), testutil.ToFloat64(r.metrics.accepted); begun != 3 || ok != 3 {
		t.Errorf("%v handshakes, %v accepted", begun, ok)
	}
}

// TestABrokenPairIsComplainedAboutOnce: the old one stays, whatever is wrong.
func TestABrokenPairIsComplainedAboutOnce(t *testing.T) {
	r := newRig(t, false)
	cert, key := r.ca.issue(11)
	r.put("cert", cert)
	r.look()
	r.counted(0, 0) // the key may be on its way
	for range 3 {
		r.look()
	}
	r.counted(1, 1)
	r.shows(10)

	if err := os.Remove(filepath.Join(r.dir, "key")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.look()
	}
	r.counted(2, 2)
	r.shows(10)

	r.put("key", key)
	r.look()
	r.counted(3, 2)
	r.shows(11)
	if strings.Contains(r.log.String(), "PRIVATE KEY") {
		t.Errorf("the log shows a key: %s", r.log)
	}
}

// TestAWriterBetweenItsFilesIsNoFailure: as is one who puts the old pair back.
func TestAWriterBetweenItsFilesIsNoFailure(t *testing.T) {
	r := newRig(t, false)
	cert, key := r.ca.issue(11)
	r.put("cert", cert)
	r.look()
	r.put("key", key)
	r.look()
	r.counted(1, 0)
	r.shows(11)

	r.put("key", "nonsense")
	r.look()
	r.put("key", key)
	r.look()
	r.put("key", "nonsense")
	r.look()
	r.counted(1, 0)
}

// TestClientCertificates: a connection without one that is believed does not come
// about, and whoever is no longer believed is out at the next one, whatever their
// client remembers.
func TestClientCertificates(t *testing.T) {
	r := newRig(t, true)
	with := func(a *authority, config *tls.Config) *tls.Config {
		cert, key := a.issue(20)
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
		return config
	}
	other := newAuthority(t)
	if _, err := r.serial(r.client()); err == nil {
		t.Error("a client without a certificate was let in")
	}
	if _, err := r.serial(with(other, r.client())); err == nil {
		t.Error("a certificate of somebody else was believed")
	}
	friend := with(r.ca, r.client())
	friend.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		if _, err := r.serial(friend); err != nil {
			t.Errorf("a good certificate was refused: %v", err)
		}
	}
	if begun, ok := testutil.ToFloat64(r.metrics.begun), testutil.ToFloat64(r.metrics.accepted); begun != 4 || ok != 2 {
		t.Errorf("%v handshakes, %v accepted", begun, ok)
	}
	r.put("ca", other.pem)
	r.look()
	if _, err := r.serial(friend); err == nil {
		t.Error("a certificate whose authority is no longer believed was let in")
	}
	if _, err := r.serial(with(other, r.client())); err != nil {
		t.Errorf("the new authority is not believed: %v", err)
	}
}

// TestMinVersion: what is older is refused.
func TestMinVersion(t *testing.T) {
	r := newRig(t, false)
	old := r.client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := r.serial(old); err != nil {
		t.Errorf("1.2 was refused: %v", err)
	}
	strict := r.opts.Files
	strict.MinVersion = "1.3"
	var err error
	if r.Keeper, err = New(Options{Files: strict, Listener: "check", Metrics: r.metrics}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.serial(old); err == nil {
		t.Error("1.2 was taken where 1.3 is the least")
	}
	if _, err := r.serial(r.client()); err != nil {
		t.Errorf("1.3 was refused: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	f, ca := folder{t, t.TempDir()}, newAuthority(t)
	cert, key := ca.issue(1)
	_, otherKey := ca.issue(2)
	good := Files{Cert: f.put("cert", cert), Key: f.put("key", key), ClientCA: f.put("ca", ca.pem)}
	if pair, err := good.Load(); err != nil || pair.NotAfter().Unix() != 4_000_000_001 {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		files Files
		says  string
	}{
		"no certificate":    {Files{filepath.Join(f.dir, "none"), good.Key, "", ""}, "none"},
		"a folder":          {Files{f.dir, good.Key, "", ""}, f.dir},
		"a key for another": {Files{good.Cert, f.put("other", otherKey), "", ""}, "no certificate with its key"},
		"no key in it":      {Files{good.Cert, good.Cert, "", ""}, "no certificate with its key"},
		"no authority":      {Files{good.Cert, good.Key, filepath.Join(f.dir, "gone"), ""}, "gone"},
		"nonsense for one":  {Files{good.Cert, good.Key, f.put("x", "x"), ""}, "holds no certificate"},
		"far too large":     {Files{f.put("big", strings.Repeat("x", maxFile+1)), good.Key, "", ""}, "no file of at most"},
	} {
		if _, err := c.files.Load(); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRun: a change is found within one look, and an end ends it.
func TestRun(t *testing.T) {
	r := newRig(t, false)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		cert, key := r.ca.issue(11)
		r.put("cert", cert)
		r.put("key", key)
		time.Sleep(lookEvery)
		synctest.Wait()
		r.counted(1, 0)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r.shows(11)
}

// TestClient: who can read the server's certificate needs nothing else to call it.
func TestClient(t *testing.T) {
	r := newRig(t, true)
	cert, key := r.ca.issue(20)
	c := Client{CA: r.put("ca", r.ca.pem), Cert: r.put("c", cert), Key: r.put("k", key), Own: filepath.Join(r.dir, "cert")}
	config, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	if serial, err := r.serial(config); serial != 10 || err != nil {
		t.Errorf("%d, %v", serial, err)
	}
	c.CA = ""
	if config, err = c.Config(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.serial(config); err != nil {
		t.Errorf("the server's own certificate is not enough: %v", err)
	}
	stranger := newAuthority(t)
	for name, c := range map[string]Client{
		"nobody is believed": {}, "somebody else is": {CA: r.put("stranger", stranger.pem)},
	} {
		config, err := c.Config()
		if err != nil {
			t.Fatal(err)
		}
		config.ServerName = "localhost"
		if _, err := r.serial(config); err == nil {
			t.Errorf("%s: the server was believed", name)
		}
	}
	for name, c := range map[string]Client{
		"half a pair": {Cert: filepath.Join(r.dir, "c")}, "no file": {CA: filepath.Join(r.dir, "none")},
		"no certificate": {CA: filepath.Join(r.dir, "k")}, "a wrong pair": {Cert: filepath.Join(r.dir, "c"), Key: filepath.Join(r.dir, "key")},
	} {
		if _, err := c.Config(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestFirstName(t *testing.T) {
	for text, want := range map[string]string{"": "", "nonsense": "", newAuthority(t).pem: "localhost"} {
		if got := firstName([]byte(text)); got != want {
			t.Errorf("%.30q: %q", text, got)
		}
	}
}
