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
	i := 0
	for ; i+8 <= len(id) && plainASCII(id[i:i+8]); i += 8 {
	}
	for ; i < len(id); i++ {
		if b := id[i]; b < 0x20 || b >= 0x7f {
			return validateRunes(what, id, i)
		}
	}
	return nil
}

// plainASCII reports whether none of eight bytes is below 0x20 or above 0x7e. It
// looks at all of them at once: in each byte of a sum or difference the highest
// bit says that the byte is out of range, or that one below it is.
func plainASCII(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	return (w|(w-ones*0x20)|(w+ones))&highs == 0
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
