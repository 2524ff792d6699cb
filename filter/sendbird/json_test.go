package sendbird

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sidegate/sidegate/filter"
)

// quoted writes a string as JSON with nothing escaped that need not be.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// escapedAll writes a string as JSON with everything escaped.
func escapedAll(s string) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&out, `\u%04x`, unit)
	}
	return `"` + out.String() + `"`
}

// FuzzParseBlock: whatever comes, targets are distinct valid ids of the request, and
// those of a request that the library reads strictly are what it reads.
func FuzzParseBlock(f *testing.F) {
	for _, s := range []string{
		`{"target_id":"Tom"}`, `{"user_ids":["a","b","a"]}`, `{"users":[{"user_id":"a"},"b"]}`, `{"user_id":"b"}`, ``, `{}`,
		`{"target_id":"\ud83d\ude00","user_ids":["\ud83d"]}`, `{"target_id":null,"users":[null]}`, `{"a":{"b":[1]},"users":[ {"user_id" : "x"} ]}`,
		`{"target_id":"a","target_id":"b"}`, `{"target_id":"\\u0041"}`, "{\"target_id\":\"\xff\"}", `[`, `{"target_id":"a"}x`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseBlock(body)
		if err != nil {
			if _, ours := err.(fault); !ours {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if len(got.ids) == 0 || len(got.ids) > maxTargets {
			t.Fatalf("%q names %d", body, len(got.ids))
		}
		sorted := slices.Sorted(slices.Values(got.ids))
		if len(slices.Compact(sorted)) != len(got.ids) {
			t.Fatalf("%q names somebody twice: %q", body, got.ids)
		}
		for _, id := range got.ids {
			if filter.ValidateUserID(id) != nil {
				t.Fatalf("%q names %q", body, id)
			}
		}
		if !utf8.Valid(body) || !json.Valid(body) {
			t.Fatalf("%q is taken and is no JSON", body)
		}
		// The library folds names; where no name is folded it must agree.
		var same struct {
			TargetID *string `json:"target_id"`
		}
		members := map[string]json.RawMessage{}
		if json.Unmarshal(body, &members) == nil && json.Unmarshal(members["target_id"], &same.TargetID) == nil && same.TargetID != nil {
			if got.ids[0] != *same.TargetID {
				t.Fatalf("%q: the target is %q, want %q", body, got.ids[0], *same.TargetID)
			}
		}
	})
}
