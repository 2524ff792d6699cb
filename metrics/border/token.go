package border

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
)

// Authenticator finds out who sent a request. It is safe for concurrent use.
type Authenticator interface {
	// Authenticate reads the value of an Authorization header, nil if there
	// was none; ok is false if it proves nothing. The value is only read
	// during the call. The principal is shared and not to be changed.
	Authenticate(authorization []byte) (who *Principal, ok bool)
}

// FirstOf returns an Authenticator that asks one after the other and takes the
// first that knows the credential; those that are nil are left out. It is nil if
// none is left, as [NewTokens] is without tokens.
func FirstOf(authenticators ...Authenticator) Authenticator {
	list := slices.DeleteFunc(slices.Clone(authenticators), func(a Authenticator) bool { return a == nil })
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return firstOf(list)
}

type firstOf []Authenticator

// Authenticate implements [Authenticator].
func (list firstOf) Authenticate(authorization []byte) (*Principal, bool) {
	for _, a := range list {
		if who, ok := a.Authenticate(authorization); ok {
			return who, true
		}
	}
	return nil, false
}

// Token is one secret that opens a listener, known by its hash.
type Token struct {
	Name   string
	SHA256 [sha256.Size]byte // of the secret
	Apps   []string          // nil = every app
	Scopes Scope
}

// Tokens is an [Authenticator] over a fixed set of tokens, several of which may
// be live at once, so that one can be replaced without a gap.
type Tokens struct {
	hashes     [][sha256.Size]byte
	principals []Principal
}

// NewTokens returns an Authenticator that is nil if there are no tokens: nobody
// can be authenticated then, and each listener has its own rule for that.
func NewTokens(tokens []Token) Authenticator {
	if len(tokens) == 0 {
		return nil // not a nil *Tokens, which an interface would not show as nil
	}
	t := &Tokens{}
	for _, token := range tokens {
		t.hashes = append(t.hashes, token.SHA256)
		t.principals = append(t.principals, Principal{Name: token.Name, Apps: slices.Clone(token.Apps), Scopes: token.Scopes})
	}
	return t
}

// Authenticate implements [Authenticator] for "Bearer SECRET". It does not
// allocate. Every token is compared, by hash and in constant time, so that the
// time tells neither how much of a guess was right nor which token matched.
func (t *Tokens) Authenticate(authorization []byte) (*Principal, bool) {
	secret, ok := Bearer(authorization)
	if !ok {
		return nil, false
	}
	sum := sha256.Sum256(secret)
	found := -1
	for i := range t.hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], t.hashes[i][:]), i, found)
	}
	if found < 0 {
		return nil, false
	}
	return &t.principals[found], true
}

// Bearer returns the secret of the value of an Authorization header, a part of
// it and not a copy. The scheme is compared without regard to case, as RFC 9110
// section 11.1 has it.
func Bearer(header []byte) (secret []byte, ok bool) {
	const scheme = "bearer "
	if len(header) <= len(scheme) {
		return nil, false
	}
	for i := range len(scheme) {
		c := header[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != scheme[i] {
			return nil, false
		}
	}
	secret = header[len(scheme):]
	for len(secret) > 0 && secret[0] == ' ' {
		secret = secret[1:]
	}
	return secret, len(secret) > 0
}
