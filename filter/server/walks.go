package server

import (
	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// blockedBy answers who has a user on their list. The path names the user where
// others name the owner of a list.
func (b *blocks) blockedBy(ctx *fasthttp.RequestCtx, in input) error {
	user, err := in.listID()
	if err != nil {
		return err
	}
	piece, err := parsePiece(in.query, false)
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	page, err := b.lists.BlockedBy(op, filter.BlockedByRequest{
		App: user.App, Kind: user.Kind, Target: user.Owner, Limit: piece.limit, Cursor: piece.cursor,
	})
	if err != nil {
		return err
	}
	entries := make([]blockJSON, len(page.Blocks))
	for i := range page.Blocks {
		entries[i] = blockOf(page.Blocks[i])
	}
	return writePrivate(&ctx.Response, struct {
		Blocks     []blockJSON `json:"blocks"`
		NextCursor string      `json:"next_cursor"` // "": the end
	}{entries, page.Next})
}

// history answers the intervals of a list.
func (b *blocks) history(ctx *fasthttp.RequestCtx, in input) error {
	list, err := in.listID()
	if err != nil {
		return err
	}
	piece, err := parsePiece(in.query, true)
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	page, err := b.lists.History(op, filter.HistoryRequest{
		List: list, Target: piece.target, Limit: piece.limit, Cursor: piece.cursor,
	})
	if err != nil {
		return err
	}
	intervals := make([]intervalJSON, len(page.Intervals))
	for i := range page.Intervals {
		intervals[i] = intervalOf(&page.Intervals[i])
	}
	return writePrivate(&ctx.Response, struct {
		Intervals  []intervalJSON `json:"intervals"`
		NextCursor string         `json:"next_cursor"` // "": the end
	}{intervals, page.Next})
}

// intervalJSON is an interval as clients see it. Who began and ended it is not
// for clients: the names are those of the deployer's credentials.
type intervalJSON struct {
	Owner       string  `json:"owner"`
	Target      string  `json:"target"`
	BlockedAt   string  `json:"blocked_at"`
	UnblockedAt *string `json:"unblocked_at"` // null: under way
	ExpiresAt   *string `json:"expires_at"`   // null: never
	Source      string  `json:"source"`
	EndedSource *string `json:"ended_source"` // null: under way
	Note        string  `json:"note"`
}

func intervalOf(i *filter.Interval) intervalJSON {
	j := intervalJSON{
		Owner: i.Owner, Target: i.Target, BlockedAt: instant(i.BlockedAt),
		UnblockedAt: instantOrNull(i.UnblockedAt), ExpiresAt: instantOrNull(i.ExpiresAt),
		Source: i.Source, Note: i.Note,
	}
	if !i.UnblockedAt.IsZero() {
		j.EndedSource = &i.EndedSource
	}
	return j
}

// writePrivate answers with what no cache may keep: it names people and is true
// for this moment only.
func writePrivate(resp *fasthttp.Response, value any) error {
	resp.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	return writeJSON(resp, fasthttp.StatusOK, value)
}

func noParameters() error {
	return border.Problemf(border.CodeUnknownParameter, "this path takes no parameters")
}
