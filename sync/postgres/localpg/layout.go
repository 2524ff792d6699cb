package localpg

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// layout names the files of a cluster's directory.
type layout struct{ root string }

func (l layout) data() string     { return filepath.Join(l.root, "data") }
func (l layout) pid() string      { return filepath.Join(l.data(), "postmaster.pid") }
func (l layout) lock() string     { return filepath.Join(l.root, "lock") }
func (l layout) run() string      { return filepath.Join(l.root, "run") }
func (l layout) password() string { return filepath.Join(l.root, "password") }
func (l layout) port() string     { return filepath.Join(l.root, "port") }

// madeBy returns the major version that made the data directory, or 0 if there is
// none yet. Directories of version 10 and later hold just that number.
func (l layout) madeBy() (int, error) {
	text, err := os.ReadFile(filepath.Join(l.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(l.data()); err == nil {
			return 0, fmt.Errorf("%s is not a PostgreSQL data directory: move it away, or use another data directory", l.data())
		}
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// A version before 10 reads 9.6.
	number, _, _ := strings.Cut(strings.TrimSpace(string(text)), ".")
	major, err := strconv.Atoi(number)
	if err != nil || major < 1 {
		return 0, fmt.Errorf("%s holds no PostgreSQL version: move the data directory away, or use another", l.data())
	}
	return major, nil
}

// loadPassword returns the password for TCP and whether it had to be made.
func (l layout) loadPassword(a account) (pw string, made bool, err error) {
	text, err := os.ReadFile(l.password())
	if pw := strings.TrimSpace(string(text)); pw != "" {
		return pw, false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	pw = rand.Text() // letters and digits: no quoting, neither in a URL nor in SQL
	return pw, true, l.savePassword(a, pw)
}

// savePassword gives the file to the account: initdb reads it.
func (l layout) savePassword(a account, pw string) error {
	if err := os.WriteFile(l.password(), []byte(pw+"\n"), 0o600); err != nil {
		return err
	}
	return a.own(l.password())
}

// lastPort returns the port of the previous run, or 0. It is kept so that an
// address somebody has pasted elsewhere survives a restart.
func (l layout) lastPort() int {
	text, err := os.ReadFile(l.port())
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || port < 1024 || port > 65535 {
		return 0
	}
	return port
}

func (l layout) savePort(port int) error {
	return os.WriteFile(l.port(), []byte(strconv.Itoa(port)+"\n"), 0o644)
}
