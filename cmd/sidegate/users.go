package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"
)

// usersCmd keeps the directory of an app.
type usersCmd struct {
	Put    usersPutCmd    `cmd:"" help:"Write a user, in place of whatever there was."`
	Get    usersGetCmd    `cmd:"" help:"Show a user."`
	Delete usersDeleteCmd `cmd:"" help:"Take a user out of the directory; lists that name the user stay."`
	Import usersImportCmd `cmd:"" help:"Write the users of a file, one JSON object a line. Safe to repeat."`
}

// userFlags name one user.
type userFlags struct {
	apiFlags
	User string `arg:"" help:"The user."`
	App  string `default:"default" placeholder:"NAME" help:"The app (default \"default\")."`
	JSON bool   `name:"json" help:"Print the answer as the server gave it."`
}

// usersPath is the path of an app's users, to which a user or a batch is appended.
func usersPath(app string) string { return "/v1/apps/" + url.PathEscape(app) + "/users" }

func (f *userFlags) path() string { return usersPath(f.App) + "/" + url.PathEscape(f.User) }

// ask sends one request about the user and returns the answer. With --json it is
// printed, and done says that nothing is left to do.
func (f *userFlags) ask(ctx context.Context, p *program, method string, body any) (status int, u person, done bool, err error) {
	api, err := f.client(p)
	if err != nil {
		return 0, u, true, err
	}
	status, answer, err := api.do(ctx, call{method: method, path: f.path(), body: body})
	if err != nil {
		return 0, u, true, err
	}
	if f.JSON {
		p.say("%s", answer)
		return status, u, true, nil
	}
	return status, u, false, api.decode(answer, &u)
}

// person is a user as the server shows it.
type person struct {
	User        string            `json:"user"`
	Nickname    string            `json:"nickname"`
	AvatarURL   string            `json:"avatar_url"`
	ProfileURL  string            `json:"profile_url"`
	IsOnline    bool              `json:"is_online"`
	LastLoginAt *time.Time        `json:"last_login_at"`
	LastSeenAt  *time.Time        `json:"last_seen_at"`
	Metadata    map[string]string `json:"metadata"`
	UpdatedAt   *time.Time        `json:"updated_at"`
}

// usersPutCmd writes one user.
type usersPutCmd struct {
	userFlags
	Nickname    string            `placeholder:"TEXT" help:"At most 1,024 bytes."`
	AvatarURL   string            `name:"avatar-url" placeholder:"URL" help:"At most 2,048 bytes."`
	ProfileURL  string            `name:"profile-url" placeholder:"URL" help:"At most 2,048 bytes."`
	Online      bool              `help:"The user is online."`
	LastLoginAt *time.Time        `format:"2006-01-02T15:04:05Z07:00" placeholder:"TIME" help:"In RFC 3339: 2030-01-31T12:00:00Z."`
	LastSeenAt  *time.Time        `format:"2006-01-02T15:04:05Z07:00" placeholder:"TIME" help:"Likewise."`
	Meta        map[string]string `mapsep:"none" placeholder:"KEY=TEXT" help:"A piece of metadata; may be given more than once. At most 16 kB together."`
}

// Run writes the user. What no flag says becomes empty: a user is replaced whole.
func (c *usersPutCmd) Run(ctx context.Context, p *program) error {
	if c.Meta == nil {
		c.Meta = map[string]string{} // nil would be null, which is no object
	}
	body := map[string]any{
		"nickname": c.Nickname, "avatar_url": c.AvatarURL, "profile_url": c.ProfileURL, "is_online": c.Online,
		"last_login_at": c.LastLoginAt, "last_seen_at": c.LastSeenAt, "metadata": c.Meta,
	}
	status, _, done, err := c.ask(ctx, p, http.MethodPut, body)
	if err != nil || done {
		return err
	}
	verb := "replaced"
	if status == http.StatusCreated {
		verb = "new"
	}
	p.say("%s is %s in the directory.", printable(c.User), verb)
	return nil
}

// usersGetCmd shows one user.
type usersGetCmd struct{ userFlags }

// Run shows what there is to show; empty fields are left out.
func (c *usersGetCmd) Run(ctx context.Context, p *program) error {
	_, u, done, err := c.ask(ctx, p, http.MethodGet, nil)
	if err != nil || done {
		return err
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", name, printable(value)) // memory cannot refuse
		}
	}
	row("user", u.User)
	row("nickname", u.Nickname)
	row("avatar", u.AvatarURL)
	row("profile", u.ProfileURL)
	if u.IsOnline {
		row("online", "yes")
	}
	row("last login", shownTime(u.LastLoginAt))
	row("last seen", shownTime(u.LastSeenAt))
	for _, name := range slices.Sorted(maps.Keys(u.Metadata)) {
		_, _ = fmt.Fprintf(w, "metadata %s\t%s\n", printable(name), printable(u.Metadata[name]))
	}
	row("updated", shownTime(u.UpdatedAt))
	if err := w.Flush(); err != nil {
		return fmt.Errorf("format user: %w", err)
	}
	p.say("%s", bytes.TrimRight(table.Bytes(), "\n"))
	return nil
}

// usersDeleteCmd deletes one user.
type usersDeleteCmd struct{ userFlags }

// Run deletes. A user who is not there is a failure: the usual cause is a typing
// error in the id.
func (c *usersDeleteCmd) Run(ctx context.Context, p *program) error {
	_, _, done, err := c.ask(ctx, p, http.MethodDelete, nil)
	if err != nil || done {
		return err
	}
	p.say("%s is no longer in the directory.", printable(c.User))
	return nil
}
