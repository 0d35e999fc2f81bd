// Package text makes text from machines under test fit to be shown: serials,
// models and log lines are hostile input. Markup is escaped where it is written;
// here go terminal escapes, control characters, and those that turn the
// direction of reading or hide.
package text

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"vetting/core/unseen"
)

// Longest is how many characters of one value are shown.
const Longest = 300

// Line makes s one clean line, cut at Longest characters.
func Line[T ~string](s T) string {
	return cut(strings.Join(strings.Fields(Clean(string(s))), " "), Longest)
}

// Block cleans s and keeps its lines; cut at 4000 characters.
func Block[T ~string](s T) string { return cut(Clean(string(s)), 4000) }

// Clean takes out what must never reach a screen. Tabs and line ends stay.
func Clean(s string) string {
	if strings.IndexByte(s, 0x1b) >= 0 {
		s = escapes().ReplaceAllString(s, "")
	}

	return strings.Map(func(r rune) rune {
		if unseen.Is(r) {
			return -1
		}

		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// escapes matches terminal sequences (ECMA-48 CSI and OSC) and lone escapes.
func escapes() *regexp.Regexp {
	return regexp.MustCompile("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?|[^\\[\\]])?")
}

func cut(s string, longest int) string {
	if utf8.RuneCountInString(s) <= longest {
		return s
	}

	runes := []rune(s)

	return string(runes[:longest]) + "…"
}

// Duration writes how long something took: "0:58", "2:04:10".
func Duration(d time.Duration) string {
	s := max(0, int64(d.Round(time.Second)/time.Second))

	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}

	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// Left writes a time still to go: "about 3 min", "about 1 h 12 min", "about 3 days".
func Left(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < 90*time.Second:
		return fmt.Sprintf("about %d s", max(5, int64(d.Round(5*time.Second)/time.Second)))
	case d < time.Hour:
		return fmt.Sprintf("about %d min", int64(d.Round(time.Minute)/time.Minute))
	case d < 72*time.Hour:
		m := int64(d.Round(time.Minute) / time.Minute)

		return fmt.Sprintf("about %d h %02d min", m/60, m%60)
	case d < 60*24*time.Hour:
		return fmt.Sprintf("about %d days", int64(d.Round(24*time.Hour)/(24*time.Hour)))
	default:
		return "more than two months"
	}
}

// Range writes a time still to go that is known to lie between two: "3 h 10 min to
// 3 h 50 min"; one time where they read the same.
func Range(low, high time.Duration) string {
	from, to := strings.TrimPrefix(Left(max(time.Second, low)), "about "), strings.TrimPrefix(Left(max(time.Second, high)), "about ")
	if from == to {
		return "about " + to
	}

	return from + " to " + to
}

// UTC writes a moment for paper: "22 Nov 2026 22:31:00 UTC"; a dash for none.
func UTC(t time.Time) string {
	if t.IsZero() {
		return "–"
	}

	return t.UTC().Format("2 Jan 2006 15:04:05 UTC")
}

// Count writes "1 host" or "3 hosts".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}

	return fmt.Sprintf("%d %s", n, many)
}
