package spec

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
)

// Want is what a field may be: one of a few alternatives. What an alternative may
// look like depends on the field: a text is a word, a word with *, or a regular
// expression between slashes; a number or a size is a value or a range "8..16".
// No alternative: the field is not compared.
type Want struct { //nolint:recvcheck // reading needs a pointer, writing a value
	Any      []string      `yaml:"is"`
	Severity core.Severity `yaml:"severity"` // of a difference; empty: the field's own
}

// raw is a value as it is written in the text.
type raw string

// UnmarshalYAML takes the letters; the YAML module finds the method by its name.
func (r *raw) UnmarshalYAML(text []byte) error {
	*r = raw(text)

	return nil
}

// letters returns a scalar as a text: what looks like a number letter by letter, for
// 1.10 is no 1.1 here and 007 no 7.
func letters(kind any, text string, written raw) string {
	switch kind.(type) {
	case int, int64, uint64, float64:
		if first := strings.Fields(string(written)); len(first) > 0 { // a comment may follow
			return first[0]
		}
	}

	return strings.TrimSpace(text)
}

// words are one scalar, or a list of them.
type words []string

// UnmarshalYAML reads a scalar or a list of them.
func (w *words) UnmarshalYAML(read func(any) error) error {
	var (
		kind    any
		texts   []string
		written []raw
	)

	if err := read(&kind); err != nil || kind == nil {
		return err
	}

	kinds, isList := kind.([]any)
	if !isList {
		kinds, texts, written = []any{kind}, make([]string, 1), make([]raw, 1)

		if err := errors.Join(read(&texts[0]), read(&written[0])); err != nil {
			return err
		}
	} else if err := errors.Join(read(&texts), read(&written)); err != nil {
		return err
	}

	for i := range min(len(kinds), len(texts), len(written)) {
		*w = append(*w, letters(kinds[i], texts[i], written[i]))
	}

	return nil
}

// UnmarshalYAML reads a scalar, a list of them, or a group with the key is, and
// severity for what a difference means.
func (w *Want) UnmarshalYAML(read func(any) error) error {
	var kind any
	if err := read(&kind); err != nil {
		return err
	}

	var group struct {
		Is       words         `yaml:"is"`
		Severity core.Severity `yaml:"severity"`
	}

	if _, is := kind.(map[string]any); is {
		if err := read(&group); err != nil {
			return err
		}
	} else if err := read(&group.Is); err != nil {
		return err
	}

	w.Any, w.Severity = slices.DeleteFunc(group.Is, func(s string) bool { return s == "" && len(group.Is) == 1 }), group.Severity

	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (w Want) MarshalYAML() (any, error) {
	var is any

	switch len(w.Any) {
	case 0:
		return nil, nil //nolint:nilnil // nothing is asked for
	case 1:
		is = scalar(w.Any[0])
	default:
		list := make([]any, len(w.Any))
		for i, text := range w.Any {
			list[i] = scalar(text)
		}

		is = list
	}

	if w.Severity == "" {
		return is, nil
	}

	return struct {
		Is       any           `yaml:"is"`
		Severity core.Severity `yaml:"severity"`
	}{is, w.Severity}, nil
}

// scalar writes numbers and answers without quotes.
func scalar(text string) any {
	if n, err := strconv.Atoi(text); err == nil && strconv.Itoa(n) == text {
		return n
	}

	if text == "true" || text == "false" {
		return text == "true"
	}

	return text
}

// IsZero reports whether nothing is asked for, so that it is left out when written.
func (w Want) IsZero() bool { return len(w.Any) == 0 && w.Severity == "" }

// asked reports whether the field is to be compared.
func (w *Want) asked() bool { return len(w.Any) > 0 }

// severe is how severe a difference is, where the field's own severity is own.
func (w *Want) severe(own core.Severity) core.Severity {
	if w.Severity != "" {
		return w.Severity
	}

	return own
}

// String says in words what the field may be.
func (w *Want) String() string { return w.say(func(s string) string { return s }) }

// say joins the alternatives, each put into words.
func (w *Want) say(word func(string) string) string {
	said := make([]string, len(w.Any))
	for i, text := range w.Any {
		said[i] = word(text)
	}

	return strings.Join(said, " or ")
}

// is asks for exactly this text; for nothing when it is empty.
func is(text string) Want {
	switch _, pattern := expression(text); {
	case text == "":
		return Want{}
	case pattern || strings.Contains(text, "*"):
		return Want{Any: []string{"/^" + regexp.QuoteMeta(text) + "$/"}}
	default:
		return Want{Any: []string{text}}
	}
}

// isNumber asks for this number; for nothing when it is 0.
func isNumber(n int) Want {
	if n == 0 {
		return Want{}
	}

	return Want{Any: []string{strconv.Itoa(n)}}
}

// isSize asks for this size; for nothing when it is 0.
func isSize(n uint64) Want {
	if n == 0 {
		return Want{}
	}

	return Want{Any: []string{Size(n).String()}}
}

// isFlag asks for this answer.
func isFlag(yes bool) Want { return Want{Any: []string{strconv.FormatBool(yes)}} }

// alike reports whether two wants ask for the same.
func alike(a, b Want) bool { return a.Severity == b.Severity && slices.Equal(a.Any, b.Any) }
