package metrics

import (
	"errors"
	"net/http"

	"github.com/sidegate/sidegate/metrics/border"
)

// HandleRead serves a pattern to staff, as HandleStaff does: what read returns,
// as JSON, or its error. A [border.Problem] is answered as it is; any other error
// is for the log and answered as "internal", because it may hold text of the
// database. Call it before Run.
func (o *Ops) HandleRead(pattern string, read func(r *http.Request) (any, error)) {
	o.HandleStaff(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, err := read(r)
		var p border.Problem
		switch {
		case err == nil:
			writeJSON(w, http.StatusOK, value)
		case errors.As(err, &p):
			writeProblem(w, p)
		default:
			o.opts.Logger.ErrorContext(r.Context(), "staff read failed", "route", r.Pattern, "error", err)
			writeProblem(w, border.Internal())
		}
	}))
}
