package sendbird

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/filter"
)

// ids reads whom a page names, and where the next one begins.
func (r reply) ids(t testing.TB) (ids []string, next string) {
	t.Helper()
	var doc struct {
		Users []struct {
			UserID string `json:"user_id"`
		}
		Next *string
	}
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil || r.status != 200 || doc.Users == nil || doc.Next == nil {
		t.Fatalf("no page: %v, %v", r, err)
	}
	for _, u := range doc.Users {
		ids = append(ids, u.UserID)
	}
	return ids, *doc.Next
}

func TestListPages(t *testing.T) {
	w := newWorld(t)
	var all []string
	for i := range 25 {
		id := fmt.Sprint("u", i)
		all = append(all, id)
		w.lists[blockList("open", id)] = []string{"Jay"}
	}
	slices.Sort(all) // as the world lists those who block
	w.lists[blockList("open", "Jay")] = all
	for _, which := range []string{"", "&list=blocked_by_me", "&list=blocking_me"} {
		for limit, want := range map[string]int{"": 10, "&limit=1": 1, "&limit=7": 7, "&limit=100": 100} {
			var got []string
			for next, n := "", 0; ; n++ {
				page, more := w.ask("GET", "/v3/users/Jay/block?token="+url.QueryEscape(next)+which+limit+"&unknown=%zz", "").ids(t)
				if len(page) > want || more != "" && len(page) != want || n > 25 {
					t.Fatalf("%s%s: a page of %d, then %q", which, limit, len(page), more)
				}
				got = append(got, page...)
				if next = more; next == "" {
					break
				}
			}
			if !slices.Equal(got, all) {
				t.Errorf("%s%s: %q", which, limit, got)
			}
		}
	}
	if r := w.ask("GET", "/v3/users/nobody/block", ""); r.body != `{"users":[],"next":""}` || r.call != patternUser {
		t.Errorf("nobody: %v", r)
	}
}

func TestListRefuses(t *testing.T) {
	many := "a" + strings.Repeat(",a", maxTargets)
	for query, want := range map[string]code{
		"limit=0": codeRange, "limit=101": codeRange, "limit=-1": codeRange, "limit=99999999999999999999": codeRange,
		"limit=x": codeInvalid, "limit=": codeInvalid, "limit=1.5": codeInvalid, "limit=10&limit=10": codeInvalid, "limit": codeInvalid,
		"list=both": codeInvalid, "list=": codeInvalid, "list=Blocking_Me": codeInvalid, "list=blocking_me&list=blocking_me": codeInvalid,
		"token=zz": codePage, "token=9999": codePage, "token=1&token=2": codeInvalid,
		"user_ids=a,,b": codeInvalid, "user_ids=,": codeInvalid, "user_ids=a%00": codeInvalid, "user_ids=%ff": codeInvalid,
		"user_ids=" + strings.Repeat("x", 257): codeTooLong, "user_ids=" + many: codeTooMany, "user_ids=" + url.QueryEscape(many): codeTooMany,
		"metadatavalues_in=red": codeMissing, "metadatakey=k&metadatavalues_in=" + many: codeTooMany, "metadatakey=a&metadatakey=b": codeInvalid,
		"limit=%zz": codeURL, "%zz=1": codeURL, "list=%": codeURL, "token=%1": codeURL, "user_ids=a,%g0": codeURL,
		"metadatakey=%": codeURL, "metadatakey=k&metadatavalues_in=%": codeURL, "x#y": codeURL,
	} {
		w := newWorld(t)
		if r := w.ask("GET", "/v3/users/Jay/block?"+query, ""); r.code(t) != want || r.status != 400 {
			t.Errorf("%.100s: %v, want %d", query, r, want)
		}
	}
}

func TestListSelects(t *testing.T) {
	w := newWorld(t)
	list := []string{"a", "b", "b c", "b+c", "a,b", "c%2Cd", "😀", "x/y", "f", "g"}
	w.lists[blockList("open", "Jay")] = list
	for _, id := range list {
		w.lists[blockList("open", id)] = []string{"Jay"}
	}
	for id, color := range map[string]string{"a": "red", "b": "blue", "f": "deep red", "g": "red,blue"} {
		w.users[id] = filter.User{ID: id, Metadata: map[string]string{"font color": color}}
	}
	for query, want := range map[string][]string{
		"user_ids=":              list,
		"user_ids=a,nobody":      {"a"},
		"user_ids=nobody":        nil,
		"user_ids=b+c,a":         {"a", "b c"},
		"user_ids=b%2Bc,x%2Fy":   {"b+c", "x/y"},
		"user_ids=a&user_ids=b":  {"a", "b"},
		"user_ids=%F0%9F%98%80":  {"😀"},
		"user_ids=a%2Cb,f":       {"a,b", "f"},
		"user_ids=c%252Cd":       {"c%2Cd"},
		"user_ids=a%2Cb":         {"a,b"},    // an id with a comma
		"user_ids=b%2Cf":         {"b", "f"}, // two ids, as SDKs send them
		"user_ids=nobody%2C":     nil,
		"metadatakey=font+color": {"a", "b", "f", "g"},
		"metadatakey=none":       nil,
		"metadatakey=":           list,
		"user_ids=a,b,b%20c&list=blocked_by_me&metadatakey=font%20color": {"a", "b"},
		"metadatakey=font+color&metadatavalues_in=":                      {"a", "b", "f", "g"},
		"metadatakey=font+color&metadatavalues_in=red,deep+red":          {"a", "f"},
		"metadatakey=font+color&metadatavalues_in=red%2Cblue":            {"g"},
		"metadatakey=font+color&metadatavalues_in=red%2Cdeep+red":        {"a", "f"},
		"user_ids=b%2Cf&metadatakey=font+color&metadatavalues_in=blue":   {"b"},
	} {
		for _, which := range []string{"", "&list=blocking_me"} {
			if strings.Contains(query, "list=") && which != "" {
				continue
			}
			got, next := w.ask("GET", "/v3/users/Jay/block?limit=100&"+query+which, "").ids(t)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(want))
			if !slices.Equal(got, want) || next != "" {
				t.Errorf("%s%s: %q then %q, want %q", query, which, got, next, want)
			}
		}
	}
}

// An SDK encodes a value as a whole: what it sends for many ids is too long to be
// one id, and is one all the same to who reads it by the letter.
func TestListTakesManyIDsFromSDKs(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range maxTargets {
		ids = append(ids, fmt.Sprintf("user-%d", i))
	}
	w.lists[blockList("open", "Jay")] = slices.Clone(ids)
	got, _ := w.ask("GET", "/v3/users/Jay/block?limit=100&user_ids="+url.QueryEscape(strings.Join(ids, ",")), "").ids(t)
	if !slices.Equal(got, ids) || len(w.asked) != 1 {
		t.Errorf("%q by %d reads", got, len(w.asked))
	}
}

// A second read is made only where a value can be read in two ways.
func TestListReadsOnceWhereItCan(t *testing.T) {
	for query, want := range map[string]int{
		"": 1, "user_ids=x": 1, "user_ids=x,y": 1, "user_ids=x%2Cy,z": 1, "user_ids=x%2Cy": 2, "user_ids=a%2Cb": 1, "user_ids=x%2C": 1,
	} {
		w := newWorld(t)
		w.lists[blockList("open", "Jay")] = []string{"a,b"}
		w.ask("GET", "/v3/users/Jay/block?"+query, "").ids(t)
		if len(w.asked) != want {
			t.Errorf("%s: %d reads, want %d", query, len(w.asked), want)
		}
	}
}

// FuzzParseListing compares with net/url, and holds what is asked for to its bounds.
func FuzzParseListing(f *testing.F) {
	for _, s := range []string{
		"list=blocking_me&limit=7&token=abc", "user_ids=a,b%2Cc&metadatakey=k&metadatavalues_in=x+y,z", "user_ids=a%2Cb", "&&=&x",
		"limit=%31%30", "user_ids=%", "%6cimit=5", "user_ids=a&user_ids=b", "metadatavalues_in=a", "token=%00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		before := string(query)
		l, err := parseListing(query)
		if string(query) != before {
			t.Fatalf("%q was written to", before)
		}
		if err != nil {
			if _, ours := err.(fault); !ours {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if l.limit < 1 || l.limit > maxLimit || l.instead != nil && l.of == nil {
			t.Fatalf("%q is %+v", query, l)
		}
		for _, of := range []*filter.Selection{l.of, l.instead} {
			if of == nil {
				continue
			}
			for _, id := range of.Users {
				if filter.ValidateUserID(id) != nil {
					t.Fatalf("%q asks for %q", query, id)
				}
			}
			if len(of.Users) > maxTargets || len(of.Values) > maxTargets {
				t.Fatalf("%q asks for %d and %d", query, len(of.Users), len(of.Values))
			}
		}
		if values, err := url.ParseQuery(before); err == nil {
			if got := values.Get("token"); got != l.token {
				t.Fatalf("%q: the token is %q, want %q", query, l.token, got)
			}
		}
	})
}
