package runlog

import (
	"strings"
	"unicode/utf8"

	"vetting/core"
)

// The most that is kept of a line, in bytes.
const (
	maxText  = 8 << 10
	maxWord  = 32 // level and stage
	shortage = "…"
)

// clean makes a line of the machine under test fit to be shown: no escape
// sequences, no control characters, no characters that reorder or hide text, no
// broken UTF-8, not too long.
func clean(line core.LogLine) core.LogLine {
	line.Text = cut(strip(line.Text), maxText)
	line.Level = cut(strip(line.Level), maxWord)
	line.Stage = core.StageName(cut(strip(string(line.Stage)), maxWord))

	return line
}

const escape = 0x1b

// strip removes what a terminal or a browser would act on.
func strip(text string) string {
	if harmless(text) {
		return text
	}

	var out strings.Builder

	for rest := text; rest != ""; {
		if n := sequence(rest); n > 0 {
			rest = rest[n:]

			continue
		}

		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]

		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\v' || r == '\f':
			out.WriteByte(' ')
		case isControl(r):
		default:
			out.WriteRune(r) // a broken byte becomes U+FFFD
		}
	}

	return strings.TrimRight(out.String(), " ")
}

func harmless(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}

	return true
}

// sequence returns the length of the escape sequence that text begins with
// (ECMA-48 §5.4 and §5.6): control sequences, strings, and short escapes, each
// also in its one-byte C1 form as UTF-8.
func sequence(text string) int {
	switch {
	case strings.HasPrefix(text, "\x1b["):
		return 2 + controlSequence(text[2:])
	case strings.HasPrefix(text, "\u009b"):
		return 2 + controlSequence(text[2:])
	case len(text) > 1 && text[0] == escape && strings.IndexByte("]PX^_", text[1]) >= 0:
		return 2 + controlString(text[2:])
	case strings.HasPrefix(text, "\u009d") || strings.HasPrefix(text, "\u0090"):
		return 2 + controlString(text[2:])
	case text[0] == escape:
		return 1 + shortEscape(text[1:])
	default:
		return 0
	}
}

// controlSequence is parameters and intermediates up to a final byte.
func controlSequence(text string) int {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 0x40 && c <= 0x7e:
			return i + 1
		case c < 0x20 || c > 0x3f:
			return i // broken off
		}
	}

	return len(text)
}

// controlString goes on to BEL or the string terminator. One that never ends is
// no string: only its introducer goes, so that a stray byte cannot hide a line.
func controlString(text string) int {
	for i := range len(text) {
		switch {
		case text[i] == 0x07:
			return i + 1
		case strings.HasPrefix(text[i:], "\x1b\\") || strings.HasPrefix(text[i:], "\u009c"):
			return i + 2
		}
	}

	return 0
}

// shortEscape is intermediates and a final byte.
func shortEscape(text string) int {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 0x30 && c <= 0x7e:
			return i + 1
		case c < 0x20 || c > 0x2f:
			return i
		}
	}

	return len(text)
}

func isControl(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e: // invisible, line ends, embeddings
		return true
	case r >= 0x2060 && r <= 0x206f, r == 0xfeff, r >= 0xfff9 && r <= 0xfffb: // invisible, isolates, annotations
		return true
	case r >= 0xe0000 && r <= 0xe007f: // tags
		return true
	default:
		return false
	}
}

// cut shortens text to limit bytes at the boundary of a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}

	end := limit - len(shortage)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}

	return text[:end] + shortage
}
