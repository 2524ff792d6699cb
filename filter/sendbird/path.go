package sendbird

import (
	"bytes"
	"context"
	"net/url"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// The patterns of what there is, as metrics show them.
const (
	patternUser   = "/v3/users/{user_id}/block"
	patternTarget = "/v3/users/{user_id}/block/{target_id}"
)

// path is the path of a request. Its ids are as they were sent and point into it.
type path struct {
	pattern      string // "" = there is no such path
	user, target []byte
}

// parsePath splits at the slashes as they were sent, so that an id may hold one.
func parsePath(raw []byte) path {
	rest, ok := bytes.CutPrefix(raw, root)
	if !ok {
		return path{}
	}
	segments := bytes.SplitN(rest, []byte("/"), 4)
	switch {
	case len(segments) < 2 || len(segments) > 3 || string(segments[1]) != "block":
		return path{}
	case len(segments) == 2:
		return path{pattern: patternUser, user: segments[0]}
	}
	return path{pattern: patternTarget, user: segments[0], target: segments[2]}
}

type handler func(ctx context.Context, in request) (answer, error)

// handler returns what answers the method at the path.
func (p path) handler(s *Surface, header *fasthttp.ResponseHeader, method string) (handler, error) {
	switch {
	case p.pattern == "":
		return nil, faultf(codeResource, "There is no such resource.")
	case p.pattern == patternUser && method == fasthttp.MethodPost:
		return s.block, nil
	case p.pattern == patternUser && (method == fasthttp.MethodGet || method == fasthttp.MethodHead):
		return s.list, nil
	case p.pattern == patternTarget && method == fasthttp.MethodDelete:
		return s.unblock, nil
	}
	allow := "GET, HEAD, POST"
	if p.pattern == patternTarget {
		allow = "DELETE"
	}
	header.Set(fasthttp.HeaderAllow, allow)
	return nil, faultf(codeResource, "The resource does not take this method; it takes %s.", allow)
}

// Calls lists what the surface serves, each as a method and the pattern of its path:
// what a description of it has to name.
func Calls() (calls []string) {
	for _, pattern := range []string{patternUser, patternTarget} {
		for _, method := range []string{fasthttp.MethodGet, fasthttp.MethodPost, fasthttp.MethodPut, fasthttp.MethodPatch, fasthttp.MethodDelete} {
			if _, err := (path{pattern: pattern}).handler(&Surface{}, &fasthttp.ResponseHeader{}, method); err == nil {
				calls = append(calls, method+" "+pattern)
			}
		}
	}
	return calls
}

// decodeID decodes an id of the path. Dots alone never arrive as an id: clients and
// proxies take them for a walk through folders, and what is left is another path.
func decodeID(segment []byte) (string, error) {
	id, ok := unescape(segment, false)
	if !ok {
		return "", faultf(codeURL, "The path has a malformed percent-escape.")
	}
	if id == "." || id == ".." {
		return "", faultf(codeInvalid, "\"user_id\" must not be a dot or two where it is a part of the path.")
	}
	return id, checkID("user_id", id)
}

// checkID holds an id to the rules of all doors.
func checkID(what, id string) error {
	if len(id) > filter.MaxIDBytes {
		return faultf(codeTooLong, "%q must be at most %d bytes long.", what, filter.MaxIDBytes)
	}
	if filter.ValidateUserID(id) != nil {
		return faultf(codeInvalid, "%q must be 1 to %d bytes of UTF-8 without control characters.", what, filter.MaxIDBytes)
	}
	return nil
}

// splitTarget cuts a request target into path and query. Of the absolute form only
// the path counts, as RFC 9112 section 3.2.2 has it.
func splitTarget(target []byte) (path, query []byte) {
	if len(target) > 0 && target[0] != '/' {
		_, rest, _ := bytes.Cut(target, []byte("://"))
		target = rest[max(bytes.IndexAny(rest, "/?"), 0):]
	}
	path, query, _ = bytes.Cut(target, []byte("?"))
	return path, query
}

// unescape decodes %XX, and + to a space where plus says so: in a query it is one,
// in a path it is itself. ok is false for a percent sign without two hexadecimal
// digits behind it.
func unescape(text []byte, plus bool) (decoded string, ok bool) {
	decode := url.PathUnescape
	if plus {
		decode = url.QueryUnescape
	}
	decoded, err := decode(string(text))
	return decoded, err == nil
}
