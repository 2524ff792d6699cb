package main

import (
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/rongcloud"
	"github.com/sidegate/sidegate/filter/server"
)

// rongcloudSurface makes RongCloud's API for the apps that have it; nil if none
// has.
func (s *sidegate) rongcloudSurface(core services) (server.Surface, error) {
	opts := rongcloud.Options{Lists: core.lists, Users: core.users, Logger: s.log}
	if err := s.eachApp(func(name string, app config.App) error {
		if d := app.Dialects.RongCloud; d != nil {
			opts.Apps = append(opts.Apps, rongcloud.App{
				Name: name, Key: d.AppKey, Secret: d.AppSecret, Rate: d.Rate,
				MaxClockSkew: d.MaxClockSkew, RefuseReplay: d.RefuseReplay,
				KnownUsers: app.KnownUsers, Allowlist: app.Policy.Allowlist,
			})
		}
		return nil
	}); err != nil || len(opts.Apps) == 0 {
		return nil, err
	}
	return rongcloud.New(opts)
}
