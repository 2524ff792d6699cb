package server

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// entryRead is an element as readEntries reads it: a string, or an object of
// strings.
type entryRead struct {
	text   string
	fields map[string]string
}

// readEntries reads an object whose members are arrays of strings and of objects
// of strings.
func readEntries(body []byte) (map[string][]entryRead, error) {
	got := make(map[string][]entryRead)
	o := object{buf: body}
	for o.next() {
		name := string(o.name)
		if _, ok := got[name]; ok {
			o.twice()
		}
		got[name] = []entryRead{}
		for some := o.array(); some; some = o.more() {
			got[name] = append(got[name], readEntry(&o))
		}
	}
	return got, o.err
}

func readEntry(o *object) (e entryRead) {
	if o.peek() != '{' {
		e.text = string([]byte(o.text()))
		return e
	}
	e.fields = make(map[string]string)
	in := o.within()
	for in.next() {
		name := string(in.name)
		if _, ok := e.fields[name]; ok {
			in.twice()
		}
		e.fields[name] = string([]byte(in.text()))
	}
	o.resume(in)
	return e
}

func TestArray(t *testing.T) {
	for body, want := range map[string]map[string][]entryRead{
		`{}`:                              {},
		`{"a":[]}`:                        {"a": {}},
		` {"a" : [ ] , "b":[ "x" , "y"]}`: {"a": {}, "b": {{text: "x"}, {text: "y"}}},
		`{"a":["\u0041",{"k":"v","l":"\n"},{}],"b":["z"]}`: {
			"a": {{text: "A"}, {fields: map[string]string{"k": "v", "l": "\n"}}, {fields: map[string]string{}}},
			"b": {{text: "z"}},
		},
		`{"a":[{}]}`: {"a": {{fields: map[string]string{}}}},
	} {
		if got, err := readEntries([]byte(body)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, %v", body, got, err)
		}
	}
}

// TestArrayRefuses: nothing that is not exactly an array of what is expected is
// read as one, and reading stops there.
func TestArrayRefuses(t *testing.T) {
	for _, body := range []string{
		`{"a":`, `{"a":[`, `{"a":["x"`, `{"a":["x",`, `{"a":["x",]}`, `{"a":[,"x"]}`, `{"a":["x" "y"]}`, `{"a":["x"}`,
		`{"a":"x"}`, `{"a":{}}`, `{"a":null}`, `{"a":[null]}`, `{"a":[1]}`, `{"a":[["x"]]}`, `{"a":["x"]]}`,
		`{"a":[{]}`, `{"a":[{"k":"v"]}`, `{"a":[{"k":"v",}]}`, `{"a":[{,"k":"v"}]}`, `{"a":[{"k":["v"]}]}`, `{"a":[{}`, `{"a":[{}]`,
		`{"a":[{"k":"v"}"x"]}`, `{"a":["x"]}[]`, `["x"]`,
	} {
		if got, err := readEntries([]byte(body)); err == nil {
			t.Errorf("%s was read as %v", body, got)
		}
	}
}

// FuzzArray compares with encoding/json: whatever we take, it takes, and reads
// the same.
func FuzzArray(f *testing.F) {
	f.Add([]byte(`{"a":["x",{"k":"v"}],"b":[]}`))
	f.Add([]byte(`{"a":["x",]}`))
	f.Add([]byte(`{"a":[{"k":"v"},{}]} `))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readEntries(append([]byte(nil), body...))
		if err != nil || !utf8.Valid(body) {
			return
		}
		var want map[string][]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil || len(got) != len(want) {
			t.Fatalf("%q: taken as %v; encoding/json: %v, %v", body, got, want, err)
		}
		for name, list := range got {
			if len(list) != len(want[name]) {
				t.Fatalf("%q: %q has %d elements, encoding/json reads %d", body, name, len(list), len(want[name]))
			}
			for i, raw := range want[name] {
				var e entryRead
				if json.Unmarshal(raw, &e.text) != nil {
					e.text = ""
					if err := json.Unmarshal(raw, &e.fields); err != nil {
						t.Fatalf("%q: element %d: %v", body, i, err)
					}
				}
				if !reflect.DeepEqual(list[i], e) {
					t.Fatalf("%q: element %d of %q is %v, encoding/json reads %v", body, i, name, list[i], e)
				}
			}
		}
	})
}
