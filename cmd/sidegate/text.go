package main

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// printable makes a text from elsewhere safe for a terminal: an id or a note
// with control or direction-changing characters is shown quoted.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || text == "" {
		return strconv.Quote(text)
	}
	return text
}

// shownTime writes a time for people, in UTC; "" if it is not set.
func shownTime(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
