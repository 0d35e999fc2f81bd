package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep values may be nested; a report has less than ten levels.
const maxDepth = 64

// object is a JSON object with its members in the order of RFC 8785 section 3.2.3.
type object []member

type member struct {
	name  string
	value any
}

// get returns the member called name; nil: there is none.
func (o object) get(name string) any {
	for i := range o {
		if o[i].name == name {
			return o[i].value
		}
	}

	return nil
}

// without returns o without the member called name.
func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

// with returns o with one member more, or another value for it.
func (o object) with(name string, value any) object {
	o = append(o.without(name), member{name, value})
	slices.SortFunc(o, byName)

	return o
}

// byName orders members by the UTF-16 code units of their names (RFC 8785
// section 3.2.3).
func byName(a, b member) int {
	return slices.Compare(utf16.Encode([]rune(a.name)), utf16.Encode([]rune(b.name)))
}

// Canonical writes the one JSON text in text as RFC 8785 has it: members sorted, no
// blanks, numbers as ECMAScript writes them. A text that says a name twice, or holds
// a number that is none, is refused (RFC 7493).
func Canonical(text []byte) ([]byte, error) {
	value, err := parse(text)
	if err != nil {
		return nil, err
	}

	return write(nil, value), nil
}

// parse reads one JSON text. Objects come as object, numbers as float64.
func parse(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("reading JSON: it is not UTF-8")
	}

	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()

	value, err := parseValue(dec, 0)
	if err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}

	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading JSON: something stands behind its end")
	}

	return value, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("it is nested too deep")
	}

	token, err := dec.Token()
	if err != nil {
		return nil, err
	}

	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return parseObject(dec, depth)
		}

		return parseArray(dec, depth)
	case json.Number:
		return strconv.ParseFloat(t.String(), 64)
	default:
		return t, nil // string, bool, nil
	}
}

func parseObject(dec *json.Decoder, depth int) (any, error) {
	all := object{}

	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}

		name, _ := token.(string) // the decoder takes nothing else for a name

		value, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}

		all = append(all, member{name, value})
	}

	slices.SortFunc(all, byName)

	for i := 1; i < len(all); i++ {
		if all[i].name == all[i-1].name {
			return nil, fmt.Errorf("the name %q is there twice", all[i].name)
		}
	}

	_, err := dec.Token()

	return all, err
}

func parseArray(dec *json.Decoder, depth int) (any, error) {
	all := []any{}

	for dec.More() {
		value, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}

		all = append(all, value)
	}

	_, err := dec.Token()

	return all, err
}

// write appends value as canonical JSON.
func write(out []byte, value any) []byte {
	switch v := value.(type) {
	case object:
		out = append(out, '{')

		for i := range v {
			if i > 0 {
				out = append(out, ',')
			}

			out = append(writeString(out, v[i].name), ':')
			out = write(out, v[i].value)
		}

		return append(out, '}')
	case []any:
		out = append(out, '[')

		for i := range v {
			if i > 0 {
				out = append(out, ',')
			}

			out = write(out, v[i])
		}

		return append(out, ']')
	case string:
		return writeString(out, v)
	case float64:
		return writeNumber(out, v)
	case bool:
		return strconv.AppendBool(out, v)
	default:
		return append(out, "null"...)
	}
}

// writeString is RFC 8785 section 3.2.2.2: nothing is escaped but what must be.
func writeString(out []byte, s string) []byte {
	const short = "btn\x00fr" // of U+0008 to U+000D

	out = append(out, '"')

	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= '\b' && c <= '\r' && c != '\v':
			out = append(out, '\\', short[c-'\b'])
		case c < ' ':
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}

	return append(out, '"')
}

// writeNumber is RFC 8785 section 3.2.2.3, which is ECMAScript's Number::toString:
// the shortest digits that give the number back, an exponent below 1e-6 and from 1e21.
func writeNumber(out []byte, n float64) []byte {
	size := math.Abs(n)

	switch {
	case n == 0:
		return append(out, '0') // also for -0
	case size >= 1e-6 && size < 1e21:
		return strconv.AppendFloat(out, n, 'f', -1, 64)
	}

	text := strconv.AppendFloat(nil, n, 'e', -1, 64)
	if at := len(text) - 2; at > 1 && text[at] == '0' && text[at-1] == '-' {
		text = append(text[:at], text[at+1]) // 1e-07 to 1e-7
	}

	return append(out, text...)
}
