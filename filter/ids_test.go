package filter

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPlainASCII: eight bytes looked at together say what they say one by one.
func TestPlainASCII(t *testing.T) {
	for at := range 8 {
		for _, beside := range []byte{0x20, 'a', 0x7e} {
			text := bytes.Repeat([]byte{beside}, 8)
			for b := range 256 {
				text[at] = byte(b)
				if got, want := plainASCII(string(text)), b >= 0x20 && b < 0x7f; got != want {
					t.Errorf("%q: %v, want %v", text, got, want)
				}
			}
		}
	}
}

func TestValidateUserID(t *testing.T) {
	for _, id := range []string{
		"a", " ", "alice", "a b", "/ % ? # +", ".", "..", "~", "用户", "😀", "e\u0301", "\u00a0", "\u200f", "\ufffd",
		strings.Repeat("a", MaxIDBytes), strings.Repeat("é", MaxIDBytes/2), "a\U0010FFFF",
	} {
		if err := ValidateUserID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for id, want := range map[string]string{
		"":                                  "is empty",
		strings.Repeat("a", MaxIDBytes+1):   "has 257 bytes; at most 256",
		strings.Repeat("é", MaxIDBytes/2+1): "has 258 bytes; at most 256",
		"a\x00":                             "control character U+0000 at byte 1",
		"\n":                                "control character U+000A at byte 0",
		"tab\there":                         "control character U+0009 at byte 3",
		"a\x1f":                             "control character U+001F",
		"del\x7f":                           "control character U+007F at byte 3",
		"é\u0080":                           "control character U+0080 at byte 2",
		"c1\u009f":                          "control character U+009F at byte 2",
		"é\n":                               "control character U+000A at byte 2",
		"a\xff":                             "not valid UTF-8 at byte 1",
		"cut\xc3":                           "not valid UTF-8 at byte 3",
		"surrogate\xed\xa0\x80":             "not valid UTF-8 at byte 9",
		"overlong\xc0\xaf":                  "not valid UTF-8 at byte 8",
	} {
		err := ValidateUserID(id)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != CodeInvalidUserID || !strings.Contains(refused.Detail, want) {
			t.Errorf("%q: %v, want %q", id, err, want)
			continue
		}
		if !strings.HasPrefix(refused.Detail, "the user id ") {
			t.Errorf("%q: the sentence does not say of what it speaks: %s", id, refused.Detail)
		}
	}
	if err := ValidateRoomID(""); err == nil || !strings.Contains(err.Error(), "the room id is empty") {
		t.Errorf("room: %v", err)
	}
}

func TestValidIDsDoNotAllocate(t *testing.T) {
	for _, id := range []string{"alice-0123456789", "用户-0123456789"} {
		if n := testing.AllocsPerRun(100, func() { _ = ValidateUserID(id) }); n != 0 {
			t.Errorf("%q: %v allocations", id, n)
		}
	}
}

// FuzzValidateUserID compares with the rules as a sentence says them.
func FuzzValidateUserID(f *testing.F) {
	for _, seed := range []string{"", "alice", "\x7f", "\u009f", "\ufffd", "a\xff", "é\n", strings.Repeat("x", 257)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		valid := len(id) >= 1 && len(id) <= 256 && utf8.ValidString(id) &&
			!strings.ContainsFunc(id, func(r rune) bool { return r <= 0x1f || r >= 0x7f && r <= 0x9f })
		err := ValidateUserID(id)
		if (err == nil) != valid {
			t.Fatalf("%q: %v, valid %v", id, err, valid)
		}
		var refused *Error
		if err != nil && (!errors.As(err, &refused) || !utf8.ValidString(refused.Detail)) {
			t.Fatalf("%q: %v", id, err)
		}
	})
}
