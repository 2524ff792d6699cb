package server

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sidegate/sidegate/filter"
)

// fuzzUser is a user as encoding/json reads it.
type fuzzUser struct {
	User        *string           `json:"user"`
	Nickname    *string           `json:"nickname"`
	AvatarURL   *string           `json:"avatar_url"`
	ProfileURL  *string           `json:"profile_url"`
	IsOnline    bool              `json:"is_online"`
	LastLoginAt *string           `json:"last_login_at"`
	LastSeenAt  *string           `json:"last_seen_at"`
	Metadata    map[string]string `json:"metadata"`
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orUnknown(text *string) time.Time {
	at, _ := time.Parse(time.RFC3339, orEmpty(text)) // the year 1 if there is none
	return at
}

// is reports whether a user was read with the same meaning.
func (w *fuzzUser) is(u *filter.User) bool {
	return u.ID == orEmpty(w.User) && u.Nickname == orEmpty(w.Nickname) && u.AvatarURL == orEmpty(w.AvatarURL) &&
		u.ProfileURL == orEmpty(w.ProfileURL) && u.IsOnline == w.IsOnline && u.LastLoginAt.Equal(orUnknown(w.LastLoginAt)) &&
		u.LastSeenAt.Equal(orUnknown(w.LastSeenAt)) && maps.Equal(u.Metadata, w.Metadata)
}

// FuzzUserBody compares the reader with encoding/json: what it takes, it takes to
// mean the same.
func FuzzUserBody(f *testing.F) {
	for _, c := range badUsers {
		f.Add([]byte(c.body))
	}
	f.Add([]byte(someone))
	f.Add([]byte(`{"user":"a","last_login_at":"2031-01-31T12:00:00.5+01:00","metadata":{"\u00e9":"\ud83d\ude00","":""}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		user, err := parseUser(bytes.Clone(body))
		if err != nil || !utf8.Valid(body) {
			return // encoding/json replaces what is not UTF-8, we leave it to the service
		}
		var want fuzzUser
		if err := strictly(body, &want); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if !want.is(&user) {
			t.Fatalf("%q is %+v", body, user)
		}
	})
}

// FuzzUsersBody is the same for batches.
func FuzzUsersBody(f *testing.F) {
	for _, s := range []string{
		`{"put":[{"user":"a","metadata":{"k":"v"}},{}],"delete":["b","\u00e9"]}`, `{}`, `{"put":[],"delete":[]} `, `{"put":[{"user":"a"}`,
		`{"put":[{"metadata":{"k":"v","k":"w"}}]}`, `{"delete":[null]}`, "{\"delete\":[\"\xff\"]}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		edit, err := parseUsers(bytes.Clone(body))
		if err != nil || !utf8.Valid(body) {
			return
		}
		var want struct {
			Put    []fuzzUser `json:"put"`
			Delete []string   `json:"delete"`
		}
		if err := strictly(body, &want); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if !slices.Equal(edit.Delete, want.Delete) || len(edit.Put) != len(want.Put) {
			t.Fatalf("%q is %+v", body, edit)
		}
		for i := range edit.Put {
			if !want.Put[i].is(&edit.Put[i]) {
				t.Fatalf("%q: user %d is %+v", body, i, edit.Put[i])
			}
		}
	})
}
