package filter

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sidegate/sidegate/cache"
)

// MaxNoteBytes is the most bytes the note of an entry may have.
const MaxNoteBytes = 1024

// latestExpiry is the first instant that is too late to expire at: RFC 3339,
// in which times travel, has four digits for the year.
var latestExpiry = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// checkEdit looks at an edit before anything of it is written, and brings its
// expiries to the precision that the database keeps.
func (b *Blocks) checkEdit(edit *Edit) error {
	if err := b.checkList(edit.List); err != nil {
		return err
	}
	now := time.Now()
	for i := range edit.Add {
		edit.Add[i].ExpiresAt = edit.Add[i].ExpiresAt.Truncate(time.Microsecond)
		if err := checkAddition(edit.List, &edit.Add[i], now); err != nil {
			return edit.locate(err, "add", i)
		}
	}
	for i, target := range edit.Remove {
		if err := validateID("target", target); err != nil {
			return edit.locate(err, "remove", i)
		}
	}
	return checkDistinct(edit)
}

// locate says which entry of an edit an error is about, if there are several.
func (e *Edit) locate(err error, part string, i int) error {
	var refused *Error
	if len(e.Add)+len(e.Remove) == 1 || !errors.As(err, &refused) {
		return err
	}
	return Errorf(refused.Code, "%s[%d]: %s", part, i, refused.Detail)
}

func (b *Blocks) checkApp(app string) error {
	if _, ok := b.apps[app]; !ok {
		return errUnknownApp()
	}
	return nil
}

func errUnknownApp() *Error { return Errorf(CodeUnknownApp, "the app is not configured") }

func (b *Blocks) checkList(list ListID) error {
	if err := b.checkApp(list.App); err != nil {
		return err
	}
	if list.Kind == cache.KindRoom {
		return ValidateRoomID(list.Owner)
	}
	return validateID("owner", list.Owner)
}

func checkAddition(list ListID, add *Addition, now time.Time) error {
	if err := validateID("target", add.Target); err != nil {
		return err
	}
	// A room may be named like a user who is banned from it.
	if add.Target == list.Owner && list.Kind != cache.KindRoom {
		return Errorf(CodeSelfBlock, "owner and target are the same user")
	}
	if err := checkExpiry(add.ExpiresAt, now); err != nil {
		return err
	}
	return checkNote(add.Note)
}

// checkExpiry compares with our own clock. If the database's is ahead of it, an
// expiry between the two is stored and has no effect, as if it had come later.
func checkExpiry(at, now time.Time) error {
	switch {
	case at.IsZero():
		return nil
	case !at.After(now):
		return Errorf(CodeInvalidExpiry, "expires_at is in the past; it must be later than now")
	case !at.Before(latestExpiry):
		return Errorf(CodeInvalidExpiry, "expires_at is after the year 9999; leave it out for a block that never expires")
	}
	return nil
}

func checkNote(note string) error {
	switch {
	case len(note) > MaxNoteBytes:
		return Errorf(CodeInvalidNote, "the note has %d bytes; at most %d are allowed", len(note), MaxNoteBytes)
	case !utf8.ValidString(note):
		return Errorf(CodeInvalidNote, "the note is not valid UTF-8")
	case strings.IndexByte(note, 0) >= 0:
		return Errorf(CodeInvalidNote, "the note has a zero byte, which the database cannot keep")
	}
	return nil
}

// checkDistinct refuses an edit that names a target twice. Of add and remove it
// is not for us to guess which should win; twice in add is refused as well, for
// the two may differ in expiry and note, and so that the counts of the answer
// add up to what was asked.
func checkDistinct(edit *Edit) error {
	n := len(edit.Add) + len(edit.Remove)
	if n < 2 {
		return nil
	}
	seen := make(map[string]int, n)
	for i := range n {
		part, at, target := edit.entry(i)
		if first, twice := seen[target]; twice {
			before, was, _ := edit.entry(first)
			return Errorf(CodeConflictingBatch, "%s[%d] and %s[%d] name the same target", before, was, part, at)
		}
		seen[target] = i
	}
	return nil
}

// entry returns what an edit names in place i, counted over both its parts.
func (e *Edit) entry(i int) (part string, at int, target string) {
	if i < len(e.Add) {
		return "add", i, e.Add[i].Target
	}
	i -= len(e.Add)
	return "remove", i, e.Remove[i]
}

// clone copies every string of an edit. Requests borrow theirs from a buffer
// that the next request overwrites, while the store may keep them in what it
// returns and the cache in its pages.
func (e Edit) clone() Edit {
	e.List = e.List.clone()
	e.Source, e.Actor, e.Once = strings.Clone(e.Source), strings.Clone(e.Actor), e.Once.clone()
	e.Add, e.Remove = slices.Clone(e.Add), cloneAll(e.Remove)
	for i := range e.Add {
		e.Add[i].Target, e.Add[i].Note = strings.Clone(e.Add[i].Target), strings.Clone(e.Add[i].Note)
	}
	return e
}

func (l ListID) clone() ListID {
	return ListID{App: strings.Clone(l.App), Kind: l.Kind, Owner: strings.Clone(l.Owner)}
}
