// Package plot draws what was measured over time: lines with their limits, as SVG
// that needs no script and prints on paper.
package plot

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/report"
	"vetting/ui/text"
)

// Series is what was measured under one key, in the order of time.
type Series struct {
	Key    string
	Points []Point
}

// Point sums a stretch of time up, so that peaks survive.
type Point struct {
	Time           time.Time // where the stretch begins
	Min, Max, Mean float64
}

// Chart is one picture: keys of one kind and quantity, over the time of the run.
type Chart struct {
	Title    string // "CPU temperature"
	Unit     string // "°C"
	Lines    []Line
	Rest     []Line // not drawn, so that the picture stays readable
	Limits   []Limit
	Breached bool

	from, to time.Time // of all charts of the run
	low, top float64
	marks    []tick // where stages begin
}

// Line is one part's series in a chart.
type Line struct {
	Name      string // "sda"
	Low, High float64

	points   []Point
	breached bool
}

// Limit is a value that must not be passed.
type Limit struct {
	Value    float64
	Severity core.Severity
	Words    string // "below 85"
}

type tick struct {
	at   float64 // in the picture
	word string
}

// mostLines bounds the lines of one chart.
const mostLines = 6

// Charts makes the charts of a run, those with a broken limit first.
func Charts(run *core.Run, evaluations []report.Evaluation, series []Series) []Chart {
	type group struct{ kind, quantity string }

	groups := map[group][]Series{}

	for _, s := range series {
		entry, known := catalogue.Lookup(s.Key)
		if low, high := reach(s.Points); !known || len(s.Points) < 2 || entry.Counter && low == high {
			continue
		}

		g := group{entry.Kind, entry.Quantity}
		groups[g] = append(groups[g], s)
	}

	charts := make([]Chart, 0, len(groups))

	for g, some := range groups {
		slices.SortFunc(some, func(a, b Series) int { return strings.Compare(a.Key, b.Key) })
		charts = append(charts, chart(run, evaluations, g.kind, g.quantity, some))
	}

	slices.SortFunc(charts, func(a, b Chart) int {
		if a.Breached != b.Breached {
			return cmp.Compare(rank(b.Breached), rank(a.Breached))
		}

		return cmp.Or(cmp.Compare(interest(a.Title), interest(b.Title)), strings.Compare(a.Title, b.Title))
	})

	align(charts, run)

	return charts
}

func rank(b bool) int {
	if b {
		return 1
	}

	return 0
}

// interest orders charts: what says most of a machine's health comes first.
func interest(title string) int {
	order := []string{
		"CPU temperature", "Memory temperature", "Disk temperature", "CPU power", "CPU frequency", "Board fan", "GPU temperature", "Board temperature",
	}
	if i := slices.Index(order, title); i >= 0 {
		return i
	}

	return len(order)
}

func chart(run *core.Run, evaluations []report.Evaluation, kind, quantity string, series []Series) Chart {
	c := Chart{Title: title(kind, quantity), Unit: UnitOf(series[0].Key)}

	c.Limits = limits(run, evaluations, series)
	c.low, c.top = math.Inf(1), math.Inf(-1)

	for _, s := range series {
		line := Line{Name: strings.Split(s.Key, "/")[1], points: s.Points}
		line.Low, line.High = reach(s.Points)
		line.breached = slices.ContainsFunc(evaluations, func(e report.Evaluation) bool { return e.Key == s.Key && e.Verdict == core.Fail })
		c.Breached = c.Breached || line.breached
		c.low, c.top = min(c.low, line.Low), max(c.top, line.High)
		c.Lines = append(c.Lines, line)
	}

	if len(c.Lines) > mostLines {
		lowest := slices.ContainsFunc(c.Limits, func(l Limit) bool { return strings.HasPrefix(l.Words, "a") && !strings.HasPrefix(l.Words, "at most") })
		slices.SortStableFunc(c.Lines, func(a, b Line) int {
			if lowest {
				return cmp.Or(cmp.Compare(rank(b.breached), rank(a.breached)), cmp.Compare(a.Low, b.Low))
			}

			return cmp.Or(cmp.Compare(rank(b.breached), rank(a.breached)), cmp.Compare(b.High, a.High))
		})
		c.Lines, c.Rest = c.Lines[:mostLines], c.Lines[mostLines:]
	}

	for _, l := range c.Limits {
		c.low, c.top = min(c.low, l.Value), max(c.top, l.Value)
	}

	return c
}

// limits are those that the rules set to the series: as they were applied, or, while
// the stage has not ended, as they will be.
func limits(run *core.Run, evaluations []report.Evaluation, series []Series) (list []Limit) {
	add := func(limit string, severity core.Severity) {
		_, number, _ := strings.Cut(limit, " ")

		value, err := strconv.ParseFloat(number, 64)
		l := Limit{Value: value, Severity: severity, Words: core.LimitWords(limit)}

		if err == nil && !slices.Contains(list, l) && !strings.HasPrefix(limit, string(core.OpWithinPct)) {
			list = append(list, l)
		}
	}

	for _, s := range series {
		judged := false

		for i := range evaluations {
			if e := &evaluations[i]; e.Key == s.Key {
				judged = true

				add(e.Limit, e.Severity)
			}
		}

		for i := range run.Rules {
			r := &run.Rules[i]
			if ok, err := path.Match(r.Key, s.Key); !judged && ok && err == nil && r.Of == "" {
				add(string(r.Op)+" "+strconv.FormatFloat(r.Value, 'g', -1, 64), r.Severity)
			}
		}
	}

	slices.SortFunc(list, func(a, b Limit) int { return cmp.Compare(a.Value, b.Value) })

	return list
}

// align gives all charts the same time, and marks where stages begin.
func align(charts []Chart, run *core.Run) {
	var from, to time.Time

	for i := range charts {
		for _, l := range slices.Concat(charts[i].Lines, charts[i].Rest) {
			first, last := l.points[0].Time, l.points[len(l.points)-1].Time
			if from.IsZero() || first.Before(from) {
				from = first
			}

			if last.After(to) {
				to = last
			}
		}
	}

	for i := range charts {
		c := &charts[i]
		c.from, c.to = from, to

		for k := range run.Stages {
			if at := run.Stages[k].StartedAt; !at.Before(from) && at.Before(to) || !at.IsZero() && at.Before(from) && run.Stages[k].EndedAt.After(from) {
				c.marks = append(c.marks, tick{c.x(at), string(run.Stages[k].Name)})
			}
		}
	}
}

func reach(points []Point) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = min(low, p.Min), max(high, p.Max)
	}

	return low, high
}

func title(kind, quantity string) string {
	at := strings.LastIndex(quantity, "_")
	if at < 0 {
		at = len(quantity)
	}

	switch kind {
	case "cpu", "nic", "gpu":
		kind = strings.ToUpper(kind)
	case "pcie":
		kind = "PCIe"
	default:
		kind = strings.ToUpper(kind[:1]) + kind[1:]
	}

	return kind + " " + strings.ReplaceAll(quantity[:at], "_", " ")
}

// UnitOf is how the unit of a key is written for people; empty for plain numbers.
func UnitOf(key string) string {
	entry, _ := catalogue.Lookup(key)

	return entry.Sign()
}

// span writes "42 to 70 °C".
func (c *Chart) span(low, high float64) string {
	words := number(low)
	if low != high {
		words += " to " + number(high)
	}

	return strings.TrimSpace(words + " " + c.Unit)
}

// rest says what is not drawn.
func (c *Chart) rest() string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, l := range c.Rest {
		low, high = min(low, l.Low), max(high, l.High)
	}

	return text.Count(len(c.Rest), "more line", "more lines") + " not drawn, " + c.span(low, high)
}

// about says the picture in words.
func (c *Chart) about() string {
	words := []string{c.Title}
	for _, l := range c.Lines {
		words = append(words, text.Line(l.Name)+" "+c.span(l.Low, l.High))
	}

	for _, l := range c.Limits {
		words = append(words, fmt.Sprintf("%s limit: %s", l.Severity, l.Words))
	}

	return strings.Join(words, "; ")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
