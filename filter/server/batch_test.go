package server

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/filter"
)

// batches keeps what the listener asks of the service. Of what is to be added,
// every target that begins with "new" is new; of what is to be removed, every one
// that begins with "there" was there.
func batches(got *filter.Edit) *fakeLists {
	return &fakeLists{edit: func(_ context.Context, edit filter.Edit) (filter.Written, error) {
		*got = edit
		done := filter.Written{Revision: token}
		for _, a := range edit.Add {
			done.Added = append(done.Added, filter.Block{Target: a.Target})
			done.Created = append(done.Created, strings.HasPrefix(a.Target, "new"))
		}
		for _, target := range edit.Remove {
			if strings.HasPrefix(target, "there") {
				done.Removed = append(done.Removed, filter.Block{Target: target})
			}
		}
		return done, nil
	}}
}

func TestBatch(t *testing.T) {
	var got filter.Edit
	r := runAPI(t, batches(&got), Options{Auth: tokens()})
	at := time.Date(2031, 1, 31, 11, 0, 0, 0, time.UTC)
	keep := func(target string) filter.Addition { return filter.Addition{Target: target, Keep: true} }
	for body, want := range map[string]struct {
		add    []filter.Addition
		remove []string
		counts string
	}{
		`{}`:                                   {nil, nil, `"added":0,"removed":0,"unchanged":0`},
		`{"add":[],"remove":[]}`:               {nil, nil, `"added":0,"removed":0,"unchanged":0`},
		`{"add":["new1","old"]}`:               {[]filter.Addition{keep("new1"), keep("old")}, nil, `"added":1,"removed":0,"unchanged":1`},
		`{"remove":["there","no","\u00e9/%"]}`: {nil, []string{"there", "no", "é/%"}, `"added":0,"removed":1,"unchanged":2`},
		`{"remove":["there"],"add":["new1","new2"]}`: {
			[]filter.Addition{keep("new1"), keep("new2")}, []string{"there"}, `"added":2,"removed":1,"unchanged":0`,
		},
		`{"add":["old",{"target":"old2"},{"note":"n\n","target":"old3","expires_at":"2031-01-31T11:00:00Z"},{"target":"new","note":null}]}`: {
			[]filter.Addition{keep("old"), {Target: "old2"}, {Target: "old3", Note: "n\n", ExpiresAt: at}, {Target: "new"}}, nil,
			`"added":1,"removed":0,"unchanged":1,"updated":2`,
		},
		// What has no target or an empty one is the service's to refuse.
		`{"add":[{}, ""]}`: {[]filter.Addition{{}, keep("")}, nil, `"added":0,"removed":0,"unchanged":1,"updated":1`},
	} {
		a := r.ask("POST", bobsPath+":batch", body, "Authorization", "Bearer all")
		wantBody := "{" + want.counts + `,"revision":"` + token.String() + `"}`
		if a.status != 200 || a.body != wantBody || a.header.Get("Sidegate-Revision") != token.String() {
			t.Errorf("%s = %d %v %s, want %s", body, a.status, a.header, a.body, wantBody)
		}
		wantEdit := filter.Edit{List: bobsList, Add: want.add, Remove: want.remove, Source: "native", Actor: "server"}
		if !reflect.DeepEqual(got, wantEdit) {
			t.Errorf("%s: asked for %+v, want %+v", body, got, wantEdit)
		}
	}
}

func TestBatchRefuses(t *testing.T) {
	r := runAPI(t, &fakeLists{}, Options{}) // the service must not even be asked
	for _, c := range []struct {
		body, code, says string
		status           int
	}{
		{`["alice"]`, "invalid_json", "expected a JSON object", 400},
		{`{"Add":["alice"]}`, "unknown_field", "known are add, remove", 400},
		{`{"add":"alice"}`, "invalid_json", "is a string; expected an array", 400},
		{`{"add":null}`, "invalid_json", "is null; expected an array", 400},
		{`{"add":[1]}`, "invalid_json", "expected an array of ids and of objects", 400},
		{`{"add":[["alice"]]}`, "invalid_json", "expected an array of ids and of objects", 400},
		{`{"add":["a"],"add":["b"]}`, "invalid_json", "given twice", 400},
		{`{"remove":["a"],"remove":["b"]}`, "invalid_json", "given twice", 400},
		{`{"remove":[{"target":"a"}]}`, "invalid_json", "expected a string", 400},
		{`{"add":[{"target":"a","target":"b"}]}`, "invalid_json", "given twice", 400},
		{`{"add":[{"target":"a","note":"x","note":"y"}]}`, "invalid_json", "given twice", 400},
		{`{"add":[{"user":"a"}]}`, "unknown_field", "known are target, expires_at, note", 400},
		{`{"add":[{"target":"a","expires_at":"soon"}]}`, "invalid_expiry", "RFC 3339", 400},
		{`{"add":[{"target":null}]}`, "invalid_json", "expected a string", 400},
		{`{"add":["a",]}`, "invalid_json", "", 400},
		{`{"add":["a"]} x`, "invalid_json", "nothing after", 400},
		{`{"remove":["` + strings.Repeat("x", listLimit) + `"]}`, "too_large", "more than this path takes", 413},
	} {
		a := r.ask("POST", bobsPath+":batch", c.body)
		if a.status != c.status || a.code(t) != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%.60s = %d %s, want %d %s", c.body, a.status, a.body, c.status, c.code)
		}
	}
	if a := r.ask("POST", bobsPath+":batch", "", "Content-Type", "application/json", "Content-Length", "0"); a.status != 400 ||
		a.code(t) != "invalid_json" || !strings.Contains(a.body, "the body is empty") {
		t.Errorf("an empty body = %d %s", a.status, a.body)
	}
	if a := r.ask("POST", bobsPath+":batch?dry_run=1", `{}`); a.status != 400 || a.code(t) != "unknown_parameter" {
		t.Errorf("a parameter = %d %s", a.status, a.body)
	}
	if a := r.ask("POST", bobsPath+":batch", `{}`, "Content-Type", "text/csv"); a.status != 415 {
		t.Errorf("text/csv = %d %s", a.status, a.body)
	}
	if a := r.ask("PUT", bobsPath+":batch", `{}`); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("PUT = %d %v", a.status, a.header)
	}
}

// TestBatchOfTooMany: the limit is on both parts together, and one entry makes
// the difference.
func TestBatchOfTooMany(t *testing.T) {
	var got filter.Edit
	r := runAPI(t, batches(&got), Options{})
	names := func(prefix string, n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("%q", fmt.Sprint(prefix, i))
		}
		return strings.Join(list, ",")
	}
	for _, c := range []struct{ add, remove, status int }{
		{maxBatch, 0, 200}, {0, maxBatch, 200}, {400, 600, 200}, {maxBatch + 1, 0, 413}, {0, maxBatch + 1, 413}, {401, 600, 413},
	} {
		got = filter.Edit{}
		a := r.ask("POST", bobsPath+":batch", `{"add":[`+names("new", c.add)+`],"remove":[`+names("there", c.remove)+`]}`)
		if a.status != c.status {
			t.Errorf("%d and %d = %d %s", c.add, c.remove, a.status, a.body)
		}
		if c.status != 200 {
			if a.code(t) != "too_large" || !strings.Contains(a.body, "more than 1000 entries") || got.Add != nil {
				t.Errorf("%d and %d = %s, asked for %d", c.add, c.remove, a.body, len(got.Add))
			}
			continue
		}
		var counts batchJSON
		if err := json.Unmarshal([]byte(a.body), &counts); err != nil || counts.Added != c.add || counts.Removed != c.remove {
			t.Errorf("%d and %d = %s, %v", c.add, c.remove, a.body, err)
		}
	}
}

// TestBatchRefusedByTheService: what the service says arrives whole.
func TestBatchRefusedByTheService(t *testing.T) {
	var fail error
	r := runAPI(t, &fakeLists{edit: func(context.Context, filter.Edit) (filter.Written, error) {
		return filter.Written{}, fmt.Errorf("edit a list: %w", fail)
	}}, Options{})
	for want, err := range map[string]error{
		`400 conflicting_batch add[0] and remove[0] name the same target`: filter.Errorf(filter.CodeConflictingBatch, "add[0] and remove[0] name the same target"),
		`400 self_block add[1]`:       filter.Errorf(filter.CodeSelfBlock, "add[1]: owner and target are the same user"),
		`409 limit_exceeded "size":9`: &filter.Error{Code: filter.CodeLimitExceeded, Limit: 10, Size: 9},
		`503 outcome_unknown`:         &filter.Error{Code: filter.CodeOutcomeUnknown, Detail: "it may have been stored"},
	} {
		fail = err
		a := r.ask("POST", bobsPath+":batch", `{"add":["a"]}`)
		status, rest, _ := strings.Cut(want, " ")
		code, says, _ := strings.Cut(rest, " ")
		if fmt.Sprint(a.status) != status || !strings.Contains(a.body, `"code":"`+code+`"`) || !strings.Contains(a.body, says) {
			t.Errorf("%d %s, want %s", a.status, a.body, want)
		}
	}
}

// TestBatchesKeepTheirStrings: the service may keep what it is handed, whatever
// comes through the connection afterwards. What the parser borrows would change.
func TestBatchesKeepTheirStrings(t *testing.T) {
	var kept []filter.Edit
	r := runAPI(t, &fakeLists{edit: func(_ context.Context, edit filter.Edit) (filter.Written, error) {
		kept = append(kept, edit)
		return filter.Written{Edited: filter.Edited{Created: make([]bool, len(edit.Add))}}, nil
	}}, Options{})
	const n = 30
	name := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1+i*7%120) }
	var raw strings.Builder
	for i := range n {
		raw.WriteString(request("POST", "/v1/apps/default/users/o"+name(i)+"/blocks:batch", fmt.Sprintf(
			`{"add":["p%[1]s",{"target":"q%[1]s","note":"\u006e%[1]s"}],"remove":["r%[1]s"]}`, name(i))))
	}
	if got := len(r.send(raw.String(), n)); got != n {
		t.Fatalf("%d answers", got)
	}
	for i, edit := range kept {
		want := filter.Edit{
			List:   filter.ListID{App: "default", Owner: "o" + name(i)},
			Add:    []filter.Addition{{Target: "p" + name(i), Keep: true}, {Target: "q" + name(i), Note: "n" + name(i)}},
			Remove: []string{"r" + name(i)}, Source: "native",
		}
		if !reflect.DeepEqual(edit, want) {
			t.Errorf("batch %d has become %+v, want %+v", i, edit, want)
		}
	}
}

// FuzzBatch: whatever is taken is what encoding/json reads, and is never more
// than a batch may name.
func FuzzBatch(f *testing.F) {
	for _, s := range []string{
		`{"add":["a",{"target":"b","note":"n","expires_at":"2031-01-31T11:00:00Z"}],"remove":["c"]}`, `{"add":[{}]}`, `{"remove":["a",]}`, `{}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want struct {
			Add    []json.RawMessage
			Remove []string
		}
		reference := json.Unmarshal(body, &want)
		got, err := parseBatch(append([]byte(nil), body...))
		if err != nil {
			return
		}
		if reference != nil || len(got.Add) != len(want.Add) || len(got.Remove) != len(want.Remove) || len(got.Add)+len(got.Remove) > maxBatch {
			t.Fatalf("%q: taken as %+v; encoding/json: %+v, %v", body, got, want, reference)
		}
		for i, raw := range want.Add {
			if keep := raw[0] == '"'; keep != got.Add[i].Keep {
				t.Fatalf("%q: add[%d] is %+v", body, i, got.Add[i])
			}
		}
	})
}
