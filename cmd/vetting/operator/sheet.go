package operator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core/unseen"
)

// sheet says what of an answer people see.
type sheet struct {
	list    string  // field that holds the rows; empty: the answer is one thing
	columns string  // "mac name verdict=last_verdict seen=last_seen|time": head=path|form, the head alone where it is the path
	name    string  // the field that -o name prints
	more    []sheet // lists within one thing, shown below it
}

// column is one of them.
type column struct{ head, path, form string }

func (s *sheet) fields() []column {
	var list []column

	for text := range strings.FieldsSeq(s.columns) {
		head, path, named := strings.Cut(text, "=")
		if !named {
			path = head
		}

		path, form, _ := strings.Cut(path, "|")
		head, _, _ = strings.Cut(head, "|")

		list = append(list, column{head: strings.ReplaceAll(head, "_", " "), path: path, form: form})
	}

	return list
}

// show writes the cell of a row for people.
func (c *column) show(row any) string {
	value := at(row, c.path)
	figure, err := strconv.ParseFloat(plain(value), 64)
	isNumber := err == nil

	switch {
	case value == nil:
		return ""
	case c.form == "time":
		return moment(plain(value))
	case c.form == "percent" && isNumber:
		return fmt.Sprintf("%.0f %%", figure*100)
	case c.form == "bytes" && isNumber:
		return size(figure)
	case c.form == "seconds" && isNumber:
		return time.Duration(figure * float64(time.Second)).Round(time.Second).String()
	case c.form == "figure" && isNumber: // a tenth where it counts
		return strconv.FormatFloat(figure, 'f', map[bool]int{true: 1}[math.Abs(figure) < 100], 64)
	case c.form == "count":
		return strconv.Itoa(len(within(value, nil)))
	case c.form == "pairs":
		return clean(pairsOf(value))
	case c.form == "lines":
		return fmt.Sprintf("%d lines", strings.Count(strings.TrimRight(plain(value), "\n"), "\n")+1)
	default:
		return clean(plain(value))
	}
}

// pairsOf writes the fields of an object as name=value.
func pairsOf(value any) string {
	fields, _ := value.(map[string]any)
	parts := make([]string, 0, len(fields))

	for _, name := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, name+"="+plain(fields[name]))
	}

	return strings.Join(parts, " ")
}

// moment writes a time of the API as people here read it.
func moment(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.IsZero() {
		return ""
	}

	return t.Local().Format("2006-01-02 15:04:05")
}

func size(n float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			return fmt.Sprintf("%.4g %s", n, unit)
		}

		n /= 1024
	}

	return fmt.Sprintf("%.4g TiB", n)
}

// rowsOf reads the rows of an answer: those in the field list, or the one thing.
func rowsOf(answer []byte, list string) ([]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()

	var thing any
	if err := decoder.Decode(&thing); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}

	if list == "" {
		return []any{thing}, nil
	}

	rows, _ := at(thing, list).([]any) // null: none

	return rows, nil
}

// at returns what is at a path in nested objects; nil: nothing.
func at(thing any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		fields, ok := thing.(map[string]any)
		if !ok {
			return nil
		}

		thing = fields[key]
	}

	return thing
}

// within returns the rows at a path that may lead through lists: all findings of all
// stages.
func within(thing any, path []string) (rows []any) {
	list, isList := thing.([]any)

	switch {
	case isList && len(path) == 0:
		return list
	case isList:
		for _, one := range list {
			rows = append(rows, within(one, path)...)
		}

		return rows
	case len(path) == 0 || thing == nil:
		return nil
	default:
		return within(at(thing, path[0]), path[1:])
	}
}

// plain writes a value as text.
func plain(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case bool:
		if value {
			return "yes"
		}

		return "no"
	case []any:
		parts := make([]string, 0, len(value))
		for _, one := range value {
			parts = append(parts, plain(one))
		}

		return strings.Join(parts, ", ")
	case map[string]any:
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}

		return string(text)
	default:
		return fmt.Sprint(value)
	}
}

// clean takes from a text what could steer a terminal or cannot be seen: it may come from
// a machine under test.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unseen.Is(r):
			return '?'
		default:
			return r
		}
	}, text)
}

// harmless writes a value for CSV: a spreadsheet would take a text that begins so
// for a formula.
func harmless(value any) string {
	text := plain(value)

	if yes, isBool := value.(bool); isBool {
		return strconv.FormatBool(yes)
	}

	text = clean(text) // people look at it in terminals, too

	_, isText := value.(string)
	if isText && text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}

	return text
}
