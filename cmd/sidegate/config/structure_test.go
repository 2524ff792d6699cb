package config

import (
	"strings"
	"testing"
)

// TestTree: the tree is the table, and its leaves are the keys.
func TestTree(t *testing.T) {
	var walk func(n *node, path []string) int
	walk = func(n *node, path []string) (keys int) {
		if n.key != nil {
			if got := strings.Join(path, "."); got != n.key.Path {
				t.Errorf("%s hangs at %s", n.key.Path, got)
			}
			if len(n.children) > 0 || n.any != nil {
				t.Errorf("%s is a key and a group", n.key.Path)
			}
			return 1
		}
		for name, child := range n.children {
			keys += walk(child, append(path[:len(path):len(path)], name))
		}
		if n.any != nil {
			keys += walk(n.any, append(path[:len(path):len(path)], "*"))
		}
		if len(n.order) != len(n.children) {
			t.Errorf("%s has %d children and an order of %d", strings.Join(path, "."), len(n.children), len(n.order))
		}
		return keys
	}
	if n := walk(tree(), nil); n != len(Keys()) {
		t.Errorf("the tree holds %d keys, the table %d", n, len(Keys()))
	}
}

func TestMatches(t *testing.T) {
	join := func(parts ...string) string { return strings.Join(parts, sep) }
	for _, tc := range []struct {
		pattern, group string
		want           bool
	}{
		{"api.jwt", join("api", "jwt"), true},
		{"api.jwt", join("api", "rate"), false},
		{"api.jwt", "api", false},
		{"apps.*", join("apps", "acme"), true},
		{"apps.*", join("apps", "a.b"), true},
		{"apps.*", "apps", false},
		{"apps.*", join("apps", "acme", "rooms"), false},
		{"apps.*.dialects.imkit", join("apps", "acme", "dialects", "imkit"), true},
		{"apps.*.dialects.imkit", join("apps", "acme", "dialects", "sendbird"), false},
		{"", "", false},
		{"", "api", false},
	} {
		if got := matches(tc.pattern, tc.group); got != tc.want {
			t.Errorf("matches(%q, %q) = %v", tc.pattern, dotted(tc.group), got)
		}
	}
}

func TestConcrete(t *testing.T) {
	for _, tc := range []struct{ pattern, group, want string }{
		{"sync.poll_interval", "", "sync.poll_interval"},
		{"apps.*.limit", "apps" + sep + "acme", "apps.acme.limit"},
		{"apps.*.rooms.open.mode", "apps" + sep + "acme", "apps.acme.rooms.open.mode"},
		{"api.jwt.secret", "api" + sep + "jwt", "api.jwt.secret"},
	} {
		if got := dotted(concrete(&Key{Path: tc.pattern}, tc.group)); got != tc.want {
			t.Errorf("concrete(%q, %q) = %q, want %q", tc.pattern, dotted(tc.group), got, tc.want)
		}
	}
}

// TestOptionalGroups: a group that nobody asked for is not there, and one that
// is there has its defaults, however it came.
func TestOptionalGroups(t *testing.T) {
	paths := func(src Source) string {
		var all []string
		for _, e := range load(t, src).effective() {
			all = append(all, dotted(e.path))
		}
		return strings.Join(all, "\n")
	}
	plain := paths(Source{})
	for _, group := range []string{"api.jwt", "apps.acme", "dialects"} {
		if strings.Contains(plain, group) {
			t.Errorf("%s is there although nobody asked for it:\n%s", group, plain)
		}
	}
	for name, tc := range map[string]struct {
		src  Source
		want string
	}{
		"by a file":              {Source{File: write(t, "api: {jwt: {secret: s}}")}, "api.jwt.user_claim"},
		"by a variable":          {Source{Environ: []string{"SIDEGATE_API_JWT_SECRET=s"}}, "api.jwt.user_claim"},
		"by both":                {Source{File: write(t, "api: {jwt: {issuer: i}}"), Environ: []string{"SIDEGATE_API_JWT_SECRET=s"}}, "api.jwt.max_age"},
		"an app without a key":   {Source{File: write(t, "apps: {acme: {}}")}, "apps.acme.rooms.open.on_block"},
		"an app that is null":    {Source{File: write(t, "apps: {acme: }")}, "apps.acme.known_users"},
		"a dialect with one key": {Source{File: write(t, "apps: {acme: {dialects: {sendbird: {api_tokens: [t]}}}}")}, "apps.acme.dialects.sendbird.rate"},
	} {
		if got := paths(tc.src); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s is missing:\n%s", name, tc.want, got)
		}
	}
	one := paths(Source{File: write(t, "apps: {acme: {dialects: {sendbird: {api_tokens: [t]}}}}")})
	if strings.Contains(one, "imkit") || strings.Contains(one, "apps.default.dialects") {
		t.Errorf("a dialect brought another:\n%s", one)
	}
}

// TestReferencePage: a row for each key, under one heading each, and no cell that
// breaks the table.
func TestReferencePage(t *testing.T) {
	page := Reference()
	for _, k := range Keys() {
		row := ""
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "| `"+k.Path+"`") {
				if row != "" {
					t.Errorf("%s has two rows", k.Path)
				}
				row = line
			}
		}
		if strings.Count(row, " | ") != 4 || !strings.Contains(row, k.Doc) {
			t.Errorf("%s: row %q", k.Path, row)
		}
		if k.Env() != "" && !strings.Contains(row, "`"+k.Env()+"`") || k.Flag != "" && !strings.Contains(row, "`--"+k.Flag+"`") {
			t.Errorf("%s: names are missing in %q", k.Path, row)
		}
	}
	headings := map[string]bool{}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "## ") {
			if headings[line] {
				t.Errorf("the heading %q comes twice: the table is out of order", line)
			}
			headings[line] = true
		}
	}
}
