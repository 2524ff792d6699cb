package server

import (
	"strings"
	"time"

	"github.com/sidegate/sidegate/filter"
	"github.com/sidegate/sidegate/metrics/border"
)

const (
	userFields = "user, nickname, avatar_url, profile_url, is_online, last_login_at, last_seen_at, metadata"

	putField, deleteField = "put", "delete"
)

// parseUser reads the body of a PUT. A field that is absent or null is empty: the
// whole row is replaced.
func parseUser(body []byte) (filter.User, error) {
	o := object{buf: body}
	user := o.user()
	return user, o.err
}

// parseUsers reads the body of a batch.
func parseUsers(body []byte) (edit filter.UsersEdit, err error) {
	var hasPut, hasDelete bool
	o := object{buf: body}
	for o.next() {
		switch string(o.name) {
		case putField:
			if hasPut {
				o.twice()
			}
			hasPut = true
			for some := o.array(); some; some = o.more() {
				in := o.within()
				edit.Put = append(edit.Put, in.user())
				o.resume(in)
				if o.err != nil {
					o.err = located(putField, len(edit.Put)-1, o.err)
				}
				o.atMost(filter.MaxUsersEdit, len(edit.Put)+len(edit.Delete))
			}
		case deleteField:
			if hasDelete {
				o.twice()
			}
			hasDelete = true
			for some := o.array(); some; some = o.more() {
				edit.Delete = append(edit.Delete, strings.Clone(o.text()))
				o.atMost(filter.MaxUsersEdit, len(edit.Put)+len(edit.Delete))
			}
		default:
			o.unknown(putField + ", " + deleteField)
		}
	}
	return edit, o.err
}

// user reads the members of an object into a user.
func (o *object) user() (u filter.User) {
	seen := make(map[string]bool, 8)
	for o.next() {
		if seen[string(o.name)] {
			o.twice()
		}
		seen[string(o.name)] = true
		switch string(o.name) {
		case "user":
			u.ID = strings.Clone(o.text())
		case "nickname":
			u.Nickname = o.kept()
		case "avatar_url":
			u.AvatarURL = o.kept()
		case "profile_url":
			u.ProfileURL = o.kept()
		case "is_online":
			u.IsOnline = o.flag()
		case "last_login_at":
			u.LastLoginAt = o.timeOrNull()
		case "last_seen_at":
			u.LastSeenAt = o.timeOrNull()
		case "metadata":
			u.Metadata = o.texts()
		default:
			o.unknown(userFields)
		}
	}
	return u
}

// kept reads a string or null, which is empty, that outlives the request.
func (o *object) kept() string {
	text, _ := o.textOrNull()
	return strings.Clone(text)
}

// timeOrNull reads a time, or null for none.
func (o *object) timeOrNull() time.Time {
	name := string(o.name)
	text, given := o.textOrNull()
	if !given {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	// The first instant of all is how filter says "unknown".
	if err != nil || at.IsZero() {
		o.err = border.Problemf(border.Code(filter.CodeInvalidUser),
			"%s is %s; it is a time like 2031-01-31T12:00:00Z (RFC 3339), or null", name, border.Quote(text))
		return time.Time{}
	}
	return at
}

// texts reads an object whose members are strings.
func (o *object) texts() map[string]string {
	all := map[string]string{}
	in := o.within()
	for in.next() {
		name := strings.Clone(borrow(in.name))
		if _, twice := all[name]; twice {
			in.twice()
		}
		all[name] = strings.Clone(in.text())
	}
	o.resume(in)
	return all
}
