package config

import (
	"encoding/json"
	"strings"
)

// schemaID is where the schema is published: editors fetch it from there.
const schemaID = "https://raw.githubusercontent.com/sidegate/sidegate/main/docs/reference/config.schema.json"

// Schema returns a JSON Schema (draft 2020-12) of the configuration file, made
// from the table. It accepts every file that [Load] accepts; of what Load refuses
// it finds unknown keys, wrong types, missing units and values out of range, not
// what two keys say together.
func Schema() []byte {
	root := objectSchema(tree(), nil)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = schemaID
	root["title"] = "sidegate configuration"
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("config: schema: " + err.Error()) // maps of plain values always marshal
	}
	return append(text, '\n')
}

// schema is a JSON Schema, or a part of one.
type schema = map[string]any

// objectSchema describes a group. One that has nothing below it, as in "rooms:",
// is null to YAML and sets nothing.
func objectSchema(n *node, path []string) schema {
	s := schema{"type": []string{"object", "null"}, "additionalProperties": false}
	properties := schema{}
	for _, name := range n.order {
		properties[name] = nodeSchema(n.children[name], append(path, name))
	}
	if len(properties) > 0 {
		s["properties"] = properties
	}
	if n.any != nil {
		s["additionalProperties"] = nodeSchema(n.any, append(path, "*"))
		s["propertyNames"] = schema{"minLength": 1, "maxLength": 256, "pattern": `^[^\x00-\x1f\x7f-\x9f]+$`}
	}
	return s
}

func nodeSchema(n *node, path []string) schema {
	if n.key == nil {
		return objectSchema(n, path)
	}
	k := n.key
	s := schema{"description": plainText(k.Doc), "x-sidegate-reload": k.reload()}
	for name, value := range k.kind.schema {
		s[name] = value
	}
	if k.Default != nil {
		s["default"] = k.Default
	}
	if env := k.Env(); env != "" {
		s["x-sidegate-env"] = env
	}
	return s
}

// plainText takes the marks of Markdown out of a text.
func plainText(text string) string { return strings.ReplaceAll(text, "`", "") }

// The schemas of the kinds; a kind with parameters makes its own. YAML reads what stands without quotes as a number,
// therefore several types.
var (
	textSchema   = schema{"type": "string"}
	boolSchema   = schema{"type": "boolean"}
	secretSchema = schema{"type": "string", "minLength": 1, "not": notASecret}
	dsnSchema    = schema{"type": "string", "pattern": `^$|^postgres(ql)?://|^\s*[^:/@ =]+\s*=`, "not": schema{"pattern": variable.String()}}
	webSchema    = schema{"type": "string", "pattern": `^$|^https?://[^/@]+`}
	fileSchema   = schema{"type": "string", "minLength": 1}

	// One entry of a list may stand without its brackets.
	textsSchema = listSchema(schema{"type": "string", "minLength": 1})

	secretsSchema = listSchema(tokenText)

	// A duration has a unit, save 0.
	durationSchema = schema{"anyOf": []any{
		schema{"type": "string", "pattern": `^[+-]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`},
		schema{"const": 0},
	}}

	listenSchema = schema{"anyOf": []any{
		schema{"const": ""},
		schema{"type": "string", "pattern": address},
		schema{"type": "array", "items": schema{"type": "string", "pattern": address}},
		schema{"type": "array", "items": schema{"const": ""}, "maxItems": 1},
	}}

	tokensSchema = listSchema(schema{"anyOf": []any{
		tokenText,
		tokenSchema,
	}})

	tokenSchema = schema{
		"type": "object", "additionalProperties": false,
		"properties": schema{
			"name":   schema{"type": "string", "minLength": 1},
			"token":  tokenText,
			"sha256": schema{"type": "string", "pattern": `^(sha256:)?[0-9A-Fa-f]{64}$`},
			"file":   schema{"type": "string", "minLength": 1},
			"apps":   atLeastOne(textsSchema),
			"scopes": atLeastOne(listSchema(schema{"enum": scopes})),
		},
		"oneOf": []any{
			schema{"required": []string{"token"}}, schema{"required": []string{"sha256"}}, schema{"required": []string{"file"}},
		},
	}
)

// address is what [ParseAddress] takes, but for the range of the port.
const address = `^(unix:///.+|[^\s/@]*:[0-9]{1,5})$`

var (
	// notASecret is the placeholder of a printed configuration, and a variable.
	notASecret = schema{"anyOf": []any{schema{"const": Redacted}, schema{"pattern": variable.String()}}}
	// tokenText is what a header carries.
	tokenText = schema{"type": "string", "pattern": `^[!-~]+$`, "not": notASecret}
)

// listSchema describes a list of different entries; one may stand alone.
func listSchema(entry schema) schema {
	return schema{"anyOf": []any{entry, schema{"type": "array", "items": entry, "uniqueItems": true}}}
}

func atLeastOne(list schema) schema {
	return schema{"allOf": []any{list, schema{"not": schema{"type": "array", "maxItems": 0}}}}
}

func rangeSchema(low, high int) schema {
	return schema{"type": "integer", "minimum": low, "maximum": high}
}

func sizeSchema(low int64) schema {
	return schema{"anyOf": []any{
		schema{"type": "string", "pattern": `^ *[0-9]+ *(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)? *$`},
		schema{"type": "integer", "minimum": low},
	}}
}

func enumSchema(values []string) schema { return schema{"type": "string", "enum": values} }
