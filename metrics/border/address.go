package border

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
)

// Address says where a listener is bound. Its fields are those of the
// configuration's address, so that one converts to the other.
type Address struct {
	Network string      // "tcp" or "unix"
	Address string      // "host:port" of tcp, the absolute path of unix
	Mode    fs.FileMode // of the socket file; unix only
}

// String returns the address as a person would write it, without the mode.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix://" + a.Address
	}
	return a.Address
}

// Listen binds the address; port 0 lets the system choose. A socket file is
// made under umask 0177 and then given its mode, so that it is never open to
// more users than it shall be. A file in its place is removed only if it is a
// socket on which nobody answers.
func (a Address) Listen() (net.Listener, error) {
	bind := net.Listen
	switch a.Network {
	case "unix":
		bind = func(_, path string) (net.Listener, error) { return listenUnix(path, a.Mode) }
	case "tcp":
	default:
		return nil, fmt.Errorf("listen on %s: %q is neither tcp nor unix", a, a.Network)
	}
	l, err := bind(a.Network, a.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", a, err)
	}
	return l, nil
}

// ListenAll binds every address, or none: on an error what was bound already
// is closed again.
func ListenAll(addresses []Address) ([]net.Listener, error) {
	listeners := make([]net.Listener, 0, len(addresses))
	for _, a := range addresses {
		l, err := a.Listen()
		if err != nil {
			for _, open := range listeners {
				err = errors.Join(err, open.Close())
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}
