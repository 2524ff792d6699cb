package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoServer says that no usable server binaries are installed.
var ErrNoServer = errors.New("no PostgreSQL server, version 14 or newer, is installed: " +
	"install one, for example with `apt-get install postgresql` or `brew install postgresql`")

// ErrVersion says that a data directory was made by a major version that is not
// installed; data directories of two major versions are not compatible.
var ErrVersion = errors.New("the data directory needs another PostgreSQL version")

// oldestMajor is the oldest version that the schema works on.
const oldestMajor = 14

// install is one directory of server binaries.
type install struct {
	bin   string
	major int
}

func (i install) tool(name string) string { return filepath.Join(i.bin, name) }

// finder knows where server binaries may be.
type finder struct {
	path  string   // a PATH list
	globs []string // where packages put them, tried in order
}

func systemFinder() finder {
	return finder{
		path: os.Getenv("PATH"),
		globs: []string{
			"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu: never on the PATH there
			"/opt/homebrew/opt/postgresql@*/bin", // Homebrew on Apple silicon
			"/usr/local/opt/postgresql@*/bin",    // Homebrew on Intel
			"/usr/pgsql-*/bin",                   // the PostgreSQL project's RPMs
			"/usr/local/pgsql/bin",               // built from source
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
	}
}

// choose returns the installation to use: of the wanted major version if that is
// not zero, else the first new enough. What the user put on the PATH comes before
// what a package put elsewhere.
func (f finder) choose(ctx context.Context, want int) (install, error) {
	found := f.installs(ctx)
	usable := slices.DeleteFunc(slices.Clone(found), func(i install) bool { return i.major < oldestMajor })
	if len(usable) == 0 {
		if len(found) > 0 {
			return install{}, fmt.Errorf("%w (found only version %d in %s)", ErrNoServer, found[0].major, found[0].bin)
		}
		return install{}, ErrNoServer
	}
	if want == 0 {
		return usable[0], nil
	}
	if i := slices.IndexFunc(usable, func(i install) bool { return i.major == want }); i >= 0 {
		return usable[i], nil
	}
	return install{}, fmt.Errorf("%w: it was made by version %d and version %d is installed: "+
		"install PostgreSQL %d, or use another data directory", ErrVersion, want, usable[0].major, want)
}

// installs lists every directory of server binaries, in order of preference.
func (f finder) installs(ctx context.Context) []install {
	var all []install
	add := func(dirs []string) {
		var found []install
		for _, dir := range dirs {
			if in, err := inspect(ctx, dir); err == nil {
				found = append(found, in)
			}
		}
		// Newest first, by number: as text 9 sorts after 16.
		slices.SortStableFunc(found, func(a, b install) int { return cmp.Compare(b.major, a.major) })
		all = append(all, found...)
	}
	for _, dir := range filepath.SplitList(f.path) {
		add([]string{dir})
	}
	for _, dir := range filepath.SplitList(f.path) {
		// Distributions that keep the server off the PATH still put pg_config on
		// it; the first is asked, as a build would.
		tool := filepath.Join(dir, "pg_config")
		if !filepath.IsAbs(tool) {
			continue
		}
		if out, err := exec.CommandContext(ctx, tool, "--bindir").Output(); err == nil {
			add([]string{strings.TrimSpace(string(out))})
			break
		}
	}
	for _, glob := range f.globs {
		dirs, err := filepath.Glob(glob)
		if err != nil {
			continue // a constant pattern: only a typing error gets here
		}
		add(dirs)
	}
	return all
}

// inspect returns the installation that a directory leads to: it has a server and
// what makes a cluster, which client packages do not.
func inspect(ctx context.Context, dir string) (install, error) {
	if !filepath.IsAbs(dir) {
		// An empty or relative PATH entry means the current directory, which is
		// no place to run a server from.
		return install{}, fmt.Errorf("localpg: %q is not absolute", dir)
	}
	// A directory on the PATH often holds links to some of the tools (Homebrew,
	// an administrator's ln -s); all of them are where the link ends.
	initdb, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb"))
	if err != nil {
		return install{}, err
	}
	in := install{bin: filepath.Dir(initdb)}
	out, err := exec.CommandContext(ctx, in.tool("postgres"), "--version").Output()
	if err != nil {
		return install{}, err
	}
	in.major, err = parseMajor(string(out))
	return in, err
}

// parseMajor reads the major version from what `postgres --version` prints, like
// "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)" or "… 18beta1".
func parseMajor(s string) (int, error) {
	_, rest, ok := strings.Cut(s, "(PostgreSQL) ")
	if !ok {
		return 0, fmt.Errorf("localpg: %q is not a PostgreSQL version", s)
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	major, err := strconv.Atoi(rest[:end])
	if err != nil {
		return 0, fmt.Errorf("localpg: version in %q: %w", s, err)
	}
	return major, nil
}
