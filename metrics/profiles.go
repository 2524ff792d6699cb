package metrics

import (
	"net/http"
	"net/http/pprof"
)

// HandleProfiles serves staff what "go tool pprof" reads: the heap, the goroutines
// with their stacks, and where CPU time goes for the next ?seconds (30). They name
// functions and no user. The command line, which net/http/pprof offers too, is not
// served: the address of a database with its password may stand in it. Call it
// before Run.
func (o *Ops) HandleProfiles() {
	o.HandleStaff("GET /debug/pprof/heap", pprof.Handler("heap"))
	o.HandleStaff("GET /debug/pprof/goroutine", pprof.Handler("goroutine"))
	o.HandleStaff("GET /debug/pprof/profile", http.HandlerFunc(pprof.Profile))
}
