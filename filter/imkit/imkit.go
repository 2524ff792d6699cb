package imkit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// source is how the database remembers that an entry came in here.
const source = "imkit"

// Lists is what is asked of [filter.Blocks].
type Lists interface {
	Block(ctx context.Context, req filter.BlockRequest) (filter.BlockResult, error)
	Unblock(ctx context.Context, req filter.UnblockRequest) (filter.UnblockResult, error)
	Whole(ctx context.Context, list filter.ListID) (filter.ListResult, error)
}

// Rooms is what is asked of [filter.DirectRooms].
type Rooms interface {
	Direct(ctx context.Context, app string, pair filter.Pair) (filter.Room, error)
	OfPeers(ctx context.Context, app, user string, peers []string) (map[string]filter.Room, error)
	Bans(ctx context.Context, app, actor, source string) ([]filter.Block, error)
}

// Users is what is asked of [filter.Users].
type Users interface {
	Lookup(ctx context.Context, app string, ids []string) (map[string]filter.User, error)
}

// Who is whom a client token names.
type Who struct {
	User       string   // a valid id
	RoomsOwned []string // the rooms in which the user may ban others
}

// ErrToken says that a client token is not valid, or not any more.
var ErrToken = errors.New("the client token is not valid")

// Verifier checks client tokens. It is safe for concurrent use.
type Verifier interface {
	// Verify returns whom a token names. The error is ErrToken if it names
	// nobody; any other means that it could not be found out.
	Verify(ctx context.Context, token string) (Who, error)
}

// App is one tenant that is called in this way.
type App struct {
	Name string
	// ClientKeys and APIKeys name the app; no other app has any of them.
	ClientKeys, APIKeys []string
	// Tokens verifies client tokens; nil: none is taken.
	Tokens Verifier
	// KnownUsers refuses to block whom the directory lacks.
	KnownUsers bool
	// Upsert answers a block that is there already as if it were new.
	Upsert bool
	// Origins are the web origins whose pages may read the answers.
	Origins []string
}

// Options configure a [Surface].
type Options struct {
	Apps  []App // at least one
	Lists Lists // required
	Rooms Rooms // required
	Users Users // required
	// Logger receives failures of ours. Default slog.Default().
	Logger *slog.Logger
}

// Surface serves the API. It implements server.Surface.
type Surface struct {
	lists   Lists
	rooms   Rooms
	users   Users
	log     *slog.Logger
	clients keyring
	admins  keyring
	origins []string // of all apps
	now     func() time.Time
}

// New makes a Surface. It starts nothing.
func New(opts Options) (*Surface, error) {
	if len(opts.Apps) == 0 || opts.Lists == nil || opts.Rooms == nil || opts.Users == nil {
		return nil, errors.New("imkit: apps, lists, rooms and users are required")
	}
	s := &Surface{lists: opts.Lists, rooms: opts.Rooms, users: opts.Users, log: opts.Logger, now: time.Now}
	if s.log == nil {
		s.log = slog.Default()
	}
	for _, app := range opts.Apps {
		own := app
		own.Origins = slices.Clone(app.Origins)
		if err := errors.Join(s.clients.add(&own, app.ClientKeys), s.admins.add(&own, app.APIKeys)); err != nil {
			return nil, fmt.Errorf("imkit: app %q: %w", app.Name, err)
		}
		s.origins = append(s.origins, own.Origins...)
	}
	return s, nil
}

// Name implements server.Surface.
func (s *Surface) Name() string { return source }

// Owns implements server.Surface.
func (s *Surface) Owns(path []byte) bool {
	return len(path) >= len(root) && string(path[:len(root)]) == root
}

// Serve implements server.Surface.
func (s *Surface) Serve(ctx context.Context, req *fasthttp.RequestCtx) (call string) {
	r, ids := parseTarget(req.Request.Header.RequestURI())
	if req.IsOptions() {
		s.preflight(req)
		return r.pattern
	}
	who, err := s.admit(ctx, req, r)
	s.share(req, who.app)
	var result any
	if err == nil {
		result, err = r.of(req)(s, ctx, &who, ids)
	}
	if err == nil {
		err = write(req, fasthttp.StatusOK, okJSON{0, "OK", result})
	}
	if err != nil {
		s.refuse(ctx, req, r, err)
	}
	return r.pattern
}

// admit refuses what is not called here, and who may not call; what is behind
// a path counts only then.
func (s *Surface) admit(ctx context.Context, req *fasthttp.RequestCtx, r *route) (caller, error) {
	switch {
	case r == &nowhere:
		return caller{}, errNotFound
	case r.of(req) == nil:
		req.Response.Header.Set(fasthttp.HeaderAllow, r.allow)
		return caller{}, errMethod
	}
	return s.authenticate(ctx, &req.Request.Header)
}

// refuse answers with an error, and logs what only we can do something about.
func (s *Surface) refuse(ctx context.Context, req *fasthttp.RequestCtx, r *route, err error) {
	refused := refusalOf(err)
	if refused.status >= fasthttp.StatusInternalServerError {
		level := slog.LevelWarn
		if refused == errInternal {
			level = slog.LevelError
		}
		s.log.Log(ctx, level, "request failed",
			"listener", string(border.DoorAPI), "route", source+" "+r.pattern, "code", refused.code, "error", err)
	}
	writeRefusal(req, refused)
}

// Fail implements server.Surface.
func (s *Surface) Fail(req *fasthttp.RequestCtx, problem border.Problem) {
	s.share(req, nil)
	if problem.Code == border.CodeInternal {
		writeRefusal(req, errInternal)
		return
	}
	writeRefusal(req, refusalFor(problem))
}
