package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Source says where a configuration comes from.
type Source struct {
	File string // path; "" = no file
	// Environ is the environment as os.Environ returns it. Only what begins
	// with [EnvPrefix] is looked at.
	Environ []string
	// Programs are the variables with our prefix that are no keys, such as
	// SIDEGATE_TOKEN: they are left alone.
	Programs []string
	// Flags are the flags that were given, by the path of their key.
	Flags map[string]string
	// Open reads the files that values name, of secrets, tokens and keys, as a
	// server must. A client leaves it off: what only the server may read is then
	// not asked for, and no server can be started with the result.
	Open bool
}

// Load reads a configuration. Its error joins everything that is wrong, one
// sentence a line, each with its place; it holds no secret.
func Load(src Source) (*Config, error) {
	// A layer that has faults goes on being read: who repairs one line wants
	// to know of the others.
	l := &loader{
		src: src, groups: map[string]bool{}, origin: map[string]place{},
		uses: map[string]use{}, filled: map[string]bool{},
	}
	file := l.readFile()
	env := l.readEnviron()
	flags := l.readFlags()

	// The order is the precedence: what is loaded later wins. Values are of
	// their final types already, so a list replaces a list whole.
	c, err := assemble(l.defaults(), file, env, flags, l.readFiles())
	if err != nil {
		return nil, err
	}
	c.origin, c.filled, c.opened, c.noted = l.origin, l.filled, src.Open, l.warnings
	if l.blank {
		c.blank = src.File
	}
	c.warnPlain(src.File)
	return c, errors.Join(append(l.faults, c.resolve()...)...)
}

// assemble lays values over each other, by their paths, and assigns the fields of
// a configuration.
func assemble(layers ...map[string]any) (*Config, error) {
	k := koanf.New(sep)
	for _, layer := range layers {
		if err := k.Load(confmap.Provider(layer, sep), nil); err != nil {
			return nil, fmt.Errorf("merge configuration: %w", err)
		}
	}
	c := &Config{}
	if err := k.Unmarshal("", c); err != nil {
		return nil, fmt.Errorf("assign configuration: %w", err)
	}
	c.values = k.All()
	return c, nil
}

// resolve completes what the values only hint at and holds them against each
// other. It returns everything that is wrong.
func (c *Config) resolve() []error {
	c.Warnings = slices.Clone(c.noted)
	c.resolvePolicies()
	return c.check()
}

// loader collects the layers, and everything that is wrong with them.
type loader struct {
	src    Source
	groups map[string]bool  // the groups that exist, by path
	origin map[string]place // of every value and group, the winning layer's
	faults []error

	uses     map[string]use  // values that name files, by path
	filled   map[string]bool // secrets that a file holds, by path
	warnings []string
	blank    bool // there is a file, and it holds no key
}

func (l *loader) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf(format, args...))
}

// place is where a value stands.
type place struct {
	path string // of the key
	name string // the same for people: "sync.hints at sidegate.yaml:7"
	// source is the part that tells where it comes from: "sidegate.yaml:7", a
	// variable or a flag.
	source string
}

// read reads a value; ok is false if it is wrong, which is then noted.
func (l *loader) read(k *Key, at place, raw any) (value any, ok bool) {
	value, err := k.kind.parse(raw)
	if err != nil {
		l.fault("%s: %w", at.name, err)
		return nil, false
	}
	l.origin[at.path] = at
	l.enter(at.path)
	if _, tokens := value.([]Token); tokens || k.kind.opens {
		l.uses[at.path] = use{k, at, value}
	}
	return value, true
}

// enter notes that the groups above a path exist: a key that is set brings the
// defaults of its neighbours with it.
func (l *loader) enter(path string) {
	for i := range len(path) {
		if path[i] == sep[0] {
			l.groups[path[:i]] = true
		}
	}
}

// readText is read for a variable or a flag of that name.
func (l *loader) readText(k *Key, name, text string) (value any, ok bool) {
	var raw any = text
	if k.kind.text != nil {
		var err error
		if raw, err = k.kind.text(text); err != nil {
			l.fault("%s: %w", name, err)
			return nil, false
		}
	}
	return l.read(k, place{concrete(k, ""), name, name}, raw)
}

func (l *loader) readFile() map[string]any {
	layer := map[string]any{}
	// A request without an app means this one, so it is there in any case.
	l.groups["apps"+sep+"default"] = true
	if l.src.File == "" {
		return layer
	}
	data, err := ReadFile(l.src.File)
	if err != nil {
		l.fault("configuration file: %w", err)
		return layer
	}
	l.parseFile(layer, data)
	return layer
}

// readFlags reads the flags that were given. That there is no unknown one is the
// business of the command line.
func (l *loader) readFlags() map[string]any {
	layer := map[string]any{}
	for _, k := range Keys() {
		text, given := l.src.Flags[k.Path]
		if !given {
			continue
		}
		if value, ok := l.readText(k, "--"+k.Flag, text); ok {
			layer[concrete(k, "")] = value
		}
	}
	return layer
}

// defaults are made last: which optional groups there are, and which apps, is
// known only when everything else was read.
func (l *loader) defaults() map[string]any {
	layer := map[string]any{}
	for _, k := range Keys() {
		if k.Default == nil {
			continue
		}
		value, err := k.kind.parse(k.Default)
		if err != nil {
			panic("config: default of " + k.Path + ": " + err.Error()) // the table is wrong; a test reads all of it
		}
		// One default may have many places: the same key of several apps.
		for group := range l.groups {
			if matches(k.group, group) {
				layer[concrete(k, group)] = value
			}
		}
		if k.group == "" {
			layer[concrete(k, "")] = value
		}
	}
	return layer
}

// matches reports whether a group of a configuration is the one that a pattern
// with * means.
func matches(pattern, group string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(group, sep)
	if pattern == "" || len(want) != len(have) {
		return false
	}
	for i := range want {
		if want[i] != "*" && want[i] != have[i] {
			return false
		}
	}
	return true
}
