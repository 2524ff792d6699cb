package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNextFollowsTheTable: of every key a new value is in force if the key is hot,
// and named as waiting with the old one in force if it is not.
func TestNextFollowsTheTable(t *testing.T) {
	for _, tc := range slices.Concat(keyCases, tlsCases, dialectCases) {
		path := strings.Replace(tc.key, "*", "acme", 1)
		k := keyOf(strings.ReplaceAll(path, ".", sep))
		before, err := Load(Source{File: write(t, tc.file(""))})
		if err != nil {
			before = load(t, Source{}) // the group needs the key
		}
		after := load(t, Source{File: write(t, tc.file(tc.yaml))})
		next, changes, err := after.Next(before)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		applied, waiting := mentions(changes.Applied, path), mentions(changes.Waiting, path)
		if applied != k.Hot || waiting == k.Hot {
			t.Errorf("%s is hot: %v; applied %q, waiting %q", path, k.Hot, changes.Applied, changes.Waiting)
		}
		want := before
		if k.Hot {
			want = after
		}
		key := strings.ReplaceAll(path, ".", sep)
		if !reflect.DeepEqual(next.values[key], want.values[key]) {
			t.Errorf("%s = %v, want %v", path, next.values[key], want.values[key])
		}
		if k.Hot && !reflect.DeepEqual(tc.get(next), tc.want) {
			t.Errorf("%s is %v in the fields, want %v", path, tc.get(next), tc.want)
		}
	}
}

// mentions reports whether a key, or the app that it belongs to, is named.
func mentions(names []string, path string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return name == path || strings.HasPrefix(path, name+".")
	})
}

// TestNextOfNothing: reading the same again changes nothing.
func TestNextOfNothing(t *testing.T) {
	file := write(t, everySecret)
	before, after := load(t, Source{File: file}), load(t, Source{File: file})
	next, changes, err := after.Next(before)
	if err != nil || len(changes.Applied)+len(changes.Waiting) != 0 {
		t.Fatalf("changes %+v, %v", changes, err)
	}
	if !reflect.DeepEqual(next, after) {
		t.Errorf("got  %+v\nwant %+v", next, after)
	}
}

// TestNextNames: what an operator reads.
func TestNextNames(t *testing.T) {
	secret := secretFile(t, "postgres://h/old")
	token := secretFile(t, "old")
	text := `
postgres: {url_file: %s}
check: {tokens: [{file: %s}]}
apps: {%s}
cache: {max_bytes: %s}
log: {level: %s}
`
	file := func(apps, size, level string) string { return fmt.Sprintf(text, secret, token, apps, size, level) }
	before := load(t, Source{Open: true, File: write(t, file("a: {limit: 5}, b: {}, gone: {limit: 7}", "1MiB", "info"))})
	rewrite(t, secret, "postgres://h/new")
	rewrite(t, token, "new")
	after := load(t, Source{Open: true, File: write(t, file("a: {limit: 6}, b: {}, new: {}", "2MiB", "debug"))})
	next, changes, err := after.Next(before)
	if err != nil {
		t.Fatal(err)
	}
	want := Changes{
		Applied: []string{"apps.a.limit", "apps.gone", "apps.new", "check.tokens", "log.level"},
		Waiting: []string{"cache.max_bytes", "postgres.url_file"},
	}
	if !reflect.DeepEqual(changes, want) {
		t.Errorf("got  %+v\nwant %+v", changes, want)
	}
	if next.Postgres.URL != "postgres://h/old" || next.Cache.MaxBytes != 1<<20 || next.Log.Level != "debug" ||
		next.Check.Tokens[0].SHA256 != hashOf("new") || next.Apps["a"].Policy.Limit != 6 {
		t.Errorf("in force: %+v", next)
	}
	if _, ok := next.Apps["gone"]; ok {
		t.Error("the app that is gone is there")
	}
}

// TestNextHoldsHalvesTogether: a hot key that goes with a new value of a key that
// waits, and not with the old one, is refused.
func TestNextHoldsHalvesTogether(t *testing.T) {
	before := load(t, Source{File: write(t, "check: {listen: '0.0.0.0:1', tokens: [t]}")})
	after := load(t, Source{File: write(t, "check: {listen: '127.0.0.1:1'}")})
	next, _, err := after.Next(before)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.CheckListeners(); err == nil || !strings.Contains(err.Error(), "can be reached from other machines") {
		t.Errorf("the token of an address that is still open was taken away: %v", err)
	}
	before = load(t, Source{File: write(t, "sync: {soft_bound: 3s}")})
	after = load(t, Source{File: write(t, "sync: {soft_bound: 4s, poll_interval: 1s}")})
	if next, _, err = after.Next(before); err != nil || next.Sync.SoftBound != 4*time.Second || next.Sync.PollInterval != time.Second {
		t.Errorf("%+v, %v", next, err)
	}
}

// TestReloadReference: the page names every key, itself or with its group, where it
// belongs and nowhere else.
func TestReloadReference(t *testing.T) {
	_, section, _ := strings.Cut(Reference(), "## What a reload does")
	_, lists, _ := strings.Cut(section, "- applied at once (hot): ")
	hot, restart, ok := strings.Cut(lists, "- named, and waiting for a restart: ")
	if !ok {
		t.Fatalf("the section is\n%s", section)
	}
	names := func(list string, k *Key) bool {
		for path := k.Path; ; path = path[:strings.LastIndexByte(path, '.')] {
			if strings.Contains(list, "`"+path+"`") || strings.Contains(list, "`"+path+".*`") {
				return true
			}
			if !strings.Contains(path, ".") {
				return false
			}
		}
	}
	for _, k := range Keys() {
		if names(hot, k) != k.Hot || names(restart, k) == k.Hot {
			t.Errorf("%s is hot: %v; the page says hot %v, restart %v", k.Path, k.Hot, names(hot, k), names(restart, k))
		}
	}
}

// TestNextOfAnEmptyFile: a file that is just being written, or a pipe that has been
// read, takes no key away. One that was empty from the start may stay so.
func TestNextOfAnEmptyFile(t *testing.T) {
	full := load(t, Source{File: write(t, "check: {tokens: [t1]}")})
	for _, text := range []string{"", "\n", "# nothing yet\n", "---\n", "null"} {
		empty := load(t, Source{File: write(t, text)})
		if next, changes, err := empty.Next(full); err == nil || next != nil || !strings.Contains(err.Error(), "holds no key any more") {
			t.Errorf("%q: %+v, %v", text, changes, err)
		}
		if _, changes, err := empty.Next(empty); err != nil || len(changes.Applied) != 0 {
			t.Errorf("%q again: %+v, %v", text, changes, err)
		}
		next, _, err := full.Next(empty)
		if err != nil || len(next.Check.Tokens) != 1 {
			t.Errorf("%q, then a token: %v", text, err)
		}
		if _, _, err := empty.Next(next); err == nil {
			t.Errorf("%q, then a token, then %q: no error", text, text)
		}
	}
	if next, _, err := load(t, Source{File: write(t, "check: {}")}).Next(full); err != nil || len(next.Check.Tokens) != 0 {
		t.Errorf("a file that takes the token away: %v", err)
	}
}
