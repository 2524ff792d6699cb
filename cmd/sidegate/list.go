package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
)

// maxPage is the most entries that the server gives at once.
const maxPage = 1000

// listCmd shows a list. How many pages it takes is not the user's concern.
type listCmd struct {
	apiFlags
	Owner string `arg:"" help:"Whose list it is."`
	App   string `default:"default" placeholder:"NAME" help:"The app (default \"default\")."`
	Limit int    `default:"0" placeholder:"N" help:"At most so many entries; 0 = all (default)."`
	JSON  bool   `name:"json" help:"Print one JSON object a line, an entry each."`
}

// page is an answer to a list request. Entries are kept as they came, so that
// --json loses nothing.
type page struct {
	Blocks     []json.RawMessage `json:"blocks"`
	NextCursor string            `json:"next_cursor"`
	Total      int               `json:"total"`
}

// Run shows a list.
func (c *listCmd) Run(ctx context.Context, p *program) error {
	if c.Limit < 0 {
		return usageError{fmt.Errorf("--limit: %d is below zero", c.Limit)}
	}
	api, err := c.client(p)
	if err != nil {
		return err
	}
	blocks, total, err := c.fetch(ctx, api)
	if err != nil {
		return err
	}
	if c.JSON {
		for _, b := range blocks {
			p.say("%s", b)
		}
		return nil
	}
	return c.show(p, api, blocks, total)
}

// fetch follows the cursors until the list or the limit ends. A list that changes
// meanwhile is no problem: a cursor names a place, not a number, so no entry that
// stays is missed or met twice.
func (c *listCmd) fetch(ctx context.Context, api *client) (blocks []json.RawMessage, total int, err error) {
	query := url.Values{}
	for {
		size := maxPage
		if left := c.Limit - len(blocks); c.Limit > 0 && left < maxPage {
			size = left
		}
		query.Set("limit", strconv.Itoa(size))
		_, body, err := api.do(ctx, call{method: http.MethodGet, path: listPath(c.App, c.Owner), query: query})
		if err != nil {
			return nil, 0, err
		}
		var next page
		if err := api.decode(body, &next); err != nil {
			return nil, 0, err
		}
		blocks, total = append(blocks, next.Blocks...), next.Total
		// A cursor without entries would lead round in circles.
		if next.NextCursor == "" || len(next.Blocks) == 0 || len(blocks) == c.Limit {
			return blocks, total, nil
		}
		query.Set("cursor", next.NextCursor)
	}
}

// show prints the entries as a table. The number in its first line is that of the
// whole list, as the server counted it with the last page.
func (c *listCmd) show(p *program, api *client, blocks []json.RawMessage, total int) error {
	if len(blocks) == 0 {
		p.say("%s blocks nobody.", printable(c.Owner))
		return nil
	}
	p.say("%s blocks %d, newest first:", printable(c.Owner), total)
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "TARGET\tSINCE\tUNTIL\tNOTE") // memory cannot refuse
	for _, raw := range blocks {
		var e entry
		if err := api.decode(raw, &e); err != nil {
			return err
		}
		note := ""
		if e.Note != "" {
			note = printable(e.Note)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(e.Target), shownTime(e.CreatedAt), shownTime(e.ExpiresAt), note)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("format list: %w", err)
	}
	if len(blocks) < total {
		fmt.Fprintf(&table, "… and %d more; raise --limit.\n", total-len(blocks))
	}
	for line := range bytes.Lines(table.Bytes()) {
		p.say("%s", bytes.TrimRight(line, " \n"))
	}
	return nil
}
