package filter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sidegate/sidegate/cache"
)

// The sizes of a piece of a list.
const (
	DefaultListLimit = 100
	MaxListLimit     = 1000
)

// BlocksOptions configure [Blocks].
type BlocksOptions struct {
	// Store holds the lists. Required.
	Store BlockStore
	// Cache gets every change before it is answered. Required.
	Cache *cache.Cache
	// Apps are the tenants; only their names count here.
	Apps map[string]Policy
	// Metrics counts refused writes; nil counts where nobody looks.
	Metrics *Metrics
}

// Blocks is the service behind every door that edits lists: it checks what came
// in, has the store write it and brings the change to the local cache before it
// answers, so that whoever waited for a write sees it here at once. It is safe
// for concurrent use. Request strings may be borrowed from a buffer that is
// reused once the call has returned.
//
// Errors that a client may see are of type *[Error]; those of the store keep
// the meaning they have in [BlockStore]. Anything else is unexpected.
type Blocks struct {
	store   BlockStore
	cache   *cache.Cache
	apps    map[string]struct{}
	metrics *Metrics
}

// NewBlocks makes the service.
func NewBlocks(opts BlocksOptions) (*Blocks, error) {
	if opts.Store == nil || opts.Cache == nil || len(opts.Apps) == 0 {
		return nil, errors.New("filter: blocks: a store, a cache and at least one app are required")
	}
	b := &Blocks{
		store: opts.Store, cache: opts.Cache, metrics: opts.Metrics,
		apps: make(map[string]struct{}, len(opts.Apps)),
	}
	for name := range opts.Apps {
		b.apps[name] = struct{}{}
	}
	if b.metrics == nil {
		b.metrics = NewMetrics(nil)
	}
	return b, nil
}

// Written is what a write did, and the revision to wait for elsewhere.
type Written struct {
	Edited
	Revision Revision
}

// Edit writes to one list, all or nothing; Edit.Add and Edit.Remove together
// must name no target twice ([CodeConflictingBatch]). Removing what is not on
// the list is no error. It is the way by which every write goes.
func (b *Blocks) Edit(ctx context.Context, edit Edit) (Written, error) {
	edit = edit.clone()
	if err := b.checkEdit(&edit); err != nil {
		return Written{}, err
	}
	// The epoch is taken before the write: if the cache has begun to follow
	// another server by the time we are back, it must not hear of this one's
	// versions.
	epoch := b.cache.Epoch()
	edited, err := b.store.Edit(ctx, edit)
	if err != nil {
		var refused *Error
		if errors.As(err, &refused) && refused.Code == CodeLimitExceeded {
			b.metrics.limitRefused.Inc()
		}
		return Written{}, fmt.Errorf("edit a list: %w", err)
	}
	b.cache.Apply(epoch, edited.Identity, edited.Changes)
	return Written{Edited: edited, Revision: NewRevision(edited.Identity, edit.List, edited.Version)}, nil
}

// BlockRequest asks for one entry to be on a list.
type BlockRequest struct {
	List ListID
	Addition
	Source string // the door; never empty
	Actor  string
}

// BlockResult is the entry as it is now.
type BlockResult struct {
	Block    Block
	Created  bool // it was not on the list before
	Revision Revision
}

// Block puts a target on a list. That it is there already is no error.
func (b *Blocks) Block(ctx context.Context, req BlockRequest) (BlockResult, error) {
	written, err := b.Edit(ctx, Edit{
		List: req.List, Add: []Addition{req.Addition}, Source: req.Source, Actor: req.Actor,
	})
	if err != nil {
		return BlockResult{}, err
	}
	return BlockResult{Block: written.Added[0], Created: written.Created[0], Revision: written.Revision}, nil
}

// UnblockRequest asks for one target to be off a list.
type UnblockRequest struct {
	List   ListID
	Target string
	Source string // the door; never empty
	Actor  string
}

// UnblockResult is the entry that has ended.
type UnblockResult struct {
	Block    Block
	Revision Revision
}

// Unblock takes a target off a list. If it is not there the error has
// [CodeBlockNotFound].
func (b *Blocks) Unblock(ctx context.Context, req UnblockRequest) (UnblockResult, error) {
	written, err := b.Edit(ctx, Edit{
		List: req.List, Remove: []string{req.Target}, Source: req.Source, Actor: req.Actor,
	})
	if err != nil {
		return UnblockResult{}, err
	}
	if len(written.Removed) == 0 {
		return UnblockResult{}, errNotOnList()
	}
	return UnblockResult{Block: written.Removed[0], Revision: written.Revision}, nil
}

// ListRequest asks for a piece of a list.
type ListRequest struct {
	List ListID
	// Limit is the most entries to return, 1 to MaxListLimit; zero means
	// DefaultListLimit.
	Limit int
	// Cursor is the Next of the piece before; "" starts at the top. It does not
	// depend on Of, which may change from piece to piece.
	Cursor string
	// Of leaves out the targets that it does not pick; nil picks all; Total still counts them.
	Of *Selection
}

// ListResult is a piece of a list as the database holds it, newest first.
type ListResult struct {
	Blocks   []Block
	Total    int      // live entries in the whole list
	Version  int64    // of the list; 0: it never had an entry
	Revision Revision // of that version
	Next     string   // cursor; "": the end
}

// List reads a piece of a list from the database. Entries that have expired are
// left out at once, so Total can fall while Version stays.
func (b *Blocks) List(ctx context.Context, req ListRequest) (ListResult, error) {
	list := req.List.clone()
	if err := b.checkList(list); err != nil {
		return ListResult{}, err
	}
	limit, err := pieceLimit(req.Limit)
	if err != nil {
		return ListResult{}, err
	}
	after, err := parseCursor(walk{list: list}, req.Cursor)
	if err != nil {
		return ListResult{}, err
	}
	of, err := checkSelection(req.Of)
	if err != nil {
		return ListResult{}, err
	}
	return b.read(ctx, ListQuery{List: list, Limit: limit, After: after, Of: of})
}

// Whole reads a list at one go, for those who show it without pieces.
func (b *Blocks) Whole(ctx context.Context, list ListID) (ListResult, error) {
	list = list.clone()
	if err := b.checkList(list); err != nil {
		return ListResult{}, err
	}
	return b.read(ctx, ListQuery{List: list, Limit: MaxEntries})
}

func (b *Blocks) read(ctx context.Context, query ListQuery) (ListResult, error) {
	page, err := b.store.List(ctx, query)
	if err != nil {
		return ListResult{}, fmt.Errorf("read a list: %w", err)
	}
	return ListResult{
		Blocks: page.Blocks, Total: page.Total, Version: page.Version,
		Revision: NewRevision(page.Identity, query.List, page.Version),
		Next:     encodeCursor(walk{list: query.List}, page.Next),
	}, nil
}

// Get reads one entry from the database. If there is none the error has
// [CodeBlockNotFound].
func (b *Blocks) Get(ctx context.Context, list ListID, target string) (Block, error) {
	list, target = list.clone(), strings.Clone(target)
	if err := b.checkList(list); err != nil {
		return Block{}, err
	}
	if err := validateID("target", target); err != nil {
		return Block{}, err
	}
	block, ok, err := b.store.Get(ctx, list, target)
	if err != nil {
		return Block{}, fmt.Errorf("read an entry: %w", err)
	}
	if !ok {
		return Block{}, errNotOnList()
	}
	return block, nil
}

func errNotOnList() *Error {
	return Errorf(CodeBlockNotFound, "the target is not on this list")
}
