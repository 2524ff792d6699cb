package main

import (
	"maps"
	"slices"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/rongcloud"
	"github.com/sidegate/sidegate/filter/server"
)

// rongcloudSurface returns RongCloud's API for the apps that have it, nothing if
// none has.
func (s *sidegate) rongcloudSurface(lists *filter.Blocks, users *filter.Users) ([]server.Surface, error) {
	var apps []rongcloud.App
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Apps)) {
		app := s.cfg.Apps[name]
		d := app.Dialects.RongCloud
		if d == nil {
			continue
		}
		apps = append(apps, rongcloud.App{
			Name: name, Key: d.AppKey, Secret: d.AppSecret, Rate: d.Rate,
			MaxClockSkew: d.MaxClockSkew, RefuseReplay: d.RefuseReplay,
			KnownUsers: app.KnownUsers, Allowlist: app.Policy.Allowlist,
		})
	}
	if len(apps) == 0 {
		return nil, nil
	}
	surface, err := rongcloud.New(rongcloud.Options{Apps: apps, Lists: lists, Users: users, Logger: s.log})
	if err != nil {
		return nil, err
	}
	return []server.Surface{surface}, nil
}
