package main

import (
	"context"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/imkit"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/filter/server/jwtauth"
)

// imkitSurface makes IMKit's API for the apps that have it; nil if none has. What
// must run for it is added to the loops.
func (s *sidegate) imkitSurface(core services) (server.Surface, error) {
	opts := imkit.Options{Lists: core.lists, Rooms: core.rooms, Users: core.users, Logger: s.log}
	if err := s.eachApp(func(name string, app config.App) error {
		k := app.Dialects.IMKit
		if k == nil {
			return nil
		}
		opts.Apps = append(opts.Apps, imkit.App{
			Name: name, ClientKeys: k.ClientKeys, APIKeys: k.APIKeys, Tokens: s.imkitTokens(name, k),
			KnownUsers: app.KnownUsers, Upsert: k.AlreadyBlocked == "upsert", Origins: k.CORSOrigins,
		})
		return nil
	}); err != nil || len(opts.Apps) == 0 {
		return nil, err
	}
	return imkit.New(opts)
}

// imkitTokens makes what knows the users of an app; nil if nothing does, and then
// the app is called with API keys alone.
func (s *sidegate) imkitTokens(app string, k *config.IMKit) imkit.Verifier {
	switch {
	case k.JWT != nil:
		signed := s.access.clients[app]
		s.loops = append(s.loops, signed.Run)
		return signedClients{signed}
	case k.VerifyURL != "":
		callback := imkit.NewCallback(k.VerifyURL, nil)
		s.loops = append(s.loops, callback.Run)
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
