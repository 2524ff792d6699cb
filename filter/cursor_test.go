package filter

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sidegate/sidegate/cache"
)

var somePlace = Place{CreatedAt: time.UnixMicro(1_700_000_000_123_456).UTC(), Order: 7, ID: "alice"}

func TestCursorRoundTrip(t *testing.T) {
	list := walk{list: blockList(one, "bob")}
	for _, place := range []Place{
		{},
		somePlace,
		{CreatedAt: time.UnixMicro(-5).UTC(), Order: -1, ID: "用户 / % ? #"},
		{CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), Order: math.MaxInt64, ID: strings.Repeat("x", MaxIDBytes)},
	} {
		cursor := encodeCursor(list, place)
		got, err := parseCursor(list, cursor)
		if err != nil || got != place {
			t.Errorf("%+v came back as %+v, %v", place, got, err)
		}
		if strings.ContainsAny(cursor, "+/=&?# ") {
			t.Errorf("%q is not safe in a URL", cursor)
		}
	}
}

// TestCursorIsRefused: what is not exactly a cursor of this list is an error,
// never another place.
func TestCursorIsRefused(t *testing.T) {
	list := walk{list: blockList(one, "bob")}
	cursor := encodeCursor(list, somePlace)
	refuse := func(name string, of walk, cursor string) {
		t.Helper()
		place, err := parseCursor(of, cursor)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != CodeInvalidCursor || !place.IsZero() {
			t.Errorf("%s: %+v, %v", name, place, err)
		}
	}
	refuse("another owner", walk{list: blockList(one, "carol")}, cursor)
	refuse("another app", walk{list: blockList("two", "bob")}, cursor)
	refuse("another kind", walk{list: allowList(one, "bob")}, cursor)
	refuse("who blocks the user", walk{what: walkBlockedBy, list: list.list}, cursor)
	refuse("the history of the list", walk{what: walkHistory, list: list.list}, cursor)
	pair := walk{what: walkHistory, list: list.list, target: "alice"}
	refuse("the whole history", walk{what: walkHistory, list: list.list}, encodeCursor(pair, somePlace))
	refuse("the history of another target", walk{what: walkHistory, list: list.list, target: "carol"}, encodeCursor(pair, somePlace))
	refuse("no base64", list, "%%%")
	refuse("padding", list, cursor+"=")
	refuse("too short", list, "AQAA")
	for i := range cursor {
		refuse("cut", list, cursor[:max(i, 1)])
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			flipped := append([]byte(nil), raw...)
			flipped[i] ^= 1 << bit
			refuse("flipped bit", list, base64.RawURLEncoding.EncodeToString(flipped))
		}
	}
	// A sum that is right does not make a place out of nonsense.
	refuse("bad target", list, encodeCursor(list, Place{CreatedAt: time.UnixMicro(1), ID: "a\n"}))
	refuse("no target", list, encodeCursor(list, Place{CreatedAt: time.UnixMicro(1)}))
}

func FuzzParseCursor(f *testing.F) {
	list := walk{list: ListID{App: one, Kind: cache.KindBlock, Owner: "bob"}}
	f.Add("")
	f.Add("AQ")
	f.Add(encodeCursor(list, somePlace))
	f.Fuzz(func(t *testing.T, cursor string) {
		place, err := parseCursor(list, cursor)
		if err != nil {
			return
		}
		again, err := parseCursor(list, encodeCursor(list, place))
		if err != nil || again != place {
			t.Fatalf("%q is %+v, which comes back as %+v, %v", cursor, place, again, err)
		}
		if cursor != "" && ValidateUserID(place.ID) != nil {
			t.Fatalf("%q names a target that is no id: %q", cursor, place.ID)
		}
	})
}
