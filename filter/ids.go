package filter

import "unicode/utf8"

// MaxIDBytes is the most bytes an id of a user or a room may have.
const MaxIDBytes = 256

// ValidateUserID returns nil if id can name a user: 1 to [MaxIDBytes] bytes of
// valid UTF-8 without control characters. Otherwise the error is an *[Error]
// with [CodeInvalidUserID] whose detail names the rule that is broken and never
// holds the id. Ids are opaque: nothing is trimmed, folded or normalised, two
// ids are the same user exactly if their bytes are the same.
func ValidateUserID(id string) error { return validateID("user id", id) }

// ValidateRoomID is [ValidateUserID] for the id of a room: the same rules, the
// same code.
func ValidateRoomID(id string) error { return validateID("room id", id) }

func validateID(what, id string) error {
	if len(id) == 0 {
		return Errorf(CodeInvalidUserID, "the %s is empty; it must have 1 to %d bytes", what, MaxIDBytes)
	}
	if len(id) > MaxIDBytes {
		return Errorf(CodeInvalidUserID, "the %s has %d bytes; at most %d are allowed", what, len(id), MaxIDBytes)
	}
	for i := range len(id) {
		if b := id[i]; b < 0x20 || b >= 0x7f {
			return validateRunes(what, id, i)
		}
	}
	return nil
}

// validateRunes goes on at the first byte that is not plain ASCII, which the
// ids of most apps never reach.
func validateRunes(what, id string, from int) error {
	for i, r := range id[from:] {
		switch {
		case r < 0x20 || 0x7f <= r && r <= 0x9f:
			return Errorf(CodeInvalidUserID, "the %s has the control character U+%04X at byte %d; none is allowed",
				what, r, from+i)
		case r == utf8.RuneError && !startsRuneError(id[from+i:]):
			return Errorf(CodeInvalidUserID, "the %s is not valid UTF-8 at byte %d", what, from+i)
		}
	}
	return nil
}

// startsRuneError tells U+FFFD as written, which is a valid character, from a
// byte that could not be decoded, for which range yields the same rune.
func startsRuneError(s string) bool {
	_, width := utf8.DecodeRuneInString(s)
	return width > 1
}
