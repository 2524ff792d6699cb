package main

import (
	"maps"
	"slices"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/sendbird"
	"github.com/sidegate/sidegate/filter/server"
)

// sendbirdSurface makes Sendbird's API for the apps that have it; none if no app
// has.
func (s *sidegate) sendbirdSurface(lists *filter.Blocks, users *filter.Users) ([]server.Surface, error) {
	var apps []sendbird.App
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Apps)) {
		app := s.cfg.Apps[name]
		if d := app.Dialects.Sendbird; d != nil {
			apps = append(apps, sendbird.App{Name: name, APITokens: d.APITokens, Rate: d.Rate, KnownUsers: app.KnownUsers})
		}
	}
	if len(apps) == 0 {
		return nil, nil
	}
	surface, err := sendbird.New(sendbird.Options{Apps: apps, Lists: lists, Users: users, Logger: s.log})
	if err != nil {
		return nil, err
	}
	return []server.Surface{surface}, nil
}
