package main

import (
	"maps"
	"slices"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/filter/server/jwtauth"
)

// services are the parts of the core behind the doors for block lists.
type services struct {
	lists *filter.Blocks
	users *filter.Users
	rooms *filter.DirectRooms
	moves *filter.Transfer
}

func (s *sidegate) newServices(apps map[string]filter.Policy) (core *services, err error) {
	core = &services{}
	core.lists, err = filter.NewBlocks(filter.BlocksOptions{Store: s.store, Cache: s.cache, Apps: apps, Metrics: s.counts})
	if err != nil {
		return nil, err
	}
	if core.users, err = filter.NewUsers(filter.UsersOptions{Store: s.store, Apps: apps}); err != nil {
		return nil, err
	}
	if core.rooms, err = filter.NewDirectRooms(filter.DirectRoomsOptions{Store: s.store, Apps: apps}); err != nil {
		return nil, err
	}
	core.moves, err = filter.NewTransfer(filter.TransferOptions{Store: s.store, Apps: apps, Metrics: s.counts})
	return core, err
}

// dialect is a vendor's API: what an app says about it, which is nothing if the app
// has it not, and how it is made for those that have it.
type dialect struct {
	own  func(d config.Dialects) config.Dialects
	make func(s *sidegate, v *vendor) (server.Surface, error)
}

var dialects = map[string]dialect{
	"imkit":     {func(d config.Dialects) config.Dialects { return config.Dialects{IMKit: d.IMKit} }, (*sidegate).imkitSurface},
	"rongcloud": {func(d config.Dialects) config.Dialects { return config.Dialects{RongCloud: d.RongCloud} }, (*sidegate).rongcloudSurface},
	"sendbird":  {func(d config.Dialects) config.Dialects { return config.Dialects{Sendbird: d.Sendbird} }, (*sidegate).sendbirdSurface},
}

// addSurfaces makes the vendors' APIs that some app has, or hands them on.
func (s *sidegate) addSurfaces(g, former *generation) error {
	for _, name := range slices.Sorted(maps.Keys(dialects)) {
		d := dialects[name]
		v := &vendor{core: g.core, apps: d.apps(g.cfg), clients: map[string]*jwtauth.Authenticator{}, loops: map[any]loop{}}
		if len(v.apps) == 0 {
			continue
		}
		for app := range v.apps {
			if signed := g.access.clients[app]; signed != nil {
				v.clients[app] = signed
			}
		}
		if old := former.vendors[name]; old.same(v) {
			v = old
		} else if surface, err := d.make(s, v); err != nil {
			return err
		} else {
			v.surface = surface
		}
		g.vendors[name] = v
		g.surfaces = append(g.surfaces, v.surface)
	}
	return nil
}

// eachApp calls do with every app, in the order of their names.
func (v *vendor) eachApp(do func(name string, app config.App)) {
	for _, name := range slices.Sorted(maps.Keys(v.apps)) {
		do(name, v.apps[name])
	}
}

// apps are those that have the dialect, with all that it is made of. A policy is
// the filter's business, but for the allowlist, which a dialect may have a form of.
func (d dialect) apps(cfg *config.Config) map[string]config.App {
	apps := map[string]config.App{}
	for name, app := range cfg.Apps {
		if app.Dialects = d.own(app.Dialects); app.Dialects != (config.Dialects{}) {
			app.Preset, app.Policy = "", filter.Policy{Allowlist: app.Policy.Allowlist}
			apps[name] = app
		}
	}
	return apps
}
