package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// entryFlags name one entry of a list. The server says which ids there can be;
// here they are passed on as they are.
type entryFlags struct {
	apiFlags
	Owner  string `arg:"" help:"Whose list it is."`
	Target string `arg:"" help:"Who is on it."`
	App    string `default:"default" placeholder:"NAME" help:"The app (default \"default\")."`
	JSON   bool   `name:"json" help:"Print the answer as the server gave it."`
}

// listPath is the path of a user's block list. Ids may hold any character, a
// slash included: each is escaped as one segment.
func listPath(app, owner string) string {
	return "/v1/apps/" + url.PathEscape(app) + "/users/" + url.PathEscape(owner) + "/blocks"
}

// path is the path of the entry.
func (f *entryFlags) path() string {
	return listPath(f.App, f.Owner) + "/" + url.PathEscape(f.Target)
}

// blockCmd puts a target on a list. When a block ends may be said as a moment or
// as a time from now; kong refuses both at once.
type blockCmd struct {
	entryFlags
	ExpiresAt time.Time     `format:"2006-01-02T15:04:05Z07:00" xor:"expiry" placeholder:"TIME" help:"When the block ends, in RFC 3339: 2030-01-31T12:00:00Z."`
	For       time.Duration `xor:"expiry" placeholder:"TIME" help:"How long the block lasts: 2h, 30m."`
	Note      string        `placeholder:"TEXT" help:"A note, at most 1,024 bytes."`
}

// entry is one entry of a list as the server shows it.
type entry struct {
	Owner     string     `json:"owner"`
	Target    string     `json:"target"`
	CreatedAt *time.Time `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	Note      string     `json:"note"`
}

// details are what a block may carry. A request without any has no body, which
// leaves those of an existing entry as they are.
type details struct {
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Note      string     `json:"note,omitempty"`
}

// details returns the body of the request, nil if there is nothing to say. A time
// from now is counted on this machine's clock: it is a person's idea of "in two
// hours", which a second of difference does not change.
func (c *blockCmd) details(now time.Time) (any, error) {
	var d details
	switch {
	case c.For < 0:
		return nil, usageError{errors.New("--for: a block lasts for a time above zero")}
	case c.For > 0:
		end := now.Add(c.For).UTC()
		d.ExpiresAt = &end
	case !c.ExpiresAt.IsZero():
		d.ExpiresAt = &c.ExpiresAt
	}
	d.Note = c.Note
	if d == (details{}) {
		return nil, nil
	}
	return d, nil
}

// Run blocks. Blocking somebody twice is no failure, but it is said: 200 instead
// of 201 tells that the entry was there.
func (c *blockCmd) Run(ctx context.Context, p *program) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	body, err := c.details(p.now())
	if err != nil {
		return err
	}
	status, answer, err := api.do(ctx, call{method: http.MethodPut, path: c.path(), body: body})
	if err != nil {
		return err
	}
	if c.JSON {
		p.say("%s", answer)
		return nil
	}
	var e entry
	if err := api.decode(answer, &e); err != nil {
		return err
	}
	verb := " now blocks "
	if status != http.StatusCreated {
		verb = " already blocks "
	}
	text := printable(c.Owner) + verb + printable(c.Target)
	if until := shownTime(e.ExpiresAt); until != "" {
		text += " until " + until
	}
	p.say("%s.", text)
	return nil
}

// unblockCmd takes a target off a list.
type unblockCmd struct {
	entryFlags
}

// Run unblocks. Somebody who is not on the list is a failure: the usual cause is a
// typing error in one of the ids.
func (c *unblockCmd) Run(ctx context.Context, p *program) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	_, answer, err := api.do(ctx, call{method: http.MethodDelete, path: c.path()})
	if err != nil {
		return err
	}
	if c.JSON {
		p.say("%s", answer)
		return nil
	}
	p.say("%s no longer blocks %s.", printable(c.Owner), printable(c.Target))
	return nil
}
