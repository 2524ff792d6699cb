package server

import (
	"context"
	"fmt"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

// UserDirectory is what the api listener asks of [filter.Users].
type UserDirectory interface {
	Get(ctx context.Context, app, id string) (filter.User, error)
	Put(ctx context.Context, app string, user filter.User) (now filter.User, created bool, err error)
	Delete(ctx context.Context, app, id string) (filter.User, error)
	Edit(ctx context.Context, edit filter.UsersEdit) (filter.UsersEdited, error)
}

// users serves the directory: for the app's own server alone, which knows who is
// who. What users may see of each other is the app's to decide.
type users struct {
	directory UserDirectory
	door      *door
}

const (
	appPattern = "/v1/apps/{app}/users"

	// usersLimit is the most bytes of a batch: a thousand users fit as long as
	// they are of ordinary size.
	usersLimit = maxBody
)

func (u *users) routes() []*route {
	return []*route{
		newRoute(appPattern+"/{user}", listLimit, [methods]handler{
			methodGet: u.get, methodPut: u.put, methodDelete: u.delete,
		}),
		newRoute(appPattern+":batch", usersLimit, [methods]handler{methodPost: u.batch}),
	}
}

// user reads which user is meant and sees that the caller may touch it.
func (in *input) user() (app, id string, err error) {
	if len(in.query) > 0 {
		return "", "", noParameters()
	}
	if app, err = in.id(0); err != nil {
		return "", "", err
	}
	if id, err = in.idAs(1, "user"); err != nil {
		return "", "", err
	}
	return app, id, in.mayList(app, id)
}

func (u *users) get(ctx *fasthttp.RequestCtx, in input) error {
	app, id, err := in.user()
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	user, err := u.directory.Get(op, app, id)
	if err != nil {
		return err
	}
	return writePrivate(&ctx.Response, userOf(&user))
}

func (u *users) put(ctx *fasthttp.RequestCtx, in input) error {
	app, id, err := in.user()
	if err != nil {
		return err
	}
	user, err := parseUser(ctx.Request.Body())
	if err != nil {
		return err
	}
	// A line of an import may be sent as it is; one about somebody else may not.
	if user.ID != "" && user.ID != id {
		return border.Problemf(border.Code(filter.CodeInvalidUserID), "the field \"user\" is another user than the path names")
	}
	user.ID = id
	op, cancel := in.operation()
	defer cancel()
	now, created, err := u.directory.Put(op, app, user)
	if err != nil {
		return err
	}
	status := fasthttp.StatusOK
	if created {
		status = fasthttp.StatusCreated
	}
	return writeJSON(&ctx.Response, status, userOf(&now))
}

func (u *users) delete(ctx *fasthttp.RequestCtx, in input) error {
	app, id, err := in.user()
	if err != nil {
		return err
	}
	op, cancel := in.operation()
	defer cancel()
	was, err := u.directory.Delete(op, app, id)
	if err != nil {
		return err
	}
	return writeJSON(&ctx.Response, fasthttp.StatusOK, userOf(&was))
}

// batch writes and deletes many users, all or nothing.
func (u *users) batch(ctx *fasthttp.RequestCtx, in input) error {
	if len(in.query) > 0 {
		return noParameters()
	}
	app, err := in.wholeApp()
	if err != nil {
		return err
	}
	edit, err := parseUsers(ctx.Request.Body())
	if err != nil {
		return err
	}
	edit.App = app
	op, cancel := in.operation()
	defer cancel()
	done, err := u.directory.Edit(op, edit)
	if err != nil {
		return err
	}
	answer := usersEditedJSON{Deleted: len(done.Deleted)}
	for _, created := range done.Created {
		if created {
			answer.Created++
		} else {
			answer.Updated++
		}
	}
	if err := writeJSON(&ctx.Response, fasthttp.StatusOK, answer); err != nil {
		return fmt.Errorf("answer a batch of users: %w", err)
	}
	return nil
}

// usersEditedJSON counts what a batch did. Users to be deleted who were not there
// are in none of the counts.
type usersEditedJSON struct {
	Created int `json:"created"`
	Updated int `json:"updated"`
	Deleted int `json:"deleted"`
}

// userJSON is a user as clients see it.
type userJSON struct {
	User        string            `json:"user"`
	Nickname    string            `json:"nickname"`
	AvatarURL   string            `json:"avatar_url"`
	ProfileURL  string            `json:"profile_url"`
	IsOnline    bool              `json:"is_online"`
	LastLoginAt *string           `json:"last_login_at"` // null: unknown
	LastSeenAt  *string           `json:"last_seen_at"`  // null: unknown
	Metadata    map[string]string `json:"metadata"`
	UpdatedAt   *string           `json:"updated_at"` // null: the deployer's table does not say
}

func userOf(u *filter.User) userJSON {
	return userJSON{
		User: u.ID, Nickname: u.Nickname, AvatarURL: u.AvatarURL, ProfileURL: u.ProfileURL, IsOnline: u.IsOnline,
		LastLoginAt: instantOrNull(u.LastLoginAt), LastSeenAt: instantOrNull(u.LastSeenAt),
		Metadata: u.Metadata, UpdatedAt: instantOrNull(u.UpdatedAt),
	}
}
