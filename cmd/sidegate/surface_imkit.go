package main

import (
	"context"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/imkit"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/filter/server/jwtauth"
)

// imkitSurface makes IMKit's API for the apps that have it. What must run for it is
// added to the loops.
func (s *sidegate) imkitSurface(v *vendor) (server.Surface, error) {
	opts := imkit.Options{Lists: v.core.lists, Rooms: v.core.rooms, Users: v.core.users, Logger: s.log}
	v.eachApp(func(name string, app config.App) {
		k := app.Dialects.IMKit
		opts.Apps = append(opts.Apps, imkit.App{
			Name: name, ClientKeys: k.ClientKeys, APIKeys: k.APIKeys, Tokens: v.imkitTokens(name, k),
			KnownUsers: app.KnownUsers, Upsert: k.AlreadyBlocked == "upsert", Origins: k.CORSOrigins,
		})
	})
	return imkit.New(opts)
}

// imkitTokens makes what knows the users of an app; nil if nothing does, and then
// the app is called with API keys alone.
func (v *vendor) imkitTokens(app string, k *config.IMKit) imkit.Verifier {
	switch {
	case k.JWT != nil:
		return signedClients{v.clients[app]}
	case k.VerifyURL != "":
		callback := imkit.NewCallback(k.VerifyURL, nil)
		v.loops[callback] = callback.Run
		return callback
	}
	return nil
}

// signedClients lets a dialect verify signed tokens, which it must not know.
type signedClients struct{ *jwtauth.Authenticator }

// Verify implements imkit.Verifier.
func (s signedClients) Verify(_ context.Context, token string) (imkit.Who, error) {
	who, ok := s.Client(token)
	if !ok {
		return imkit.Who{}, imkit.ErrToken
	}
	return imkit.Who{User: who.User, RoomsOwned: who.RoomsOwned}, nil
}
