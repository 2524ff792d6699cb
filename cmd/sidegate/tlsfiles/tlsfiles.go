// Package tlsfiles serves TLS with certificates that lie in files, and takes new
// ones without a restart.
//
// Certificates live for weeks and programs for months, so somebody replaces the
// files: cert-manager, a kubelet that projects a secret, certbot. A [Keeper] looks
// at the files every few seconds and compares what they hold, not when they were
// written: a volume of Kubernetes changes by a symbolic link, some file systems
// count time in seconds, and three small files are read in less time than it takes
// to argue about it. Looking at each handshake instead would put the disk into the
// way of every new connection.
//
// A pair that cannot be used changes nothing: the old one stays. It is complained
// about once, and only when two looks in a row have found it: whoever writes a
// certificate and then its key is between the two for a moment.
//
// It is safe for concurrent use. Constructors start nothing; [Keeper.Run] blocks
// until its context ends.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Files name what one listener, or one client, shows and believes.
type Files struct {
	// Cert is the certificate in PEM, its intermediates behind it; Key is the
	// private key that belongs to it.
	Cert, Key string
	// ClientCA are the authorities of which every client must show a
	// certificate, in PEM; "" asks for none.
	ClientCA string
	// MinVersion is "1.2" or "1.3"; "" means 1.2, which every client of the last
	// ten years speaks.
	MinVersion string
}

// maxFile bounds what is read of a file: a wrong path must not fill the memory.
const maxFile = 1 << 20

// Pair is what the files held at one moment.
type Pair struct {
	config   *tls.Config
	leaf     *x509.Certificate
	contents [3]string
}

// Load reads the files. Its error says which of them is wrong, and holds nothing
// of what is in them.
func (f Files) Load() (*Pair, error) {
	contents, err := f.read()
	if err != nil {
		return nil, err
	}
	return f.parse(contents)
}

// NotAfter is when the certificate expires.
func (p *Pair) NotAfter() time.Time { return p.leaf.NotAfter }

// read returns what the files hold at this moment: certificate, key, authorities.
func (f Files) read() (contents [3]string, err error) {
	for i, path := range []string{f.Cert, f.Key, f.ClientCA} {
		if path == "" && i == 2 {
			continue
		}
		if contents[i], err = readFile(path); err != nil {
			return contents, err
		}
	}
	return contents, nil
}

func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("%s is no file of at most %d bytes", path, maxFile)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// parse makes a pair of what was read.
func (f Files) parse(contents [3]string) (*Pair, error) {
	cert, err := tls.X509KeyPair([]byte(contents[0]), []byte(contents[1]))
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate with its key: %w", f.Cert, f.Key, err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   f.minVersion(),
		NextProtos:   []string{"http/1.1"},
	}
	if f.ClientCA != "" {
		if config.ClientCAs, err = parsePool(f.ClientCA, contents[2]); err != nil {
			return nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		// A ticket is a memory of who was believed once. Without them an
		// authority that is taken out of the file is out at the next connection.
		config.SessionTicketsDisabled = true
	}
	return &Pair{config: config, leaf: cert.Leaf, contents: contents}, nil
}

func (f Files) minVersion() uint16 {
	if f.MinVersion == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// ErrNoAuthority: what is wrong is [Files].ClientCA, and neither certificate nor key.
var ErrNoAuthority = errors.New("holds no certificate in PEM")

func parsePool(path, text string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, fmt.Errorf("%s %w", path, ErrNoAuthority)
	}
	return pool, nil
}

// Client is what a client of our own listeners needs to speak TLS.
type Client struct {
	// CA are the authorities to believe besides those of the system; "" = none.
	CA string
	// Cert and Key are shown to a server that asks for a certificate; both "" =
	// none is shown.
	Cert, Key string
	// Own is the certificate of the very server that is called, if its file can
	// be read here: it is believed, and called by the first name it has.
	Own string
}

// Config returns the configuration of a client.
func (c Client) Config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("a client's certificate and its key belong together: give both")
	}
	if c.Cert != "" {
		cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("%s and %s are no certificate with its key: %w", c.Cert, c.Key, err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	for _, path := range []string{c.CA, c.Own} {
		if path == "" {
			continue
		}
		if err := c.believe(config, path); err != nil {
			if path == c.Own && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
				continue // the server's alone; its authority may be known all the same
			}
			return nil, err
		}
	}
	return config, nil
}

// believe adds the certificates of a file to those that a client trusts.
func (c Client) believe(config *tls.Config, path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	if config.RootCAs == nil {
		// A system without a store of its own, such as an empty image, has none
		// to add to.
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
	}
	if !config.RootCAs.AppendCertsFromPEM([]byte(text)) {
		return fmt.Errorf("%s holds no certificate in PEM", path)
	}
	if path == c.Own {
		config.ServerName = firstName([]byte(text))
	}
	return nil
}
