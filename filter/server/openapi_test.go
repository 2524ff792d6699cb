package server

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sidegate/sidegate/metrics/border"
)

// document is the OpenAPI document, with its schemas compiled when they are
// first needed. Schemas of OpenAPI 3.1 are JSON Schema 2020-12.
type document struct {
	raw      any
	paths    map[string]map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema
}

var readDocument = sync.OnceValue(func() *document {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(OpenAPI()))
	if err != nil {
		panic(err)
	}
	d := &document{
		raw: raw, paths: map[string]map[string]any{},
		compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{},
	}
	for path, item := range raw.(map[string]any)["paths"].(map[string]any) {
		d.paths[path] = item.(map[string]any)
	}
	if err := d.compiler.AddResource("openapi.json", raw); err != nil {
		panic(err)
	}
	d.compiler.AssertFormat()
	return d
})

// at resolves a JSON pointer; references are followed.
func (d *document) at(parts ...string) (value any, pointer string) {
	value = d.raw
	for _, part := range parts {
		m, ok := value.(map[string]any)
		if !ok {
			return nil, ""
		}
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
		value = m[part]
		if m, ok := value.(map[string]any); ok && m["$ref"] != nil {
			ref := strings.TrimPrefix(m["$ref"].(string), "#/")
			value, pointer = d.at(strings.Split(ref, "/")...)
		}
	}
	return value, pointer
}

func (d *document) schema(t testing.TB, pointer string) *jsonschema.Schema {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[pointer]; s != nil {
		return s
	}
	s, err := d.compiler.Compile("openapi.json#" + pointer)
	if err != nil {
		t.Fatalf("schema %s: %v", pointer, err)
	}
	d.schemas[pointer] = s
	return s
}

// find returns the documented path that a request target belongs to.
func (d *document) find(target string) (path string, ok bool) {
	raw, _ := splitTarget([]byte(target))
	have := strings.Split(string(raw), "/")
	for path := range d.paths {
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

// documented complains about an answer that the document does not promise. Every
// answer that the tests of this package ask for goes through it.
func documented(t testing.TB, method, target string, a answer) {
	t.Helper()
	d := readDocument()
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	path, known := d.find(target)
	operation, _ := d.at("paths", path, strings.ToLower(method))
	if !known || operation == nil || a.status == 405 {
		if a.body != "" && method != "HEAD" && media != border.ContentType {
			t.Errorf("%s %s is not documented and answers %d %s", method, target, a.status, media)
		}
		return
	}
	parts := []string{"paths", path, strings.ToLower(method), "responses", strconv.Itoa(a.status)}
	response, _ := d.at(parts...)
	if response == nil {
		parts[len(parts)-1] = "default"
		if a.status < 400 {
			t.Errorf("%s %s answers %d, which is not documented", method, path, a.status)
			return
		}
	}
	_, pointer := d.at(append(parts, "content", media, "schema")...)
	switch {
	case a.body == "" && media == "":
		return
	case pointer == "":
		t.Errorf("%s %s answers %d with %q, which is not documented: %s", method, path, a.status, media, a.body)
		return
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err == nil {
		err = d.schema(t, pointer).Validate(value)
	}
	if err != nil {
		t.Errorf("%s %s: the answer %s is not what the document says: %v", method, path, a.body, err)
	}
}

// TestRoutesAndDocumentAgree: every route is documented, and every documented
// path of the two doors is a route; so is every method.
func TestRoutesAndDocumentAgree(t *testing.T) {
	d := readDocument()
	served := map[string]string{}
	for door, routes := range map[border.Door][]*route{
		border.DoorCheck: (&checks{}).routes(),
		border.DoorAPI:   slices.Concat((&blocks{}).routes(), (&users{}).routes(), (&rooms{}).routes(), (&transfers{}).routes()),
	} {
		for _, r := range routes {
			for m, h := range r.handlers {
				if h != nil {
					served[methodNames[m]+" "+r.pattern] = string(door)
				}
			}
		}
	}
	promised := map[string]string{}
	for path, item := range d.paths {
		for _, method := range methodNames[:methods] {
			operation, ok := item[strings.ToLower(method)].(map[string]any)
			if !ok {
				continue
			}
			// What operators read, and the vendors' dialects, are served by other
			// packages; cmd/sidegate holds them to the document.
			if tag := operation["tags"].([]any)[0].(string); tag == string(border.DoorCheck) || tag == string(border.DoorAPI) {
				promised[method+" "+path] = tag
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(served)) {
		if promised[what] != served[what] {
			t.Errorf("%s is served by the %s listener and documented for %q", what, served[what], promised[what])
		}
	}
	for _, what := range slices.Sorted(maps.Keys(promised)) {
		if served[what] == "" {
			t.Errorf("%s is documented and not served", what)
		}
	}
}

// TestDocumentIsServed: both doors, to everybody, tokens or not.
func TestDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	for _, r := range []*running{
		runCheck(t, w, Options{}),
		run(t, Options{}, func(o Options) (*Listener, error) { return NewAPI(&fakeLists{}, o) }),
	} {
		a := r.send(request("GET", "/openapi.json", ""), 1)[0]
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.body != string(OpenAPI()) {
			t.Errorf("%d %v", a.status, a.header)
		}
		var head struct{ OpenAPI string }
		if err := json.Unmarshal([]byte(a.body), &head); err != nil || head.OpenAPI != "3.1.0" {
			t.Errorf("version %q, %v", head.OpenAPI, err)
		}
	}
}

// TestReasonsOfTheDocument: the closed sets of the document are those of the code.
func TestReasonsOfTheDocument(t *testing.T) {
	d := readDocument()
	for deliver := range answers {
		for notify := range answers[deliver] {
			for action := range answers[deliver][notify] {
				for _, body := range answers[deliver][notify][action] {
					value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
					if err == nil {
						err = d.schema(t, "/components/schemas/Decision").Validate(value)
					}
					if err != nil {
						t.Errorf("%s: %v", body, err)
					}
				}
			}
		}
	}
}

// TestTheDocumentWouldNotice: an answer that the document does not promise fails.
func TestTheDocumentWouldNotice(t *testing.T) {
	good := answer{status: 200, header: map[string][]string{"Content-Type": {"application/json"}},
		body: `{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"}`}
	for name, spoil := range map[string]func(*answer){
		"as it should be": func(*answer) {},
		"a field more":    func(a *answer) { a.body = strings.Replace(a.body, "{", `{"x":1,`, 1) },
		"a field less":    func(a *answer) { a.body = `{"deliver":true}` },
		"another reason":  func(a *answer) { a.body = strings.Replace(a.body, "allowed", "because", 1) },
		"another status":  func(a *answer) { a.status = 202 },
		"another type":    func(a *answer) { a.header = map[string][]string{"Content-Type": {"text/plain"}} },
	} {
		a, spy := good, &spyTB{TB: t}
		spoil(&a)
		documented(spy, "GET", "/v1/can-deliver?sender=a", a)
		if spy.failed != (name != "as it should be") {
			t.Errorf("%s: noticed %v", name, spy.failed)
		}
	}
}

// spyTB notes a complaint instead of failing.
type spyTB struct {
	testing.TB
	failed bool
}

func (s *spyTB) Helper()               {}
func (s *spyTB) Errorf(string, ...any) { s.failed = true }
