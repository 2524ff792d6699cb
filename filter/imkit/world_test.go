package imkit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// world is lists, rooms and users in miniature, with the surface before them.
type world struct {
	t       testing.TB
	surface *Surface
	log     *strings.Builder

	now    time.Time
	lists  map[filter.ListID][]filter.Block // newest first
	rooms  map[filter.Pair]filter.Room
	users  map[string]filter.User // by app and id
	limit  int
	calls  []string         // what was asked, in order
	broken map[string]error // by what is asked
}

// noon is when the world begins.
var noon = time.Date(2021, 8, 4, 12, 0, 0, 123456789, time.UTC)

// newWorld has the app acme, whose tokens are "of NAME" or "of NAME owning ROOM",
// and umbra, which shares nothing with it.
func newWorld(t testing.TB, change ...func(*App)) *world {
	t.Helper()
	w := &world{
		t: t, log: new(strings.Builder), now: noon, limit: 5,
		lists: map[filter.ListID][]filter.Block{}, rooms: map[filter.Pair]filter.Room{},
		users: map[string]filter.User{}, broken: map[string]error{},
	}
	acme := App{Name: "acme", ClientKeys: []string{"ck1", "ck2"}, APIKeys: []string{"admin1"}, Tokens: w, Origins: []string{"https://acme.example"}}
	for _, f := range change {
		f(&acme)
	}
	umbra := App{Name: "umbra", ClientKeys: []string{"ck3"}, APIKeys: []string{"admin3"}, Tokens: w, Origins: []string{"https://umbra.example"}}
	var err error
	w.surface, err = New(Options{
		Apps: []App{acme, umbra}, Lists: w, Rooms: w, Users: w, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.surface.now = func() time.Time { return w.now }
	return w
}

func known(a *App)  { a.KnownUsers = true }
func upsert(a *App) { a.Upsert = true }

// called notes what is asked and fails it if it is broken.
func (w *world) called(what string, about ...any) error {
	w.calls = append(w.calls, strings.TrimSpace(what+" "+fmt.Sprintln(about...)))
	return w.broken[what]
}

// Verify implements [Verifier].
func (w *world) Verify(_ context.Context, token string) (Who, error) {
	if err := w.called("verify"); err != nil {
		return Who{}, err
	}
	name, rooms, _ := strings.Cut(strings.TrimPrefix(token, "of "), " owning ")
	if !strings.HasPrefix(token, "of ") {
		return Who{}, ErrToken
	}
	return Who{User: name, RoomsOwned: strings.Fields(rooms)}, nil
}

// Block implements [Lists].
func (w *world) Block(_ context.Context, req filter.BlockRequest) (filter.BlockResult, error) {
	if err := w.called("block", req.List.App, req.List.Kind, req.List.Owner, req.Target, "by", req.Actor); err != nil {
		return filter.BlockResult{}, err
	}
	if !req.Keep || req.Source != "imkit" {
		w.t.Errorf("block with %+v", req)
	}
	entries := w.lists[req.List]
	if i := indexOf(entries, req.Target); i >= 0 {
		return filter.BlockResult{Block: entries[i]}, nil
	}
	if len(entries) == w.limit {
		return filter.BlockResult{}, filter.Errorf(filter.CodeLimitExceeded, "full")
	}
	b := filter.Block{Owner: req.List.Owner, Target: req.Target, CreatedAt: w.now, Source: req.Source, Actor: req.Actor}
	w.lists[req.List] = append([]filter.Block{b}, entries...)
	return filter.BlockResult{Block: b, Created: true}, nil
}

// Unblock implements [Lists].
func (w *world) Unblock(_ context.Context, req filter.UnblockRequest) (filter.UnblockResult, error) {
	if err := w.called("unblock", req.List.App, req.List.Kind, req.List.Owner, req.Target, "by", req.Actor); err != nil {
		return filter.UnblockResult{}, err
	}
	i := indexOf(w.lists[req.List], req.Target)
	if i < 0 {
		return filter.UnblockResult{}, filter.Errorf(filter.CodeBlockNotFound, "none")
	}
	b := w.lists[req.List][i]
	w.lists[req.List] = slices.Delete(w.lists[req.List], i, i+1)
	return filter.UnblockResult{Block: b}, nil
}

func indexOf(entries []filter.Block, target string) int {
	return slices.IndexFunc(entries, func(b filter.Block) bool { return b.Target == target })
}

// Whole implements [Lists].
func (w *world) Whole(_ context.Context, list filter.ListID) (filter.ListResult, error) {
	return filter.ListResult{Blocks: w.lists[list]}, w.called("whole", list.App, list.Kind, list.Owner)
}

// Direct implements [Rooms].
func (w *world) Direct(_ context.Context, app string, pair filter.Pair) (filter.Room, error) {
	if err := w.called("direct", app, pair.A, pair.B); err != nil {
		return filter.Room{}, err
	}
	pair = filter.Pair{A: min(pair.A, pair.B), B: max(pair.A, pair.B)}
	if _, ok := w.rooms[pair]; !ok {
		w.rooms[pair] = filter.Room{ID: "room of " + pair.A + " and " + pair.B, CreatedAt: w.now}
	}
	return w.rooms[pair], nil
}

// OfPeers implements [Rooms].
func (w *world) OfPeers(_ context.Context, app, user string, peers []string) (map[string]filter.Room, error) {
	rooms := map[string]filter.Room{}
	for _, p := range peers {
		if room, ok := w.rooms[filter.Pair{A: min(user, p), B: max(user, p)}]; ok {
			rooms[p] = room
		}
	}
	return rooms, w.called("ofpeers", app, user)
}

// Bans implements [Rooms].
func (w *world) Bans(_ context.Context, app, actor, source string) (bans []filter.Block, err error) {
	for list, entries := range w.lists {
		for _, b := range entries {
			if list.App == app && list.Kind == cache.KindRoom && b.Actor == actor && b.Source == source {
				bans = append(bans, b)
			}
		}
	}
	slices.SortFunc(bans, func(a, b filter.Block) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return bans, w.called("bans", app, actor)
}

// Lookup implements [Users].
func (w *world) Lookup(_ context.Context, app string, ids []string) (map[string]filter.User, error) {
	if len(ids) > filter.MaxLookup {
		w.t.Errorf("%d users are looked up at once", len(ids))
	}
	found := map[string]filter.User{}
	for _, id := range ids {
		if user, ok := w.users[app+"/"+id]; ok {
			found[id] = user
		}
	}
	return found, w.called("lookup", app, len(ids))
}

// Headers of those who ask.
var (
	asAAA   = []string{"IM-CLIENT-KEY", "ck1", "IM-Authorization", "of aaa"}
	asOwner = []string{"IM-CLIENT-KEY", "ck1", "IM-Authorization", "of aaa owning r1 r/2"}
	asAdmin = []string{"IM-API-KEY", "admin1"}
)

// answer is one answer of the surface.
type answer struct {
	call   string
	status int
	header *fasthttp.ResponseHeader
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// ask sends a request; headers are pairs.
func (w *world) ask(method, target string, header ...string) answer {
	w.t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(target)
	for i := 0; i < len(header); i += 2 {
		ctx.Request.Header.Add(header[i], header[i+1])
	}
	call := w.surface.Serve(w.t.Context(), &ctx)
	return answer{call, ctx.Response.StatusCode(), &ctx.Response.Header, string(ctx.Response.Body())}
}

// gives complains unless an answer is this one to the byte.
func (a answer) gives(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("the answer is\n%v\nwant\n%d %s", a, status, body)
	}
}

// refuses complains unless an answer is an error with this code, in the form of
// the vendor.
func (a answer) refuses(t testing.TB, status int, code string) {
	t.Helper()
	var body struct {
		RC    *int
		RM    string
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != status || body.RC == nil || *body.RC != status ||
		body.RM == "" || body.Error.Message == "" || body.Error.Code != code {
		t.Errorf("the answer is %v, want %d %s", a, status, code)
	}
	if kind := string(a.header.ContentType()); kind != "application/json; charset=utf-8" {
		t.Errorf("the content type is %q", kind)
	}
}
