package sendbird

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// Name is the dialect, as metrics and the source of an entry spell it.
const Name = "sendbird"

// App is a tenant that has this surface.
type App struct {
	Name      string
	APITokens []string // each names the app; none is another app's
	Rate      int      // requests a second; 0 = no limit
	// KnownUsers: ids that the directory lacks are refused.
	KnownUsers bool
}

// Lists is what is asked of the lists.
type Lists interface {
	Edit(ctx context.Context, edit filter.Edit) (filter.Written, error)
	List(ctx context.Context, req filter.ListRequest) (filter.ListResult, error)
	BlockedBy(ctx context.Context, req filter.BlockedByRequest) (filter.BlockedByResult, error)
}

// Users is what is asked of the directory.
type Users interface {
	// Lookup returns those that are there, by id.
	Lookup(ctx context.Context, app string, ids []string) (map[string]filter.User, error)
}

// Options configure a [Surface].
type Options struct {
	Apps   []App        // at least one
	Lists  Lists        // required
	Users  Users        // required
	Logger *slog.Logger // default slog.Default()
}

// Surface answers the requests of one listener. It is made by [New].
type Surface struct {
	lists  Lists
	users  Users
	log    *slog.Logger
	tokens tokens
}

// tenant is an app at work.
type tenant struct {
	name       string
	knownUsers bool
	rate       *window // nil: there is no limit
}

// New makes the surface of some apps.
func New(opts Options) (*Surface, error) {
	if opts.Lists == nil || opts.Users == nil || len(opts.Apps) == 0 {
		return nil, errors.New("sendbird: lists, users and at least one app are required")
	}
	s := &Surface{lists: opts.Lists, users: opts.Users, log: opts.Logger}
	if s.log == nil {
		s.log = slog.Default()
	}
	for _, app := range opts.Apps {
		if app.Rate < 0 || len(app.APITokens) == 0 {
			return nil, fmt.Errorf("sendbird: the app %s needs an api token and a rate that is not negative", app.Name)
		}
		t := &tenant{name: app.Name, knownUsers: app.KnownUsers, rate: newWindow(app.Rate)}
		for _, token := range app.APITokens {
			if err := s.tokens.add(token, t); err != nil {
				return nil, fmt.Errorf("sendbird: the app %s: %w", app.Name, err)
			}
		}
	}
	return s, nil
}

// Name is the dialect, as metrics spell it.
func (s *Surface) Name() string { return Name }

var root = []byte("/v3/users/")

// Owns reports whether a path, as it was sent, belongs to the surface.
func (s *Surface) Owns(path []byte) bool { return bytes.HasPrefix(path, root) }

// request is what handlers are given. Its strings are its own.
type request struct {
	app    *tenant
	user   string // of the path
	target string // of the path, "" where it names none
	query  []byte // points into the request, as body does
	body   []byte
}

// answer is what a handler found, ready to be encoded as JSON.
type answer any

// Serve answers a request and returns the pattern of what was called, "" if there
// is no such call.
func (s *Surface) Serve(ctx context.Context, req *fasthttp.RequestCtx) (call string) {
	path, query := splitTarget(req.Request.Header.RequestURI())
	p := parsePath(path)
	value, err := s.serve(ctx, req, p, query)
	if err == nil {
		err = write(&req.Response, fasthttp.StatusOK, value)
	}
	if err != nil {
		s.refuse(ctx, req, p.pattern, err)
	}
	return p.pattern
}

// serve asks in an order that reveals nothing: who does not know a token learns
// neither which paths there are nor whether a request is right.
func (s *Surface) serve(ctx context.Context, req *fasthttp.RequestCtx, p path, query []byte) (answer, error) {
	app, ok := s.tokens.find(req.Request.Header.PeekAll("Api-Token"))
	if !ok {
		return nil, errToken
	}
	if err := app.take(&req.Response.Header, time.Now()); err != nil {
		return nil, err
	}
	handle, err := p.handler(s, &req.Response.Header, string(req.Method()))
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(req.Request.Header.RequestURI(), '#') >= 0 {
		return nil, faultf(codeURL, "A request target has no fragment; # is written as %%23.")
	}
	in := request{app: app, query: query, body: req.Request.Body()}
	if in.user, err = decodeID(p.user); err != nil {
		return nil, err
	}
	if p.pattern == patternTarget {
		if in.target, err = decodeID(p.target); err != nil {
			return nil, err
		}
	}
	return handle(ctx, in)
}
