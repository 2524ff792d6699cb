package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Scope says what a credential may do.
type Scope string

// The scopes.
const (
	ScopeUser  Scope = "user"  // the lists of one user
	ScopeApp   Scope = "app"   // any list of the credential's apps
	ScopeStaff Scope = "staff" // what support and operators read
)

var scopes = []string{string(ScopeUser), string(ScopeApp), string(ScopeStaff)}

// Redacted stands in printed configuration where a secret stands in the real
// one. It is refused as a secret: a printed configuration that is fed back must
// not open a door with a known key.
const Redacted = "***"

// Token is one entry of a listener's tokens.
type Token struct {
	Name string // shows in logs; "token-1" … for an entry without one
	// SHA256 is of the plain token. While the file that holds it has not been
	// read ([Source.Open]) it is zero, which is the hash of nothing known.
	SHA256 [sha256.Size]byte
	// File holds the plain token; white space around it is not part of it.
	File   string
	Apps   []string // nil = every app
	Scopes []Scope
}

// parseToken reads an entry of a tokens list; index counts from 0 and names an
// entry that has no name. Errors never hold the token.
func parseToken(raw any, index int) (Token, error) {
	t := Token{Name: fmt.Sprintf("token-%d", index+1), Scopes: []Scope{ScopeApp}}
	switch entry := raw.(type) {
	case string:
		sum, err := hashToken(entry)
		t.SHA256 = sum
		return t, err
	case map[string]any:
		return parseTokenEntry(t, entry)
	}
	return t, fmt.Errorf("this is %s; write the token in quotes, or {name, token | sha256 | file, apps, scopes}", typeName(raw))
}

// hashToken reads a bare token: plain text, or its hash as sha256:<64 hex>.
func hashToken(text string) ([sha256.Size]byte, error) {
	if hash, ok := strings.CutPrefix(text, "sha256:"); ok {
		return parseHash(hash)
	}
	if err := checkSecret(text); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("a token %w", err)
	}
	return hashOf(text), nil
}

func hashOf(plain string) [sha256.Size]byte { return sha256.Sum256([]byte(plain)) }

// parseHash reads 64 hexadecimal digits, of either case. A text that only begins
// like a hash is refused and never taken for a token itself.
func parseHash(text string) (sum [sha256.Size]byte, err error) {
	if b, err := hex.DecodeString(text); err == nil && len(b) == len(sum) {
		copy(sum[:], b)
		return sum, nil
	}
	return sum, errors.New("a sha256 is not 64 hexadecimal digits")
}

// checkSecret refuses what cannot be a secret that travels in a header.
func checkSecret(text string) error {
	switch {
	case text == "":
		return errors.New("is empty")
	case text == Redacted:
		return errors.New("is the placeholder of `config print`, not a secret")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("holds white space or a character outside ASCII, which no Authorization header carries")
	}
	return nil
}

// parseTokenEntry reads an entry that is a mapping.
func parseTokenEntry(t Token, entry map[string]any) (Token, error) {
	// Two sources in one entry would leave open which of them opens the door.
	var sources int
	for name, value := range entry {
		set, ok := tokenFields[name]
		if !ok {
			return t, fmt.Errorf("unknown field %q; known are name, token, sha256, file, apps, scopes", name)
		}
		if err := set(&t, value); err != nil {
			return t, err
		}
		if name == "token" || name == "sha256" || name == "file" {
			sources++
		}
	}
	if sources != 1 {
		return t, errors.New("the entry needs exactly one of token, sha256 and file")
	}
	return t, nil
}

// tokenFields read the fields of such an entry, in whatever order they stand.
var tokenFields = map[string]func(t *Token, raw any) error{
	"name": func(t *Token, raw any) (err error) {
		t.Name, err = nonEmpty(raw)
		return prefixed("name:", err)
	},
	"token": func(t *Token, raw any) error {
		text, ok := raw.(string)
		if !ok {
			return fmt.Errorf("token: this is %s; put it in quotes", typeName(raw))
		}
		sum, err := hashToken(text)
		t.SHA256 = sum
		return err
	},
	"sha256": func(t *Token, raw any) (err error) {
		text, _ := raw.(string)
		t.SHA256, err = parseHash(strings.TrimPrefix(text, "sha256:"))
		return err
	},
	"file": func(t *Token, raw any) (err error) {
		t.File, err = nonEmpty(raw)
		return prefixed("file:", err)
	},
	"apps": func(t *Token, raw any) (err error) {
		t.Apps, err = texts(raw)
		if err == nil && len(t.Apps) == 0 {
			err = errors.New("this names no app; leave it out for every app")
		}
		return prefixed("apps:", err)
	},
	"scopes": func(t *Token, raw any) error {
		names, err := texts(raw)
		if err == nil && len(names) == 0 {
			err = errors.New("this names no scope")
		}
		t.Scopes = nil
		for _, name := range names {
			if !slices.Contains(scopes, name) {
				return fmt.Errorf("scopes: %q is not a scope; write %s", name, oneOf(scopes))
			}
			t.Scopes = append(t.Scopes, Scope(name))
		}
		return prefixed("scopes:", err)
	},
}

// prefixed puts a subject before the error, if there is one.
func prefixed(subject string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %w", subject, err)
}
