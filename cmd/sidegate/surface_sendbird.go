package main

import (
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/sendbird"
	"github.com/sidegate/sidegate/filter/server"
)

// sendbirdSurface makes Sendbird's API for the apps that have it; nil if none has.
func (s *sidegate) sendbirdSurface(core services) (server.Surface, error) {
	opts := sendbird.Options{Lists: core.lists, Users: core.users, Logger: s.log}
	if err := s.eachApp(func(name string, app config.App) error {
		if d := app.Dialects.Sendbird; d != nil {
			opts.Apps = append(opts.Apps, sendbird.App{
				Name: name, APITokens: d.APITokens, Rate: d.Rate, KnownUsers: app.KnownUsers,
			})
		}
		return nil
	}); err != nil || len(opts.Apps) == 0 {
		return nil, err
	}
	return sendbird.New(opts)
}
