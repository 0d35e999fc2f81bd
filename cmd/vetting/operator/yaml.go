package operator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// toYAML writes JSON as YAML, in the same order. Every text is in quotes, as JSON has
// them: to many readers of YAML a bare MAC address is a number (YAML 1.1, base 60).
func toYAML(text []byte) ([]byte, error) {
	w := &yamlWriter{in: json.NewDecoder(bytes.NewReader(text))}
	w.in.UseNumber()

	if err := w.value(0, ""); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}

	return w.out.Bytes(), nil
}

type yamlWriter struct {
	in  *json.Decoder
	out bytes.Buffer
}

// value writes the next value. lead is what stands before the first line of a value
// that begins in the line of its dash.
func (w *yamlWriter) value(depth int, lead string) error {
	token, err := w.in.Token()
	if err != nil {
		return err
	}

	switch token := token.(type) {
	case json.Delim:
		if !w.in.More() {
			w.out.WriteString(" " + string(token) + map[json.Delim]string{'{': "}", '[': "]"}[token] + "\n")

			_, err = w.in.Token()

			return err
		}

		if token == '{' {
			return w.object(depth, lead)
		}

		return w.array(depth)
	case nil:
		w.out.WriteString(" null\n")
	case string:
		quoted, err := quotedText(token)
		if err != nil {
			return err
		}

		w.out.WriteString(" " + quoted + "\n")
	default:
		fmt.Fprintf(&w.out, " %v\n", token)
	}

	return nil
}

// quotedText writes a text in quotes that mean the same in JSON and YAML.
func quotedText(text string) (string, error) {
	var quoted bytes.Buffer

	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)

	if err := encoder.Encode(text); err != nil {
		return "", err
	}

	// YAML takes no control characters as they are, JSON takes this one.
	return strings.ReplaceAll(strings.TrimSpace(quoted.String()), "\x7f", `\x7f`), nil
}

func (w *yamlWriter) object(depth int, lead string) error {
	first := lead == "- "
	if !first && depth > 0 {
		w.out.WriteByte('\n')
	}

	for w.in.More() {
		key, err := w.in.Token()
		if err != nil {
			return err
		}

		if first {
			w.out.WriteByte(' ') // in the line of the dash
		} else {
			w.out.WriteString(strings.Repeat("  ", depth))
		}

		first = false

		name, err := keyText(fmt.Sprint(key))
		if err != nil {
			return err
		}

		w.out.WriteString(name + ":")

		if err := w.value(depth+1, ""); err != nil {
			return err
		}
	}

	_, err := w.in.Token()

	return err
}

// keyText writes a key, bare where it is a plain word.
func keyText(key string) (string, error) {
	if key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") == "" && key != "y" && key != "n" && key != "yes" && key != "no" &&
		key != "on" && key != "off" && key != "true" && key != "false" && key != "null" {
		return key, nil
	}

	return quotedText(key)
}

func (w *yamlWriter) array(depth int) error {
	if depth > 0 {
		w.out.WriteByte('\n')
	}

	for w.in.More() {
		w.out.WriteString(strings.Repeat("  ", depth) + "-")

		if err := w.value(depth+1, "- "); err != nil {
			return err
		}
	}

	_, err := w.in.Token()

	return err
}
