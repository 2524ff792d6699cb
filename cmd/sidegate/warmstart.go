package main

import (
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/cmd/sidegate/warm"
)

// buildWarm reads the beginning of the warm file, if one is kept. Its metrics are
// there in any case: a dashboard shows zero where there is none.
func (s *sidegate) buildWarm(memory *cache.Options) {
	counts := warm.NewMetrics(s.registry)
	if s.cfg.Cache.WarmFile == "" {
		return
	}
	s.warm = warm.New(warm.Options{
		Path: s.cfg.Cache.WarmFile, Interval: s.cfg.Cache.WarmInterval, Ends: s.lastMoment,
		Metrics: counts, Logger: s.log,
	})
	memory.Warm = s.warm.Open()
}

// lastMoment is by when the process has to be ready to end: requests that took all
// of the time that they may take leave none for the warm file, and the one that was
// written before stays.
func (s *sidegate) lastMoment() time.Time {
	if ends := s.ends.Load(); ends > 0 {
		return time.Unix(0, ends)
	}
	return time.Now().Add(s.cfg.Shutdown.Timeout)
}
