package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxSocketPath is the longest path that every system takes for a Unix socket:
// sun_path holds 104 bytes on macOS and the BSDs (108 on Linux), the last of
// which is a zero.
const maxSocketPath = 103

// DefaultSocketMode is the mode of a Unix socket whose address names none:
// the owner alone.
const DefaultSocketMode fs.FileMode = 0o600

// Address is a place to listen on.
type Address struct {
	Network string      // "tcp" or "unix"
	Address string      // host:port, or the absolute path of the socket
	Mode    fs.FileMode // of the socket; 0 for tcp
}

// ParseAddress reads "host:port" or "unix:///path?mode=0660". An empty host
// means every interface; port 0 lets the system choose.
func ParseAddress(text string) (Address, error) {
	switch {
	case text == "":
		return Address{}, errors.New("an address is empty; write host:port or unix:///path, or [] for no listener")
	case strings.HasPrefix(text, "unix:"):
		return parseSocket(text)
	case strings.Contains(text, "://"):
		return Address{}, fmt.Errorf("%q is a URL; write host:port or unix:///path", text)
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf("%q is not an address; write host:port such as 127.0.0.1:7070, or unix:///path", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Address{}, fmt.Errorf("%q: the port is not a number from 0 to 65535", text)
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == '/' || r == '@' || r == 0x7f }) {
		return Address{}, fmt.Errorf("%q: the host holds a character that no host name has", text)
	}
	return Address{Network: "tcp", Address: text}, nil
}

// parseSocket reads the address of a Unix socket. It is a URL, so that a path
// with a ? or a space can be written, and so that a client can use it unchanged.
func parseSocket(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Address{}, fmt.Errorf("%q is not a socket address; write unix:///path", text)
	}
	a := Address{Network: "unix", Address: u.Path, Mode: DefaultSocketMode}
	if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == "/" || u.User != nil || u.Fragment != "" {
		return Address{}, fmt.Errorf("%q does not hold an absolute path; write three slashes: unix:///run/sidegate/sidegate.sock", text)
	}
	if len(a.Address) > maxSocketPath || strings.ContainsRune(a.Address, 0) {
		return Address{}, fmt.Errorf("%q: a socket's path has at most %d bytes and none of them is zero", text, maxSocketPath)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Address{}, fmt.Errorf("%q: what follows the ? is not readable; write ?mode=0660", text)
	}
	for name, values := range query {
		if name != "mode" || len(values) != 1 {
			return Address{}, fmt.Errorf("%q: only mode may follow the ?, once, as in ?mode=0660", text)
		}
		mode, err := strconv.ParseUint(values[0], 8, 32)
		if err != nil || mode > 0o777 {
			return Address{}, fmt.Errorf("%q: the mode is not an octal number from 0 to 0777", text)
		}
		a.Mode = fs.FileMode(mode)
	}
	return a, nil
}

// String writes the address as [ParseAddress] reads it.
func (a Address) String() string {
	if a.Network != "unix" {
		return a.Address
	}
	u := url.URL{Scheme: "unix", Path: a.Address}
	if a.Mode != DefaultSocketMode {
		u.RawQuery = fmt.Sprintf("mode=%04o", a.Mode)
	}
	return u.String()
}

// Local reports whether only processes of this machine can reach the address:
// a socket or a loopback address. A host name other than localhost counts as
// remote, since what it resolves to can change.
func (a Address) Local() bool {
	if a.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Address)
	return err == nil && loopback(host)
}

// loopback reports whether a host is this machine and nothing else. An IPv4
// address that is written as IPv6 is the same address.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
