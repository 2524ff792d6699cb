package jwtauth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// principal reads who was verified. A claim of a type that we do not expect
// refuses the token: guessing what was meant would be guessing who may do what.
func (a *Authenticator) principal(claims jwt.MapClaims) (*border.Principal, error) {
	who := &border.Principal{Name: "jwt"}
	var err error
	if who.User, err = a.user(claims); err != nil {
		return nil, err
	}
	if who.User != "" {
		who.Name = "jwt:" + a.opts.Names.Of(who.User)
	}
	if who.Apps, err = words(claims, a.opts.AppClaim); err != nil {
		return nil, err
	}
	switch {
	case who.Apps == nil:
		who.Apps = []string{} // nil would stand for every app
	case slices.Contains(who.Apps, ""):
		return nil, fmt.Errorf("the claim %s names an app without a name", a.opts.AppClaim)
	}
	scopes, err := words(claims, a.opts.ScopeClaim)
	if err != nil {
		return nil, err
	}
	for _, text := range scopes {
		for name := range strings.SplitSeq(text, " ") {
			if scope, ok := border.ParseScope(name); ok { // an issuer has scopes for others too
				who.Scopes |= scope
			}
		}
	}
	return who, nil
}

func (a *Authenticator) user(claims jwt.MapClaims) (string, error) {
	value, has := claims[a.opts.UserClaim]
	if !has {
		return "", nil
	}
	user, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("the claim %s is not a text", a.opts.UserClaim)
	}
	if err := filter.ValidateUserID(user); err != nil {
		return "", fmt.Errorf("the claim %s: %w", a.opts.UserClaim, err)
	}
	return user, nil
}

// words reads a claim that is a text or a list of texts. It returns nil if there
// is no such claim, or nothing in it.
func words(claims jwt.MapClaims, name string) ([]string, error) {
	switch value := claims[name].(type) {
	case nil:
		return nil, nil
	case string:
		return []string{value}, nil
	case []any:
		var list []string
		for _, item := range value {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("the claim %s holds something that is not a text", name)
			}
			list = append(list, text)
		}
		return list, nil
	}
	return nil, fmt.Errorf("the claim %s is neither a text nor a list", name)
}
