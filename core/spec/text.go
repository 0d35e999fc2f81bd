package spec

import (
	"regexp"
	"strings"
)

// like reports whether got is what want asks for: the same text without regard
// to case and outer blanks; * stands for any run of characters. Between slashes
// want is a regular expression (RE2) that has to be found somewhere in got, without
// regard to case either.
func like(want, got string) bool {
	if re, is := expression(want); is {
		return re != nil && re.MatchString(strings.Join(strings.Fields(got), " "))
	}

	want, got = clean(want), clean(got)

	parts := strings.Split(want, "*")
	if len(parts) == 1 {
		return want == got
	}

	rest, ok := strings.CutPrefix(got, parts[0])
	if !ok {
		return false
	}

	last := parts[len(parts)-1]

	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}

		rest = after
	}

	return strings.HasSuffix(rest, last)
}

// expression reads a regular expression between slashes; is tells whether there
// are slashes at all. What cannot be read is nil.
func expression(text string) (re *regexp.Regexp, is bool) {
	if len(text) < 2 || text[0] != '/' || text[len(text)-1] != '/' {
		return nil, false
	}

	re, err := regexp.Compile("(?i)" + text[1:len(text)-1])
	if err != nil {
		return nil, true
	}

	return re, true
}

// literal reports whether a text stands for itself alone.
func literal(text string) bool {
	_, pattern := expression(text)

	return !pattern && !strings.Contains(text, "*")
}

// like reports whether a text is one of the alternatives.
func (w *Want) like(got string) bool {
	for _, text := range w.Any {
		if like(text, got) {
			return true
		}
	}

	return false
}

// only returns the one text that is asked for; empty when several would do.
func (w *Want) only() string {
	if len(w.Any) == 1 && literal(w.Any[0]) {
		return w.Any[0]
	}

	return ""
}

// yes reports whether an answer is asked to be yes.
func (w *Want) yes() bool { return len(w.Any) > 0 && strings.EqualFold(w.Any[0], "true") }

func clean(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
