package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sidegate/sidegate/filter/server"
)

const openAPIHead = `# OpenAPI

<!-- Made by "make docs" from filter/server/openapi.yaml; changes by hand are lost. -->

Every listener serves the document at ` + "`/openapi.json`" + `: OpenAPI %s, for code generators and for tools that show it. This page lists what is in it; [HTTP](http.md) tells the same of the native routes with examples.

%s
`

// apiPage is what the page needs of the document.
type apiPage struct {
	OpenAPI string
	Info    struct{ Description string }
	Tags    []struct{ Name, Description string }
	Paths   map[string]map[string]json.RawMessage

	Components struct {
		SecuritySchemes map[string]struct{ Type, Scheme, Name, Description string }
		Parameters      map[string]apiParameter
		Responses       map[string]apiAnswer
		Schemas         map[string]apiSchema
	}
}

type apiOperation struct {
	Tags                 []string
	Summary, Description string
	Parameters           []apiParameter
	RequestBody          *apiAnswer
	Responses            map[string]apiAnswer
	Security             []map[string]any
}

type apiParameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                apiSchema
}

// apiAnswer is an answer, or a body of a request.
type apiAnswer struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]struct{ Schema apiSchema }
}

// apiSchema is a schema as far as a table shows it.
type apiSchema struct {
	Ref                  string `json:"$ref"`
	Description          string
	Type, Const, Default any
	Enum                 []any
	Format               string
	Minimum, Maximum     *json.Number
	MaxItems             *json.Number
	Items                *apiSchema
	OneOf, AnyOf         []apiSchema
	Required             []string
	Properties           map[string]apiSchema
}

// UnmarshalJSON implements [json.Unmarshaler]. A schema may be true, anything, or false, nothing.
func (s *apiSchema) UnmarshalJSON(text []byte) error {
	if string(text) == "true" || string(text) == "false" {
		return nil
	}
	type fields apiSchema
	return json.Unmarshal(text, (*fields)(s))
}

// openAPIReference writes the page of the OpenAPI document: operations by their
// tags, then the shapes of what is sent.
func openAPIReference() (string, error) {
	var page apiPage
	if err := json.Unmarshal(server.OpenAPI(), &page); err != nil {
		return "", fmt.Errorf("reference of the OpenAPI document: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, openAPIHead, page.OpenAPI, page.Info.Description)
	for _, tag := range page.Tags {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", tag.Name, tag.Description)
		for _, path := range slices.Sorted(maps.Keys(page.Paths)) {
			if err := page.writePath(&b, tag.Name, path); err != nil {
				return "", fmt.Errorf("reference of the OpenAPI document: %s: %w", path, err)
			}
		}
	}
	page.writeSecurity(&b)
	b.WriteString("\n## Shapes\n\nA field with a * is required.\n")
	for _, name := range slices.Sorted(maps.Keys(page.Components.Schemas)) {
		writeShape(&b, name, page.Components.Schemas[name])
	}
	return b.String(), nil
}

// writePath describes the operations of a path that have the tag.
func (p *apiPage) writePath(b *strings.Builder, tag, path string) error {
	item := p.Paths[path]
	var shared []apiParameter
	if raw := item["parameters"]; raw != nil {
		if err := json.Unmarshal(raw, &shared); err != nil {
			return err
		}
	}
	for _, method := range []string{"get", "put", "post", "delete"} {
		if item[method] == nil {
			continue
		}
		var o apiOperation
		if err := json.Unmarshal(item[method], &o); err != nil {
			return err
		}
		if o.Tags[0] == tag {
			o.Parameters = append(slices.Clone(shared), o.Parameters...)
			p.writeOperation(b, strings.ToUpper(method)+" "+path, o)
		}
	}
	return nil
}

func (p *apiPage) writeOperation(b *strings.Builder, title string, o apiOperation) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n", title, strings.TrimSpace(o.Summary+" "+o.Description))
	if asked := credentialsText(o.Security); asked != "" {
		fmt.Fprintf(b, "\nCredentials: %s.\n", asked)
	}
	b.WriteString("\n| | |\n|---|---|\n")
	for _, q := range o.Parameters {
		if q.Ref != "" {
			q = p.Components.Parameters[last(q.Ref)]
		}
		name := "`" + q.Name + "` in " + q.In
		if q.Required {
			name += ", required"
		}
		row(b, name, sentence(q.Schema.kind(), q.Description))
	}
	if body := o.RequestBody; body != nil {
		for _, media := range slices.Sorted(maps.Keys(body.Content)) {
			row(b, "body `"+media+"`", body.Content[media].Schema.kind())
		}
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		p.writeAnswer(b, status, o.Responses[status])
	}
}

// writeAnswer describes one answer: what it means and what it holds.
func (p *apiPage) writeAnswer(b *strings.Builder, status string, a apiAnswer) {
	if a.Ref != "" {
		a = p.Components.Responses[last(a.Ref)]
	}
	if status == "default" {
		status = "any other"
	}
	var kinds []string
	for _, media := range slices.Sorted(maps.Keys(a.Content)) {
		kinds = append(kinds, a.Content[media].Schema.kind()+" as `"+media+"`")
	}
	row(b, "→ "+status, sentence(a.Description, strings.Join(kinds, ", or ")))
}

// credentialsText names what a call asks for; "" if that is what all native calls do.
func credentialsText(alternatives []map[string]any) string {
	var texts []string
	for _, schemes := range alternatives {
		if len(schemes) == 0 {
			texts = append(texts, "none")
			continue
		}
		texts = append(texts, "`"+strings.Join(slices.Sorted(maps.Keys(schemes)), "` with `")+"`")
	}
	return strings.Join(texts, ", or ")
}

func (p *apiPage) writeSecurity(b *strings.Builder) {
	b.WriteString("\n## Credentials\n\nWhere a call names none, it is `bearer`, or nothing where the listener asks for none.\n\n| name | sent as | |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(p.Components.SecuritySchemes)) {
		s := p.Components.SecuritySchemes[name]
		sent := "`Authorization: Bearer …`"
		if s.Type == "apiKey" {
			sent = "`" + s.Name + ": …`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, sent, s.Description)
	}
}

// writeShape describes a schema; of an object, its fields.
func writeShape(b *strings.Builder, name string, s apiSchema) {
	fmt.Fprintf(b, "\n### %s\n\n", name)
	if len(s.Properties) == 0 {
		fmt.Fprintf(b, "%s\n", sentence(s.kind(), s.Description))
		return
	}
	if s.Description != "" {
		fmt.Fprintf(b, "%s\n\n", s.Description)
	}
	b.WriteString("| field | |\n|---|---|\n")
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		mark := ""
		if slices.Contains(s.Required, field) {
			mark = " *"
		}
		row(b, "`"+field+"`"+mark, sentence(s.Properties[field].kind(), s.Properties[field].Description))
	}
}

// kind says in a few words what a value is.
func (s apiSchema) kind() string {
	switch {
	case s.Ref != "":
		return fmt.Sprintf("[%s](#%s)", last(s.Ref), strings.ToLower(last(s.Ref)))
	case s.Const != nil:
		return fmt.Sprintf("`%v`", s.Const)
	case len(s.Enum) > 0:
		return "`" + strings.Join(each(s.Enum, func(v any) string { return fmt.Sprint(v) }), "`, `") + "`"
	case len(s.OneOf)+len(s.AnyOf) > 0:
		return strings.Join(each(append(s.OneOf, s.AnyOf...), func(o apiSchema) string { return o.kind() }), " or ")
	case s.Items != nil:
		return "list of " + s.Items.kind() + s.bounds()
	case len(s.Properties) > 0:
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			field := s.Properties[name]
			fields = append(fields, "`"+name+"` "+field.kind())
		}
		return "object of " + strings.Join(fields, ", ")
	}
	return typeText(s.Type) + s.bounds()
}

// bounds adds what a value is held to.
func (s apiSchema) bounds() (text string) {
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		text = fmt.Sprintf(", %s to %s", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		text = fmt.Sprintf(", at least %s", *s.Minimum)
	}
	if s.MaxItems != nil {
		text += fmt.Sprintf(", at most %s", *s.MaxItems)
	}
	if s.Format != "" {
		text += ", " + s.Format
	}
	if s.Default != nil {
		text += fmt.Sprintf(", `%v` unless given", s.Default)
	}
	return text
}

// typeText names a type, or several.
func typeText(t any) string {
	if list, ok := t.([]any); ok {
		return strings.Join(each(list, func(v any) string { return fmt.Sprint(v) }), " or ")
	}
	if t == nil {
		return "anything"
	}
	return fmt.Sprint(t)
}

func each[T any](list []T, text func(T) string) (out []string) {
	for _, v := range list {
		out = append(out, text(v))
	}
	return out
}

// sentence joins what there is of two texts.
func sentence(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return strings.TrimSuffix(a, ".") + ". " + b
}

// last is the name at the end of a reference.
func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// row writes one line of a table; a bar would end its cell.
func row(b *strings.Builder, left, right string) {
	fmt.Fprintf(b, "| %s | %s |\n", left, strings.ReplaceAll(right, "|", `\|`))
}
