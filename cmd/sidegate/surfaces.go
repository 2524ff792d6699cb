package main

import (
	"maps"
	"slices"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/server"
)

// services are the parts of the core behind the doors for block lists.
type services struct {
	lists *filter.Blocks
	users *filter.Users
	rooms *filter.DirectRooms
	moves *filter.Transfer
}

func (s *sidegate) newServices(counts *filter.Metrics) (core services, err error) {
	apps := s.cfg.Policies()
	core.lists, err = filter.NewBlocks(filter.BlocksOptions{Store: s.store, Cache: s.cache, Apps: apps, Metrics: counts})
	if err != nil {
		return services{}, err
	}
	if core.users, err = filter.NewUsers(filter.UsersOptions{Store: s.store, Apps: apps}); err != nil {
		return services{}, err
	}
	if core.rooms, err = filter.NewDirectRooms(filter.DirectRoomsOptions{Store: s.store, Apps: apps}); err != nil {
		return services{}, err
	}
	core.moves, err = filter.NewTransfer(filter.TransferOptions{Store: s.store, Apps: apps, Metrics: counts})
	return core, err
}

// surfaces makes the vendors' APIs that some app has.
func (s *sidegate) surfaces(core services) (all []server.Surface, err error) {
	for _, vendor := range []func(services) (server.Surface, error){s.imkitSurface, s.rongcloudSurface, s.sendbirdSurface} {
		surface, err := vendor(core)
		if err != nil {
			return nil, err
		}
		if surface != nil {
			all = append(all, surface)
		}
	}
	return all, nil
}

// eachApp calls do with every app, in the order of their names.
func (s *sidegate) eachApp(do func(name string, app config.App) error) error {
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Apps)) {
		if err := do(name, s.cfg.Apps[name]); err != nil {
			return err
		}
	}
	return nil
}
