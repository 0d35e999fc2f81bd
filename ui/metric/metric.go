// Package metric writes figures in the text format that Prometheus reads
// (exposition format 0.0.4).
package metric

import (
	"io"
	"math"
	"strconv"
	"strings"
)

// Kind says how a figure moves.
type Kind string

// The kinds in use.
const (
	Gauge   Kind = "gauge"
	Counter Kind = "counter"
	Buckets Kind = "histogram"
)

// Count is a number that somebody keeps, with the words for its labels, in their
// order.
type Count struct {
	Of []string
	N  float64
}

// Of makes values of counts for labels of these names. Counts with another number
// of words are passed over, and so are those beyond most, so that a mistake of
// somebody cannot grow without end.
func Of(counts []Count, most int, names ...string) []Value {
	var values []Value

	for _, c := range counts {
		if len(c.Of) != len(names) || len(values) == most {
			continue
		}

		labels := make([]string, 0, 2*len(names))
		for i, name := range names {
			labels = append(labels, name, c.Of[i])
		}

		values = append(values, Value{Labels: labels, Number: c.N})
	}

	return values
}

// Family is one figure, for each of its labels' values.
type Family struct {
	Name   string // base unit last, "_total" for counters
	Help   string
	Kind   Kind
	Values []Value
}

// Value is a number with the labels that tell it from others of its family:
// name, value, name, value …
type Value struct {
	Labels []string
	Number float64
	Suffix string // of a histogram's parts, behind the name
}

// Write writes families in their order; one without values is left out.
func Write(w io.Writer, families []Family) error {
	var b strings.Builder

	for _, f := range families {
		if len(f.Values) == 0 {
			continue
		}

		b.WriteString("# HELP " + f.Name + " " + escape(f.Help, false) + "\n# TYPE " + f.Name + " " + string(f.Kind) + "\n")

		for _, v := range f.Values {
			b.WriteString(f.Name + v.Suffix)
			labels(&b, v.Labels)
			b.WriteString(" " + number(v.Number) + "\n")
		}
	}

	_, err := io.WriteString(w, b.String())

	return err
}

func labels(b *strings.Builder, pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0] + pairs[i] + `="` + escape(pairs[i+1], true) + `"`)
	}

	if len(pairs) > 1 {
		b.WriteByte('}')
	}
}

// escape follows the format: backslash and line end, in labels quotes too.
func escape(s string, label bool) string {
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
	if label {
		s = strings.ReplaceAll(s, `"`, `\"`)
	}

	return s
}

func number(n float64) string {
	switch {
	case math.IsNaN(n):
		return "NaN"
	case math.IsInf(n, 1):
		return "+Inf"
	case math.IsInf(n, -1):
		return "-Inf"
	default:
		return strconv.FormatFloat(n, 'g', -1, 64)
	}
}
