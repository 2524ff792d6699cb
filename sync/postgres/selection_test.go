package postgres_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sidegate/sidegate/filter"
)

// selections are whom of a list of a, b, c, d and e each picks, newest first. Of
// these b, c and d are in the directory, with a color.
var selections = []struct {
	name string
	of   *filter.Selection
	want []string
}{
	{"all", nil, []string{"e", "d", "c", "b", "a"}},
	{"no condition", &filter.Selection{}, []string{"e", "d", "c", "b", "a"}},
	{"some users", &filter.Selection{Users: []string{"a", "d", "stranger", "a"}}, []string{"d", "a"}},
	{"no users", &filter.Selection{Users: []string{}}, nil},
	{"any value", &filter.Selection{Key: "color"}, []string{"d", "c", "b"}},
	{"some values", &filter.Selection{Key: "color", Values: []string{"red", "", "none"}}, []string{"d", "b"}},
	{"no values", &filter.Selection{Key: "color", Values: []string{}}, nil},
	{"another key", &filter.Selection{Key: "colour"}, nil},
	{"a key that is a value", &filter.Selection{Key: "red"}, nil},
	{"users and values", &filter.Selection{Users: []string{"a", "b", "c"}, Key: "color", Values: []string{"red"}}, []string{"b"}},
	{"hostile", &filter.Selection{Users: []string{"a' or true --"}, Key: `color' ? '`, Values: []string{"%"}}, nil},
}

// colored puts b, c and d into the directory.
func (f *fixture) colored() {
	f.t.Helper()
	var users []filter.User
	for id, color := range map[string]string{"b": "red", "c": "blue", "d": ""} {
		users = append(users, filter.User{ID: id, Metadata: map[string]string{"color": color, "x": "red"}})
	}
	f.editUsers(filter.UsersEdit{Put: users})
	// Of another app nothing is known here.
	f.exec(`insert into sidegate.directory (app, id, metadata) values ('other', 'a', '{"color": "red"}')`)
}

// picked reads what a selection leaves of hub's list and of those who have hub on
// theirs, in pieces of a size.
func (f *fixture) picked(of *filter.Selection, size int) (list, blockedBy []string) {
	f.t.Helper()
	for after, more := (filter.Place{}), true; more; more = !after.IsZero() {
		page := f.list(filter.ListQuery{List: blockList(hub), Limit: size, After: after, Of: of})
		list, after = append(list, targets(page.Blocks)...), page.Next
		if page.Total != 5 {
			f.t.Errorf("the total is %d", page.Total)
		}
	}
	for after, more := (filter.Place{}), true; more; more = !after.IsZero() {
		page, err := f.BlockedBy(f.t.Context(), filter.BlockedByQuery{App: "default", Target: hub, Limit: size, After: after, Of: of})
		if err != nil {
			f.t.Fatal(err)
		}
		for _, b := range page.Blocks {
			blockedBy = append(blockedBy, b.Owner)
		}
		after = page.Next
	}
	return list, blockedBy
}

func (f *fixture) checkSelections() {
	f.t.Helper()
	for _, tc := range selections {
		for _, size := range []int{1, 2, 100} {
			list, blockedBy := f.picked(tc.of, size)
			if !slices.Equal(list, tc.want) || !slices.Equal(blockedBy, tc.want) {
				f.t.Errorf("%s, by %d: %q of the list and %q of the lists, want %q", tc.name, size, list, blockedBy, tc.want)
			}
		}
	}
}

// TestSelection: a selection is applied before a piece is cut, so that a piece is
// full unless it is the last.
func TestSelection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		f.edit(add(hub, id))
		f.edit(add(id, hub))
	}
	f.colored()
	f.checkSelections()
}

// TestSelectionReadsTheView: metadata is what the view shows, not what the table
// behind it holds; ids of a view in another collation are compared all the same.
func TestSelectionReadsTheView(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		f.edit(add(hub, id))
		f.edit(add(id, hub))
	}
	f.exec(`insert into sidegate.directory (app, id, metadata) values ('default', 'a', '{"color": "red"}')`)
	f.exec(`create table public.people (id text, color text)`)
	f.exec(`insert into public.people values ('b', 'red'), ('c', 'blue'), ('d', '')`)
	for _, collation := range []string{`"C"`, `"default"`, `"POSIX"`} {
		f.exec(`drop view sidegate.profile`)
		f.exec(fmt.Sprintf(`create view sidegate.profile as
			select 'default'::text as app, id collate %s as id, ''::text as nickname, ''::text as avatar_url, ''::text as profile_url,
			       false as is_online, null::timestamptz as last_login_at, null::timestamptz as last_seen_at,
			       jsonb_build_object('color', color, 'x', 'red') as metadata, null::timestamptz as updated_at
			  from public.people`, collation))
		f.checkSelections()
	}
}
