package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// Through the view, which may be a deployer's own; the cast makes a row of the
// table of it. Ids are compared in the collation of the view's column.
const usersSQL = `select coalesce(json_agg(sidegate.user_json((app, id, nickname, avatar_url, profile_url, is_online,
	last_login_at, last_seen_at, metadata, updated_at)::sidegate.directory)), '[]')
  from sidegate.profile where app = $1::text and id = any ($2::text[])`

const editUsersSQL = `select sidegate.edit_users($1::text, $2::text::jsonb, $3::text[])`

// userJSON is what sidegate.user_json answers.
type userJSON struct {
	ID         string `json:"id"`
	Nickname   string `json:"nickname"`
	AvatarURL  string `json:"avatar_url"`
	ProfileURL string `json:"profile_url"`
	IsOnline   bool   `json:"is_online"`
	LastLogin  int64  `json:"last_login"`
	LastSeen   int64  `json:"last_seen"`
	Updated    int64  `json:"updated"`

	Metadata json.RawMessage `json:"metadata"`
}

func (u *userJSON) user() filter.User {
	return filter.User{
		ID: u.ID, Nickname: u.Nickname, AvatarURL: u.AvatarURL, ProfileURL: u.ProfileURL, IsOnline: u.IsOnline,
		LastLoginAt: instant(u.LastLogin), LastSeenAt: instant(u.LastSeen), UpdatedAt: instant(u.Updated),
		Metadata: metadata(u.Metadata),
	}
}

// metadata reads an object of strings. A view of a deployer may yield any JSON:
// a value that is no string is shown as its JSON, and what is no object has
// nothing to show.
func metadata(raw json.RawMessage) map[string]string {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return map[string]string{}
	}
	out := make(map[string]string, len(members))
	for name, value := range members {
		var text string
		switch {
		case string(value) == "null":
		case json.Unmarshal(value, &text) == nil:
			out[name] = text
		default:
			out[name] = string(value)
		}
	}
	return out
}

// rowJSON is a user as sidegate.edit_users reads it.
type rowJSON struct {
	ID          string            `json:"id"`
	Nickname    string            `json:"nickname"`
	AvatarURL   string            `json:"avatar_url"`
	ProfileURL  string            `json:"profile_url"`
	IsOnline    bool              `json:"is_online"`
	LastLoginAt *time.Time        `json:"last_login_at"`
	LastSeenAt  *time.Time        `json:"last_seen_at"`
	Metadata    map[string]string `json:"metadata"`
}

func rowOf(u *filter.User) rowJSON {
	row := rowJSON{
		ID: u.ID, Nickname: u.Nickname, AvatarURL: u.AvatarURL, ProfileURL: u.ProfileURL, IsOnline: u.IsOnline,
		LastLoginAt: timeOrNull(u.LastLoginAt), LastSeenAt: timeOrNull(u.LastSeenAt), Metadata: u.Metadata,
	}
	if row.Metadata == nil {
		row.Metadata = map[string]string{} // nil would be null, which is no object
	}
	return row
}

// timeOrNull cuts to the microsecond; the database would round.
func timeOrNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Microsecond)
	return &at
}

// Users reads those of the users that are in the directory, as
// [filter.UserStore] asks. Errors are those of [Store.List].
func (s *Store) Users(ctx context.Context, app string, ids []string) (map[string]filter.User, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var rows []userJSON
	if err := readJSON(ctx, s.reads, &rows, usersSQL, app, ids); err != nil {
		return nil, readError("read users", err)
	}
	found := make(map[string]filter.User, len(rows))
	for i := range rows {
		found[rows[i].ID] = rows[i].user()
	}
	return found, nil
}

// EditUsers writes to the directory, as [filter.UserStore] asks. It is refused
// with [filter.CodeDirectoryReadOnly] if sidegate.profile does not read
// sidegate.directory. Other errors are those of [Store.Edit].
func (s *Store) EditUsers(ctx context.Context, edit filter.UsersEdit) (filter.UsersEdited, error) {
	rows := make([]rowJSON, len(edit.Put))
	for i := range edit.Put {
		rows[i] = rowOf(&edit.Put[i])
	}
	put, err := json.Marshal(rows)
	if err != nil {
		return filter.UsersEdited{}, fmt.Errorf("postgres: edit users: %w", err)
	}
	remove := edit.Delete
	if remove == nil {
		remove = []string{} // nil would be NULL
	}
	var answer struct {
		Put     []userJSON `json:"put"`
		Created []bool     `json:"created"`
		Deleted []userJSON `json:"deleted"`
	}
	if err := s.write(ctx, &answer, editUsersSQL, edit.App, string(put), remove); err != nil {
		return filter.UsersEdited{}, writeError("edit users", err)
	}
	return filter.UsersEdited{Put: users(answer.Put), Created: answer.Created, Deleted: users(answer.Deleted)}, nil
}

func users(list []userJSON) []filter.User {
	out := make([]filter.User, len(list))
	for i := range list {
		out[i] = list[i].user()
	}
	return out
}
