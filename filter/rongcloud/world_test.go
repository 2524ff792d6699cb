package rongcloud

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
)

// world is a surface before a block service in miniature.
type world struct {
	t       *testing.T
	surface *Surface
	log     strings.Builder

	mu    sync.Mutex
	lists map[filter.ListID][]string // newest first
	modes map[string]bool            // app and user
	taken map[string]time.Duration   // keys and for how long
	users map[string]bool            // app and user
	edits []filter.Edit
	limit int
	fail  error // of every call
}

// acme is the app of most tests: everything is on, nothing is in the way.
func acme() App {
	return App{Name: "acme", Key: "uwd1c0sxdlx2", Secret: "Y1W2MeFwwwRxa0", Allowlist: true}
}

func newWorld(t *testing.T, apps ...App) *world {
	t.Helper()
	w := &world{
		t: t, lists: map[filter.ListID][]string{}, modes: map[string]bool{}, taken: map[string]time.Duration{},
		users: map[string]bool{}, limit: filter.MaxEntries,
	}
	if len(apps) == 0 {
		apps = []App{acme()}
	}
	var err error
	w.surface, err = New(Options{Apps: apps, Lists: w, Users: w, Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) Edit(_ context.Context, edit filter.Edit) (filter.Written, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return filter.Written{}, w.fail
	}
	w.edits = append(w.edits, edit)
	seen := map[string]bool{}
	list := slices.Clone(w.lists[edit.List])
	for _, a := range edit.Add {
		if a.Target == edit.List.Owner || seen[a.Target] {
			w.t.Errorf("the core would refuse %+v", edit)
		}
		seen[a.Target] = true
		if !slices.Contains(list, a.Target) {
			list = append([]string{a.Target}, list...)
		}
	}
	for _, id := range edit.Remove {
		if seen[id] {
			w.t.Errorf("the core would refuse %+v", edit)
		}
		seen[id] = true
		list = slices.DeleteFunc(list, func(on string) bool { return on == id })
	}
	if len(list) > w.limit {
		return filter.Written{}, &filter.Error{Code: filter.CodeLimitExceeded, Limit: w.limit, Size: len(w.lists[edit.List])}
	}
	if err := w.take(edit.List.App, edit.Once); err != nil {
		return filter.Written{}, err
	}
	w.lists[edit.List] = list
	return filter.Written{}, nil
}

func (w *world) List(_ context.Context, req filter.ListRequest) (found filter.ListResult, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return found, w.fail
	}
	list, from := w.lists[req.List], 0
	if req.Cursor != "" {
		if from, err = strconv.Atoi(req.Cursor); err != nil {
			return found, filter.Errorf(filter.CodeInvalidCursor, "pass next_cursor")
		}
	}
	to := min(len(list), from+req.Limit)
	for _, id := range list[from:to] {
		found.Blocks = append(found.Blocks, filter.Block{Target: id})
	}
	if to < len(list) {
		found.Next = strconv.Itoa(to)
	}
	return found, nil
}

func (w *world) SetAllowlistMode(_ context.Context, change filter.ModeChange) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	if err := w.take(change.App, change.Once); err != nil {
		return err
	}
	for _, owner := range change.Owners {
		w.modes[change.App+" "+owner] = change.On
	}
	return nil
}

func (w *world) AllowlistMode(_ context.Context, app string, owners []string) (on []bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, owner := range owners {
		on = append(on, w.modes[app+" "+owner])
	}
	return on, w.fail
}

func (w *world) UseOnce(_ context.Context, app string, once filter.Once) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if once.IsZero() {
		w.t.Error("a key is taken that there is not")
	}
	return w.take(app, once)
}

func (w *world) take(app string, once filter.Once) error {
	if once.IsZero() {
		return nil
	}
	if _, taken := w.taken[app+" "+once.Key]; taken {
		return filter.Errorf(filter.CodeReplayed, "again")
	}
	w.taken[app+" "+once.Key] = once.Keep
	return nil
}

func (w *world) Lookup(_ context.Context, app string, ids []string) (map[string]filter.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]filter.User{}
	for _, id := range ids {
		if w.users[app+" "+id] {
			found[id] = filter.User{ID: id}
		}
	}
	return found, w.fail
}

// answer is an answer of the surface.
type answer struct {
	status int
	call   string
	body   string
	header *fasthttp.ResponseHeader
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// nonces are all different, as those of a careful client.
var nonces struct {
	sync.Mutex
	n int
}

// headers are those of a request that is signed now.
func headers(a App) map[string]string {
	nonces.Lock()
	nonces.n++
	nonce := strconv.Itoa(nonces.n)
	nonces.Unlock()
	return signedWith(a, nonce, strconv.FormatInt(time.Now().UnixMilli(), 10))
}

func signedWith(a App, nonce, timestamp string) map[string]string {
	signature := sign(a.Secret, []byte(nonce), []byte(timestamp))
	return map[string]string{"App-Key": a.Key, "Nonce": nonce, "Timestamp": timestamp, "Signature": string(signature[:])}
}

// raw is a request as it goes over the wire.
func raw(method, path, body string, headers map[string]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: x\r\n", method, path)
	for name, value := range headers {
		fmt.Fprintf(&text, "%s: %s\r\n", name, value)
	}
	if _, typed := headers["Content-Type"]; !typed && method == "POST" {
		text.WriteString("Content-Type: application/x-www-form-urlencoded\r\n")
	}
	fmt.Fprintf(&text, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return text.String()
}

// serve answers a request as the door would have it.
func (w *world) serve(wire string) answer {
	w.t.Helper()
	var req fasthttp.Request
	in := bufio.NewReader(strings.NewReader(wire))
	if err := errors.Join(req.Header.Read(in), req.ContinueReadBody(in, 0, false)); err != nil {
		w.t.Fatalf("%.200q: %v", wire, err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, nil, nil)
	a := answer{call: w.surface.Serve(context.Background(), &ctx)}
	a.status, a.body, a.header = ctx.Response.StatusCode(), string(ctx.Response.Body()), &ctx.Response.Header
	if kind := string(a.header.ContentType()); kind != "application/json; charset=utf-8" {
		w.t.Errorf("%v has the Content-Type %q", a, kind)
	}
	if !json.Valid([]byte(a.body)) {
		w.t.Errorf("%v is no JSON", a)
	}
	return a
}

// post sends a signed form to acme.
func (w *world) post(path, body string) answer {
	w.t.Helper()
	return w.serve(raw("POST", path, body, headers(acme())))
}

// refused checks an answer against the vendor's envelope and returns its message.
func (w *world) refused(a answer, status, code int) string {
	w.t.Helper()
	var doc struct {
		Code         int    `json:"code"`
		ErrorMessage string `json:"errorMessage"`
		URL          string `json:"url"`
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != status || doc.Code != code ||
		doc.ErrorMessage == "" || !strings.HasPrefix(doc.URL, "/user/") ||
		!strings.HasPrefix(a.body, fmt.Sprintf(`{"code":%d,"errorMessage":"`, code)) {
		w.t.Errorf("answered %v, want %d with code %d", a, status, code)
	}
	return doc.ErrorMessage
}

// good checks an answer and its exact body.
func (w *world) good(a answer, body string) {
	w.t.Helper()
	if a.status != 200 || a.body != body {
		w.t.Errorf("answered %v, want %s", a, body)
	}
}

// encode makes a form of pairs of fields and values in their order.
func encode(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, url.QueryEscape(pairs[i])+"="+url.QueryEscape(pairs[i+1]))
	}
	return strings.Join(parts, "&")
}
