package main

import (
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sidegate/sidegate/filter/imkit"
	"github.com/sidegate/sidegate/filter/rongcloud"
	"github.com/sidegate/sidegate/filter/sendbird"
)

// promisedCalls returns what the document promises under a tag, as method and path.
func promisedCalls(tag string) (list []string) {
	for path, item := range theDocument().raw["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if o, ok := operation.(map[string]any); ok && o["tags"] != nil && o["tags"].([]any)[0] == tag {
				list = append(list, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(list)
	return list
}

// TestDialectsAreDocumented: each call of a vendor's API that is served is in the
// document, and the document promises no other.
func TestDialectsAreDocumented(t *testing.T) {
	for tag, served := range map[string][]string{
		"rongcloud": rongcloud.Calls(), "sendbird": sendbird.Calls(), "imkit": imkit.Calls(),
	} {
		slices.Sort(served)
		if promised := promisedCalls(tag); !slices.Equal(promised, served) {
			t.Errorf("%s: documented are\n%s\nserved are\n%s", tag, strings.Join(promised, "\n"), strings.Join(served, "\n"))
		}
	}
}

// TestOpsIsDocumented: what operators read, likewise.
func TestOpsIsDocumented(t *testing.T) {
	served := builtOfAll(t).ops.Calls()
	slices.Sort(served)
	if promised := promisedCalls("ops"); !slices.Equal(promised, served) {
		t.Errorf("documented are\n%s\nserved are\n%s", strings.Join(promised, "\n"), strings.Join(served, "\n"))
	}
}

// TestAcceptOpsAsDocumented asks each of them of a running program; the client holds
// the answers to the document.
func TestAcceptOpsAsDocumented(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, database(t), "ops: {tokens: [{name: s, token: staff, scopes: [staff]}]}").ready()
	for _, call := range promisedCalls("ops") {
		method, path, _ := strings.Cut(call, " ")
		query := map[string]string{
			"/v1/explain":          "?sender=a&recipient=b&room_type=direct",
			"/debug/pprof/profile": "?seconds=1",
		}[path]
		for _, accept := range []string{"*/*", "application/json"} {
			if a := s.must(method, "ops", path+query, "Authorization: Bearer staff", "Accept: "+accept); a.status != 200 {
				t.Errorf("%s: %v", call, a)
			}
		}
		staffOnly := strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/debug/")
		if a := s.must(method, "ops", path+query); staffOnly != (a.status == 401) {
			t.Errorf("%s without a token: %v", call, a)
		}
	}
}

// TestSecuritySchemesAreUsed: every credential that an operation names exists, and
// none is left over.
func TestSecuritySchemesAreUsed(t *testing.T) {
	d := theDocument()
	schemes, _ := d.at("components", "securitySchemes")
	unused := maps.Clone(schemes.(map[string]any))
	use := func(where string, security any) {
		list, _ := security.([]any)
		for _, alternative := range list {
			for name := range alternative.(map[string]any) {
				if schemes.(map[string]any)[name] == nil {
					t.Errorf("%s asks for %q, which is not described", where, name)
				}
				delete(unused, name)
			}
		}
	}
	use("the document", d.raw["security"])
	for path, item := range d.raw["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if o, ok := operation.(map[string]any); ok {
				use(method+" "+path, o["security"])
			}
		}
	}
	for name := range unused {
		t.Errorf("%s is described and nothing asks for it", name)
	}
}

// recorded is an exchange of filter/dialecttest, which "make dialects" holds the
// program to.
type recorded struct {
	file, title    string
	method, target string
	kind, body     string // of the request
	answered
}

var (
	recordedHead = regexp.MustCompile(`^([A-Z]+) (\S+)`)
	recordedKind = regexp.MustCompile(`(?m)^Content-Type: ([^;\n]*)`)
	recordedEnd  = regexp.MustCompile(`(?m)^HTTP (\d{3})(?: ([^;\n]*).*)?$`)
	// placeholders of a recording, and values that they stand for.
	placeholders = strings.NewReplacer(`"<ms>"`, "1600006869368", `"<number>"`, "7", `"<time>"`, `"2030-01-31T12:00:00.000Z"`, `"?`, `"`)
)

func exchanges(t *testing.T) (list []recorded) {
	t.Helper()
	root := filepath.Join(moduleRoot(t), "filter", "dialecttest", "testdata")
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".http" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, part := range strings.Split("\n"+string(text), "\n### ")[1:] {
			title, rest, _ := strings.Cut(part, "\n")
			head, end := recordedHead.FindStringSubmatch(rest), recordedEnd.FindStringSubmatchIndex(rest)
			if head == nil || end == nil {
				continue // a request that only prepares others
			}
			e := recorded{file: filepath.Base(path), title: title, method: head[1], target: head[2]}
			fields, body, _ := strings.Cut(strings.TrimSpace(rest[:end[0]]), "\n\n")
			if kind := recordedKind.FindStringSubmatch(fields); kind != nil {
				e.kind = kind[1]
			}
			e.body = body
			e.answered.method = e.method
			e.answered.path, _, _ = strings.Cut(e.target, "?")
			e.answered.status, _ = strconv.Atoi(rest[end[2]:end[3]])
			if end[4] >= 0 {
				e.answered.media = rest[end[4]:end[5]]
			}
			e.answered.body = []byte(placeholders.Replace(strings.TrimSpace(rest[end[1]:])))
			list = append(list, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestRecordedExchangesAreDocumented: the answers that the vendors' pages and SDKs
// were given, refusals too, and the requests that succeeded.
func TestRecordedExchangesAreDocumented(t *testing.T) {
	d := theDocument()
	asked := map[string]int{}
	for _, e := range exchanges(t) {
		path, ok := d.find(e.answered.path)
		if operation, _ := d.at("paths", path, strings.ToLower(e.method)); !ok || operation == nil {
			if e.status < 400 {
				t.Errorf("%s, %s: %s %s succeeds and is not documented", e.file, e.title, e.method, e.target)
			}
			continue
		}
		asked[e.method+" "+path]++
		if err := d.check(e.answered); err != nil {
			t.Errorf("%s, %s: %v", e.file, e.title, err)
		}
		if err := d.request(path, e); err != nil && e.status < 300 {
			t.Errorf("%s, %s: succeeds although the document has no such request: %v", e.file, e.title, err)
		}
	}
	for _, tag := range []string{"rongcloud", "sendbird", "imkit"} {
		for _, operation := range promisedCalls(tag) {
			if asked[operation] == 0 && !unrecorded[operation] {
				t.Errorf("no recording asks for %s", operation)
			}
		}
	}
}

// unrecorded are calls that no page shows an answer of; TestAcceptIMKit… make them,
// through a client that holds the answers to the document.
var unrecorded = map[string]bool{
	"POST /blockStatus/room/{roomID}/{blockee}": true, "DELETE /blockStatus/room/{roomID}/{blockee}": true,
}

// request holds a recorded request to the document: its query and its body.
func (d *apiDocument) request(path string, e recorded) error {
	operation, _ := d.at("paths", path, strings.ToLower(e.method))
	content, _ := d.at("paths", path, strings.ToLower(e.method), "requestBody", "content")
	if content == nil || e.body == "" {
		return nil
	}
	kind := e.kind
	if operation.(map[string]any)["tags"].([]any)[0] == "sendbird" {
		kind = "application/json" // whatever the client says it is
	}
	schema, pointer := d.at("paths", path, strings.ToLower(e.method), "requestBody", "content", kind, "schema")
	if pointer == "" {
		return &url.Error{Op: e.method, URL: path, Err: http.ErrNotSupported}
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(e.body))
	if kind == "application/x-www-form-urlencoded" {
		value, err = formValue(schema, e.body)
	}
	if err != nil {
		return err
	}
	return d.validate(pointer, value)
}

// formValue makes an object of a form: a field is a list where the schema says so.
func formValue(schema any, body string) (any, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, err
	}
	object := map[string]any{}
	properties := schema.(map[string]any)["properties"].(map[string]any)
	for name, texts := range values {
		property, _ := properties[name].(map[string]any)
		if property["type"] != "array" {
			object[name] = texts[0]
			continue
		}
		var list []any
		for _, text := range texts {
			list = append(list, text)
		}
		object[name] = list
	}
	return object, nil
}

// TestTheRecordingsAreReadInFull: a test that reads nothing finds nothing.
func TestTheRecordingsAreReadInFull(t *testing.T) {
	list := exchanges(t)
	if len(list) < 80 {
		t.Errorf("only %d exchanges were found", len(list))
	}
	for _, e := range list {
		if e.method == http.MethodPost && strings.HasPrefix(e.target, "/v3/") && e.body != "" && e.status == 200 {
			e.answered.body = []byte(`{"users":1}`)
			if theDocument().check(e.answered) == nil {
				t.Error("an answer of another shape passes")
			}
			e.body = `{"user_ids":"b"}`
			if theDocument().request("/v3/users/{user_id}/block", e) == nil {
				t.Error("a request of another shape passes")
			}
			return
		}
	}
	t.Error("no request with a body was found")
}
