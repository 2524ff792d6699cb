package imkit

import (
	"slices"

	"github.com/valyala/fasthttp"
)

// Pages of other origins are let in by the configuration alone. There are no
// cookies here, so a page can do no more than whoever has the keys; what is shared
// is the right to read the answer.

// preflight answers what a browser asks before it sends a request. It carries no
// key, so that every app's origins count.
func (s *Surface) preflight(req *fasthttp.RequestCtx) {
	h := &req.Response.Header
	req.SetStatusCode(fasthttp.StatusNoContent)
	if s.share(req, nil) {
		h.Set(fasthttp.HeaderAccessControlAllowMethods, "GET, POST, DELETE")
		h.Set(fasthttp.HeaderAccessControlAllowHeaders, headerClientKey+", "+headerToken+", "+headerAPIKey+", Content-Type")
		h.Set(fasthttp.HeaderAccessControlMaxAge, "600")
	}
}

// share lets the page that asks read the answer, if it is of an origin of the app;
// of any app if none is known.
func (s *Surface) share(req *fasthttp.RequestCtx, app *App) bool {
	h := &req.Response.Header
	h.Set(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	origins := s.origins
	if app != nil {
		origins = app.Origins
	}
	origin := string(req.Request.Header.Peek(fasthttp.HeaderOrigin))
	if origin == "" || !slices.Contains(origins, origin) {
		h.Del(fasthttp.HeaderAccessControlAllowOrigin)
		return false
	}
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
	return true
}
