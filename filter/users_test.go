package filter

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fakeUsers is a directory in memory that keeps users as they come. It counts
// calls, so that a test sees that nothing was asked.
type fakeUsers struct {
	users map[string]User // by app and id
	calls int
	err   error
}

func (f *fakeUsers) Users(_ context.Context, app string, ids []string) (map[string]User, error) {
	if f.calls++; f.err != nil {
		return nil, f.err
	}
	found := map[string]User{}
	for _, id := range ids {
		if u, ok := f.users[app+"/"+id]; ok {
			found[id] = u
		}
	}
	return found, nil
}

func (f *fakeUsers) EditUsers(_ context.Context, edit UsersEdit) (done UsersEdited, err error) {
	if f.calls++; f.err != nil {
		return UsersEdited{}, f.err
	}
	for _, id := range edit.Delete {
		if u, ok := f.users[edit.App+"/"+id]; ok {
			done.Deleted = append(done.Deleted, u)
			delete(f.users, edit.App+"/"+id)
		}
	}
	for _, u := range edit.Put {
		_, there := f.users[edit.App+"/"+u.ID]
		f.users[edit.App+"/"+u.ID] = u
		done.Put, done.Created = append(done.Put, u), append(done.Created, !there)
	}
	return done, nil
}

// directory returns the service of the apps default and acme over a fake store.
func directory(t *testing.T) (*Users, *fakeUsers) {
	t.Helper()
	store := &fakeUsers{users: map[string]User{}}
	u, err := NewUsers(UsersOptions{Store: store, Apps: map[string]Policy{"default": Default(), "acme": Default()}})
	if err != nil {
		t.Fatal(err)
	}
	return u, store
}

func TestNewUsersNeedsAStoreAndAnApp(t *testing.T) {
	for _, opts := range []UsersOptions{{}, {Store: &fakeUsers{}}, {Apps: map[string]Policy{"default": {}}}} {
		if u, err := NewUsers(opts); err == nil || u != nil {
			t.Errorf("%+v is taken", opts)
		}
	}
}

func TestUserComesAndGoes(t *testing.T) {
	u, _ := directory(t)
	ctx := context.Background()
	if _, err := u.Get(ctx, "default", "bob"); err == nil {
		t.Error("bob is there before he was put")
	} else {
		wantCode(t, err, CodeUserNotFound)
	}
	bob := User{ID: "bob", Nickname: "Bob", IsOnline: true, Metadata: map[string]string{"a": "b"}}
	now, created, err := u.Put(ctx, "default", bob)
	if err != nil || !created || !reflect.DeepEqual(now, bob) {
		t.Errorf("put %+v, %v, %v", now, created, err)
	}
	if _, created, err = u.Put(ctx, "default", User{ID: "bob"}); err != nil || created {
		t.Errorf("put again: created %v, %v", created, err)
	}
	got, err := u.Get(ctx, "default", "bob")
	if err != nil || got.Nickname != "" || got.Metadata == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := u.Get(ctx, "acme", "bob"); err == nil {
		t.Error("bob is in another app too")
	}
	gone, err := u.Delete(ctx, "default", "bob")
	if err != nil || gone.ID != "bob" || gone.Metadata == nil {
		t.Errorf("deleted %+v, %v", gone, err)
	}
	_, err = u.Delete(ctx, "default", "bob")
	wantCode(t, err, CodeUserNotFound)
}

func TestLookupReturnsThoseThatAreThere(t *testing.T) {
	u, store := directory(t)
	ctx := context.Background()
	created, err := u.PutAll(ctx, "default", []User{{ID: "a"}, {ID: "b"}})
	if err != nil || created != 2 {
		t.Fatalf("%d, %v", created, err)
	}
	if created, err = u.PutAll(ctx, "default", []User{{ID: "b"}, {ID: "c"}}); err != nil || created != 1 {
		t.Errorf("%d, %v", created, err)
	}
	ids := []string{"a", "", "x\n", "c", "nobody", "\xff", "a"}
	found, err := u.Lookup(ctx, "default", ids)
	if err != nil || len(found) != 2 || found["a"].Metadata == nil || found["c"].ID != "c" {
		t.Errorf("%+v, %v", found, err)
	}
	if !slices.Equal(ids, []string{"a", "", "x\n", "c", "nobody", "\xff", "a"}) {
		t.Errorf("the caller's ids are now %q", ids)
	}
	// What is handed out may be written to.
	found["a"].Metadata["x"] = "y"
	if again, _ := u.Get(ctx, "default", "a"); len(again.Metadata) != 0 {
		t.Errorf("%+v", again)
	}
	calls := store.calls
	for _, none := range [][]string{nil, {""}, {"x\n", strings.Repeat("x", 257)}} {
		if found, err := u.Lookup(ctx, "default", none); err != nil || found == nil || len(found) != 0 {
			t.Errorf("%q: %v, %v", none, found, err)
		}
	}
	if store.calls != calls {
		t.Error("the store was asked for users that cannot be there")
	}
	if _, err := u.Lookup(ctx, "default", make([]string, MaxLookup)); err != nil {
		t.Error(err)
	}
	_, err = u.Lookup(ctx, "default", make([]string, MaxLookup+1))
	wantCode(t, err, CodeInvalidLimit)
}

func TestUsersOfUnknownApps(t *testing.T) {
	u, store := directory(t)
	ctx := context.Background()
	_, lookup := u.Lookup(ctx, "ghost", []string{"bob"})
	_, get := u.Get(ctx, "ghost", "bob")
	_, _, put := u.Put(ctx, "ghost", User{ID: "bob"})
	_, remove := u.Delete(ctx, "ghost", "bob")
	_, all := u.PutAll(ctx, "ghost", nil)
	for _, err := range []error{lookup, get, put, remove, all} {
		wantCode(t, err, CodeUnknownApp)
	}
	if store.calls > 0 {
		t.Error("the store was asked")
	}
}

// metadataOf is metadata of so many bytes as JSON.
func metadataOf(size int) map[string]string {
	return map[string]string{"k": strings.Repeat("<", size-len(`{"k":""}`))}
}

func TestUserThatIsRefused(t *testing.T) {
	u, store := directory(t)
	for _, c := range []struct {
		user User
		code Code
		says string
	}{
		{User{}, CodeInvalidUserID, "the user id is empty"},
		{User{ID: "a\n"}, CodeInvalidUserID, "control character"},
		{User{ID: "a", Nickname: strings.Repeat("x", 1025)}, CodeInvalidUser, "nickname has 1025 bytes; at most 1024 are allowed"},
		{User{ID: "a", Nickname: "x\xff"}, CodeInvalidUser, "nickname is not valid UTF-8"},
		{User{ID: "a", Nickname: "x\x00"}, CodeInvalidUser, "nickname has a zero byte"},
		{User{ID: "a", AvatarURL: strings.Repeat("x", 2049)}, CodeInvalidUser, "avatar_url has 2049 bytes"},
		{User{ID: "a", ProfileURL: strings.Repeat("x", 2049)}, CodeInvalidUser, "profile_url has 2049 bytes"},
		{User{ID: "a", ProfileURL: "\xc0"}, CodeInvalidUser, "profile_url is not valid UTF-8"},
		{User{ID: "a", LastLoginAt: time.Unix(0, 0)}, CodeInvalidUser, "last_login_at must be after"},
		{User{ID: "a", LastSeenAt: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)}, CodeInvalidUser, "last_seen_at must be after"},
		{User{ID: "a", LastSeenAt: latestExpiry}, CodeInvalidUser, "last_seen_at must be after"},
		{User{ID: "a", Metadata: map[string]string{"\xff": ""}}, CodeInvalidUser, "a key of metadata is not valid UTF-8"},
		{User{ID: "a", Metadata: map[string]string{"k": "\x00"}}, CodeInvalidUser, "a value of metadata has a zero byte"},
		{User{ID: "a", Metadata: metadataOf(MaxMetadataBytes + 1)}, CodeInvalidUser, "metadata has 16385 bytes as JSON; at most 16384"},
	} {
		_, _, err := u.Put(context.Background(), "default", c.user)
		refused := wantCode(t, err, c.code)
		if !strings.Contains(refused.Detail, c.says) {
			t.Errorf("%.60v: %s, want %q", c.user, refused.Detail, c.says)
		}
		// Among others, it says which one.
		_, err = u.PutAll(context.Background(), "default", []User{{ID: "other"}, c.user})
		if refused := wantCode(t, err, c.code); !strings.HasPrefix(refused.Detail, "put[1]: ") {
			t.Errorf("%.60v: %s", c.user, refused.Detail)
		}
	}
	if store.calls > 0 {
		t.Error("the store was asked")
	}
}

func TestLargestUserIsTaken(t *testing.T) {
	u, store := directory(t)
	at := time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	largest := User{
		ID: strings.Repeat("x", 256), Nickname: strings.Repeat("n", MaxNicknameBytes), AvatarURL: strings.Repeat("a", MaxUserURLBytes),
		ProfileURL: strings.Repeat("p", MaxUserURLBytes), LastLoginAt: time.UnixMicro(1), LastSeenAt: at, Metadata: metadataOf(MaxMetadataBytes),
	}
	given := []User{largest}
	if _, err := u.PutAll(context.Background(), "default", given); err != nil {
		t.Fatal(err)
	}
	if kept := store.users["default/"+largest.ID]; !kept.LastSeenAt.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("%v", kept.LastSeenAt)
	}
	if !given[0].LastSeenAt.Equal(at) {
		t.Error("the caller's users were changed")
	}
}

func TestEditOfUsersIsChecked(t *testing.T) {
	u, store := directory(t)
	ctx := context.Background()
	many := make([]User, MaxUsersEdit)
	for i := range many {
		many[i].ID = fmt.Sprint(i)
	}
	for _, c := range []struct {
		edit UsersEdit
		code Code
		says string
	}{
		{UsersEdit{Put: many, Delete: []string{"x"}}, CodeInvalidLimit, "at most 1000 users are written at once, not 1001"},
		{UsersEdit{Put: []User{{ID: "a"}, {ID: "b"}, {ID: "a"}}}, CodeConflictingBatch, "put[0] and put[2] name the same user"},
		{UsersEdit{Put: []User{{ID: "a"}}, Delete: []string{"b", "a"}}, CodeConflictingBatch, "put[0] and delete[1] name"},
		{UsersEdit{Delete: []string{"b", "b"}}, CodeConflictingBatch, "delete[0] and delete[1] name"},
		{UsersEdit{Delete: []string{"b", ""}}, CodeInvalidUserID, "delete[1]: the user id is empty"},
		{UsersEdit{Delete: []string{""}}, CodeInvalidUserID, "the user id is empty"},
	} {
		c.edit.App = "default"
		_, err := u.Edit(ctx, c.edit)
		if refused := wantCode(t, err, c.code); !strings.HasPrefix(refused.Detail, c.says) {
			t.Errorf("%s, want %q", refused.Detail, c.says)
		}
	}
	if done, err := u.Edit(ctx, UsersEdit{App: "default"}); err != nil || len(done.Put) != 0 {
		t.Errorf("an empty edit: %+v, %v", done, err)
	}
	if store.calls > 0 {
		t.Error("the store was asked")
	}
	if created, err := u.PutAll(ctx, "default", many); err != nil || created != MaxUsersEdit {
		t.Errorf("%d, %v", created, err)
	}
	done, err := u.Edit(ctx, UsersEdit{App: "default", Put: []User{{ID: "1"}, {ID: "new"}}, Delete: []string{"2", "none"}})
	if err != nil || !slices.Equal(done.Created, []bool{false, true}) || len(done.Deleted) != 1 || done.Deleted[0].ID != "2" {
		t.Errorf("%+v, %v", done, err)
	}
}

// What the store says reaches the door with its code.
func TestUsersKeepTheErrorsOfTheStore(t *testing.T) {
	u, store := directory(t)
	ctx := context.Background()
	store.err = &Error{Code: CodeDirectoryReadOnly, Detail: "elsewhere"}
	_, _, put := u.Put(ctx, "default", User{ID: "a"})
	_, remove := u.Delete(ctx, "default", "a")
	_, all := u.PutAll(ctx, "default", []User{{ID: "a"}})
	_, get := u.Get(ctx, "default", "a")
	_, lookup := u.Lookup(ctx, "default", []string{"a"})
	for _, err := range []error{put, remove, all, get, lookup} {
		wantCode(t, err, CodeDirectoryReadOnly)
		if !errors.Is(err, store.err) {
			t.Errorf("%v has lost its cause", err)
		}
	}
}

// FuzzUserRules compares with the rules as a sentence says them.
func FuzzUserRules(f *testing.F) {
	f.Add("bob", "Bob", "https://a", "k", "v", int64(1))
	f.Add("", "\x00", "\xff", "\u2028", "<", int64(-1))
	f.Add("b", strings.Repeat("x", 1025), strings.Repeat("x", 2049), strings.Repeat("\n", 9000), "", int64(1)<<62)
	f.Fuzz(func(t *testing.T, id, nickname, link, key, value string, micros int64) {
		text := func(s string, most int) bool {
			return len(s) <= most && utf8.ValidString(s) && !strings.Contains(s, "\x00")
		}
		at := time.UnixMicro(micros).UTC()
		user := User{ID: id, Nickname: nickname, AvatarURL: link, LastSeenAt: at, Metadata: map[string]string{key: value}}
		valid := ValidateUserID(id) == nil && text(nickname, 1024) && text(link, 2048) && (at.IsZero() || micros > 0 && at.Year() < 10000) &&
			text(key, 1<<20) && text(value, 1<<20) && metadataSize(user.Metadata) <= 16384
		err := user.check()
		if (err == nil) != valid {
			t.Fatalf("%v, valid %v: %+v", err, valid, user)
		}
		var refused *Error
		if err != nil && (!errors.As(err, &refused) || !utf8.ValidString(refused.Detail) || len(refused.Detail) > 200) {
			t.Fatalf("%v", err)
		}
	})
}
