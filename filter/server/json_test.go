package server

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// readAll reads an object whose members are strings, booleans and nulls.
func readAll(body []byte) (map[string]any, error) {
	got := make(map[string]any)
	o := object{buf: body}
	for o.next() {
		name := string(o.name)
		if _, ok := got[name]; ok {
			o.twice()
		}
		switch o.peek() {
		case 't', 'f':
			got[name] = o.flag()
		default:
			text, given := o.textOrNull()
			if got[name] = nil; given {
				got[name] = strings.Clone(text)
			}
		}
	}
	return got, o.err
}

func TestObject(t *testing.T) {
	body := " {\t\"a\" : \"x\" ,\r\n \"b\":true,\"c\":false,\"d\":null , \"\" : \"\", \"\\u00e9\\\\\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00z\" } \n"
	want := map[string]any{"a": "x", "b": true, "c": false, "d": nil, "": "", "é\\": "\"\\/\b\f\n\r\t😀z"}
	got, err := readAll([]byte(body))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v", got, err)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%q is %q, want %q", name, got[name], value)
		}
	}
	if got, err := readAll([]byte("{}")); err != nil || len(got) != 0 {
		t.Errorf("{} = %v, %v", got, err)
	}
}

// TestObjectStopsAtTheFirstError: what comes after it says nothing any more.
func TestObjectStopsAtTheFirstError(t *testing.T) {
	o := object{buf: []byte(`{"a":1,"b":"x"}`)}
	if !o.next() {
		t.Fatal(o.err)
	}
	if o.text() != "" || o.err == nil {
		t.Fatal("a number was read as a string")
	}
	first := o.err
	o.unknown("a")
	o.twice()
	if text, given := o.textOrNull(); text != "" || given || o.text() != "" || o.flag() || o.next() || o.err != first {
		t.Errorf("after %v: %v", first, o.err)
	}
}

// TestPlainUntil: eight bytes looked at together end where one after the other
// would, whatever stands behind.
func TestPlainUntil(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for b := range 256 {
				for _, behind := range []byte{'x', '"', 0, 0x1f, 0x80, 0xff} {
					text := []byte(strings.Repeat("x", length))
					for i := at; i < length; i++ {
						text[i] = behind
					}
					text[at] = byte(b)
					want := 0
					for want < length && text[want] >= 0x20 && text[want] != '"' && text[want] != '\\' {
						want++
					}
					if got := plainUntil(text, 0); got != want {
						t.Fatalf("%q ends at %d, want %d", text, got, want)
					}
				}
			}
		}
	}
}

// FuzzObject compares the reader with encoding/json on what both understand:
// flat objects without numbers, with distinct names and whole characters.
func FuzzObject(f *testing.F) {
	for _, s := range []string{
		`{"a":"b","c":true}`, `{}`, `{"a":"\u00e9\ud83d\ude00"}`, `{"a":"\ud800"}`, `{"a":null,}`, `{"a":"b"}x`, ` {"a" : false} `,
		`{"a":"\/\b\f\n\r\t\"\\"}`, `{"a":"b","a":"c"}`, "{\"a\":\"\xff\"}", `{"a":tru}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want map[string]any
		wantErr := json.Unmarshal(body, &want)
		got, err := readAll(append([]byte(nil), body...))
		if err != nil {
			if wantErr == nil && readable(body, want) {
				t.Fatalf("%q: refused with %v", body, err)
			}
			return
		}
		if !utf8.Valid(body) {
			return // encoding/json replaces what is not UTF-8, we leave it to the field
		}
		if wantErr != nil || len(got) != len(want) {
			t.Fatalf("%q: taken as %v; encoding/json: %v, %v", body, got, want, wantErr)
		}
		for name, value := range got {
			if want[name] != value {
				t.Fatalf("%q: %q is %q, encoding/json reads %q", body, name, value, want[name])
			}
		}
	})
}

// readable reports whether our reader has no reason to refuse a body that
// encoding/json takes.
func readable(body []byte, members map[string]any) bool {
	if members == nil || !utf8.Valid(body) || strings.Contains(string(body), `\u`) {
		return false // null; replaced characters, possibly half a pair
	}
	for _, value := range members {
		switch value.(type) {
		case string, bool, nil:
		default:
			return false
		}
	}
	// Equal names collapse in the map: count the members another way.
	dec := json.NewDecoder(strings.NewReader(string(body)))
	tokens := 0
	for {
		if _, err := dec.Token(); err != nil {
			break
		}
		tokens++
	}
	return tokens == 2+2*len(members)
}
