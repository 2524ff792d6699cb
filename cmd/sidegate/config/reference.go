package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Reference returns the page that lists every key, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	section := ""
	for _, k := range Keys() {
		if s := sectionOf(k.Path); s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n\n| key | type | default | reload | what it is |\n|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s | %s |\n", k.Path, k.names(), k.Type(), k.defaultText(), k.reload(), k.Doc)
	}
	b.WriteString(reloadReference())
	return b.String()
}

// reloadReference sums up what a reload does, from the same table.
func reloadReference() string {
	var hot, restart []string
	for _, k := range Keys() {
		group := k.Path
		for _, h := range hotKeys {
			if strings.HasPrefix(k.Path, h+".") {
				group = h + ".*" // all of them are hot
			}
		}
		list := &restart
		if k.Hot {
			list = &hot
		}
		if name := "`" + group + "`"; !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	return "\n## What a reload does\n\nA [reload](../how-to/reload.md) reads the file, and every file that a value names, again.\n\n" +
		"- applied at once (hot): " + strings.Join(hot, ", ") + "\n" +
		"- named, and waiting for a restart: " + strings.Join(restart, ", ") + "\n"
}

const referenceHead = `# Configuration

<!-- Made by "make docs" from the table in cmd/sidegate/config; changes by hand are lost. -->

A flag wins over the environment, the environment over the file (` + "`--config FILE` or `SIDEGATE_CONFIG`" + `), the file over the default.
A variable is named after its key: ` + "`SIDEGATE_` and the path in capitals, with `_` for every dot" + `; a list is split at commas, an empty variable is the empty list. The keys below ` + "`apps`" + ` stand in the file alone.

An unknown key, an unknown variable with our prefix and a value of the wrong type are refused at the start, all of them together, each with its place. ` + "`sidegate config validate`" + ` shows them without starting anything, ` + "`sidegate config print`" + ` shows what is in force, without secrets.

A secret need not stand in the file: next to every key that holds one there is a key that ends in ` + "`_file`" + ` and names a file with it. ` + "`${VAR}`" + ` is not replaced; a key has its own variable.

The column *reload* says whether [a reload](../how-to/reload.md) applies a new value (hot) or names the key as one that waits for a restart. ` + "`sidegate config schema`" + ` prints a JSON Schema of the file, ` + "[config.schema.json](config.schema.json)" + `.

Durations are written with a unit (` + "`100ms`, `2s`, `5m`" + `), sizes in bytes or with one (` + "`65536`, `64KiB`, `256MiB`" + `).
`

// sectionOf returns the heading a key stands under. The table is ordered so that
// each heading comes once.
func sectionOf(path string) string {
	switch {
	case strings.HasPrefix(path, "apps.*.dialects."):
		return "Dialects of an app"
	case strings.HasPrefix(path, "api.jwt."), strings.HasPrefix(path, "api.rate."):
		return "Signed tokens and rates of the api listener"
	case strings.HasPrefix(path, "apps."):
		return "Apps"
	case strings.HasPrefix(path, "check."), strings.HasPrefix(path, "api."), strings.HasPrefix(path, "ops."), path == "insecure":
		return "Listeners"
	}
	if strings.HasPrefix(path, "decision_log.") || strings.HasPrefix(path, "tracing.") {
		return "Decision log and traces"
	}
	if strings.HasPrefix(path, "probe.") {
		return "Prober"
	}
	return "Database, feed, memory and log"
}

// reload says what a reload does with a new value.
func (k *Key) reload() string {
	if k.Hot {
		return "hot"
	}
	return "restart"
}

// names returns the other names of a key, for its cell.
func (k *Key) names() string {
	var out string
	if env := k.Env(); env != "" {
		out += "<br>`" + env + "`"
	}
	if k.Flag != "" {
		out += "<br>`--" + k.Flag + "`"
	}
	return out
}

// defaultText returns a default as it would be written in the file.
func (k *Key) defaultText() string {
	switch {
	case strings.Contains(k.Path, ".rooms.") && strings.HasSuffix(k.Path, ".mode"):
		return "the app's"
	case k.policy != nil:
		return "the preset's"
	case k.Default == nil:
		return "none"
	}
	node := &yaml.Node{}
	if err := node.Encode(k.Default); err != nil {
		return "none"
	}
	node.Style = yaml.FlowStyle
	text, err := yaml.Marshal(node)
	if err != nil {
		return "none"
	}
	return "`" + strings.TrimSpace(string(text)) + "`"
}
