package main

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/cmd/sidegate/headroom"
)

// planMemory finds what limits the process and returns the budget for lists, which
// the configuration names or leaves to the limit. The one line that it logs is what
// an operator compares with the limit that they think they have set.
func (s *sidegate) planMemory() (budget int64) {
	s.memory = headroom.Find(os.DirFS("/"))
	budget, by := s.cfg.Cache.MaxBytes, "cache.max_bytes"
	if budget == config.Auto {
		budget, by = s.memory.CacheBytes(), "default"
		if s.memory.Soft > 0 {
			by = s.memory.From
		}
	}
	s.log.Info("memory is planned", "limit_bytes", s.memory.Limit, "limit_from", s.memory.From,
		"collector_limit_bytes", s.memory.Soft, "cache_max_bytes", budget, "cache_from", by)
	if !s.memory.Holds(budget) {
		s.log.Warn("cache.max_bytes is more than the memory limit has room for; a full cache ends in the process being killed",
			"cache_max_bytes", budget, "limit_bytes", s.memory.Limit, "limit_from", s.memory.From,
			"room_bytes", s.memory.CacheBytes())
	}
	s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sidegate_memory_limit_bytes",
		Help: "The memory that the system gives the process, as found at its start; 0 = no limit. Near it process_resident_memory_bytes ends in a kill.",
	}, func() float64 { return float64(s.memory.Limit) }))
	return budget
}
