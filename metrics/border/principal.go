package border

import (
	"context"
	"slices"
)

// Scope is what a credential may do.
type Scope uint8

// The scopes; a credential holds any set of them, none includes another.
const (
	// ScopeUser: one's own list only.
	ScopeUser Scope = 1 << iota
	// ScopeApp: decisions and any list, of the apps the credential is for.
	ScopeApp
	// ScopeStaff: the state of the process, and other people's lists.
	ScopeStaff
)

// ParseScope reads "user", "app" or "staff".
func ParseScope(name string) (scope Scope, ok bool) {
	switch name {
	case "user":
		return ScopeUser, true
	case "app":
		return ScopeApp, true
	case "staff":
		return ScopeStaff, true
	}
	return 0, false
}

// Principal is who sent a request, as far as the credential tells.
type Principal struct {
	Name   string   // of the credential: for logs, never secret
	User   string   // whom the credential was issued to; "" = it does not say
	Apps   []string // the apps it is for; nil = every app
	Scopes Scope
}

// Has reports whether the principal holds every scope of s.
func (p *Principal) Has(s Scope) bool { return p.Scopes&s == s }

// HasAny reports whether the principal holds at least one scope of s.
func (p *Principal) HasAny(s Scope) bool { return p.Scopes&s != 0 }

// MayApp reports whether the principal's credential is for the app. It is only
// one half of an answer: what it may do there, the scopes say.
func (p *Principal) MayApp(app string) bool {
	return p.Apps == nil || slices.Contains(p.Apps, app)
}

// MayList reports whether one of the scopes that open a route lets the principal
// at a list of its app. The scope user does so for the list of the user that the
// credential names, and for none if it names nobody.
func (p *Principal) MayList(open Scope, app, owner string) bool {
	if !p.MayApp(app) {
		return false
	}
	return p.HasAny(open&(ScopeApp|ScopeStaff)) || p.HasAny(open&ScopeUser) && p.User != "" && p.User == owner
}

// Actor names the principal where the author of a write is kept: in the
// database, which holds user ids by its nature, unlike a log.
func (p *Principal) Actor() string {
	if p.User != "" {
		return p.User
	}
	return p.Name
}

type contextKey struct{}

// NewContext returns a context that carries the principal, for handlers of
// net/http, which have no other way to learn who was let in.
func NewContext(ctx context.Context, who *Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, who)
}

// FromContext returns the principal that [NewContext] put there. Without one it
// returns a principal that may do nothing, so that a handler that was mounted
// without its guard refuses.
func FromContext(ctx context.Context) *Principal {
	if who, ok := ctx.Value(contextKey{}).(*Principal); ok {
		return who
	}
	return &Principal{Apps: []string{}}
}
