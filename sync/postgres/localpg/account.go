package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is whom the server runs as.
type account struct {
	name     string
	uid, gid int
	drop     bool // we are root and have to become it
}

// chooseAccount decides whom to run as on the given data directory, which need
// not exist. PostgreSQL insists that the directory belongs to the account it runs
// as, so an existing one decides.
func chooseAccount(data string) (account, error) {
	uid, owned, err := ownerOf(data)
	if err != nil {
		return account{}, err
	}
	self := os.Geteuid()
	switch {
	case self != 0 && owned && uid != self:
		return account{}, fmt.Errorf("the data directory %s belongs to user %s: run as that user, or use another directory",
			data, accountOf(uid).name)
	case self != 0:
		return account{name: accountOf(self).name, uid: self, gid: os.Getegid()}, nil
	case owned && uid == 0:
		return account{}, fmt.Errorf("the data directory %s belongs to root, whom PostgreSQL refuses to run as: "+
			"give it to another user with `chown -R postgres`, or use another directory", data)
	case owned:
		return accountOf(uid), nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return fromUser(u)
		}
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody to run it as: " +
		"start sidegate as an ordinary user")
}

// ownerOf returns the user id that owns a file, if it exists.
func ownerOf(path string) (uid int, exists bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), true, nil
}

// accountOf returns the account of a user id. An id without an entry in the user
// database, as containers have them, is its own name and group.
func accountOf(uid int) account {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		if a, err := fromUser(u); err == nil {
			return a
		}
	}
	return account{name: strconv.Itoa(uid), uid: uid, gid: uid, drop: true}
}

func fromUser(u *user.User) (account, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, fmt.Errorf("localpg: user id of %s: %w", u.Username, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return account{}, fmt.Errorf("localpg: group id of %s: %w", u.Username, err)
	}
	return account{name: u.Username, uid: uid, gid: gid, drop: true}, nil
}

// own gives a path to the account. Without root it is already ours.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// mkdir makes a directory that only the account may enter, or makes an existing
// one so.
func (a account) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Lstat, not Stat: in a world-writable parent somebody else may have put a
	// link under this name.
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", path)
	}
	if err := a.own(path); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}

// reach returns an error that names the first directory on the way to path which
// the account may not pass. Only mode bits are read: an access list that allows
// more is a reason to ask only after something has failed.
func (a account) reach(path string) error {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		search := fs.FileMode(0o001)
		switch {
		case int(st.Uid) == a.uid:
			search = 0o100
		case int(st.Gid) == a.gid:
			search = 0o010
		}
		if info.Mode()&search == 0 {
			return fmt.Errorf("user %s, whom PostgreSQL runs as because it refuses root, may not pass %s (mode %04o): "+
				"run `chmod o+x %s`, or use another data directory", a.name, dir, info.Mode().Perm(), dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
