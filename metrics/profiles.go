package metrics

import (
	"net/http"
	"net/http/pprof"
	"net/url"
	"strconv"

	"github.com/sidegate/sidegate/metrics/border"
)

// longestProfile bounds what one request may have the process do, in seconds: a
// profile slows it down, and only one of the CPU can be taken at a time.
const longestProfile = 300

// bounds are the least and the greatest value of a parameter.
type bounds struct{ least, most int }

// HandleProfiles serves staff what "go tool pprof" reads: the heap, the goroutines
// with their stacks, and where CPU time goes for the next ?seconds (30). They name
// functions and no user. The command line, which net/http/pprof offers too, is not
// served: the address of a database with its password may stand in it. Call it
// before Run.
func (o *Ops) HandleProfiles() {
	state := map[string]bounds{"debug": {0, 2}, "gc": {0, 1}, "seconds": {1, longestProfile}}
	o.HandleStaff("GET /debug/pprof/heap", profile(state, pprof.Handler("heap").ServeHTTP))
	o.HandleStaff("GET /debug/pprof/goroutine", profile(state, pprof.Handler("goroutine").ServeHTTP))
	o.HandleStaff("GET /debug/pprof/profile", profile(map[string]bounds{"seconds": {1, longestProfile}}, oneAtATime(pprof.Profile)))
}

// profile holds the query of a profile to what the parameters may be, so that what
// is wrong with it is said as everywhere else: net/http/pprof answers plain text, or
// takes a number that it cannot read for none.
func profile(parameters map[string]bounds, take http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := checkProfile(r.URL.RawQuery, parameters); !ok {
			writeProblem(w, p)
			return
		}
		take(w, r)
	})
}

func checkProfile(raw string, parameters map[string]bounds) (p border.Problem, ok bool) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return border.Problemf(border.CodeInvalidParameter, "the query has a malformed percent-escape or a semicolon"), false
	}
	for name, values := range query {
		allowed, known := parameters[name]
		if !known || len(values) != 1 {
			return border.Problemf(border.CodeUnknownParameter, "the parameter %s is unknown or repeated", border.Quote(name)), false
		}
		n, err := strconv.Atoi(values[0])
		if err != nil || n < allowed.least || n > allowed.most || strconv.Itoa(n) != values[0] {
			return border.Problemf(border.CodeInvalidParameter, "%s is %s; it is a number from %d to %d",
				name, border.Quote(values[0]), allowed.least, allowed.most), false
		}
	}
	if query.Has("seconds") && query.Has("debug") {
		return border.Problemf(border.CodeInvalidParameter, "seconds and debug do not go together: what changes is not shown as text"), false
	}
	return border.Problem{}, true
}

// oneAtATime refuses a profile of the CPU while another is being taken: the runtime
// takes one.
func oneAtATime(take http.HandlerFunc) http.HandlerFunc {
	free := make(chan struct{}, 1)
	free <- struct{}{}
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-free:
			defer func() { free <- struct{}{} }()
			take(w, r)
		default:
			writeProblem(w, border.Problemf(border.CodeNotReady, "another profile of the CPU is being taken; only one can be"))
		}
	}
}
