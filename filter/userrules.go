package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The sizes of a user. Nothing but size and encoding is asked of a text: what a
// nickname may look like, and whether a URL leads anywhere, is the app's affair.
const (
	MaxNicknameBytes = 1024
	MaxUserURLBytes  = 2048
	MaxMetadataBytes = 16 << 10 // of the metadata as JSON
)

// check looks at an edit before anything of it is written, and brings its times
// to the precision that the database keeps.
func (e *UsersEdit) check() error {
	if n := len(e.Put) + len(e.Delete); n > MaxUsersEdit {
		return Errorf(CodeInvalidLimit, "at most %d users are written at once, not %d", MaxUsersEdit, n)
	}
	seen := make(map[string]string, len(e.Put)+len(e.Delete))
	for i := range e.Put {
		user := &e.Put[i]
		user.LastLoginAt = user.LastLoginAt.Truncate(time.Microsecond)
		user.LastSeenAt = user.LastSeenAt.Truncate(time.Microsecond)
		if err := user.check(); err != nil {
			return e.locate(err, "put", i)
		}
		if err := distinct(seen, user.ID, "put", i); err != nil {
			return err
		}
	}
	for i, id := range e.Delete {
		if err := ValidateUserID(id); err != nil {
			return e.locate(err, "delete", i)
		}
		if err := distinct(seen, id, "delete", i); err != nil {
			return err
		}
	}
	return nil
}

// distinct refuses a user who is named a second time: which of the two should
// win is not for us to guess.
func distinct(seen map[string]string, id, part string, i int) error {
	here := fmt.Sprintf("%s[%d]", part, i)
	if before, twice := seen[id]; twice {
		return Errorf(CodeConflictingBatch, "%s and %s name the same user", before, here)
	}
	seen[id] = here
	return nil
}

// locate says which user of an edit an error is about, if there are several.
func (e *UsersEdit) locate(err error, part string, i int) error {
	var refused *Error
	if len(e.Put)+len(e.Delete) == 1 || !errors.As(err, &refused) {
		return err
	}
	return Errorf(refused.Code, "%s[%d]: %s", part, i, refused.Detail)
}

func (u *User) check() error {
	if err := ValidateUserID(u.ID); err != nil {
		return err
	}
	for _, text := range [...]struct {
		name, value string
		most        int
	}{
		{"nickname", u.Nickname, MaxNicknameBytes},
		{"avatar_url", u.AvatarURL, MaxUserURLBytes},
		{"profile_url", u.ProfileURL, MaxUserURLBytes},
	} {
		if len(text.value) > text.most {
			return Errorf(CodeInvalidUser, "%s has %d bytes; at most %d are allowed", text.name, len(text.value), text.most)
		}
		if err := checkUserText(text.name, text.value); err != nil {
			return err
		}
	}
	if err := checkUserTime("last_login_at", u.LastLoginAt); err != nil {
		return err
	}
	if err := checkUserTime("last_seen_at", u.LastSeenAt); err != nil {
		return err
	}
	return checkMetadata(u.Metadata)
}

func checkUserText(name, text string) error {
	switch {
	case !utf8.ValidString(text):
		return Errorf(CodeInvalidUser, "%s is not valid UTF-8", name)
	case strings.IndexByte(text, 0) >= 0:
		return Errorf(CodeInvalidUser, "%s has a zero byte, which the database cannot keep", name)
	}
	return nil
}

// checkUserTime: times travel in microseconds since 1970, where 0 is unknown, and
// in RFC 3339, which has four digits for the year.
func checkUserTime(name string, at time.Time) error {
	if at.IsZero() || at.UnixMicro() > 0 && at.Before(latestExpiry) {
		return nil
	}
	return Errorf(CodeInvalidUser, "%s must be after the beginning of 1970 and before the year 10000", name)
}

// checkMetadata names no key: it may be as private as what it holds.
func checkMetadata(metadata map[string]string) error {
	for key, value := range metadata {
		if err := checkUserText("a key of metadata", key); err != nil {
			return err
		}
		if err := checkUserText("a value of metadata", value); err != nil {
			return err
		}
	}
	if n := metadataSize(metadata); n > MaxMetadataBytes {
		return Errorf(CodeInvalidUser, "metadata has %d bytes as JSON; at most %d are allowed", n, MaxMetadataBytes)
	}
	return nil
}

// metadataSize is the size of the shortest JSON of the metadata.
func metadataSize(metadata map[string]string) int {
	if len(metadata) == 0 {
		return 0
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(metadata) // strings can always be encoded
	return text.Len() - 1    // without the line feed
}
