package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// BlockLists is what the api listener asks of [filter.Blocks].
type BlockLists interface {
	Edit(ctx context.Context, edit filter.Edit) (filter.Written, error)
	Block(ctx context.Context, req filter.BlockRequest) (filter.BlockResult, error)
	Unblock(ctx context.Context, req filter.UnblockRequest) (filter.UnblockResult, error)
	List(ctx context.Context, req filter.ListRequest) (filter.ListResult, error)
	Get(ctx context.Context, list filter.ListID, target string) (filter.Block, error)
	BlockedBy(ctx context.Context, req filter.BlockedByRequest) (filter.BlockedByResult, error)
	History(ctx context.Context, req filter.HistoryRequest) (filter.HistoryResult, error)
}

// blocks serves block lists.
type blocks struct {
	lists BlockLists
	door  *door
}

const (
	// listLimit is the most bytes the body of a request to a list may have.
	listLimit = 1 << 20

	// operationTimeout ends a request whatever it waits for. It is above what
	// the store allows itself for a connection, a statement and its retries,
	// so that the store, which knows what has happened, speaks first.
	operationTimeout = 10 * time.Second

	// source is how the database remembers that an entry came in here.
	source = "native"

	userPattern = "/v1/apps/{app}/users/{owner}"
	listPattern = userPattern + "/blocks"

	headerRevision = "Sidegate-Revision"
)

func (b *blocks) routes() []*route {
	return []*route{
		newRoute(listPattern, listLimit, [methods]handler{methodGet: b.list}).alsoFor(border.ScopeUser),
		newRoute(listPattern+"/{target}", listLimit, [methods]handler{
			methodGet: b.get, methodPut: b.put, methodDelete: b.delete,
		}).alsoFor(border.ScopeUser),
		newRoute(listPattern+":batch", listLimit, [methods]handler{methodPost: b.batch}).alsoFor(border.ScopeUser),
		// Never for users: who blocks them is what a block must not tell.
		newRoute(userPattern+"/blocked-by", listLimit, [methods]handler{methodGet: b.blockedBy}).alsoFor(border.ScopeStaff),
		newRoute(userPattern+"/history", listLimit, [methods]handler{methodGet: b.history}).
			alsoFor(border.ScopeUser | border.ScopeStaff),
	}
}

// idNames are the ids of a path, in their order.
var idNames = [maxIDs]string{"app", "owner", "target"}

// id decodes one id of a path into a string of its own. Which ids there can be
// is filter's to say; what a path cannot carry is ours.
func (in *input) id(i int) (string, error) { return in.idAs(i, idNames[i]) }

// idAs is id for a path that has another name for it.
func (in *input) idAs(i int, name string) (string, error) {
	decoded, ok := unescape(in.ids[i], false)
	if !ok {
		return "", border.Problemf(border.Code(filter.CodeInvalidUserID), "%s has a malformed percent-escape in the path", name)
	}
	id := string(decoded)
	// Clients and proxies resolve dot segments before we see them, escaped
	// ones too: what arrives as one may have been meant for another path.
	if id == "." || id == ".." {
		return "", border.Problemf(border.Code(filter.CodeInvalidUserID), "%s is %q, which cannot travel in a path", name, id)
	}
	return id, nil
}

// listID reads whose list is meant and sees that the caller may touch it.
func (in *input) listID() (filter.ListID, error) {
	app, err := in.id(0)
	if err != nil {
		return filter.ListID{}, err
	}
	owner, err := in.id(1)
	if err != nil {
		return filter.ListID{}, err
	}
	return filter.ListID{App: app, Kind: cache.KindBlock, Owner: owner}, in.mayList(app, owner)
}

func (in *input) entry() (list filter.ListID, target string, err error) {
	if len(in.query) > 0 {
		return list, "", noParameters()
	}
	if list, err = in.listID(); err != nil {
		return list, "", err
	}
	target, err = in.id(2)
	return list, target, err
}

// operation is the context of one request to the store.
func (in *input) operation() (context.Context, context.CancelFunc) {
	return context.WithTimeout(in.base, operationTimeout)
}

func (b *blocks) put(ctx *fasthttp.RequestCtx, in input) error {
	list, target, err := in.entry()
	if err != nil {
		return err
	}
	addition, err := parseAddition(ctx.Request.Body())
	if err != nil {
		return err
	}
	addition.Target = target
	op, cancel := in.operation()
	defer cancel()
	done, err := b.lists.Block(op, filter.BlockRequest{
		List: list, Addition: addition, Source: source, Actor: in.who.Actor(),
	})
	if err != nil {
		return err
	}
	status := fasthttp.StatusOK
	if done.Created {
		status = fasthttp.StatusCreated
	}
	return writeWritten(&ctx.Response, status, done.Block, done.Revision)
}

func (b *blocks) delete(ctx *fasthttp.RequestCtx, in input) error {
	list, target, err := in.entry()
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	done, err := b.lists.Unblock(op, filter.UnblockRequest{
		List: list, Target: target, Source: source, Actor: in.who.Actor(),
	})
	if err != nil {
		return err
	}
	return writeWritten(&ctx.Response, fasthttp.StatusOK, done.Block, done.Revision)
}

func (b *blocks) get(ctx *fasthttp.RequestCtx, in input) error {
	list, target, err := in.entry()
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	block, err := b.lists.Get(op, list, target)
	if err != nil {
		return err
	}
	return writeJSON(&ctx.Response, fasthttp.StatusOK, blockOf(block))
}

// parseAddition reads the body of a PUT. None leaves expiry and note of an entry
// that exists as they are; an object sets both, a field that is absent or null
// to nothing.
func parseAddition(body []byte) (filter.Addition, error) {
	add := filter.Addition{Keep: len(body) == 0}
	if add.Keep {
		return add, nil
	}
	var d details
	o := object{buf: body}
	for o.next() {
		if !d.read(&o, &add) {
			o.unknown("expires_at, note")
		}
	}
	return add, o.err
}

// details remembers which of the members that describe an entry have been read.
type details struct{ expiry, note bool }

// read reads one of them into add; false: it is another member.
func (d *details) read(o *object, add *filter.Addition) bool {
	switch string(o.name) {
	case "expires_at":
		if d.expiry {
			o.twice()
		}
		d.expiry = true
		if text, given := o.textOrNull(); given {
			var err error
			if add.ExpiresAt, err = parseExpiry(text); err != nil {
				o.err = err
			}
		}
	case "note":
		if d.note {
			o.twice()
		}
		d.note = true
		note, _ := o.textOrNull()
		add.Note = strings.Clone(note)
	default:
		return false
	}
	return true
}

func parseExpiry(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return time.Time{}, border.Problemf(border.Code(filter.CodeInvalidExpiry),
			"expires_at is %s; it is a time like 2031-01-31T12:00:00Z (RFC 3339), or null", border.Quote(text))
	case at.IsZero():
		// The one instant that filter would take for "never".
		return time.Time{}, border.Problemf(border.Code(filter.CodeInvalidExpiry), "expires_at is in the past")
	}
	return at, nil
}

// blockJSON is an entry as clients see it.
type blockJSON struct {
	Owner     string  `json:"owner"`
	Target    string  `json:"target"`
	CreatedAt string  `json:"created_at"`
	ExpiresAt *string `json:"expires_at"` // null: never
	Note      string  `json:"note"`
}

func blockOf(b filter.Block) blockJSON {
	return blockJSON{
		Owner: b.Owner, Target: b.Target, CreatedAt: instant(b.CreatedAt), ExpiresAt: instantOrNull(b.ExpiresAt), Note: b.Note,
	}
}

// writeWritten answers a write: the entry, and the revision by which a check can
// ask to see it.
func writeWritten(resp *fasthttp.Response, status int, b filter.Block, revision filter.Revision) error {
	token := revision.String()
	if err := writeJSON(resp, status, struct {
		blockJSON
		Revision string `json:"revision"`
	}{blockOf(b), token}); err != nil {
		return fmt.Errorf("answer a write: %w", err)
	}
	resp.Header.Set(headerRevision, token)
	return nil
}
