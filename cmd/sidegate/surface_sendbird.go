package main

import (
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/sendbird"
	"github.com/sidegate/sidegate/filter/server"
)

// sendbirdSurface makes Sendbird's API for the apps that have it.
func (s *sidegate) sendbirdSurface(v *vendor) (server.Surface, error) {
	opts := sendbird.Options{Lists: v.core.lists, Users: v.core.users, Logger: s.log}
	v.eachApp(func(name string, app config.App) {
		d := app.Dialects.Sendbird
		opts.Apps = append(opts.Apps, sendbird.App{
			Name: name, APITokens: d.APITokens, Rate: d.Rate, KnownUsers: app.KnownUsers,
		})
	})
	return sendbird.New(opts)
}
