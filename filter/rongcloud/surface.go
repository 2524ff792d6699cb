package rongcloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// name is the dialect, in metrics and as the source of entries.
const name = "rongcloud"

// Lists is what the surface asks of the block service.
type Lists interface {
	Edit(ctx context.Context, edit filter.Edit) (filter.Written, error)
	List(ctx context.Context, req filter.ListRequest) (filter.ListResult, error)
	SetAllowlistMode(ctx context.Context, change filter.ModeChange) error
	AllowlistMode(ctx context.Context, app string, owners []string) ([]bool, error)
	UseOnce(ctx context.Context, app string, once filter.Once) error
}

// App is a tenant that speaks this dialect.
type App struct {
	Name string // of the tenant
	// Key names the app in a request, Secret signs it. No two apps share a key.
	Key, Secret string
	Rate        int // requests a second; 0 = no limit
	// MaxClockSkew is how far the time of a request may be from ours; 0 = it is
	// not looked at.
	MaxClockSkew time.Duration
	// RefuseReplay refuses a nonce that was seen before. It needs MaxClockSkew.
	RefuseReplay bool
	// KnownUsers refuses ids that the directory lacks.
	KnownUsers bool
	// Allowlist tells whether the policy of the app has one.
	Allowlist bool
}

// Options configure a [Surface]. All but the logger are required.
type Options struct {
	Apps  []App
	Lists Lists
	// Users is asked only for apps with known users.
	Users Users
	// Logger receives failures of ours. Default slog.Default().
	Logger *slog.Logger
}

// Surface is RongCloud's API on the api listener.
type Surface struct {
	apps  []*app
	lists Lists
	users Users
	log   *slog.Logger
	calls map[string]call
}

// call is one endpoint.
type call struct {
	path  string
	list  listKind // of the family, where there is a list
	serve func(s *Surface, ctx context.Context, r request) (any, error)
}

// listKind is a list as the vendor's forms speak of it.
type listKind struct {
	kind   cache.Kind
	target string // the field that names who is on it
}

// request is a call of somebody who may make it.
type request struct {
	app  *app
	call call
	form form
	once filter.Once
}

// New makes the surface.
func New(opts Options) (*Surface, error) {
	if len(opts.Apps) == 0 || opts.Lists == nil || opts.Users == nil {
		return nil, errors.New("rongcloud: apps, lists and users are required")
	}
	s := &Surface{lists: opts.Lists, users: opts.Users, log: opts.Logger, calls: make(map[string]call)}
	if s.log == nil {
		s.log = slog.Default()
	}
	for _, a := range opts.Apps {
		switch {
		case a.Name == "" || a.Key == "" || a.Secret == "":
			return nil, fmt.Errorf("rongcloud: app %q: a name, a key and a secret are required", a.Name)
		case a.Rate < 0 || a.MaxClockSkew < 0:
			return nil, fmt.Errorf("rongcloud: app %q: rate and clock skew must not be negative", a.Name)
		case a.RefuseReplay && a.MaxClockSkew == 0:
			return nil, fmt.Errorf("rongcloud: app %q: replay is refused within a clock skew only", a.Name)
		case slices.ContainsFunc(s.apps, func(other *app) bool { return other.Key == a.Key }):
			return nil, fmt.Errorf("rongcloud: app %q: another app has its key", a.Name)
		}
		s.apps = append(s.apps, newApp(a))
	}
	s.setCalls()
	return s, nil
}

// Calls lists what the surface serves, each as a method and its path: what a
// description of it has to name.
func Calls() (calls []string) {
	s := &Surface{calls: make(map[string]call)}
	s.setCalls()
	for path := range s.calls {
		calls = append(calls, fasthttp.MethodPost+" "+path)
	}
	return calls
}

// owned are the folders whose paths are all ours.
var owned = [][]byte{
	[]byte("/user/blocklist/"), []byte("/user/blacklist/"), []byte("/user/whitelist/"), []byte("/user/whitesetting/"),
}

func (s *Surface) setCalls() {
	block := listKind{kind: cache.KindBlock, target: fieldBlock}
	for folder, list := range map[string]listKind{
		"/user/blocklist/": block, "/user/blacklist/": block,
		"/user/whitelist/": {kind: cache.KindAllow, target: fieldAllow},
	} {
		s.setCall(call{folder + "add.json", list, (*Surface).add})
		s.setCall(call{folder + "remove.json", list, (*Surface).remove})
		s.setCall(call{folder + "query.json", list, (*Surface).query})
	}
	s.setCall(call{path: "/user/whitesetting/set.json", serve: (*Surface).setMode})
	s.setCall(call{path: "/user/whitesetting/query.json", serve: (*Surface).queryMode})
}

func (s *Surface) setCall(c call) { s.calls[c.path] = c }

// Name returns the dialect as metrics spell it.
func (s *Surface) Name() string { return name }

// Owns reports whether a path belongs to the dialect.
func (s *Surface) Owns(path []byte) bool {
	return slices.ContainsFunc(owned, func(folder []byte) bool { return bytes.HasPrefix(path, folder) })
}

// Serve answers a request and returns the path of the call, "" if there is none.
func (s *Surface) Serve(ctx context.Context, req *fasthttp.RequestCtx) string {
	path := pathOf(&req.Request.Header)
	c, ok := s.calls[string(path)]
	if !ok {
		s.refuse(req, refusal{status: 404, code: codeNotFound, message: "There is no such endpoint."})
		return ""
	}
	if !req.IsPost() {
		req.Response.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
		s.refuse(req, refusal{status: 405, code: codeNotAllowed, message: "The method is not allowed; use POST."})
		return c.path
	}
	answer, err := s.call(ctx, &req.Request, c)
	if err != nil {
		s.refuse(req, s.refusalOf(ctx, c, err))
		return c.path
	}
	write(&req.Response, fasthttp.StatusOK, answer)
	return c.path
}

// call lets in who may, in the order in which strangers learn and cost the least:
// the rate of an app is only spent by those who hold its secret, and a nonce only
// by a request that makes sense.
func (s *Surface) call(ctx context.Context, req *fasthttp.Request, c call) (any, error) {
	app, nonce, err := s.authenticate(&req.Header, time.Now())
	if err != nil {
		return nil, err
	}
	if !app.take() {
		return nil, refusal{status: 429, code: codeTooMany,
			message: fmt.Sprintf("More than %d requests a second; slow down.", app.Rate)}
	}
	form, err := readForm(req)
	if err != nil {
		return nil, err
	}
	return c.serve(s, ctx, request{app: app, call: c, form: form, once: app.once(nonce)})
}

// Fail answers a request that the door refused, or that broke within.
func (s *Surface) Fail(req *fasthttp.RequestCtx, problem border.Problem) {
	s.refuse(req, refusalOfDoor(problem))
}

// pathOf is the path of a request as it was sent. Of the absolute form of a target
// only the path counts.
func pathOf(h *fasthttp.RequestHeader) []byte {
	target := h.RequestURI()
	if len(target) > 0 && target[0] != '/' {
		_, rest, _ := bytes.Cut(target, []byte("://"))
		target = rest[max(0, bytes.IndexByte(rest, '/')):]
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	return path
}
