package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/metrics/border"
)

// docsCmd is hidden: it is of use in a checkout only. It writes the pages of the reference that are made from the code, so
// that they cannot say something else. It is for "make docs".
type docsCmd struct {
	Dir     string `default:"docs/reference" help:"Where to write."`
	OpenAPI string `name:"openapi" placeholder:"FILE" help:"Only make FILE.json of FILE.yaml, which the next build embeds."`
}

// Run writes every page.
func (c *docsCmd) Run(p *program) error {
	if c.OpenAPI != "" {
		if err := writeOpenAPI(c.OpenAPI); err != nil {
			return usageError{fmt.Errorf("write the OpenAPI document: %w", err)}
		}
		return nil
	}
	pages, err := referencePages()
	if err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o644); err != nil {
			return usageError{fmt.Errorf("write the reference: %w", err)}
		}
	}
	return nil
}

// writeOpenAPI turns the document that people write into the one that is served.
func writeOpenAPI(name string) error {
	source, err := os.ReadFile(name + ".yaml")
	if err != nil {
		return err
	}
	text, err := openAPIJSON(source)
	if err != nil {
		return err
	}
	return os.WriteFile(name+".json", text, 0o644)
}

func openAPIJSON(source []byte) ([]byte, error) {
	var document any
	if err := yaml.Unmarshal(source, &document); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(document, "", "  ")
	return append(text, '\n'), err
}

// referencePages returns the generated pages by their file name.
func referencePages() (map[string]string, error) {
	cli, err := cliReference()
	if err != nil {
		return nil, err
	}
	metrics, err := metricsReference()
	if err != nil {
		return nil, err
	}
	openAPI, err := openAPIReference()
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"openapi.md":         openAPI,
		"configuration.md":   config.Reference(),
		"config.schema.json": string(config.Schema()),
		"metrics.md":         metrics,
		"logs.md":            logsReference(),
		"cli.md":             cli,
		"problems.md":        string(border.Reference()),
	}, nil
}

const cliHead = `# Command line

<!-- Made by "make docs" from the grammar in cmd/sidegate; changes by hand are lost. -->

%s

Variables: every configuration key has one (see [configuration](configuration.md)); besides these, ` + "`SIDEGATE_CONFIG`" + ` names the file, ` + "`SIDEGATE_TOKEN`" + ` the token of a client, and ` + "`SIDEGATE_CHECK_URL`, `SIDEGATE_API_URL` and `SIDEGATE_OPS_URL`" + ` the listeners that it asks.
`

// cliReference describes every command that help shows.
func cliReference() (string, error) {
	parser, err := newParser(&program{}, func(int) {})
	if err != nil {
		return "", fmt.Errorf("command line grammar: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, cliHead, strings.TrimSpace(parser.Model.Help))
	writeCommands(&b, parser.Model.Node)
	return b.String(), nil
}

// writeCommands goes through the commands in the order of the grammar; one that
// has commands of its own is described by them.
func writeCommands(b *strings.Builder, parent *kong.Node) {
	for _, n := range parent.Children {
		switch {
		case n.Hidden:
		case len(n.Children) > 0:
			writeCommands(b, n)
		default:
			writeCommand(b, n)
		}
	}
}

// writeCommand describes one command: how it is called, what it is for, what it
// takes.
func writeCommand(b *strings.Builder, n *kong.Node) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", n.FullPath(), n.Help)
	usage := n.FullPath()
	for _, arg := range n.Positional {
		usage += " " + strings.ToUpper(arg.Name)
	}
	fmt.Fprintf(b, "\n```\n%s [flags]\n```\n", usage)
	if n.Detail != "" {
		fmt.Fprintf(b, "\n%s\n", n.Detail)
	}
	b.WriteString("\n| | |\n|---|---|\n")
	for _, arg := range n.Positional {
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.ToUpper(arg.Name), arg.Help)
	}
	for _, flag := range n.Flags {
		if flag.Name == "help" {
			continue
		}
		name := "--" + flag.Name
		if !flag.IsBool() {
			name += "=" + flag.FormatPlaceHolder()
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, flag.Help)
	}
}
