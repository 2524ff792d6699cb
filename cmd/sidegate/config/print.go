package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML returns the whole configuration as it is in force, presets expanded and
// secrets replaced by [Redacted], in the order of the reference. A comment
// at each value says where it comes from.
func (c *Config) YAML() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range c.effective() {
		value := &yaml.Node{}
		if err := value.Encode(e.value); err != nil {
			return nil, fmt.Errorf("print %s: %w", dotted(e.path), err)
		}
		if value.Kind == yaml.SequenceNode && scalars(value) {
			value.Style = yaml.FlowStyle
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"}
		if value.Kind == yaml.SequenceNode && value.Style != yaml.FlowStyle {
			name.HeadComment = e.source // behind it there is no room
		} else {
			value.LineComment = e.source
		}
		put(root, strings.Split(e.path, sep), name, value)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out.Bytes(), nil
}

// JSON is [Config.YAML] in JSON, its keys in alphabetical order: "values" is the
// configuration, "sources" tells of each key, written with dots, where its value
// comes from.
func (c *Config) JSON() ([]byte, error) {
	root, sources := map[string]any{}, map[string]string{}
	for _, e := range c.effective() {
		group := root
		parts := strings.Split(e.path, sep)
		for _, part := range parts[:len(parts)-1] {
			next, ok := group[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				group[part] = next
			}
			group = next
		}
		group[parts[len(parts)-1]] = e.value
		sources[dotted(e.path)] = e.source
	}
	out, err := json.MarshalIndent(map[string]any{"values": root, "sources": sources}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return append(out, '\n'), nil
}

// Env returns the same as variables, one a line, each below a comment that says
// where its value comes from. Keys of apps, which have no variable, are left out,
// and what holds a secret is commented out.
func (c *Config) Env() []byte {
	var out bytes.Buffer
	for _, e := range c.effective() {
		name := keyOf(e.path).Env()
		if name == "" {
			continue
		}
		text := envText(e.value)
		hidden := ""
		if strings.Contains(text, Redacted) {
			hidden = "# "
		}
		fmt.Fprintf(&out, "# %s\n%s%s=%s\n", e.source, hidden, name, text)
	}
	return out.Bytes()
}

// envText writes a printed value as a variable holds it.
func envText(v any) string {
	list, ok := v.([]any)
	if texts, isTexts := v.([]string); isTexts {
		return strings.Join(texts, ",")
	}
	if !ok {
		return fmt.Sprint(v)
	}
	parts := make([]string, len(list))
	for i, entry := range list {
		parts[i] = fmt.Sprint(entry)
		if _, token := entry.(map[string]any); token {
			parts[i] = Redacted // more than a variable can say
		}
	}
	return strings.Join(parts, ",")
}

// printed is one value with its path and where it comes from, without secrets.
type printed struct {
	path   string
	value  any
	source string
}

// effective lists every value in the order of the table, apps by name.
func (c *Config) effective() (list []printed) {
	for _, k := range Keys() {
		if !strings.HasPrefix(k.Path, "apps.") {
			list = c.appendPrinted(list, k, "")
		}
	}
	for _, app := range slices.Sorted(maps.Keys(c.Apps)) {
		for _, k := range Keys() {
			if strings.HasPrefix(k.Path, "apps.") {
				list = c.appendPrinted(list, k, "apps"+sep+app)
			}
		}
	}
	return list
}

// appendPrinted appends the value of a key, if it has one. This is the only way
// a value gets out, so that no form can forget to hide a secret.
func (c *Config) appendPrinted(list []printed, k *Key, group string) []printed {
	path := concrete(k, group)
	v, ok := c.values[path]
	if !ok || c.filled[path] { // the key that names the file is shown
		return list
	}
	if k.kind.show != nil {
		v = k.kind.show(v)
	}
	return append(list, printed{path, v, c.source(k, path)})
}

// source says where a value comes from: a flag, a variable, a line of the file, a
// preset, or nowhere.
func (c *Config) source(k *Key, path string) string {
	if at, ok := c.origin[path]; ok {
		return at.source
	}
	if k.policy != nil {
		app := strings.Split(path, sep)[1]
		if preset := c.Apps[app].Preset; preset != "" {
			return "preset " + preset
		}
	}
	return "default"
}

// put hangs a value into a tree of mappings, under the last part of its path.
func put(n *yaml.Node, path []string, name, value *yaml.Node) {
	if len(path) == 1 {
		name.Value = path[0]
		n.Content = append(n.Content, name, value)
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			put(n.Content[i+1], path[1:], name, value)
			return
		}
	}
	group := &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: path[0], Tag: "!!str"}, group)
	put(group, path[1:], name, value)
}

// scalars reports whether a list fits on a line.
func scalars(list *yaml.Node) bool {
	return !slices.ContainsFunc(list.Content, func(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode })
}
