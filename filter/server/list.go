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
	limit, cursor, err := parsePage(in.query)
	if err != nil {
		return err
	}
	op, cancel := b.operation()
	defer cancel()
	page, err := b.lists.List(op, filter.ListRequest{List: id, Limit: limit, Cursor: cursor})
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

// parsePage reads limit and cursor. The limit is 0 if there is none.
func parsePage(query []byte) (limit int, cursor string, err error) {
	var hasLimit, hasCursor bool
	for len(query) > 0 {
		var name, value []byte
		name, value, query = cutPair(query)
		if len(name) == 0 && len(value) == 0 {
			continue
		}
		value, ok := unescape(value, true)
		if !ok {
			return 0, "", border.Problemf(border.CodeInvalidParameter, "%s has a malformed percent-escape", border.Quote(name))
		}
		switch {
		case string(name) == "limit" && !hasLimit:
			hasLimit = true
			if limit, err = parseLimit(value); err != nil {
				return 0, "", err
			}
		case string(name) == "cursor" && !hasCursor:
			hasCursor = true
			cursor = string(value)
		default:
			return 0, "", border.Problemf(border.CodeUnknownParameter,
				"%s is unknown or given twice; the parameters are limit and cursor", border.Quote(name))
		}
	}
	return limit, cursor, nil
}

func parseLimit(value []byte) (int, error) {
	n, err := strconv.ParseUint(string(value), 10, 16)
	if err != nil || n < 1 || n > filter.MaxListLimit {
		return 0, border.Problemf(border.Code(filter.CodeInvalidLimit),
			"limit is %s; it is a number from 1 to %d", border.Quote(value), filter.MaxListLimit)
	}
	return int(n), nil
}
