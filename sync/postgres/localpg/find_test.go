package localpg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// fake puts server binaries of a version into a directory; an empty version makes a
// directory of client programs.
func fake(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if version != "" {
		script(t, filepath.Join(dir, "postgres"), "echo 'postgres (PostgreSQL) "+version+"'")
		script(t, filepath.Join(dir, "initdb"), "")
	}
	return dir
}

func script(t *testing.T, path, body string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestChoice(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir()) // macOS links its temporary directory
	if err != nil {
		t.Fatal(err)
	}
	glob := filepath.Join(root, "debian", "*", "bin")
	old := fake(t, filepath.Join(root, "debian", "9", "bin"), "9.6.24")
	v14 := fake(t, filepath.Join(root, "debian", "14", "bin"), "14.2 (Debian 14.2-1)")
	v16 := fake(t, filepath.Join(root, "debian", "16", "bin"), "16.0")
	onPath := fake(t, filepath.Join(root, "path"), "15.18")
	clients := fake(t, filepath.Join(root, "clients"), "")
	config := fake(t, filepath.Join(root, "config"), "")
	built := fake(t, filepath.Join(root, "built"), "18beta1")
	script(t, filepath.Join(config, "pg_config"), "echo "+built)
	linked := fake(t, filepath.Join(root, "linked"), "")
	if err := os.Symlink(filepath.Join(v14, "initdb"), filepath.Join(linked, "initdb")); err != nil {
		t.Fatal(err)
	}
	list := func(dirs ...string) string {
		var path string
		for _, d := range dirs {
			path += string(os.PathListSeparator) + d
		}
		return path // begins with an empty entry, which means the current directory
	}

	for _, c := range []struct {
		name string
		f    finder
		want int
		bin  string
		err  error
	}{
		{name: "the newest package", f: finder{globs: []string{glob}}, bin: v16},
		{name: "PATH before packages", f: finder{path: list(onPath), globs: []string{glob}}, bin: onPath},
		{name: "client programs are no server", f: finder{path: list(clients), globs: []string{glob}}, bin: v16},
		{name: "pg_config knows", f: finder{path: list(clients, config), globs: []string{glob}}, bin: built},
		{name: "a link leads to the rest", f: finder{path: list(linked), globs: []string{glob}}, bin: v14},
		{name: "an existing cluster decides", f: finder{path: list(onPath), globs: []string{glob}}, want: 14, bin: v14},
		{name: "a cluster of an absent version", f: finder{globs: []string{glob}}, want: 15, err: ErrVersion},
		{name: "only too old", f: finder{path: list(old)}, err: ErrNoServer},
		{name: "a cluster of too old a version", f: finder{globs: []string{glob}}, want: 9, err: ErrVersion},
		{name: "nothing", f: finder{path: list(clients)}, err: ErrNoServer},
		{name: "a broken pattern", f: finder{globs: []string{"[", glob}}, bin: v16},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, err := c.f.choose(t.Context(), c.want)
			if !errors.Is(err, c.err) || in.bin != c.bin {
				t.Errorf("chose %q, %v; want %q, %v", in.bin, err, c.bin, c.err)
			}
		})
	}
}

func TestTheSystemsServerIsFound(t *testing.T) {
	in, err := systemFinder().choose(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if in.major < oldestMajor {
		t.Errorf("version %d was chosen", in.major)
	}
	if _, err := os.Stat(in.tool("pg_basebackup")); err != nil {
		t.Error(err)
	}
}

func TestParseMajor(t *testing.T) {
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 17devel":                          17,
		"postgres (PostgreSQL) 9.6.24":                           9,
		"postgres (PostgreSQL) 14":                               14,
		"postgres (PostgreSQL) ":                                 0,
		"postgres (PostgreSQL) x":                                0,
		"postgres (PostgreSQL) 99999999999999999999":             0,
		"psql 15": 0,
		"":        0,
	} {
		got, err := parseMajor(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("parseMajor(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func FuzzParseMajor(f *testing.F) {
	f.Add("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n")
	f.Add("postgres (PostgreSQL) 18beta1")
	f.Fuzz(func(t *testing.T, text string) {
		major, err := parseMajor(text)
		if major < 0 || (err != nil && major != 0) {
			t.Errorf("parseMajor(%q) = %d, %v", text, major, err)
		}
		if err == nil {
			again, err := parseMajor(fmt.Sprintf("postgres (PostgreSQL) %d.1", major))
			if err != nil || again != major {
				t.Errorf("version %d does not survive: %d, %v", major, again, err)
			}
		}
	})
}
