package engine

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest texts that are kept, in bytes.
const (
	maxWord = 256     // a name, a serial
	maxNote = 8 << 10 // evidence, notes
)

// plain takes out what does not print, and bytes that are no text.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) && r != '\n' {
			return -1
		}

		return r
	}, s)
}

// clip cuts a text to at most limit bytes of plain text.
func clip(s string, limit int) string {
	if s = plain(s); len(s) <= limit {
		return s
	}

	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}

	return s[:limit]
}
