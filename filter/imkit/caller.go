package imkit

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// The headers that say who asks.
const (
	headerClientKey = "IM-CLIENT-KEY"
	headerToken     = "IM-Authorization"
	headerAPIKey    = "IM-API-KEY"
)

// caller is who asks, as far as the headers tell.
type caller struct {
	app   *App
	admin bool   // with an API key
	user  string // "" = none
	rooms []string
}

// may reports whether the caller may ban users from a room.
func (c *caller) may(room string) bool { return c.admin || slices.Contains(c.rooms, room) }

// authenticate finds out who asks. On an error the caller has its app all the
// same, if a key names it.
func (s *Surface) authenticate(ctx context.Context, h *fasthttp.RequestHeader) (who caller, err error) {
	clientKey, once1 := only(h, headerClientKey)
	apiKey, once2 := only(h, headerAPIKey)
	token, once3 := only(h, headerToken)
	if !once1 || !once2 || !once3 {
		return who, errUnauthorized
	}
	if len(clientKey) > 0 {
		if who.app = s.clients.find(clientKey); who.app == nil {
			return who, errUnauthorized
		}
	}
	if len(apiKey) > 0 {
		app := s.admins.find(apiKey)
		if app == nil || who.app != nil && who.app != app {
			return who, errUnauthorized
		}
		who.app, who.admin = app, true
	}
	if len(token) > 0 && who.app != nil {
		return s.verify(ctx, who, token)
	}
	if !who.admin {
		return who, errUnauthorized
	}
	return who, nil
}

// verify adds to a caller whom a token names.
func (s *Surface) verify(ctx context.Context, who caller, token []byte) (caller, error) {
	if bare, ok := border.Bearer(token); ok {
		token = bare
	}
	if who.app.Tokens == nil {
		return who, errUnauthorized
	}
	named, err := who.app.Tokens.Verify(ctx, string(token)) // a copy: the header ends with the request
	switch {
	case errors.Is(err, ErrToken):
		return who, errUnauthorized
	case err != nil:
		return who, &unverified{err}
	}
	who.user, who.rooms = named.User, named.RoomsOwned
	return who, nil
}

// only returns the value of a header; ok is false if there are several: whoever
// stands before us may have looked at another one.
func only(h *fasthttp.RequestHeader, name string) (value []byte, ok bool) {
	switch all := h.PeekAll(name); len(all) {
	case 0:
		return nil, true
	case 1:
		return all[0], true
	}
	return nil, false
}

// keyring finds the app that a key names.
type keyring struct {
	hashes [][sha256.Size]byte
	apps   []*App
}

func (k *keyring) add(app *App, keys []string) error {
	for _, key := range keys {
		if key == "" {
			return errors.New("a key is empty")
		}
		if k.find([]byte(key)) != nil {
			return errors.New("a key is there twice")
		}
		k.hashes, k.apps = append(k.hashes, sha256.Sum256([]byte(key))), append(k.apps, app)
	}
	return nil
}

// find compares all keys, by hash and in constant time, so that the time tells
// neither how much of a guess was right nor which key matched.
func (k *keyring) find(key []byte) *App {
	sum := sha256.Sum256(key)
	found := -1
	for i := range k.hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k.hashes[i][:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return k.apps[found]
}
