package sendbird

import "github.com/sidegate/sidegate/filter"

// user is a user as the vendor shows one. Its fields are in the vendor's order.
type user struct {
	ID         string            `json:"user_id"`
	Nickname   string            `json:"nickname"`
	ProfileURL string            `json:"profile_url"`
	IsOnline   bool              `json:"is_online"`
	LastSeenAt int64             `json:"last_seen_at"` // in milliseconds; 0 = unknown
	Metadata   map[string]string `json:"metadata"`     // never null
}

// people are users of the directory, by id.
type people map[string]filter.User

// all reports whether the directory has every one of them.
func (p people) all(ids []string) bool {
	for _, id := range ids {
		if _, ok := p[id]; !ok {
			return false
		}
	}
	return true
}

// user shows a user, with empty fields if the directory has none of that id.
func (p people) user(id string) user {
	known := p[id]
	u := user{
		ID: id, Nickname: known.Nickname, ProfileURL: known.ProfileURL, IsOnline: known.IsOnline, Metadata: known.Metadata,
	}
	if !known.LastSeenAt.IsZero() {
		u.LastSeenAt = known.LastSeenAt.UnixMilli()
	}
	if u.Metadata == nil {
		u.Metadata = map[string]string{}
	}
	return u
}

// show shows several users, in their order. It is never nil, which would be null.
func (p people) show(ids []string) []user {
	users := make([]user, len(ids))
	for i, id := range ids {
		users[i] = p.user(id)
	}
	return users
}
