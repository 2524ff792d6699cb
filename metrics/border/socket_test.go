package border

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func socketAt(t *testing.T, path string, mode fs.FileMode) Address {
	t.Helper()
	return Address{Network: "unix", Address: path, Mode: mode}
}

func TestSocketMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
		a := socketAt(t, filepath.Join(t.TempDir(), "s"), mode)
		l, err := a.Listen()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(a.Address)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode is %v, %v; want %v", info.Mode().Perm(), err, mode)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(a.Address); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("closing left the socket file behind: %v", err)
		}
	}
}

func TestUmaskIsRestored(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	l, err := socketAt(t, filepath.Join(t.TempDir(), "s"), 0o600).Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := syscall.Umask(0o027); got != 0o027 {
		t.Errorf("umask is %#o after binding, want %#o", got, 0o027)
	}
}

// TestPrivateWhileBinding shows why the umask is set: with a wide one the file
// would be open to everybody until chmod runs.
func TestPrivateWhileBinding(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)

	guarded, err := bindPrivate(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer guarded.Close()
	if mode := modeOf(t, guarded); mode != 0o600 {
		t.Errorf("a fresh socket has mode %v, want 0600", mode)
	}
	bare, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if mode := modeOf(t, bare); mode&0o077 == 0 {
		t.Errorf("without the guard a fresh socket has mode %v: this test proves nothing", mode)
	}
}

func modeOf(t *testing.T, l net.Listener) fs.FileMode {
	t.Helper()
	info, err := os.Stat(l.Addr().String())
	if err != nil {
		t.Error(err)
		return 0
	}
	return info.Mode().Perm()
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as kill -9 leaves it
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := socketAt(t, path, 0o600).Listen()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestLiveSocketIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	live, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if _, err := socketAt(t, path, 0o600).Listen(); !errors.Is(err, ErrSocketInUse) {
		t.Errorf("binding over a live socket: %v, want ErrSocketInUse", err)
	}
	if _, err := net.Dial("unix", path); err != nil {
		t.Errorf("the live socket is gone: %v", err)
	}
}

func TestPlainFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := socketAt(t, path, 0o600).Listen(); err == nil {
		t.Error("a plain file was taken for a stale socket")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "precious" {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestListenAllIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	free := socketAt(t, filepath.Join(dir, "free"), 0o600)
	taken := socketAt(t, filepath.Join(dir, "taken"), 0o600)
	live, err := taken.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if _, err := ListenAll([]Address{free, taken}); !errors.Is(err, ErrSocketInUse) {
		t.Fatalf("ListenAll = %v, want ErrSocketInUse", err)
	}
	if _, err := os.Lstat(free.Address); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first socket is still bound: %v", err)
	}
	all, err := ListenAll([]Address{free, {Network: "tcp", Address: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		l.Close()
	}
}

func TestMissingDirectory(t *testing.T) {
	_, err := socketAt(t, filepath.Join(t.TempDir(), "no", "s"), 0o600).Listen()
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Listen = %v, want a missing directory", err)
	}
}

func TestListenErrorNamesTheAddress(t *testing.T) {
	for _, a := range []Address{
		{Network: "tcp", Address: "256.0.0.1:1"},
		{Network: "udp", Address: "127.0.0.1:0"},
		{Network: "unix", Address: "/dev/null/s"},
	} {
		l, err := a.Listen()
		if err == nil {
			l.Close()
			t.Errorf("%+v was bound", a)
		} else if !strings.Contains(err.Error(), a.String()) {
			t.Errorf("%+v: the error does not name it: %v", a, err)
		}
	}
}

// TestSymlinkIsLeftAlone: what it points to is not ours to judge.
func TestSymlinkIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	for _, to := range []string{filepath.Join(dir, "nowhere"), dir} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		if l, err := socketAt(t, link, 0o600).Listen(); err == nil {
			l.Close()
			t.Errorf("a link to %s was replaced", to)
		}
		if got, err := os.Readlink(link); err != nil || got != to {
			t.Errorf("the link points to %s, %v; want %s", got, err, to)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBindsDoNotShareTheirUmask binds many sockets at once: the umask is one for
// the process, so that a bind that restored it early would open another's file.
func TestBindsDoNotShareTheirUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			l, err := bindPrivate(filepath.Join(dir, strconv.Itoa(i)))
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			if mode := modeOf(t, l); mode != 0o600 {
				t.Errorf("socket %d has mode %v", i, mode)
			}
		})
	}
	wg.Wait()
	if got := syscall.Umask(0); got != 0 {
		t.Errorf("the umask is %#o afterwards", got)
	}
}
