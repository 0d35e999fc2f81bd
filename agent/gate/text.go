package gate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// text makes a string from the machine under test fit for logs, terminals and
// pages: ANSI sequences (ECMA-48) and control characters are gone, line ends and
// tabs are spaces, invisible and direction-changing characters are gone, and it
// is cut to limit bytes at a rune.
func text(s string, limit int) string { return clean(s, limit, false) }

// prose is text that may have several lines.
func prose(s string, limit int) string { return clean(s, limit, true) } //nolint:unparam // the fuzz test tries small limits

func clean(s string, limit int, lines bool) string {
	if plain(s) && len(s) <= limit {
		return s
	}

	var b strings.Builder

	for i := 0; i < len(s); {
		if n := escapeLen(s[i:]); n > 0 {
			i += n

			continue
		}

		r, size := utf8.DecodeRuneInString(s[i:])
		i += size

		r, keep := fit(r, size, lines)
		if !keep {
			continue
		}

		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}

		b.WriteRune(r)
	}

	return b.String()
}

// plain reports whether s has only printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}

	return true
}

// fit says what becomes of a rune.
func fit(r rune, size int, lines bool) (rune, bool) {
	switch {
	case r == utf8.RuneError && size <= 1:
		return unicode.ReplacementChar, true
	case r == '\n' && lines:
		return r, true
	case r == '\n' || r == '\t' || r == '\u2028' || r == '\u2029':
		return ' ', true
	case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r):
		return 0, false
	default:
		return r, true
	}
}

// escapeLen returns the length of the ANSI sequence that s begins with, or 0.
func escapeLen(s string) int {
	if s == "" || s[0] != 0x1b {
		return 0
	}

	if len(s) == 1 || s[1] >= utf8.RuneSelf {
		return 1
	}

	switch s[1] {
	case '[': // CSI: parameters and intermediates, then one final byte
		return csiLen(s)
	case ']', 'P', 'X', '^', '_': // OSC, DCS, SOS, PM, APC: up to BEL or ST (ESC \)
		return stringLen(s)
	default:
		return 2
	}
}

func csiLen(s string) int {
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i + 1
		}

		if s[i] < 0x20 || s[i] > 0x3f { // broken off
			return i
		}
	}

	return len(s)
}

func stringLen(s string) int {
	end := strings.IndexAny(s[2:], "\a\x1b")

	switch {
	case end < 0:
		return len(s)
	case s[2+end] == '\a':
		return 2 + end + 1
	default: // the ESC of ST is the next sequence
		return 2 + end
	}
}
