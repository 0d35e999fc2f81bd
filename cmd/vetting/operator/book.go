package operator

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// book gathers the pages of a list into one answer of the same shape.
type book struct {
	keys  []string // of the first page, in their order
	lists map[string][]json.RawMessage
	rest  map[string]json.RawMessage
	rows  int
}

// add takes a page and returns the token of the next; empty: it was the last.
func (b *book) add(answer []byte) (next string, err error) {
	var page map[string]json.RawMessage
	if err := json.Unmarshal(answer, &page); err != nil {
		return "", fmt.Errorf("reading a page of the answer: %w", err)
	}

	if b.keys == nil {
		b.lists, b.rest = map[string][]json.RawMessage{}, map[string]json.RawMessage{}
		if b.keys, err = keysOf(answer); err != nil {
			return "", err
		}
	}

	for name, value := range page {
		var list []json.RawMessage

		switch {
		case name == "next_page_token":
			if err := json.Unmarshal(value, &next); err != nil {
				return "", fmt.Errorf("reading a page of the answer: %w", err)
			}
		case json.Unmarshal(value, &list) == nil:
			b.lists[name] = append(b.lists[name], list...)
			b.rows += len(list)
		default:
			b.rest[name] = value
		}
	}

	return next, nil
}

// keysOf returns the keys of a JSON object in their order.
func keysOf(object []byte) (keys []string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(object))

	if _, err = decoder.Token(); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}

	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}

		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}

		keys = append(keys, fmt.Sprint(key))
	}

	return keys, nil
}

// text is all pages as one answer, with limit rows at most (0: all): a page may have
// more than was asked for.
func (b *book) text(limit int) ([]byte, error) {
	var out bytes.Buffer

	out.WriteByte('{')

	for _, key := range b.keys {
		value := b.rest[key]

		if list, ok := b.lists[key]; ok {
			if limit > 0 {
				list = list[:min(limit, len(list))]
			}

			text, err := json.Marshal(append([]json.RawMessage{}, list...))
			if err != nil {
				return nil, fmt.Errorf("putting the pages together: %w", err)
			}

			value = text
		}

		if value == nil {
			continue // the token of the next page
		}

		if out.Len() > 1 {
			out.WriteByte(',')
		}

		fmt.Fprintf(&out, "%q:%s", key, value)
	}

	out.WriteByte('}')

	return out.Bytes(), nil
}
