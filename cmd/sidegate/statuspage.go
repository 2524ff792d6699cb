package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter/server"
	"github.com/sidegate/sidegate/metrics/border"
	blocksync "github.com/sidegate/sidegate/sync"
)

// statusPage is what /v1/status shows: numbers and states, no user.
type statusPage struct {
	Version   string              `json:"version"`
	Sync      syncStatus          `json:"sync"`
	Cache     cache.Stats         `json:"cache"`
	Listeners map[string][]string `json:"listeners"`
	Apps      []string            `json:"apps"`
}

type syncStatus struct {
	State    string `json:"state"`
	AgeMS    *int64 `json:"age_ms"` // null before the first poll
	Epoch    uint64 `json:"epoch"`
	Position string `json:"position"`
	Refused  string `json:"refused,omitempty"`
}

func (s *sidegate) status() statusPage {
	now := s.follower.Status()
	page := statusPage{
		Version: build().Version,
		Sync: syncStatus{
			State: now.State.String(), Epoch: now.Epoch, Position: now.Position.String(), Refused: now.Refused,
		},
		Cache: s.cache.Stats(), Apps: slices.Sorted(maps.Keys(s.current.Load().cfg.Apps)),
		Listeners: map[string][]string{},
	}
	if s.cache.Synced() {
		ms := now.Age.Milliseconds()
		page.Sync.AgeMS = &ms
	}
	if s.check != nil {
		page.Listeners["check"] = texts(s.check.Addrs())
	}
	if s.api != nil {
		page.Listeners["api"] = texts(s.api.Addrs())
	}
	if s.ops != nil {
		page.Listeners["ops"] = texts(s.ops.Addrs())
	}
	return page
}

// of leaves out the apps that a member of staff is not for: which others there are
// is none of their business.
func (p statusPage) of(who *border.Principal) statusPage {
	p.Apps = slices.DeleteFunc(p.Apps, func(app string) bool { return !who.MayApp(app) })
	return p
}

func texts(addrs []net.Addr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}

// serveOpenAPI shows the description of the API, which every listener has.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(server.OpenAPI()) // who has gone away does not need it
}

// synced is green once the first poll is complete.
func (s *sidegate) synced() error {
	if !s.cache.Synced() {
		return errors.New("the database has not been followed yet")
	}
	return nil
}

// limited is green once the limits of the apps bind every writer.
func (s *sidegate) limited() error {
	if s.limits != nil && !s.limits.set.Load() {
		return errors.New("the limits of the apps are not set in the database yet")
	}
	return nil
}

// staying is green until the end has begun. The load balancer is to look elsewhere
// before the address is gone.
func (s *sidegate) staying() error {
	if s.stopping.Load() {
		return errors.New("the process is being stopped")
	}
	return nil
}

// usable is green while there is something to answer from. An outage of the
// database inside the hard bound does not change that.
func (s *sidegate) usable() error {
	now := s.follower.Status()
	switch {
	case !s.cache.Synced():
		return errors.New("memory is empty: the database has not been followed yet")
	case now.State == blocksync.Stale:
		return fmt.Errorf("memory is %v old, more than the hard bound", now.Age.Round(time.Second))
	}
	return nil
}
