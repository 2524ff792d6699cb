package filter

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sidegate/sidegate/cache"
)

// BlockedByRequest asks for a piece of the lists that a user is on.
type BlockedByRequest struct {
	App    string
	Kind   cache.Kind // of the lists
	Target string
	// Limit is the most entries to return, 1 to MaxListLimit; zero means
	// DefaultListLimit.
	Limit int
	// Cursor is the Next of the piece before; "" starts at the top. It does not
	// depend on Of, which may change from piece to piece.
	Cursor string
	// Of leaves out the owners that it does not pick; nil picks all.
	Of *Selection
}

// BlockedByResult is a piece of the lists that a user is on, newest entry first.
type BlockedByResult struct {
	Blocks []Block
	Next   string // cursor; "": the end
}

// BlockedBy reads from the database on whose lists a user is. There is no total:
// nobody bounds how many lists one user is on. Whether the one who asks may know
// is for the door to say; a user never may about themselves.
func (b *Blocks) BlockedBy(ctx context.Context, req BlockedByRequest) (BlockedByResult, error) {
	// The target stands where a list has its owner, and is held to the same rules.
	of := ListID{App: req.App, Kind: req.Kind, Owner: req.Target}.clone()
	if err := b.checkApp(of.App); err != nil {
		return BlockedByResult{}, err
	}
	if err := validateID("user id", of.Owner); err != nil {
		return BlockedByResult{}, err
	}
	limit, err := pieceLimit(req.Limit)
	if err != nil {
		return BlockedByResult{}, err
	}
	w := walk{what: walkBlockedBy, list: of}
	after, err := parseCursor(w, req.Cursor)
	if err != nil {
		return BlockedByResult{}, err
	}
	some, err := checkSelection(req.Of)
	if err != nil {
		return BlockedByResult{}, err
	}
	page, err := b.store.BlockedBy(ctx, BlockedByQuery{
		App: of.App, Kind: of.Kind, Target: of.Owner, Limit: limit, After: after, Of: some,
	})
	if err != nil {
		return BlockedByResult{}, fmt.Errorf("read who blocks a user: %w", err)
	}
	return BlockedByResult{Blocks: page.Blocks, Next: encodeCursor(w, page.Next)}, nil
}

// HistoryRequest asks for a piece of the intervals of a list.
type HistoryRequest struct {
	List   ListID
	Target string // "" = every target
	// Limit is the most intervals to return, 1 to MaxListLimit; zero means
	// DefaultListLimit.
	Limit int
	// Cursor is the Next of the piece before; "" starts at the top.
	Cursor string
}

// HistoryResult is a piece of the intervals of a list, newest first.
type HistoryResult struct {
	Intervals []Interval
	Next      string // cursor; "": the end
}

// History reads the intervals of a list from the database: those that have ended
// and those under way. One that ends while the pieces are read is in exactly one
// of them all the same.
func (b *Blocks) History(ctx context.Context, req HistoryRequest) (HistoryResult, error) {
	list, target := req.List.clone(), strings.Clone(req.Target)
	if err := b.checkList(list); err != nil {
		return HistoryResult{}, err
	}
	if target != "" {
		if err := validateID("target", target); err != nil {
			return HistoryResult{}, err
		}
	}
	limit, err := pieceLimit(req.Limit)
	if err != nil {
		return HistoryResult{}, err
	}
	w := walk{what: walkHistory, list: list, target: target}
	after, err := parseCursor(w, req.Cursor)
	if err != nil {
		return HistoryResult{}, err
	}
	page, err := b.store.History(ctx, HistoryQuery{List: list, Target: target, Limit: limit, After: after})
	if err != nil {
		return HistoryResult{}, fmt.Errorf("read the history of a list: %w", err)
	}
	return HistoryResult{Intervals: page.Intervals, Next: encodeCursor(w, page.Next)}, nil
}

// maxSelected is the most users and the most values a selection may name.
const maxSelected = 1000

// checkSelection returns a copy of its own.
func checkSelection(s *Selection) (*Selection, error) {
	if s == nil {
		return nil, nil
	}
	if len(s.Users) > maxSelected || len(s.Values) > maxSelected {
		return nil, Errorf(CodeInvalidLimit, "a selection names at most %d users and %d values", maxSelected, maxSelected)
	}
	own := &Selection{Users: cloneAll(s.Users), Key: strings.Clone(s.Key), Values: cloneAll(s.Values)}
	for _, id := range own.Users {
		if err := ValidateUserID(id); err != nil {
			return nil, err
		}
	}
	if err := checkText("a key of metadata", own.Key); err != nil {
		return nil, err
	}
	for _, v := range own.Values {
		if err := checkText("a value of metadata", v); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// checkText refuses what the database cannot hold, and so cannot be asked for.
func checkText(what, text string) error {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return Errorf(CodeInvalidUserID, "%s is not valid UTF-8 or has a zero byte", what)
	}
	return nil
}

// cloneAll copies a list and its strings; nil stays nil.
func cloneAll(list []string) []string {
	if list == nil {
		return nil
	}
	own := make([]string, len(list))
	for i := range list {
		own[i] = strings.Clone(list[i])
	}
	return own
}

// pieceLimit is the limit of a piece, the default if none was given.
func pieceLimit(asked int) (int, error) {
	switch {
	case asked == 0:
		return DefaultListLimit, nil
	case asked < 1 || asked > MaxListLimit:
		return 0, Errorf(CodeInvalidLimit, "limit must be between 1 and %d, not %d", MaxListLimit, asked)
	}
	return asked, nil
}
