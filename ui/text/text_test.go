package text_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vetting/ui/text"
)

func TestLineIsOneCleanLine(t *testing.T) {
	t.Parallel()

	tests := map[string]struct{ in, want string }{
		"plain text stays":             {"WD-WCC4N0", "WD-WCC4N0"},
		"umlauts and signs stay":       {"Prüfstand 71 °C", "Prüfstand 71 °C"},
		"colours go":                   {"\x1b[31;1mred\x1b[0m", "red"},
		"a title sequence goes":        {"a\x1b]0;owned\x07b", "ab"},
		"an open title sequence goes":  {"a\x1b]0;owned", "a"},
		"a lone escape goes":           {"a\x1b", "a"},
		"bells and backspaces go":      {"a\x07\x08b\x00", "ab"},
		"8-bit control goes":           {"a\u009b31mb", "a31mb"},
		"line ends become spaces":      {"a\r\nb\tc", "a b c"},
		"direction is not turned":      {"abc\u202egpj.exe", "abcgpj.exe"},
		"the invisible goes":           {"a\u200bb\ufeffc\u2028d", "abcd"},
		"nor by what few fonts have":   {"a\u061cb\u206ac\u180ed", "abcd"},
		"letters without a shape go":   {"SN\u3164\u115f\uffa01\ufe0f\u034f2", "SN12"},
		"broken UTF-8 is marked":       {"a\xffb", "a\uFFFDb"},
		"markup is left to the escape": {"<b>&", "<b>&"},
	}

	for name, tt := range tests {
		if got := text.Line(tt.in); got != tt.want {
			t.Errorf("%s: Line(%q) = %q, want %q", name, tt.in, got, tt.want)
		}
	}

	if got := text.Line(strings.Repeat("ä", 10000)); utf8.RuneCountInString(got) != text.Longest+1 {
		t.Errorf("a long line has %d characters", utf8.RuneCountInString(got))
	}
}

func FuzzCleanLeavesNothingThatSteersATerminal(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[31mred", "\x1b]8;;http://x\x07", "\x1b\x1b[[", "\u202e", "a\xffb"} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		got := text.Clean(s)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x07\x00\u009b\u202e\u2066\u200b") {
			t.Errorf("Clean(%q) = %q", s, got)
		}
	})
}

func TestDurationsForPeople(t *testing.T) {
	t.Parallel()

	for d, want := range map[time.Duration]string{0: "0:00", 58 * time.Second: "0:58", 2*time.Hour + 4*time.Minute + 10*time.Second: "2:04:10", -time.Second: "0:00"} {
		if got := text.Duration(d); got != want {
			t.Errorf("Duration(%s) = %q, want %q", d, got, want)
		}
	}

	for d, want := range map[time.Duration]string{
		0: "", time.Second: "about 5 s", 3 * time.Minute: "about 3 min", 72 * time.Minute: "about 1 h 12 min",
		47 * time.Hour: "about 47 h 00 min", 73 * time.Hour: "about 3 days", 365 * 24 * time.Hour: "more than two months",
	} {
		if got := text.Left(d); got != want {
			t.Errorf("Left(%s) = %q, want %q", d, got, want)
		}
	}
}
