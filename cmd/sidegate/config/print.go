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
// secrets replaced by [Redacted], in the order of the reference.
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
		put(root, strings.Split(e.path, sep), value)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out.Bytes(), nil
}

// JSON is [Config.YAML] in JSON, its keys in alphabetical order.
func (c *Config) JSON() ([]byte, error) {
	root := map[string]any{}
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
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return append(out, '\n'), nil
}

// printed is one value with its path, without secrets.
type printed struct {
	path  string
	value any
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
	if !ok {
		return list
	}
	if k.kind.show != nil {
		v = k.kind.show(v)
	}
	return append(list, printed{path, v})
}

// put hangs a value into a tree of mappings.
func put(n *yaml.Node, path []string, value *yaml.Node) {
	name := &yaml.Node{Kind: yaml.ScalarNode, Value: path[0], Tag: "!!str"}
	if len(path) == 1 {
		n.Content = append(n.Content, name, value)
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == path[0] {
			put(n.Content[i+1], path[1:], value)
			return
		}
	}
	group := &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, name, group)
	put(group, path[1:], value)
}

// scalars reports whether a list fits on a line.
func scalars(list *yaml.Node) bool {
	return !slices.ContainsFunc(list.Content, func(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode })
}
