// Package unseen knows the characters that no text of a machine may bring to a screen: they steer a
// terminal or the direction of reading, or have no shape and make two names look alike.
package unseen

import "unicode"

// Is reports whether r is one of them. Tabs and line ends are none.
func Is(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20 || r >= 0x7f && r <= 0x9f:
		return true
	case r < 0x7f:
		return false
	case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp): // directions of reading, joiners, tags, line separators
		return true
	case r >= 0xe0000 && r <= 0xe0fff: // what is not given yet beside the tags
		return true
	case r >= 0xfe00 && r <= 0xfe0f, r == 0x34f, r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, r == 0x2800: // letters without a shape
		return true
	default:
		return false
	}
}
