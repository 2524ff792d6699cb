package imkit

import (
	"bytes"
	"context"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// root is what all paths begin with.
const root = "/blockStatus/"

// handler answers a call with its result.
type handler func(s *Surface, ctx context.Context, who *caller, ids pathIDs) (result any, err error)

// route is one path and what its methods do; nil: nothing.
type route struct {
	pattern           string // the label of metrics
	allow             string // the methods, for 405
	get, post, delete handler
}

// The routes. Nowhere is every other path.
var (
	myList   = route{pattern: root + "my", allow: "GET, HEAD", get: (*Surface).listMine}
	myEntry  = route{pattern: root + "my/{blockee}", allow: "POST, DELETE", post: (*Surface).blockMine, delete: (*Surface).unblockMine}
	roomList = route{pattern: root + "room/{roomID}", allow: "GET, HEAD", get: (*Surface).listRoom}

	roomEntry = route{
		pattern: root + "room/{roomID}/{blockee}", allow: "POST, DELETE",
		post: (*Surface).blockRoom, delete: (*Surface).unblockRoom,
	}
	nowhere route
)

// Calls lists what the surface serves, each as a method and the pattern of its path:
// what a description of it has to name.
func Calls() (calls []string) {
	for _, r := range []route{myList, myEntry, roomList, roomEntry} {
		for method, h := range map[string]handler{
			fasthttp.MethodGet: r.get, fasthttp.MethodPost: r.post, fasthttp.MethodDelete: r.delete,
		} {
			if h != nil {
				calls = append(calls, method+" "+r.pattern)
			}
		}
	}
	return calls
}

// of returns what the method of a request does, nil if nothing.
func (r *route) of(req *fasthttp.RequestCtx) handler {
	switch string(req.Method()) {
	case fasthttp.MethodGet, fasthttp.MethodHead:
		return r.get
	case fasthttp.MethodPost:
		return r.post
	case fasthttp.MethodDelete:
		return r.delete
	}
	return nil
}

// pathIDs are the ids of a path as they were sent, in strings of their own.
type pathIDs struct{ room, blockee string }

// parseTarget finds the route of a request target. The path is split before it is
// decoded, so that an id may hold a slash; the query is not looked at.
func parseTarget(target []byte) (*route, pathIDs) {
	path, _, _ := bytes.Cut(target, []byte("?"))
	// Of the absolute form, which every server has to take, only the path counts.
	if len(path) > 0 && path[0] != '/' {
		if _, rest, ok := bytes.Cut(path, []byte("://")); ok {
			path = rest[max(bytes.IndexByte(rest, '/'), 0):]
		}
	}
	rest, ours := strings.CutPrefix(string(path), root)
	if !ours {
		return &nowhere, pathIDs{}
	}
	parts := strings.Split(rest, "/")
	switch {
	case parts[0] == "my" && len(parts) == 1:
		return &myList, pathIDs{}
	case parts[0] == "my" && len(parts) == 2:
		return &myEntry, pathIDs{blockee: parts[1]}
	case parts[0] == "room" && len(parts) == 2:
		return &roomList, pathIDs{room: parts[1]}
	case parts[0] == "room" && len(parts) == 3:
		return &roomEntry, pathIDs{room: parts[1], blockee: parts[2]}
	}
	return &nowhere, pathIDs{}
}

// user decodes the id of the blockee.
func (ids pathIDs) user() (string, error) {
	id, ok := decodeID(ids.blockee)
	if !ok {
		return "", errInvalidUser
	}
	return id, nil
}

// roomID decodes the id of the room. One that no room can have is of a room that
// is not there.
func (ids pathIDs) roomID() (string, error) {
	id, ok := decodeID(ids.room)
	if !ok {
		return "", errNoRoom
	}
	return id, nil
}

// decodeID decodes one segment of a path. Dot segments are resolved by clients and
// proxies on the way, escaped ones too, so that what arrives as one may have been
// meant for another path; what stands behind "#" was not meant to be sent.
func decodeID(segment string) (id string, ok bool) {
	if strings.Contains(segment, "#") {
		return "", false
	}
	id, err := url.PathUnescape(segment)
	if err != nil || id == "." || id == ".." || filter.ValidateUserID(id) != nil {
		return "", false
	}
	return id, true
}
