package filter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The most users of one call.
const (
	// MaxLookup is as many as a list has entries at most: whoever shows a list
	// looks everybody on it up at once.
	MaxLookup = 3000
	// MaxUsersEdit is counted over both parts of an edit.
	MaxUsersEdit = 1000
)

// User is what the directory of an app holds about a user. It decides nothing:
// it is shown where people are, and tells which ids there are.
type User struct {
	ID, Nickname, AvatarURL, ProfileURL string

	IsOnline                bool
	LastLoginAt, LastSeenAt time.Time         // zero = unknown
	Metadata                map[string]string // never nil when returned by [Users]
	UpdatedAt               time.Time         // zero = unknown; not written, the store sets it
}

// UsersEdit is one write to the directory of one app, all or nothing. No user is
// named twice.
type UsersEdit struct {
	App    string
	Put    []User // each replaces whatever there was
	Delete []string
}

// UsersEdited is what a UsersEdit did.
type UsersEdited struct {
	// Put holds every user of UsersEdit.Put as it is now, in its order; Created
	// tells, index by index, which of them are new.
	Put     []User
	Created []bool
	// Deleted holds the users of UsersEdit.Delete that were there, as they
	// were, in no particular order.
	Deleted []User
}

// UserStore reads and writes the directory. Implementations are safe for
// concurrent use and keep none of the strings they are handed. Errors are of
// type *[Error] where the code below is named, anything else is unexpected:
//
//   - [CodeDirectoryReadOnly] (EditUsers): the users are kept elsewhere;
//     nothing was stored.
//   - [CodeStoreUnavailable]: the database did not take the statement; nothing
//     was stored.
//   - [CodeOutcomeUnknown] (EditUsers): the connection was lost before the
//     answer; the edit may have been stored. Repeating it is safe.
type UserStore interface {
	// Users returns those that are there, by id, in one statement.
	Users(ctx context.Context, app string, ids []string) (map[string]User, error)
	EditUsers(ctx context.Context, edit UsersEdit) (UsersEdited, error)
}

// UsersOptions configure [Users].
type UsersOptions struct {
	// Store holds the directory. Required.
	Store UserStore
	// Apps are the tenants; only their names count here.
	Apps map[string]Policy
}

// Users is the service behind every door that shows or keeps users. It is safe
// for concurrent use. Request strings may be borrowed from a buffer that is
// reused once the call has returned.
//
// Errors that a client may see are of type *[Error]; those of the store keep the
// meaning they have in [UserStore]. Anything else is unexpected.
type Users struct {
	store UserStore
	apps  map[string]struct{}
}

// NewUsers makes the service.
func NewUsers(opts UsersOptions) (*Users, error) {
	if opts.Store == nil || len(opts.Apps) == 0 {
		return nil, errors.New("filter: users: a store and at least one app are required")
	}
	u := &Users{store: opts.Store, apps: make(map[string]struct{}, len(opts.Apps))}
	for name := range opts.Apps {
		u.apps[name] = struct{}{}
	}
	return u, nil
}

// Lookup reads up to [MaxLookup] users and returns those that are there. An id
// that no user can have is simply not there.
func (u *Users) Lookup(ctx context.Context, app string, ids []string) (map[string]User, error) {
	if err := u.checkApp(app); err != nil {
		return nil, err
	}
	if len(ids) > MaxLookup {
		return nil, Errorf(CodeInvalidLimit, "at most %d users are looked up at once, not %d", MaxLookup, len(ids))
	}
	// The database would fail the whole statement over a byte it cannot keep.
	known := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return ValidateUserID(id) != nil })
	if len(known) == 0 {
		return map[string]User{}, nil
	}
	found, err := u.store.Users(ctx, app, known)
	if err != nil {
		return nil, fmt.Errorf("look users up: %w", err)
	}
	for id, user := range found {
		found[id] = whole(user)
	}
	return found, nil
}

// Get reads one user. If there is none the error has [CodeUserNotFound].
func (u *Users) Get(ctx context.Context, app, id string) (User, error) {
	if err := u.checkApp(app); err != nil {
		return User{}, err
	}
	if err := ValidateUserID(id); err != nil {
		return User{}, err
	}
	found, err := u.Lookup(ctx, app, []string{id})
	if err != nil {
		return User{}, err
	}
	user, ok := found[id]
	if !ok {
		return User{}, errNoUser()
	}
	return user, nil
}

// Put writes a user, in place of whatever there was, and returns it as it is now.
func (u *Users) Put(ctx context.Context, app string, user User) (now User, created bool, err error) {
	done, err := u.Edit(ctx, UsersEdit{App: app, Put: []User{user}})
	if err != nil {
		return User{}, false, err
	}
	return done.Put[0], done.Created[0], nil
}

// Delete takes a user out of the directory and returns it as it was; lists that
// name the user stay as they are. If there is none the error has
// [CodeUserNotFound].
func (u *Users) Delete(ctx context.Context, app, id string) (User, error) {
	done, err := u.Edit(ctx, UsersEdit{App: app, Delete: []string{id}})
	if err != nil {
		return User{}, err
	}
	if len(done.Deleted) == 0 {
		return User{}, errNoUser()
	}
	return done.Deleted[0], nil
}

// PutAll writes up to [MaxUsersEdit] users, all or none, and returns how many of
// them are new.
func (u *Users) PutAll(ctx context.Context, app string, users []User) (created int, err error) {
	done, err := u.Edit(ctx, UsersEdit{App: app, Put: users})
	if err != nil {
		return 0, err
	}
	for _, isNew := range done.Created {
		if isNew {
			created++
		}
	}
	return created, nil
}

// Edit writes and deletes up to [MaxUsersEdit] users, all or nothing; that a user
// to be deleted is not there is no error. It is the way by which every write goes.
func (u *Users) Edit(ctx context.Context, edit UsersEdit) (UsersEdited, error) {
	if err := u.checkApp(edit.App); err != nil {
		return UsersEdited{}, err
	}
	edit.Put = slices.Clone(edit.Put) // its times are about to be cut
	if err := edit.check(); err != nil {
		return UsersEdited{}, err
	}
	if len(edit.Put)+len(edit.Delete) == 0 {
		return UsersEdited{}, nil
	}
	done, err := u.store.EditUsers(ctx, edit)
	if err != nil {
		return UsersEdited{}, fmt.Errorf("edit the directory: %w", err)
	}
	for _, list := range [...][]User{done.Put, done.Deleted} {
		for i := range list {
			list[i] = whole(list[i])
		}
	}
	return done, nil
}

func (u *Users) checkApp(app string) error {
	if _, ok := u.apps[app]; !ok {
		return Errorf(CodeUnknownApp, "the app is not configured")
	}
	return nil
}

// whole returns the user with metadata that the caller may write to.
func whole(user User) User {
	if user.Metadata = maps.Clone(user.Metadata); user.Metadata == nil {
		user.Metadata = map[string]string{}
	}
	return user
}

func errNoUser() *Error {
	return Errorf(CodeUserNotFound, "the directory does not hold this user")
}
