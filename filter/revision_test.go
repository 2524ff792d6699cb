package filter

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
)

func TestRevisionRoundTrip(t *testing.T) {
	for _, version := range []int64{0, 1, 1 << 40} {
		for kind := range cache.Kind(cache.Kinds) {
			r := NewRevision(primary, ListID{App: one, Kind: kind, Owner: "bob"}, version)
			token := r.String()
			got, err := ParseRevision(token)
			if err != nil || got != r {
				t.Errorf("%+v came back as %+v, %v", r, got, err)
			}
			if len(token) != 51 || strings.ContainsAny(token, "+/=&?# ") {
				t.Errorf("%q: want 51 characters that are safe in a URL", token)
			}
			if !got.Of(one) || got.Of("two") {
				t.Errorf("%+v does not know its app", got)
			}
		}
	}
	if !(Revision{}).IsZero() || NewRevision(primary, blockList(one, "bob"), 0).IsZero() {
		t.Error("IsZero does not tell the revision that asks nothing from one that does")
	}
}

// TestRevisionTellsApart: a difference in anything that a revision names makes
// another one.
func TestRevisionTellsApart(t *testing.T) {
	seen := map[string]string{}
	add := func(name string, server cache.Identity, list ListID, version int64) {
		token := NewRevision(server, list, version).String()
		if other, ok := seen[token]; ok {
			t.Errorf("%s and %s have the same revision", name, other)
		}
		seen[token] = name
	}
	add("base", primary, blockList(one, "bob"), 1)
	add("version", primary, blockList(one, "bob"), 2)
	add("owner", primary, blockList(one, "carol"), 1)
	add("kind", primary, allowList(one, "bob"), 1)
	add("app", primary, blockList("two", "bob"), 1)
	for name, change := range map[string]func(*cache.Identity){
		"system":      func(id *cache.Identity) { id.System++ },
		"timeline":    func(id *cache.Identity) { id.Timeline++ },
		"start":       func(id *cache.Identity) { id.Started++ },
		"incarnation": func(id *cache.Identity) { id.Incarnation[15]++ },
		"relation":    func(id *cache.Identity) { id.Relation++ },
		"salt":        func(id *cache.Identity) { id.Salt++ },
	} {
		other := primary
		change(&other)
		add(name, other, blockList(one, "bob"), 1)
	}
}

func TestRevisionHasNoReadableID(t *testing.T) {
	token := NewRevision(primary, blockList("acme", "bob-the-builder"), 1).String()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"bob", "acme"} {
		if strings.Contains(string(raw), id) || strings.Contains(token, id) {
			t.Errorf("%q can be read from the token", id)
		}
	}
}

func FuzzParseRevision(f *testing.F) {
	f.Add("")
	f.Add(NewRevision(primary, blockList(one, "bob"), 3).String())
	f.Add(strings.Repeat("A", 51))
	f.Fuzz(func(t *testing.T, token string) {
		r, err := ParseRevision(token)
		if err == nil {
			if r.String() != token {
				t.Fatalf("%q parses and is spelled %q", token, r.String())
			}
			return
		}
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != CodeInvalidRevision {
			t.Fatalf("%q: %v", token, err)
		}
	})
}

// TestForgedRevisionsAreHarmless: any token that parses may be asked for; the
// worst it can do is one read.
func TestForgedRevisionsAreHarmless(t *testing.T) {
	bubble(t, twoWay(), func(t *testing.T, w *world, f *Filter) {
		for _, version := range []int64{-1 << 63, -1, 0, 1<<63 - 1} {
			check := atLeast(direct("alice", "bob"), primary, blockList(one, "bob"), version)
			begun := time.Now()
			d := f.CanDeliver(check)
			if version <= 0 && d != plain || version > 0 && d != notFresh {
				t.Errorf("version %d: %+v", version, d)
			}
			if took := time.Since(begun); took > DefaultAtLeastTimeout {
				t.Errorf("version %d: took %v", version, took)
			}
		}
	})
}
