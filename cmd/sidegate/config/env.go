package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
)

// serviceLink matches the variables that Kubernetes sets in every pod for a
// Service called sidegate or sidegate-something; they come with the platform
// and are nobody's typing error. The bare _PORT form is one only if its value
// is that of a link.
// Source: kubernetes.io/docs/concepts/services-networking/service, "Environment variables".
var serviceLink = regexp.MustCompile(
	`^SIDEGATE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|` +
		`^SIDEGATE_([A-Z0-9_]+_)?PORT=(tcp|udp|sctp)://`)

// readEnviron reads the variables that begin with our prefix into a layer.
func (l *loader) readEnviron() map[string]any {
	// Names are looked up, never taken apart: nothing in
	// SIDEGATE_CHECK_AT_LEAST_TIMEOUT tells which _ was a dot.
	names := make(map[string]*Key, len(Keys()))
	for _, k := range Keys() {
		if name := k.Env(); name != "" {
			names[name] = k
		}
	}
	provider := env.Provider("", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return slices.DeleteFunc(slices.Clone(l.src.Environ), serviceLink.MatchString) },
		TransformFunc: func(name, value string) (string, any) {
			k := names[name]
			if k == nil {
				l.unknownVariable(name, names)
				return "", nil
			}
			v, ok := l.readText(k, name, value)
			if !ok {
				return "", nil
			}
			return concrete(k, ""), v
		},
	})
	layer, err := provider.Read()
	if err != nil {
		l.fault("environment: %w", err)
	}
	return layer
}

// unknownVariable refuses a variable that has our prefix and is no key, unless a
// program of ours reads it by itself.
func (l *loader) unknownVariable(name string, names map[string]*Key) {
	if slices.Contains(l.src.Programs, name) {
		return
	}
	if strings.HasPrefix(name, EnvPrefix+"APPS_") {
		l.fault("unknown variable %s: apps are set in the file only", name)
		return
	}
	known := slices.Clone(l.src.Programs)
	for candidate := range names {
		known = append(known, candidate)
	}
	slices.Sort(known) // of equally near names always the same one is shown
	best, edits := nearest(name, known)
	last := "_" + strings.TrimPrefix(name, EnvPrefix)
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasSuffix(k, last) }); edits > 2 && i >= 0 {
		best = known[i] // the right name without its group
	}
	l.fault("unknown variable %s: the nearest known one is %s", name, best)
}
