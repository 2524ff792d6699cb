package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
)

// fileSuffix ends the name of the key that names the file of a secret.
const fileSuffix = "_file"

// withFiles gives each key that holds a secret a sibling that names a file with
// it, so that no secret can be forgotten: a mounted file is how most platforms
// hand one over.
func withFiles(keys []*Key) []*Key {
	var all []*Key
	for _, k := range keys {
		all = append(all, k)
		if !k.kind.secret {
			continue
		}
		doc := "A file that holds " + k.Name() + ", without the line end behind it, instead of " + k.Name() + " itself."
		if k.kind.list() {
			doc = "A file that holds " + k.Name() + ", one a line, instead of " + k.Name() + " itself."
		}
		all = append(all, &Key{Path: k.Path + fileSuffix, kind: fileKind, Doc: doc, fills: k})
	}
	return all
}

// Name is the last part of the key's path.
func (k *Key) Name() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// use is a value that names one file or several.
type use struct {
	key   *Key
	place place
	value any
}

// readFiles reads what the merged values name, and returns the secrets that stand
// in files of their own, by path. It is the last step, so that the file of a value
// which a stronger layer has replaced is not asked for.
func (l *loader) readFiles() map[string]any {
	filled := map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(l.uses)) {
		u := l.uses[path]
		switch tokens, isTokens := u.value.([]Token); {
		case isTokens:
			if l.src.Open {
				filled[path] = l.openTokens(u.place, tokens)
			}
		case u.key.fills != nil:
			l.fill(u, filled)
		case l.src.Open:
			l.open(u.place, u.value.(string))
		}
	}
	return filled
}

// fill reads the secret that a key names a file of.
func (l *loader) fill(u use, filled map[string]any) {
	secret := strings.TrimSuffix(u.place.path, fileSuffix)
	if other, both := l.origin[secret]; both {
		l.fault("%s stands beside %s; a secret is given in one way only", u.place.name, other.name)
		return
	}
	l.filled[secret] = true
	if !l.src.Open {
		filled[secret] = unread(u.key.fills, u.place.path)
		return
	}
	data, ok := l.open(u.place, u.value.(string))
	if !ok {
		return
	}
	value, err := u.key.fills.parseFile(data)
	if err != nil {
		// The error of a secret does not repeat it.
		l.fault("%s: what %s holds: %w", u.place.name, u.value, err)
		return
	}
	l.warnReadable(u.place, u.value.(string))
	filled[secret] = value
}

// parseFile reads a secret as a file holds it.
func (k *Key) parseFile(data []byte) (any, error) {
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return nil, errors.New("it is empty")
	}
	if !k.kind.list() {
		return k.kind.parse(text)
	}
	var list []any
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return k.kind.parse(list)
}

// unread stands for a secret whose file is not opened, because a client has no
// business with it. It is no two secrets' stand-in, so that the checks which hold
// secrets against each other find nothing; [Config.CheckListeners] lets no server
// start with one.
func unread(k *Key, path string) any {
	if k.kind.list() {
		return []string{path}
	}
	return path
}

// openTokens reads the tokens that stand in files.
func (l *loader) openTokens(at place, tokens []Token) []Token {
	tokens = slices.Clone(tokens)
	for i := range tokens {
		t := &tokens[i]
		if t.File == "" {
			continue
		}
		data, ok := l.open(at, t.File)
		if !ok {
			continue
		}
		plain := strings.TrimSpace(string(data))
		if err := checkSecret(plain); err != nil {
			l.fault("%s: token %q: what %s holds %w", at.name, t.Name, t.File, err)
			continue
		}
		t.SHA256 = hashOf(plain)
		l.warnReadable(at, t.File)
		for _, other := range tokens[:i] {
			if other.SHA256 == t.SHA256 {
				l.fault("%s: what %s holds is the same token as %q", at.name, t.File, other.Name)
			}
		}
	}
	return tokens
}

// open reads a file that a value names.
func (l *loader) open(at place, path string) (data []byte, ok bool) {
	data, err := ReadFile(path)
	if err != nil {
		l.fault("%s: %w", at.name, err)
	}
	return data, err == nil
}

// warnReadable warns of a secret that every account of the machine can read.
func (l *loader) warnReadable(at place, path string) {
	if everybodyReads(path) {
		l.warnings = append(l.warnings, fmt.Sprintf("%s: every account of this machine may read %s, which holds a secret; chmod o-r it", at.name, path))
	}
}

// everybodyReads reports whether a file is open to all accounts. Windows has no
// such permission.
func everybodyReads(path string) bool {
	info, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0
}

// warnPlain warns of secrets that stand in a configuration file which every
// account of the machine can read.
func (c *Config) warnPlain(file string) {
	if file == "" || !everybodyReads(file) {
		return
	}
	for _, path := range slices.Sorted(maps.Keys(c.origin)) {
		k, at := keyOf(path), c.origin[path]
		if k == nil || !k.kind.secret || !strings.HasPrefix(at.source, file+":") {
			continue
		}
		if strings.Contains(fmt.Sprint(k.kind.show(c.values[path])), Redacted) {
			c.noted = append(c.noted, fmt.Sprintf("%s: every account of this machine may read the file, which holds a secret; chmod o-r it, or name a file by %s",
				at.name, k.Name()+fileSuffix))
		}
	}
}
