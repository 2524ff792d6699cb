package main

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sidegate/sidegate/filter/server"
)

// apiDocument is the OpenAPI document that the program serves.
type apiDocument struct {
	raw      map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema
	seen     map[string]int // answers that were held to it, by operation and status
}

var theDocument = sync.OnceValue(func() *apiDocument {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(server.OpenAPI()))
	if err != nil {
		panic(err)
	}
	d := &apiDocument{
		raw: raw.(map[string]any), compiler: jsonschema.NewCompiler(),
		schemas: map[string]*jsonschema.Schema{}, seen: map[string]int{},
	}
	if err := d.compiler.AddResource("openapi.json", raw); err != nil {
		panic(err)
	}
	d.compiler.AssertFormat()
	return d
})

// at resolves a path into the document; references are followed. pointer is "" if
// nothing is there.
func (d *apiDocument) at(parts ...string) (value any, pointer string) {
	value = d.raw
	for _, part := range parts {
		m, ok := value.(map[string]any)
		if !ok || m[part] == nil {
			return nil, ""
		}
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
		value = m[part]
		if m, ok := value.(map[string]any); ok && m["$ref"] != nil {
			value, pointer = d.at(strings.Split(strings.TrimPrefix(m["$ref"].(string), "#/"), "/")...)
		}
	}
	return value, pointer
}

// find returns the documented path that a path, as it is sent, belongs to.
func (d *apiDocument) find(sent string) (path string, ok bool) {
	have := strings.Split(sent, "/")
	for path := range d.raw["paths"].(map[string]any) {
		want := strings.Split(path, "/")
		same := len(want) == len(have)
		for i := 0; same && i < len(want); i++ {
			same = want[i] == have[i] || strings.HasPrefix(want[i], "{") && strings.HasSuffix(want[i], "}")
		}
		if same {
			return path, true
		}
	}
	return "", false
}

// validate holds a value to the schema at a pointer.
func (d *apiDocument) validate(pointer string, value any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.schemas[pointer]
	if s == nil {
		var err error
		if s, err = d.compiler.Compile("openapi.json#" + pointer); err != nil {
			return err
		}
		d.schemas[pointer] = s
	}
	return s.Validate(value)
}

// answered is an answer as the document speaks of it.
type answered struct {
	method, path string // as they were sent, without the query
	status       int
	media        string
	body         []byte
}

// check returns what the document does not promise of an answer.
func (d *apiDocument) check(r answered) error {
	path, ok := d.find(r.path)
	method := strings.ToLower(r.method)
	if operation, _ := d.at("paths", path, method); !ok || operation == nil {
		return nil // the tests of routes say what must be documented
	}
	parts := []string{"paths", path, method, "responses", strconv.Itoa(r.status)}
	if answer, _ := d.at(parts...); answer == nil {
		if r.status < 400 {
			return fmt.Errorf("%s %s answers %d, which is not documented", r.method, path, r.status)
		}
		parts[len(parts)-1] = "default"
	}
	_, pointer := d.at(append(parts, "content", r.media, "schema")...)
	if len(r.body) == 0 && r.media == "" {
		return nil
	}
	if pointer == "" {
		return fmt.Errorf("%s %s answers %d with %q, which is not documented", r.method, path, r.status, r.media)
	}
	if !strings.HasSuffix(r.media, "json") {
		return nil // text is only text
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	if err == nil {
		err = d.validate(pointer, value)
	}
	if err != nil {
		return fmt.Errorf("%s %s: the answer %d %s is not what the document says: %w", r.method, path, r.status, r.body, err)
	}
	return nil
}

// enough answers of a kind were held to the document: some tests ask a hundred
// thousand times.
const enough = 50

func (d *apiDocument) wants(r answered) bool {
	path, _ := d.find(r.path)
	kind := fmt.Sprint(r.method, path, r.status)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[kind]++
	return d.seen[kind] <= enough
}

// documented holds the answers that pass through it to the document. Bodies that
// are streamed are left alone.
type documented struct {
	t    testing.TB
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (d *documented) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(req)
	if err != nil || req.Method == http.MethodHead {
		return resp, err
	}
	r := answered{method: req.Method, path: req.URL.EscapedPath(), status: resp.StatusCode}
	r.media, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.ContentLength < 0 || !theDocument().wants(r) {
		return resp, nil
	}
	whole, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // what could be read was
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole), failing{err}))
	if err != nil {
		return resp, nil // whoever reads it sees the same
	}
	r.body = whole
	if err := theDocument().check(r); err != nil {
		d.t.Error(err)
	}
	return resp, nil
}

// failing ends a body as the original ended.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
