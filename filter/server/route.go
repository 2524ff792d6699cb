package server

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// A router library is no help here: those that match patterns decode the path,
// or clean it, before they split it, so that an id with a slash in it is routed
// as two segments and "/v1/x/../y" as "/v1/y". With a handful of routes the
// table below is also the faster of the two.

// maxIDs is the most ids a path carries.
const maxIDs = 3

// ids are the segments of a path that stand for ids, as they were sent.
type ids [maxIDs][]byte

// route is one path and what its methods do.
type route struct {
	pattern  string       // as clients know it: "/v1/apps/{app}/…"; the label of metrics
	segments []string     // "" for an id; nil: the pattern itself is the path
	limit    int          // the most bytes a body may have
	open     border.Scope // the scopes of which each opens it
	public   bool         // no credential is asked for
	streams  bool         // the body of a POST has no limit; its handler takes over
	handlers [methods]handler
	allow    string // the methods, for 405
}

// handler answers one request. It writes nothing if it returns an error, which
// the door then renders.
type handler func(ctx *fasthttp.RequestCtx, in input) error

// input is what the door has found out about a request. Its slices point into
// the request.
type input struct {
	work
	route *route
	query []byte
	ids   ids
	who   *border.Principal
	open  border.Scope // of the route
	rates *rates
}

// method is one of the methods that any route takes.
type method uint8

const (
	methodGet method = iota
	methodPost
	methodPut
	methodDelete
	methods // their number
)

// methodOther is a method that no route takes.
const methodOther = methods

var methodNames = [methods + 1]string{"GET", "POST", "PUT", "DELETE", "other"}

// methodOf reads HEAD as GET: fasthttp leaves the body of the answer out.
func methodOf(h *fasthttp.RequestHeader) method {
	switch string(h.Method()) {
	case "GET", "HEAD":
		return methodGet
	case "POST":
		return methodPost
	case "PUT":
		return methodPut
	case "DELETE":
		return methodDelete
	}
	return methodOther
}

// takesBody reports whether requests of the method may have a body.
func (m method) takesBody() bool { return m == methodPost || m == methodPut }

// newRoute makes a route that the scope app opens; parts of the pattern in braces
// are ids.
func newRoute(pattern string, limit int, handlers [methods]handler) *route {
	r := &route{pattern: pattern, limit: limit, open: border.ScopeApp, handlers: handlers}
	if strings.Contains(pattern, "{") {
		for _, s := range strings.Split(pattern[1:], "/") {
			if strings.HasPrefix(s, "{") {
				s = ""
			}
			r.segments = append(r.segments, s)
		}
	}
	var allow []string
	for m, h := range handlers {
		if h == nil {
			continue
		}
		allow = append(allow, methodNames[m])
		if method(m) == methodGet {
			allow = append(allow, "HEAD")
		}
	}
	r.allow = strings.Join(allow, ", ")
	return r
}

// alsoFor lets more scopes open the route.
func (r *route) alsoFor(scopes border.Scope) *route {
	r.open |= scopes
	return r
}

// streamsBody reports whether a request has a body that its handler reads while
// it arrives.
func (r *route) streamsBody(h *fasthttp.RequestHeader) bool {
	return r != nil && r.streams && methodOf(h) == methodPost
}

// label names the route in metrics and logs; paths themselves hold user ids.
func (r *route) label() string {
	if r == nil {
		return "none"
	}
	return r.pattern
}

// match compares byte for byte, so that there is one form of a path and not one
// that is authorised and another that is routed.
func (r *route) match(path []byte, found *ids) bool {
	if r.segments == nil {
		return string(path) == r.pattern
	}
	n := 0
	for _, want := range r.segments {
		if len(path) == 0 || path[0] != '/' {
			return false
		}
		segment := path[1:]
		path = nil
		if i := bytes.IndexByte(segment, '/'); i >= 0 {
			segment, path = segment[:i], segment[i:]
		}
		if want != "" {
			if string(segment) != want {
				return false
			}
			continue
		}
		found[n] = segment
		n++
	}
	return len(path) == 0
}

// splitTarget cuts a request target into path and query. Of the absolute form,
// which RFC 9112 section 3.2.2 wants every server to take, only the path counts.
func splitTarget(target []byte) (path, query []byte) {
	if len(target) > 0 && target[0] != '/' {
		target = stripAuthority(target)
	}
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		return target[:i], target[i+1:]
	}
	return target, nil
}

func stripAuthority(target []byte) []byte {
	_, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok {
		return target // "*" or an authority: no path, matches nothing
	}
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return nil
}
