package main

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/filter/server/jwtauth"
)

// generation is everything that follows from the hot keys of one configuration. It
// is made beside the one that serves, and takes its place whole or not at all.
// Whatever comes out the same as before is handed on and not made again: keys that
// were fetched, tokens that were verified, rates that are being counted.
type generation struct {
	cfg       *config.Config
	access    access
	verifiers []verifier
	filter    *filter.Filter
	core      *services          // nil if block lists are not served
	vendors   map[string]*vendor // by dialect, those that some app has
	surfaces  []server.Surface   // theirs
	loops     map[any]loop       // what has to run, by what it is a part of
}

// newGeneration makes what follows from a configuration; former is the one that
// serves, nil at the start. It changes nothing that serves: an app that is new to
// the cache is not asked about before anybody may name it.
func (s *sidegate) newGeneration(cfg *config.Config, former *generation) (*generation, error) {
	g := &generation{cfg: cfg, vendors: map[string]*vendor{}, loops: map[any]loop{}}
	if former == nil {
		former = &generation{}
	}
	s.verifiers.turn(former.verifiers)
	var err error
	if g.access, err = newAccess(cfg, s.verifiers); err != nil {
		return nil, err
	}
	g.verifiers = s.verifiers.made
	s.cache.AddApps(slices.Sorted(maps.Keys(cfg.Apps))...)
	if g.filter, err = filter.New(filter.Options{
		Cache: s.cache, Apps: cfg.Policies(), Metrics: s.counts,
		SoftBound: cfg.Sync.SoftBound, HardBound: cfg.Sync.HardBound,
		AtLeastTimeout: cfg.Check.AtLeastTimeout, Evidence: s.store,
		Reached: s.follower.Reached,
	}); err != nil {
		return nil, err
	}
	if len(cfg.API.Listen) > 0 {
		if err := s.addLists(g, former); err != nil {
			return nil, err
		}
	}
	g.addLoops()
	return g, nil
}

// addLists makes what serves block lists.
func (s *sidegate) addLists(g, former *generation) (err error) {
	// Of the apps the services know the names alone.
	if g.core = former.core; g.core == nil || !sameNames(g.cfg.Apps, former.cfg.Apps) {
		if g.core, err = s.newServices(g.cfg.Policies()); err != nil {
			return err
		}
	}
	return s.addSurfaces(g, former)
}

func sameNames(a, b map[string]config.App) bool {
	return maps.EqualFunc(a, b, func(config.App, config.App) bool { return true })
}

// loop blocks until its context ends.
type loop = func(context.Context) error

// addLoops collects what has to run for the generation. Keys of signed tokens are
// kept as long as anybody may ask who somebody is.
func (g *generation) addLoops() {
	if g.access.signed != nil {
		g.loops[g.access.signed] = g.access.signed.Run
	}
	for _, v := range g.vendors {
		maps.Copy(g.loops, v.loops)
		for _, client := range v.clients {
			g.loops[client] = client.Run
		}
	}
}

// vendor is one dialect's surface, and what it was made of.
type vendor struct {
	surface server.Surface
	core    *services
	apps    map[string]config.App
	clients map[string]*jwtauth.Authenticator // by app, who knows its users
	loops   map[any]loop                      // what else has to run for it
}

// same reports whether a surface would come out the same.
func (v *vendor) same(other *vendor) bool {
	return v != nil && v.core == other.core && reflect.DeepEqual(v.apps, other.apps) && maps.Equal(v.clients, other.clients)
}
