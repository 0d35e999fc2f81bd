package view

import (
	"fmt"
	"net/url"
	"strconv"

	"vetting/core/cohort"
	"vetting/ui/text"
)

// Models is the page of the hosts of one model side by side.
type Models struct {
	Frame   Frame
	Model   string // that is shown; empty: there is none
	Choices []ModelChoice
	Table   cohort.Table
}

// ModelChoice is a model with how many of its hosts were vetted.
type ModelChoice struct {
	Name  string
	Hosts int
}

// pathModel is the page of the hosts of a model.
func pathModel(model string) string { return "/models?model=" + url.QueryEscape(model) }

func (c ModelChoice) words() string {
	return text.Line(c.Name) + ", " + text.Count(c.Hosts, "host", "hosts")
}

// summary is the line under the title.
func (m *Models) summary() string {
	odd := 0

	for i := range m.Table.Rows {
		if m.Table.Rows[i].Outs() > 0 {
			odd++
		}
	}

	line := text.Count(len(m.Table.Rows), "host of this model has", "hosts of this model have") + " come to a verdict"

	switch {
	case len(m.Table.Columns) == 0:
		return line + "; none of its runs measured how fast or how hot a part is."
	case len(m.Table.Rows) < cohort.Enough:
		return line + fmt.Sprintf("; from %d on it is marked what stands out.", cohort.Enough)
	case odd == 0:
		return line + "; none of them stands out."
	default:
		return line + "; " + text.Count(odd, "of them stands out.", "of them stand out.")
	}
}

// modelRule says what is compared and what stands out.
func modelRule() string {
	return fmt.Sprintf("Each figure is the median of what the last run that came to a verdict measured in one stage under load; of several parts the slowest or the "+
		"hottest counts. Marked is what is further from the median of the hosts than %g times their usual deviation (MAD × 1.4826), and than %g %% of the median or %g °C, "+
		"where %d hosts or more were measured. A mark is no verdict: hosts of one model may differ in their parts.",
		cohort.Far, cohort.Least*100, cohort.Degrees, cohort.Enough)
}

// measure writes a number with three digits that count, or all before the point.
func measure(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

func cellWord(c cohort.Cell) string {
	if !c.Measured {
		return "–"
	}

	return measure(c.Value)
}

// heading names a column where its head is not shown.
func heading(c *cohort.Column) string { return c.Name + ", " + c.Unit }

// offWord says how far a figure is from the median.
func offWord(c cohort.Cell, of *cohort.Column) string {
	unit := "%"
	if of.Unit == "°C" {
		unit = of.Unit
	}

	return fmt.Sprintf("%+.0f %s", c.Off, unit)
}

func modelHost(h *cohort.Host) string {
	if name := text.Line(h.Name); name != "" {
		return name
	}

	return string(h.MAC)
}
