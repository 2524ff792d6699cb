package scaling

import (
	"encoding/json"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/sidegate/sidegate/cache"
)

// state is what a sidecar says of itself.
type state struct {
	Address string   // of the check listener
	Start   *startup // nil until everything is in memory
	Stats   cache.Stats
}

// routes is what the process of a sidecar can be asked, beside checks.
func (c *child) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, state{c.address().String(), c.start.Load(), c.cache.Stats()})
	})
	mux.HandleFunc("POST /pace", func(w http.ResponseWriter, r *http.Request) {
		c.world.Pace(r.Context(), number(r, "changes"))
		answer(w, struct{}{})
	})
	mux.HandleFunc("POST /commit", func(w http.ResponseWriter, r *http.Request) {
		version, listed := c.world.Commit(number(r, "list"))
		answer(w, written{version, listed})
	})
	mux.HandleFunc("POST /release", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory()
		answer(w, struct{}{})
	})
	mux.HandleFunc("POST /inside", func(w http.ResponseWriter, r *http.Request) {
		length := time.Duration(number(r, "ms")) * time.Millisecond
		got, err := c.inside(r.Context(), number(r, "goroutines"), length)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, got)
	})
	return mux
}

// written is the acknowledgement of a change.
type written struct {
	Version int64
	Listed  bool // the guest is on the list now
}

// number reads a parameter; what is not one is 0.
func number(r *http.Request, name string) int {
	n, _ := strconv.Atoi(r.FormValue(name))
	return n
}

func answer(w http.ResponseWriter, value any) {
	_ = json.NewEncoder(w).Encode(value) // who has gone away does not need it
}
