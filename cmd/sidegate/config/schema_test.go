package config

import (
	"bytes"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// compiled is the schema as a validator knows it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schemaID, document); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile(schemaID) // it also holds the schema to its own
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate holds a file to the schema as an editor does; readable is false if
// it is not YAML that a schema could be held to.
func validate(s *jsonschema.Schema, text string) (err error, readable bool) {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return nil, false
	}
	return s.Validate(value), true
}

// TestSchemaTakesWhatLoads: every key with a value that is taken, every printed
// configuration, and what is easily forgotten.
func TestSchemaTakesWhatLoads(t *testing.T) {
	s := compiled(t)
	var files []string
	for _, tc := range slices.Concat(keyCases, tlsCases, dialectCases) {
		files = append(files, tc.file(tc.yaml))
	}
	for _, k := range Keys() {
		if k.fills != nil {
			tc := keyCase{key: k.Path}
			files = append(files, tc.file("/run/secrets/s"))
		}
	}
	files = append(files, everySecret, "", "{}", "apps: {acme: }", "api: {jwt: }", "apps: {a.b: {rooms: }}",
		"sync: {poll_interval: 1m30s, soft_bound: 1.5h}", "api: {jwt: {secret: s, max_age: 0}}",
		"cache: {max_bytes: 1048576}", "cache: {max_bytes: '64 KiB'}",
		"check: {listen: []}", "check: {listen: ''}", "check: {listen: ':7070'}", "check: {listen: ['[::1]:1', 'unix:///s?mode=0660']}",
		"postgres: {url: 'host=h dbname=d'}", "postgres: {url: ''}",
		"api: {tokens: [plain, 'sha256:"+hashOfT1+"', {name: n, sha256: '"+hashOfT1+"', apps: [default], scopes: [user, app]}, {file: /f, scopes: staff}]}")
	plain, err := load(t, Source{}).YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(files, string(plain)) {
		if err, readable := validate(s, text); err != nil || !readable {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// beyondSchema are faults that no schema sees: what two values say together, the
// range of a duration, and what the text of a value means.
var beyondSchema = []string{
	"bad exempt id", "negative duration", "zero poll", "zero byte",
	"an audit without a pause", "soft below poll", "hard below soft", "one address twice", "one socket twice", "token of no app",
}

// TestSchemaRefusesWhatFails: a file that Load refuses, the schema refuses too.
func TestSchemaRefusesWhatFails(t *testing.T) {
	s := compiled(t)
	seen := 0
	for _, tc := range fileFaults {
		err, readable := validate(s, tc.file)
		if !readable || tc.name == "two documents" || tc.name == "merge" {
			continue
		}
		seen++
		if beyond := slices.Contains(beyondSchema, tc.name); (err == nil) != beyond {
			t.Errorf("%s: %s\n%v; want a refusal: %v", tc.name, tc.file, err, !beyond)
		}
	}
	for _, text := range []string{
		"check: {tokens: [{token: a, file: b}]}", "check: {tokens: [{name: a}]}", "check: {tokens: [{tokn: a}]}", "check: {tokens: ['***']}",
		"check: {tokens: [{token: a, scopes: [admin]}]}", "check: {tokens: [{token: a, apps: []}]}", "check: {tokens: ['${TOKEN}']}",
		"postgres: {url: '${DATABASE_URL}'}", "api: {jwt: {secret: ''}}", "api: {jwt: {secret: '***'}}", "cache: {max_bytes: 1.5}",
	} {
		seen++
		if err, readable := validate(s, text); err == nil || !readable {
			t.Errorf("%s is taken", text)
		}
	}
	if seen < 50 {
		t.Errorf("only %d files were held to the schema", seen)
	}
}
