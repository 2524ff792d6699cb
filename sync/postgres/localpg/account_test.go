package localpg

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
}

func TestWhomTheServerRunsAs(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	a, err := chooseAccount(data)
	if err != nil {
		t.Fatal(err)
	}
	if self := os.Geteuid(); a.uid == 0 || (self != 0 && a.uid != self) || a.drop != (self == 0) {
		t.Errorf("user %d runs a new cluster as %+v", self, a)
	}
	needRoot(t)
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	// An id that no user database knows, as in a container.
	const stranger = 54321
	if err := os.Chown(data, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	a, err = chooseAccount(data)
	if want := (account{name: "54321", uid: stranger, gid: stranger, drop: true}); err != nil || a != want {
		t.Errorf("a directory of user 54321 is run as %+v, %v; want %+v", a, err, want)
	}
}

func TestReachNamesTheFirstClosedDirectory(t *testing.T) {
	needRoot(t)
	root := reachable(t)
	outer, inner := filepath.Join(root, "outer"), filepath.Join(root, "outer", "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	const uid, gid, otherUID, otherGID = 54321, 54322, 54323, 54324
	a := account{name: "someone", uid: uid, gid: gid, drop: true}
	for _, c := range []struct {
		why      string
		uid, gid int
		mode     fs.FileMode
		ok       bool
	}{
		{"open to all", otherUID, otherGID, 0o711, true},
		{"closed to others", otherUID, otherGID, 0o710, false},
		{"open to the group", otherUID, gid, 0o710, true},
		{"closed to the group alone", otherUID, gid, 0o701, false},
		{"the owner's", uid, otherGID, 0o700, true},
		{"closed to the owner alone", uid, gid, 0o611, false},
	} {
		if err := errors.Join(os.Chown(outer, c.uid, c.gid), os.Chmod(outer, c.mode)); err != nil {
			t.Fatal(err)
		}
		err := a.reach(inner)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.why, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "may not pass "+outer+" ") || !strings.Contains(err.Error(), "user someone")) {
			t.Errorf("%s: %v, want %s named", c.why, err, outer)
		}
		// The judgement is that of the kernel.
		probe := cluster{install: install{bin: "/bin"}, account: a}.command(t.Context(), "ls", "-d", inner)
		if ran := probe.Run() == nil; ran != c.ok {
			t.Errorf("%s: the kernel lets the account pass: %t", c.why, ran)
		}
	}
	if err := a.reach(filepath.Join(root, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what does not exist: %v", err)
	}
}

// What root has made, an ordinary user is told about in one sentence.
func TestWithoutRootOnTheFilesOfOthers(t *testing.T) {
	needRoot(t)
	nobody := accountOf(65534)
	bin := helperBinary(t)
	ours := made(t)
	// Only the data belongs to another user: as after a copy.
	copied := reachable(t)
	if err := errors.Join(nobody.own(copied), os.Mkdir(filepath.Join(copied, "data"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		ours:   "private PostgreSQL: the directory " + ours + " belongs to another user",
		copied: "private PostgreSQL: the data directory " + filepath.Join(copied, "data") + " belongs to user root",
	} {
		cmd := exec.Command(bin)
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), helperDir+"="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(nobody.uid), Gid: uint32(nobody.gid)}}
		out, err := cmd.Output()
		if err == nil || !strings.HasPrefix(string(out), want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%v: the program says %q, want %q and one line", err, out, want)
		}
	}
}

// helperBinary copies the test binary to where others may run it: it lies in a
// directory that only its owner may pass.
func helperBinary(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(reachable(t), "helper")
	if out, err := exec.Command("cp", os.Args[0], bin).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}
