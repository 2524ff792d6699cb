package config

import (
	"slices"
	"strings"
	"sync"
)

// sep stands between the parts of a key's path inside this package. A dot would
// not do: the name of an app may hold one. No name may hold a control
// character, so this one is free.
const sep = "\x1f"

// Key is one configuration key.
type Key struct {
	// Path is written with dots; * stands for the name of an app.
	Path string
	// Default is what YAML would make of the default; nil = none, or the
	// preset's.
	Default any
	// Flag is the name of its flag, "" if it has none.
	Flag string
	// Doc is one paragraph: meaning, interactions, reason of the default.
	Doc string
	// Hot tells whether a reload applies a new value; otherwise it is named and
	// waits for a restart. It follows from hotKeys.
	Hot bool

	kind   kind
	group  string // the optional group it belongs to; "" = always there
	policy *policyField
	fills  *Key // the secret that a file of this name holds; nil = it is no such key
}

// Env returns the name of its variable, "" for the keys of apps, which stand in
// the file alone: their names are chosen by the user, so a variable could not
// be told from a typing error.
func (k *Key) Env() string {
	if strings.HasPrefix(k.Path, "apps.") {
		return ""
	}
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// Type names the key's type in a few words.
func (k *Key) Type() string { return k.kind.name }

// EnvPrefix begins the names of all our variables.
const EnvPrefix = "SIDEGATE_"

// Keys returns every key in the order of the reference. The result is shared
// and must not be changed.
var Keys = sync.OnceValue(func() []*Key {
	keys := withFiles(slices.Concat(listenerKeys(), shutdownKeys(), storeKeys(), auditKeys(), observeKeys(), probeKeys(), appKeys()))
	for _, k := range keys {
		k.Hot = slices.ContainsFunc(hotKeys, func(hot string) bool {
			return k.Path == hot || strings.HasPrefix(k.Path, hot+".")
		})
	}
	// A key that stands in an optional group has its default only if the
	// group is there: an api.jwt that nobody asked for must not appear
	// because its claims have defaults.
	for _, k := range keys {
		for _, group := range optionalGroups {
			if strings.HasPrefix(k.Path, group+".") && len(group) > len(k.group) {
				k.group = group
			}
		}
	}
	return keys
})

// hotKeys are the keys, and the groups of keys, that a reload applies. A key that
// is not here keeps its value until the process is started again, and a reload
// says so: that is the safe side for a key that is new.
var hotKeys = []string{
	"check.tokens", "check.at_least_timeout",
	"api.tokens", "api.jwt", "api.rate",
	"ops.tokens",
	"sync.poll_interval", "sync.soft_bound", "sync.hard_bound", "sync.retention",
	"audit",
	"cache.load_rate", "cache.load_burst", "cache.load_queue",
	"log.level",
	"apps",
}

// optionalGroups exist only if a key of theirs is set or their name stands in the
// file. A group within a group comes after it.
var optionalGroups = []string{
	"check.tls", "api.tls", "ops.tls", "api.jwt", "apps.*",
	"apps.*.dialects.rongcloud", "apps.*.dialects.sendbird", "apps.*.dialects.imkit",
	"apps.*.dialects.imkit.jwt",
}

// node is a place in the tree of keys: a group, or a key.
type node struct {
	key      *Key
	children map[string]*node
	any      *node    // for *
	order    []string // of children
}

// tree returns the root. It is made once, from the table.
var tree = sync.OnceValue(func() *node {
	root := &node{}
	for _, k := range Keys() {
		n := root
		for part := range strings.SplitSeq(k.Path, ".") {
			n = n.grow(part)
		}
		n.key = k
	}
	return root
})

// grow returns the place below n for a part of a path, and makes it if need be.
func (n *node) grow(part string) *node {
	if part == "*" {
		if n.any == nil {
			n.any = &node{}
		}
		return n.any
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	child, ok := n.children[part]
	if !ok {
		child = &node{}
		n.children[part] = child
		n.order = append(n.order, part)
	}
	return child
}

// child returns the place below n that part leads to, nil if none does.
func (n *node) child(part string) *node {
	if c := n.children[part]; c != nil {
		return c
	}
	return n.any
}

// known returns the paths of all groups and keys, written with dots, as they
// would read in the place of path: its app stands for the *.
func known(path []string) []string {
	app := "default"
	if len(path) > 1 && path[0] == "apps" {
		app = path[1]
	}
	var paths []string
	for _, k := range Keys() {
		full := strings.Replace(k.Path, "*", app, 1)
		for i, c := range full {
			// Groups once, as the front of the first key that has them.
			if c == '.' && !slices.Contains(paths, full[:i]) {
				paths = append(paths, full[:i])
			}
		}
		paths = append(paths, full)
	}
	return paths
}

// dotted writes a path of this package for people.
func dotted(path string) string { return strings.ReplaceAll(path, sep, ".") }

// keyOf returns the key that a path of this package is a place of, nil if there is
// none.
func keyOf(path string) *Key {
	n := tree()
	for part := range strings.SplitSeq(path, sep) {
		if n = n.child(part); n == nil {
			return nil
		}
	}
	return n.key
}

// concrete returns the path of a key pattern in a group whose * is decided:
// both have the same beginning.
func concrete(k *Key, group string) string {
	parts := strings.Split(k.Path, ".")
	if group != "" {
		copy(parts, strings.Split(group, sep))
	}
	return strings.Join(parts, sep)
}
