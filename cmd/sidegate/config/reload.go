package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Changes are the keys whose values differ between a running configuration and
// one that has been read again, written with dots and sorted. An app that came or
// went is one entry, apps.NAME. They hold no values.
type Changes struct {
	// Applied are hot: the next configuration has them.
	Applied []string
	// Waiting keep their value until the process is started again.
	Waiting []string
}

// Next returns the configuration that is in force once c, which has been read
// again, takes the place of running: the hot keys of c, and for the others the
// values that running started with. The two halves are held against each other
// once more, because no file has ever said them together; the error joins all
// that is wrong, and then nothing is to change. A file that held keys and holds none
// any more is wrong.
func (c *Config) Next(running *Config) (*Config, Changes, error) {
	var changes Changes
	if c.blank != "" && running.blank == "" {
		// To take it at its word would take every token away, and so open a
		// check listener that was closed.
		return nil, changes, fmt.Errorf("%s holds no key any more: it is being written, or it was a pipe, which is read only once; "+
			"who does want every default starts the process again", c.blank)
	}
	values, origin := map[string]any{}, map[string]place{}
	for _, path := range paths(c, running) {
		k := keyOf(path)
		from := running
		if k.Hot {
			from = c
		}
		if v, ok := from.values[path]; ok {
			values[path] = v
		}
		if at, ok := from.origin[path]; ok {
			origin[path] = at
		}
		if !reflect.DeepEqual(c.values[path], running.values[path]) {
			changes.add(k, shownPath(c, running, path))
		}
	}
	for path, at := range c.origin {
		if keyOf(path) == nil {
			origin[path] = at // a group
		}
	}
	next, err := assemble(values)
	if err != nil {
		return nil, changes, err
	}
	next.origin, next.filled, next.opened, next.noted, next.blank = origin, c.filled, c.opened, c.noted, c.blank
	for name, b := range running.bound {
		if err := next.TakeOver(name, b.listen, b.by); err != nil {
			return nil, changes, err
		}
	}
	changes.Applied, changes.Waiting = once(changes.Applied), once(changes.Waiting)
	return next, changes, errors.Join(next.resolve()...)
}

// paths are those of all values of both.
func paths(a, b *Config) []string {
	all := maps.Clone(a.values)
	maps.Copy(all, b.values)
	return slices.Sorted(maps.Keys(all))
}

// shownPath names a change as an operator would: the app that is new or gone, the
// key of the file that a secret was read from, or the key itself.
func shownPath(c, running *Config, path string) string {
	if parts := strings.Split(path, sep); parts[0] == "apps" {
		_, here := c.Apps[parts[1]]
		_, there := running.Apps[parts[1]]
		if here != there {
			return "apps." + parts[1]
		}
	}
	if c.filled[path] {
		path += fileSuffix
	}
	return dotted(path)
}

func (ch *Changes) add(k *Key, path string) {
	if k.Hot {
		ch.Applied = append(ch.Applied, path)
	} else {
		ch.Waiting = append(ch.Waiting, path)
	}
}

func once(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
