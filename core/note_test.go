package core_test

import (
	"strings"
	"testing"

	"vetting/core"
)

// What people type and paste is kept; what is refused says why.
func TestNoteText(t *testing.T) {
	t.Parallel()

	for typed, want := range map[string]string{
		" a\tb\r\nc\u00a0d ":                   "a b\nc d",
		"soft\u00adhyphen\ufeff":               "softhyphen",
		"\U0001f469\u200d\U0001f527 was here":  "\U0001f469\u200d\U0001f527 was here",
		strings.Repeat("\u00e4", core.MaxNote): strings.Repeat("\u00e4", core.MaxNote),
		"right\u202eleft":                      "rightleft",
		"two\u2028lines":                       "two\nlines",
		"not text: \xff":                       "not text:",
	} {
		if got, err := core.NoteText(typed); err != nil || got != want {
			t.Errorf("%.40q: %.40q %v", typed, got, err)
		}
	}

	for typed, want := range map[string]string{
		"a\x1b[2Jb": "U+001B", "a\x00b": "U+0000", "a\u009bb": "U+009B", strings.Repeat("\u00e4", core.MaxNote+1): "too long: it has 4001",
	} {
		if _, err := core.NoteText(typed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v", typed, err)
		}
	}
}
