package postgres

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sidegate/sidegate/cache"
	"github.com/sidegate/sidegate/filter"
)

// The functions of the schema answer in JSON, which reads the same in every
// protocol mode and can hold lists of unequal length. Times are microseconds
// since 1970, 0 for none.

// whoJSON is what sidegate.identity() answers.
type whoJSON struct {
	Recovery    bool   `json:"recovery"`
	System      int64  `json:"system"`
	Timeline    uint32 `json:"timeline"`
	Started     int64  `json:"started"`
	Incarnation string `json:"incarnation"`
	Relation    uint32 `json:"relation"`
	Salt        int64  `json:"salt"`
}

// identity is an error if the server is a standby or the text not readable.
func (w *whoJSON) identity() (cache.Identity, error) {
	if w.Recovery {
		return cache.Identity{}, ErrStandby
	}
	id := cache.Identity{
		System: uint64(w.System), Timeline: w.Timeline, Started: w.Started,
		Relation: w.Relation, Salt: w.Salt,
	}
	n, err := hex.Decode(id.Incarnation[:], []byte(strings.ReplaceAll(w.Incarnation, "-", "")))
	if err != nil || n != len(id.Incarnation) {
		return cache.Identity{}, &decodeError{fmt.Errorf("incarnation %q is not a UUID", w.Incarnation)}
	}
	return id, nil
}

// blockJSON is what sidegate.block_json answers.
type blockJSON struct {
	Target  string `json:"target"`
	Created int64  `json:"created"`
	Expires int64  `json:"expires"`
	Note    string `json:"note"`
	Source  string `json:"source"`
	Actor   string `json:"actor"`
	Place   int64  `json:"place"`
}

func (b *blockJSON) block(owner string) filter.Block {
	return filter.Block{
		Owner: owner, Target: b.Target, CreatedAt: instant(b.Created), ExpiresAt: instant(b.Expires),
		Note: b.Note, Source: b.Source, Actor: b.Actor,
	}
}

func (b *blockJSON) at() filter.Place {
	return filter.Place{CreatedAt: instant(b.Created), Order: b.Place, ID: b.Target}
}

func blocks(owner string, list []blockJSON) []filter.Block {
	out := make([]filter.Block, len(list))
	for i := range list {
		out[i] = list[i].block(owner)
	}
	return out
}

// changeJSON is what sidegate.changes_json answers.
type changeJSON struct {
	Prev      int64    `json:"prev"`
	Version   int64    `json:"version"`
	Size      int      `json:"size"`
	Digest    int64    `json:"digest"`
	Allowlist bool     `json:"allowlist"`
	Op        string   `json:"op"`
	At        int64    `json:"at"`
	Targets   []string `json:"targets"`
	Expires   []int64  `json:"expires"`
}

func (c *changeJSON) change(list filter.ListID) cache.Change {
	out := cache.Change{
		App: list.App, Kind: list.Kind, Owner: list.Owner,
		Prev: c.Prev, Version: c.Version, Size: c.Size, Digest: uint64(c.Digest), Allowlist: c.Allowlist,
		At: instant(c.At),
	}
	out.Op, out.Entries = operation(c.Op, c.Targets, c.Expires)
	return out
}

// operation reads op and entries of a change. What cannot be read becomes a
// reload of that one list, so that a row which somebody damaged, or which a
// newer schema writes, never stops the feed.
func operation(op string, targets []string, expires []int64) (cache.Op, []cache.Entry) {
	if len(op) != 1 || len(targets) != len(expires) {
		return cache.OpReload, nil
	}
	switch o := cache.Op(op[0]); o {
	case cache.OpAdd, cache.OpRemove, cache.OpUpdate:
		entries := make([]cache.Entry, len(targets))
		for i := range targets {
			entries[i] = cache.Entry{Target: targets[i], Expires: expires[i]}
		}
		return o, entries
	case cache.OpMode:
		return o, nil
	}
	return cache.OpReload, nil
}

func decode(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return &decodeError{err}
	}
	return nil
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
