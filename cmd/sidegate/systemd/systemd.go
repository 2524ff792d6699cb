// Package systemd speaks the two small protocols by which a service manager and a
// program tell each other something: sockets that the manager has bound already
// (sd_listen_fds) and how the program is doing (sd_notify). Both are variables in
// the environment; without them nothing happens.
//
// It starts no goroutine and is safe for concurrent use.
// Source: the manual pages sd_listen_fds(3) and sd_notify(3).
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// firstFD is the descriptor of the first socket that is passed.
const firstFD = 3

// Sockets returns the sockets that were passed to this process, by their names
// (FileDescriptorName= of the socket unit). It takes them over: call it once.
// Closing such a listener leaves the socket, and the file of a Unix socket, with
// the manager, who hands it to the next process: whoever connects in between waits
// instead of being refused.
func Sockets(getenv func(string) string) (map[string][]net.Listener, error) {
	names, err := passed(getenv)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, nil
	}
	sockets := map[string][]net.Listener{}
	for i, name := range names {
		l, err := listener(firstFD+i, name)
		if err != nil {
			for _, open := range sockets {
				for _, l := range open {
					err = errors.Join(err, l.Close())
				}
			}
			return nil, fmt.Errorf("the socket %q that was passed: %w", name, err)
		}
		sockets[name] = append(sockets[name], l)
	}
	return sockets, nil
}

// maxSockets is the most sockets that are taken: more than anybody passes, and less
// than a wrong number could stand for.
const maxSockets = 256

// passed returns the names of the sockets that were passed to this process, in the
// order of their descriptors; none if there are none, or if they are those of the
// process that started us.
func passed(getenv func(string) string) ([]string, error) {
	if pid, err := strconv.Atoi(getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS is no number of sockets from 0 to %d", maxSockets)
	}
	names := make([]string, n)
	given := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	for i := range names {
		names[i] = "unknown" // as systemd calls one without a name
		if i < len(given) && given[i] != "" {
			names[i] = given[i]
		}
	}
	return names, nil
}

// listener makes a listener of a descriptor. net makes a copy that no child gets;
// the original is closed.
func listener(fd int, name string) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), name)
	if file == nil {
		return nil, errors.New("there is no such descriptor")
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("it is no listening stream socket: %w", err), file.Close())
	}
	return l, file.Close()
}

// Notifier tells the service manager how the program is doing. The zero value, and
// one that is made without a manager, tell nobody.
type Notifier struct{ addr *net.UnixAddr }

// NewNotifier returns the Notifier of this process.
func NewNotifier(getenv func(string) string) Notifier {
	path := getenv("NOTIFY_SOCKET")
	if path == "" || path[0] != '/' && path[0] != '@' {
		return Notifier{}
	}
	return Notifier{addr: &net.UnixAddr{Name: path, Net: "unixgram"}}
}

// Listened reports whether there is somebody to tell.
func (n Notifier) Listened() bool { return n.addr != nil }

// The states. A line of Status is for people.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Status is what `systemctl status` shows.
func Status(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", " ") }

// ExtendStart asks for more time for a start, from now on.
func ExtendStart(by time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(by.Microseconds(), 10)
}

// Tell sends states as one message. It does not wait for anybody to read it.
func (n Notifier) Tell(states ...string) error {
	if n.addr == nil {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, n.addr)
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}
