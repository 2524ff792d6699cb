package server

import (
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// Who may do what is settled in two steps. The door admits a credential that
// holds one of the scopes that open the route; the handler, which has read the
// path, asks for the app, or for the list, that the path names. Whatever is
// refused is refused with one text, and before anybody has looked whether the
// app, the owner or the entry is there.

// anyone is who enters an open door.
var anyone = border.Principal{Name: "", Scopes: border.ScopeUser | border.ScopeApp}

var authorization = []byte(fasthttp.HeaderAuthorization)

// admit finds out who asks and whether they may ask this at all.
func (by *rules) admit(here border.Door, h *fasthttp.RequestHeader, r *route) (*border.Principal, error) {
	if r.public || by.auth == nil && by.open {
		return &anyone, nil
	}
	var who *border.Principal
	var ok bool
	if by.auth != nil {
		who, ok = by.auth.Authenticate(h.PeekCanonical(authorization))
	}
	switch {
	case !ok:
		return nil, border.Unauthenticated(here)
	case !who.HasAny(r.open):
		return nil, border.Forbidden()
	}
	return who, nil
}

// forbidApp refuses a credential that is for other apps.
func forbidApp(who *border.Principal, app string) error {
	if who.MayApp(app) {
		return nil
	}
	return border.Forbidden()
}

// mayList is asked by every handler of a list, with decoded ids, before it does
// anything else. Only who may enter uses up the rate: nobody can spend that of
// somebody else.
func (in *input) mayList(app, owner string) error {
	if !in.who.MayList(in.open, app, owner) {
		return border.Forbidden()
	}
	return in.rates.take(app, owner)
}

// wholeApp reads which app a path names and sees that the caller may touch all of
// it. Such a request is about no single owner and uses up the rate of the app only.
func (in *input) wholeApp() (string, error) {
	app, err := in.id(0)
	if err != nil {
		return "", err
	}
	if err := forbidApp(in.who, app); err != nil {
		return "", err
	}
	return app, in.rates.takeApp(app)
}

// staffRead reports whether only the scope staff let the request in: a look at
// other people's lists, which is logged.
func (in *input) staffRead() bool {
	return in.open&border.ScopeStaff != 0 && in.who.Has(border.ScopeStaff) && !in.who.Has(border.ScopeApp)
}
