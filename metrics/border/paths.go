package border

import "strings"

// Door is the name of a listener, as the configuration spells it.
type Door string

// The three listeners.
const (
	DoorCheck Door = "check"
	DoorAPI   Door = "api"
	DoorOps   Door = "ops"
)

// paths tells which listener a path belongs to, so that a request at the wrong
// one is told where to go instead of "not found". An entry that ends in a slash
// covers everything below it. A path may stand here before anything serves it:
// it belongs to its listener all the same.
//
// /openapi.json is not here: every listener serves it.
var paths = map[Door][]string{
	DoorCheck: {
		"/v1/can-deliver", "/v1/can-deliver/fanout", "/v1/can-deliver/batch",
		"/v1/visible", "/v1/invitees",
	},
	DoorAPI: {
		"/v1/apps/",
		// The vendors' own paths: RongCloud, Sendbird, IMKit.
		"/user/blocklist/", "/user/blacklist/", "/user/whitelist/", "/user/whitesetting/", "/v3/users/", "/blockStatus/",
	},
	DoorOps: {
		"/metrics", "/livez", "/readyz", "/startupz", "/version",
		"/v1/explain", "/v1/status", "/v1/reload", "/debug/pprof/",
	},
}

// DoorOf returns the listener that a path, as it was sent, belongs to; ok is
// false if none of them has ever served it.
func DoorOf(path string) (door Door, ok bool) {
	for door, list := range paths {
		for _, p := range list {
			if path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) {
				return door, true
			}
		}
	}
	return "", false
}

// NoSuchPath returns what a listener answers to a path that it does not serve.
func NoSuchPath(here Door, path string) Problem {
	if door, ok := DoorOf(path); ok && door != here {
		return Problemf(CodeWrongListener,
			"this is the %s listener; the path is served by the %s listener", here, door)
	}
	return Problemf(CodeNotFound, "the %s listener does not serve this path", here)
}
