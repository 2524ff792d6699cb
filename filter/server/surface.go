package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// Surface is another API on the api listener, beside the native one: that of a
// vendor, at the vendor's own paths, with its own credentials and errors. The
// door has seen to the framing of a request and the size of its body; everything
// else is the surface's. Its methods are called from many goroutines; what they
// are given ends with the call.
type Surface interface {
	// Name is the dialect, as metrics spell it.
	Name() string
	// Owns reports whether a path, as it was sent, belongs to the surface, be
	// there something at it or not. No path belongs to two.
	Owns(path []byte) bool
	// Serve answers a request. Ctx ends when the answer would come too late. It
	// returns the pattern of what was called, for metrics, "" if there is no
	// such call; patterns are a closed set.
	Serve(ctx context.Context, req *fasthttp.RequestCtx) (call string)
	// Fail answers a request that Serve did not, or could not finish, in the form
	// that the vendor's clients read.
	Fail(req *fasthttp.RequestCtx, problem border.Problem)
}

// surfaceOf returns who owns a path, nil if nobody does.
func (by *rules) surfaceOf(path []byte) Surface {
	for _, s := range by.surfaces {
		if s.Owns(path) {
			return s
		}
	}
	return nil
}

// serveSurface lets a surface answer and returns the label of what was called.
func (d *door) serveSurface(base context.Context, s Surface, ctx *fasthttp.RequestCtx) (label string) {
	label = s.Name() + " none"
	defer func() {
		if v := recover(); v != nil {
			hangUp(ctx)
			d.log.Log(base, slog.LevelError, "request failed",
				"listener", string(d.name), "route", label, "error", panicError(v))
			s.Fail(ctx, border.Internal())
		}
	}()
	if err := checkFraming(ctx.Request.Header.RawHeaders(), false); err != nil {
		hangUp(ctx)
		problem, _ := problemOf(err)
		s.Fail(ctx, problem)
		return label
	}
	op, cancel := context.WithTimeout(base, operationTimeout)
	defer cancel()
	if call := s.Serve(op, ctx); call != "" {
		label = s.Name() + " " + call
	}
	return label
}

// checkSurfaces refuses surfaces that metrics could not tell apart.
func checkSurfaces(surfaces []Surface) error {
	names := make(map[string]bool, len(surfaces))
	for _, s := range surfaces {
		if names[s.Name()] {
			return fmt.Errorf("two surfaces are named %q", s.Name())
		}
		names[s.Name()] = true
	}
	return nil
}
