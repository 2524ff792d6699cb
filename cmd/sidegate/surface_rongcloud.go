package main

import (
	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter/rongcloud"
	"github.com/sidegate/sidegate/filter/server"
)

// rongcloudSurface makes RongCloud's API for the apps that have it.
func (s *sidegate) rongcloudSurface(v *vendor) (server.Surface, error) {
	opts := rongcloud.Options{Lists: v.core.lists, Users: v.core.users, Logger: s.log}
	v.eachApp(func(name string, app config.App) {
		d := app.Dialects.RongCloud
		opts.Apps = append(opts.Apps, rongcloud.App{
			Name: name, Key: d.AppKey, Secret: d.AppSecret, Rate: d.Rate,
			MaxClockSkew: d.MaxClockSkew, RefuseReplay: d.RefuseReplay,
			KnownUsers: app.KnownUsers, Allowlist: app.Policy.Allowlist,
		})
	})
	return rongcloud.New(opts)
}
