package server

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sidegate/sidegate/filter"
)

func TestArgumentTable(t *testing.T) {
	for i, name := range argumentNames {
		if a, ok := argumentOf([]byte(name)); !ok || a != argument(i) {
			t.Errorf("%s is argument %d, found %d, %v", name, i, a, ok)
		}
		if i > 0 && argumentNames[i-1] >= name {
			t.Errorf("%s is out of order: the list is shown to people", name)
		}
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "abc": "abc", "a+b": "a b", "%41": "A", "%4a%4A": "JJ", "a%20b%": "!", "%4": "!", "%g1": "!", "%1g": "!",
		"%00%ff": "\x00\xff", "++": "  ", "%2B": "+", "%25%32%35": "%25",
	} {
		got, ok := unescape([]byte(text), true)
		if want == "!" && ok || want != "!" && (!ok || string(got) != want) {
			t.Errorf("unescape(%q) = %q, %v; want %q", text, got, ok, want)
		}
	}
	if got, ok := unescape([]byte("a+%2B"), false); !ok || string(got) != "a++" {
		t.Errorf("in a path a plus is itself, not %q", got)
	}
}

// FuzzQuery compares the parser with net/url: what we take, it reads alike, and
// what it reads as known arguments, each once, we take.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"sender=alice&recipient=bob&room_type=direct", "sender=%C3%BC+x&&status=1", "sender", "%73ender=a%2", "a=b", "=&=",
		"sender=a&sender=b", "verify=1&notify_blocked=0&origin=server&room=r&app=x&at_least=y",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if strings.Contains(query, ";") {
			return // net/url refuses it; to us it is a character like any other
		}
		want, wantErr := url.ParseQuery(query)
		var q question
		err := q.parseQuery([]byte(query))
		acceptable := wantErr == nil
		for name, values := range want {
			_, known := argumentOf([]byte(name))
			harmless := name == "" && strings.Join(values, "") == ""
			acceptable = acceptable && (known && len(values) == 1 || harmless)
		}
		if (err == nil) != acceptable {
			t.Fatalf("%q: we say %v, net/url reads %v, %v", query, err, want, wantErr)
		}
		if err != nil {
			return
		}
		for i, name := range argumentNames {
			if a := argument(i); q.has(a) != want.Has(name) || q.values[a] != want.Get(name) {
				t.Fatalf("%q: %s is %q, net/url reads %q", query, name, q.values[a], want.Get(name))
			}
		}
		if c, err := q.check(); err == nil {
			if filter.ValidateUserID(c.Sender) != nil || filter.ValidateUserID(c.Recipient) != nil || c.RoomType.String() == "" {
				t.Fatalf("%q makes the check %+v", query, c)
			}
		}
	})
}
