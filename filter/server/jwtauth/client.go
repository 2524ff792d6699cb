package jwtauth

import (
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Client is whom a client token names, of a dialect whose requests name the app
// in another way: such a token has neither app nor scopes.
type Client struct {
	User string // never empty
	// RoomsOwned are the rooms in which the user may ban others, from the claim
	// rooms_owned: a text or a list of texts.
	RoomsOwned []string
}

// roomsClaim is the claim of [Client.RoomsOwned].
const roomsClaim = "rooms_owned"

var errNoUser = errors.New("the token names no user")

// Client verifies a client token, by the rules of every other token but for app
// and scopes, which are not read. What is refused is counted like those.
func (a *Authenticator) Client(token string) (Client, bool) {
	// A copy, because claims are kept and the token may live in a buffer that
	// is reused.
	claims, err := a.claims(strings.Clone(token))
	if err != nil {
		a.opts.Metrics.refuse(err)
		return Client{}, false
	}
	who, err := a.client(claims)
	if err != nil {
		a.opts.Metrics.refuse(err)
		return Client{}, false
	}
	return who, true
}

func (a *Authenticator) client(claims jwt.MapClaims) (who Client, err error) {
	if who.User, err = a.user(claims); err != nil {
		return Client{}, err
	}
	if who.User == "" {
		return Client{}, errNoUser
	}
	who.RoomsOwned, err = words(claims, roomsClaim)
	return who, err
}
