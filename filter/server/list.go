package server

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// list answers a piece of a list, as the database holds it.
func (b *blocks) list(ctx *fasthttp.RequestCtx, in input) error {
	id, err := in.listID()
	if err != nil {
		return err
	}
	piece, err := parsePiece(in.query, false)
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	page, err := b.lists.List(op, filter.ListRequest{List: id, Limit: piece.limit, Cursor: piece.cursor})
	if err != nil {
		return err
	}
	tag := entityTag(&page)
	ctx.Response.Header.Set(fasthttp.HeaderETag, tag)
	// A copy may be kept, but not used without asking, and not by a proxy.
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "private, no-cache")
	if matches(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch), tag) {
		ctx.Response.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	entries := make([]blockJSON, len(page.Blocks))
	for i := range page.Blocks {
		entries[i] = blockOf(page.Blocks[i])
	}
	return writeJSON(&ctx.Response, fasthttp.StatusOK, struct {
		Blocks     []blockJSON `json:"blocks"`
		NextCursor string      `json:"next_cursor"` // "": the end
		Total      int         `json:"total"`
	}{entries, page.Next, page.Total})
}

// entityTag names the state of a list. The version alone would not do: an entry
// that expires leaves the list without a new version, but with a smaller total;
// and after a failover another server may count the same versions anew.
func entityTag(page *filter.ListResult) string {
	return fmt.Sprintf(`"%d-%d-%x"`, page.Version, page.Total, page.Revision.Server)
}

// matches reports whether an If-None-Match header names the tag, by the weak
// comparison that RFC 9110 section 13.1.2 wants for it.
func matches(header []byte, tag string) bool {
	for len(header) > 0 {
		var one []byte
		one, header, _ = bytes.Cut(header, []byte(","))
		one = bytes.TrimPrefix(bytes.TrimSpace(one), []byte("W/"))
		if string(one) == tag || string(one) == "*" {
			return true
		}
	}
	return false
}

// piece says which piece of something long is asked for.
type piece struct {
	limit  int    // 0: none was given
	cursor string // "": the first piece
	target string // "": all targets
}

// parsePiece reads the parameters of a piece; target is one of them where pairs
// can be asked for.
func parsePiece(query []byte, pairs bool) (p piece, err error) {
	var hasLimit, hasCursor, hasTarget bool
	for len(query) > 0 {
		var name, value []byte
		name, value, query = cutPair(query)
		if len(name) == 0 && len(value) == 0 {
			continue
		}
		value, ok := unescape(value, true)
		if !ok {
			return piece{}, border.Problemf(border.CodeInvalidParameter, "%s has a malformed percent-escape", border.Quote(name))
		}
		switch {
		case string(name) == "limit" && !hasLimit:
			hasLimit = true
			p.limit, err = parseLimit(value)
		case string(name) == "cursor" && !hasCursor:
			hasCursor = true
			p.cursor = string(value)
		case string(name) == "target" && pairs && !hasTarget:
			hasTarget = true
			p.target, err = parseTarget(value)
		default:
			err = unknownOfPiece(name, pairs)
		}
		if err != nil {
			return piece{}, err
		}
	}
	return p, nil
}

func unknownOfPiece(name []byte, pairs bool) error {
	known := "limit and cursor"
	if pairs {
		known = "target, limit and cursor"
	}
	return border.Problemf(border.CodeUnknownParameter,
		"%s is unknown or given twice; the parameters are %s", border.Quote(name), known)
}

// parseTarget refuses an empty target, which would ask for all of them.
func parseTarget(value []byte) (string, error) {
	if len(value) == 0 {
		return "", border.Problemf(border.Code(filter.CodeInvalidUserID),
			"target is empty; leave it out to ask for every target")
	}
	return string(value), nil
}

func parseLimit(value []byte) (int, error) {
	n, err := strconv.ParseUint(string(value), 10, 16)
	if err != nil || n < 1 || n > filter.MaxListLimit {
		return 0, border.Problemf(border.Code(filter.CodeInvalidLimit),
			"limit is %s; it is a number from 1 to %d", border.Quote(value), filter.MaxListLimit)
	}
	return int(n), nil
}
