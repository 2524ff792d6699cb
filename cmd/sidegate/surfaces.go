package main

import (
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/filter/server"
)

// surfaces makes the vendors' APIs that some app has.
func (s *sidegate) surfaces(lists *filter.Blocks, users *filter.Users) (all []server.Surface, err error) {
	for _, make := range []func(*filter.Blocks, *filter.Users) ([]server.Surface, error){
		s.rongcloudSurface, s.sendbirdSurface,
	} {
		some, err := make(lists, users)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
