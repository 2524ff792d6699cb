package jwtauth

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// isText reports whether the claims of a valid token are text all through. Package
// json puts U+FFFD where they are not, so that users whom their issuer tells apart
// would be one user here.
func isText(parser *jwt.Parser, payload string) bool {
	claims, err := parser.DecodeSegment(payload)
	if err != nil || !utf8.Valid(claims) {
		return false
	}
	var half rune // the first of a pair, whose second must follow; 0 = none
	for i := 0; i < len(claims); i++ {
		escaped := rune(0)
		if claims[i] == '\\' {
			i++
			if claims[i] == 'u' { // four digits follow, or it were no JSON
				n, _ := strconv.ParseUint(string(claims[i+1:i+5]), 16, 16)
				escaped, i = rune(n), i+4
			}
		}
		switch pair := utf16.DecodeRune(half, escaped); {
		case half != 0 && pair == utf8.RuneError:
			return false
		case half != 0:
			half = 0
		case utf16.IsSurrogate(escaped):
			half = escaped
		}
	}
	return half == 0
}
