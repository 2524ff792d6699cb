package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sidegate/sidegate/filter"
)

// parseFile reads YAML (JSON is a part of it) into a layer. It walks the tree
// of keys beside the tree of nodes, because the nodes still know their lines.
func (l *loader) parseFile(layer map[string]any, data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		l.blank = true // an empty file sets nothing
		return
	case err != nil:
		l.malformed(data, err)
		return
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		l.fault("%s holds more than one document; only one can be read", l.src.File)
		return
	}
	l.blank = isNull(doc.Content[0])
	w := &walker{loader: l, layer: layer}
	w.group(doc.Content[0], tree(), nil)
}

// malformed notes that a file is no YAML. Of what YAML's reader says, one sentence
// quotes the file: a text that begins with a star is the name of an anchor to it,
// and to its author it may be a secret.
func (l *loader) malformed(data []byte, err error) {
	if _, rest, quotes := strings.Cut(err.Error(), "unknown anchor '"); quotes {
		name, _, _ := strings.Cut(rest, "'")
		before, _, _ := bytes.Cut(data, []byte("*"+name))
		l.fault("%s:%d: a text that begins with * is taken for a reference to an anchor, which is not there; put it in quotes",
			l.src.File, 1+bytes.Count(before, []byte("\n")))
		return
	}
	l.fault("%s: %w", l.src.File, err)
}

// walker goes through the nodes of one file.
type walker struct {
	*loader
	layer map[string]any
}

// at is the place of a node for people.
func (w *walker) at(n *yaml.Node, path []string) string {
	return w.placeOf(n, path).name
}

func (w *walker) placeOf(n *yaml.Node, path []string) place {
	source := fmt.Sprintf("%s:%d", w.src.File, n.Line)
	return place{path: strings.Join(path, sep), name: strings.Join(path, ".") + " at " + source, source: source}
}

// group reads a mapping whose keys are those of here.
func (w *walker) group(n *yaml.Node, here *node, path []string) {
	// An anchor cannot contain itself for long: every step goes one level
	// down the tree of keys, which is finite.
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if isNull(n) {
		return // "rooms:" with nothing after it
	}
	if n.Kind != yaml.MappingNode {
		if len(path) == 0 {
			w.fault("%s:%d: the file does not hold a mapping of keys to values", w.src.File, n.Line)
			return
		}
		w.fault("%s is not a group; the keys of %s stand below it, one a line", w.at(n, path), path[len(path)-1])
		return
	}
	// YAML leaves open which of two equal keys wins, and its decoder notices
	// them only in what it decodes itself.
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		full := append(slices.Clone(path), name.Value)
		if line, twice := first[name.Value]; twice {
			w.fault("%s stands there already, in line %d", w.at(name, full), line)
			continue
		}
		first[name.Value] = name.Line
		w.entry(name, value, here, full)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// entry reads one key of a mapping with its value.
func (w *walker) entry(name, value *yaml.Node, here *node, path []string) {
	child := here.child(name.Value)
	switch {
	case name.Kind != yaml.ScalarNode || name.Tag == "!!merge":
		w.fault("%s:%d: only plain keys are read, no merge (<<) and no key that is itself a structure", w.src.File, name.Line)
	case child == nil:
		w.unknown(name, here, path)
	case here.any == child && checkAppName(name.Value) != nil:
		w.fault("%s:%d: an app's name %w", w.src.File, name.Line, checkAppName(name.Value))
	case child.key != nil:
		w.value(value, child.key, path)
	default:
		at := w.placeOf(name, path)
		w.groups[at.path], w.origin[at.path] = true, at
		w.group(value, child, path)
	}
}

// value reads the value of a key. Below a key there are no more keys of the
// table: what it may hold, its kind knows.
func (w *walker) value(n *yaml.Node, k *Key, path []string) {
	var raw any
	if err := n.Decode(&raw); err != nil {
		// The decoder's own text may quote the value, which may be a secret.
		w.fault("%s: this is not readable: a key stands there twice, or a tag does not fit", w.at(n, path))
		return
	}
	at := w.placeOf(n, path)
	if expands(raw) {
		w.fault("%s: ${…} is not replaced in the file; %s", at.name, k.otherwise())
		return
	}
	if value, ok := w.read(k, at, raw); ok {
		w.layer[at.path] = value
	}
}

// variable is how shells and other programs' files refer to their environment.
var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// expands reports whether a value looks as if its author expected it to be
// replaced. Taken literally it would be a password that everybody can guess.
func expands(raw any) bool {
	switch v := raw.(type) {
	case string:
		return variable.MatchString(v)
	case []any:
		return slices.ContainsFunc(v, expands)
	case map[string]any:
		for _, value := range v {
			if expands(value) {
				return true
			}
		}
	}
	return false
}

// otherwise says how a value is given without standing in the file.
func (k *Key) otherwise() string {
	switch {
	case k.Env() != "" && k.kind.secret:
		return "leave the key out and set the variable " + k.Env() + ", or " + k.Env() + strings.ToUpper(fileSuffix) + " to a file that holds the value"
	case k.Env() != "":
		return "leave the key out and set the variable " + k.Env()
	case k.kind.secret:
		return "leave the key out and name a file that holds the value by " + k.Name() + fileSuffix
	}
	return "write the value itself"
}

// unknown refuses a key. Ignoring it would be kinder to a file that was written
// for a newer version, and would leave the policy that it meant unset.
func (w *walker) unknown(name *yaml.Node, here *node, path []string) {
	full := strings.Join(path, ".")
	w.fault("unknown key %q at %s:%d: %s", full, w.src.File, name.Line, hint(full, known(path), here.order))
}

// checkAppName accepts what can name an app in a path, a token and a row.
func checkAppName(name string) error {
	if err := filter.ValidateUserID(name); err != nil {
		return errors.New("has 1 to 256 bytes of UTF-8 without control characters")
	}
	return nil
}
