package baseline

import (
	"errors"
	"strings"
)

// Text is a scalar of YAML letter by letter: 2.10 is no 2.1 here, and 007 no 7.
type Text string

// Texts are one scalar of that kind, or a list of them.
type Texts []string

// raw is a value as it is written in the text.
type raw string

// UnmarshalYAML takes the letters; the YAML module finds the method by its name.
func (r *raw) UnmarshalYAML(text []byte) error {
	*r = raw(text)

	return nil
}

// UnmarshalYAML reads a scalar.
func (t *Text) UnmarshalYAML(read func(any) error) error {
	var one Texts
	if err := one.UnmarshalYAML(read); err != nil {
		return err
	}

	switch len(one) {
	case 0:
		return nil
	case 1:
		*t = Text(one[0])

		return nil
	default:
		return errors.New("one version is wanted here, not a list")
	}
}

// UnmarshalYAML reads a scalar or a list of them.
func (t *Texts) UnmarshalYAML(read func(any) error) error {
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
		*t = append(*t, asWritten(kinds[i], texts[i], written[i]))
	}

	return nil
}

// asWritten returns a scalar as a text; of what looks like a number, the letters.
func asWritten(kind any, text string, written raw) string {
	switch kind.(type) {
	case int, int64, uint64, float64:
		if first := strings.Fields(string(written)); len(first) > 0 { // a comment may follow
			return first[0]
		}
	}

	return strings.TrimSpace(text)
}
