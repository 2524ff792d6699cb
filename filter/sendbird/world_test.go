package sendbird

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// world is a surface before lists and a directory in miniature. Two apps have it:
// open, which takes any id, and known, which takes those of its directory.
type world struct {
	*Surface
	t   testing.TB
	log strings.Builder

	lists map[filter.ListID][]string // newest first
	users map[string]filter.User     // of both apps
	limit int
	fails error // what every call below is answered with
	calls []string
	edits []filter.Edit
	asked []*filter.Selection
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, lists: map[filter.ListID][]string{}, users: map[string]filter.User{}, limit: 3000}
	opts := Options{
		Apps: []App{
			{Name: "open", APITokens: []string{"t1", "t1-next"}},
			{Name: "known", APITokens: []string{"t2"}, KnownUsers: true},
		},
		Lists: w, Users: directory{w}, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	for _, f := range change {
		f(&opts)
	}
	var err error
	if w.Surface, err = New(opts); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) called(name string) error {
	w.calls = append(w.calls, name)
	return w.fails
}

// Edit implements [Lists].
func (w *world) Edit(_ context.Context, edit filter.Edit) (done filter.Written, err error) {
	if err := w.called("edit"); err != nil {
		return done, err
	}
	w.edits = append(w.edits, edit)
	list := w.lists[edit.List]
	for _, target := range edit.Remove {
		if i := slices.Index(list, target); i >= 0 {
			list = slices.Delete(list, i, i+1)
			done.Removed = append(done.Removed, filter.Block{Target: target})
		}
	}
	for _, add := range edit.Add {
		if !slices.Contains(list, add.Target) {
			list = slices.Insert(list, 0, add.Target)
		}
	}
	if len(list) > w.limit {
		return done, &filter.Error{Code: filter.CodeLimitExceeded, Limit: w.limit, Size: len(w.lists[edit.List])}
	}
	w.lists[edit.List] = list
	return done, nil
}

// piece cuts a piece out of users; its cursor is where the next one begins.
func (w *world) piece(all []string, limit int, cursor string, of *filter.Selection) (piece []string, next string, err error) {
	w.asked = append(w.asked, of)
	from, err := strconv.Atoi("0" + cursor)
	if err != nil || from > len(all) {
		return nil, "", filter.Errorf(filter.CodeInvalidCursor, "no cursor")
	}
	for i, id := range all[from:] {
		if len(piece) == limit {
			return piece, strconv.Itoa(from + i), nil
		}
		if w.picks(of, id) {
			piece = append(piece, id)
		}
	}
	return piece, "", nil
}

func (w *world) picks(of *filter.Selection, id string) bool {
	if of == nil {
		return true
	}
	value, has := w.users[id].Metadata[of.Key]
	return (of.Users == nil || slices.Contains(of.Users, id)) &&
		(of.Key == "" || has && (of.Values == nil || slices.Contains(of.Values, value)))
}

// List implements [Lists].
func (w *world) List(_ context.Context, req filter.ListRequest) (found filter.ListResult, err error) {
	if err := w.called("list"); err != nil {
		return found, err
	}
	ids, next, err := w.piece(w.lists[req.List], req.Limit, req.Cursor, req.Of)
	for _, id := range ids {
		found.Blocks = append(found.Blocks, filter.Block{Owner: req.List.Owner, Target: id})
	}
	found.Next = next
	return found, err
}

// BlockedBy implements [Lists].
func (w *world) BlockedBy(_ context.Context, req filter.BlockedByRequest) (found filter.BlockedByResult, err error) {
	if err := w.called("blocked by"); err != nil {
		return found, err
	}
	var owners []string
	for list, targets := range w.lists {
		if list.App == req.App && list.Kind == req.Kind && slices.Contains(targets, req.Target) {
			owners = append(owners, list.Owner)
		}
	}
	slices.Sort(owners)
	ids, next, err := w.piece(owners, req.Limit, req.Cursor, req.Of)
	for _, id := range ids {
		found.Blocks = append(found.Blocks, filter.Block{Owner: id, Target: req.Target})
	}
	found.Next = next
	return found, err
}

// directory is the directory of a world.
type directory struct{ *world }

// Lookup implements [Users].
func (d directory) Lookup(_ context.Context, _ string, ids []string) (map[string]filter.User, error) {
	if err := d.called("lookup"); err != nil {
		return nil, err
	}
	found := map[string]filter.User{}
	for _, id := range ids {
		if user, ok := d.users[id]; ok {
			found[id] = user
		}
	}
	return found, nil
}

func blockList(app, owner string) filter.ListID {
	return filter.ListID{App: app, Kind: cache.KindBlock, Owner: owner}
}

// reply is an answer as it goes over the wire.
type reply struct {
	status int
	header *fasthttp.ResponseHeader
	body   string
	call   string
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// code reads an error, and complains if it is none or not in the vendor's form.
func (r reply) code(t testing.TB) code {
	t.Helper()
	var doc struct {
		Message string
		Code    code
		Error   bool
	}
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil || doc.Message == "" || !doc.Error {
		t.Errorf("no error of the vendor: %v", r)
	}
	if r.body != envelope(t, doc.Message, doc.Code) {
		t.Errorf("the fields of %s are not the vendor's, or not in its order", r.body)
	}
	return doc.Code
}

func envelope(t testing.TB, message string, c code) string {
	t.Helper()
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(message); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"message":%s,"code":%d,"error":true}`, strings.TrimSuffix(text.String(), "\n"), c)
}

// raw parses a request as it goes over the wire and has it answered.
func (w *world) raw(request string) reply {
	w.t.Helper()
	var req fasthttp.Request
	if err := req.Read(bufio.NewReader(strings.NewReader(request))); err != nil {
		w.t.Fatalf("%q: %v", request, err)
	}
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&req, nil, nil)
	call := w.Serve(w.t.Context(), ctx)
	return reply{ctx.Response.StatusCode(), &ctx.Response.Header, string(ctx.Response.Body()), call}
}

// as sends a request with a token.
func (w *world) as(token, method, target, body string) reply {
	w.t.Helper()
	return w.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nApi-Token: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, target, token, len(body), body))
}

// ask sends a request to the app open.
func (w *world) ask(method, target, body string) reply {
	w.t.Helper()
	return w.as("t1", method, target, body)
}
