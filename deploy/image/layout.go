//go:build unix

package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// user is whom the image runs the program as: the number that distroless images
// use, which no account of a machine has.
const user = 65532

// What the image holds besides the program, by its path in it. The certificates are
// those of this machine, or none where it keeps them elsewhere.
const (
	programPath = "sidegate"
	passwdPath  = "etc/passwd"
	certsPath   = "etc/ssl/certs/ca-certificates.crt"
)

// passwd names the user for programs that look it up; sidegate does not.
const passwd = "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"

// image is the root of a file system with the files of the image, and nothing else.
type image struct {
	root string
	// jailed: processes have this root for their own and run as user. It takes root
	// to do so; otherwise they run as whoever calls, in this folder.
	jailed bool
}

// lay makes the root. Nobody but root may write anywhere in it.
func lay(program string) (img *image, err error) {
	if err := static(program); err != nil {
		return nil, err
	}
	img = &image{jailed: os.Geteuid() == 0}
	if img.root, err = os.MkdirTemp("", "sidegate-image-"); err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(program)
	if err == nil {
		err = errors.Join(img.put(programPath, binary, 0o555), img.put(passwdPath, []byte(passwd), 0o444))
	}
	certs, none := os.ReadFile("/" + certsPath)
	if err == nil && none == nil {
		err = img.put(certsPath, certs, 0o444)
	}
	if err == nil {
		err = img.close()
	}
	if err != nil {
		img.remove()
		return nil, err
	}
	return img, nil
}

func (img *image) put(name string, data []byte, mode fs.FileMode) error {
	name = filepath.Join(img.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, mode)
}

// close takes the right to write from every folder.
func (img *image) close() error {
	return filepath.WalkDir(img.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o555)
	})
}

// remove opens the folders again, for those who are not root.
func (img *image) remove() {
	_ = filepath.WalkDir(img.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o755)
		}
		return nil
	})
	_ = os.RemoveAll(img.root) // a temporary folder; there is nobody to tell
}

// files lists what the image holds, with sizes in bytes, sorted by path.
func (img *image) files() (list []file, err error) {
	err = filepath.WalkDir(img.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			list = append(list, file{strings.TrimPrefix(path, img.root), info.Size()})
		}
		return err
	})
	return list, err
}

type file struct {
	path string
	size int64
}

// total adds up the sizes.
func total(files []file) (n int64) {
	for _, f := range files {
		n += f.size
	}
	return n
}

// command is the program with arguments, as an engine would start it: with an
// environment that holds nothing but what is given.
func (img *image) command(environ []string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(img.root, programPath), args...)
	cmd.Env, cmd.Dir = slices.Clone(environ), img.root
	if img.jailed {
		cmd.Path, cmd.Dir = "/"+programPath, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Chroot:     img.root,
			Credential: &syscall.Credential{Uid: user, Gid: user},
		}
	}
	return cmd
}

// static refuses a program that needs a loader or a library: the image has none.
func static(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("%s is no program for Linux: %w", program, err)
	}
	defer func() { _ = f.Close() }() // only read
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	if len(libraries) > 0 || slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("%s is not static: it needs a loader and %d libraries; build it with CGO_ENABLED=0 (make static)", program, len(libraries))
	}
	return nil
}
