package localpg

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// superuser is the role that initdb makes; the name that every tool expects.
const superuser = "postgres"

// endpoint is where a server listens. It is chosen at the first start and stays,
// so that clients find the server again after a kill.
type endpoint struct {
	socketDir string
	temporary bool // socketDir is ours to remove
	port      int
	password  string
}

// socketURL needs no password: the directory lets in nobody else.
func (e endpoint) socketURL(database string) string {
	query := url.Values{"host": {e.socketDir}, "port": {strconv.Itoa(e.port)}}.Encode()
	u := url.URL{
		Scheme: "postgres", User: url.User(superuser), Path: "/" + database,
		// libpq and pgx take a plus sign for itself; a form would mean a space.
		RawQuery: strings.ReplaceAll(query, "+", "%20"),
	}
	return u.String()
}

func (e endpoint) tcpURL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, e.password), Path: "/" + database,
		Host: net.JoinHostPort(loopback, strconv.Itoa(e.port)), RawQuery: "sslmode=disable",
	}
	return u.String()
}

const loopback = "127.0.0.1"

// maxSocketPath is the shortest limit of the systems we run on: sun_path holds
// 104 bytes with the final NUL on macOS and 108 on Linux.
const maxSocketPath = 103

func socketFits(dir string) bool {
	return len(filepath.Join(dir, ".s.PGSQL.65535")) <= maxSocketPath
}

// socketDir returns a directory for the socket that only the account may enter:
// in the cluster's own directory, or, when that path is too long for a socket,
// under the system's directory for temporary files.
func socketDir(l layout, a account) (dir string, temporary bool, err error) {
	if socketFits(l.run()) {
		return l.run(), false, a.mkdir(l.run())
	}
	dir, err = os.MkdirTemp("", "sidegate-")
	if err != nil {
		return "", false, err
	}
	if !socketFits(dir) {
		return "", false, errors.Join(
			errors.New("the paths of the data directory and of TMPDIR are both too long for a Unix socket (about 100 bytes): use a shorter one"),
			os.Remove(dir))
	}
	return dir, true, a.mkdir(dir)
}

// clearSocketDir removes what a killed server left. The caller holds the
// directory's lock and knows that no server runs: PostgreSQL itself would have to
// guess from a process id, which may have been given to another process.
func clearSocketDir(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, ".s.PGSQL.*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, os.Remove(f))
	}
	return errors.Join(errs...)
}

// freePort returns a loopback port that nobody listens on, preferred if it is one.
// It is taken from below the ranges that kernels use for outgoing connections
// (from 32768 on Linux, 49152 on macOS): from such a range, anybody's connection
// could take the port while the server is down between two starts.
func freePort(preferred int) (int, error) {
	const low, high, tries = 20000, 32000, 100
	for i := range tries {
		port := low + rand.IntN(high-low)
		if i == 0 && preferred != 0 {
			port = preferred
		}
		l, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free loopback port between 20000 and 32000")
}
